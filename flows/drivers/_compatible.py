"""Whether loss, optimizer, flows and key fit together: typed errors, before anything is traced."""

from collections.abc import Iterable
from typing import Any

from .._checks import random_key
from .._custom_types import Array, Params
from .._errors import IncompatibleFlowError, InvalidOptimizerError
from .._objective import require_derivative
from ..optimizers import AbstractOptimizer, Problem
from ..vector_fields import AbstractFlow, flows_for


def check_optimizer(optimizer: Any) -> None:
    """Raise an `InvalidOptimizerError` unless it is an optimizer of this library."""
    if not isinstance(optimizer, AbstractOptimizer):
        raise InvalidOptimizerError(
            f"optimizer must be one of this library's, got {optimizer!r}. "
            "Write for example flows.GradientDescent(0.1)."
        )


def check_fit(
    problem: Problem, params: Params, key: Any, *flows: AbstractFlow, iterates: bool = True
) -> Array | None:
    """The key, where anything that is run wants one; a typed error unless all is there and fits."""
    optimizer = problem.optimizer
    wanting = [type(optimizer).__name__] if iterates and optimizer.stochastic else []
    wanting += [flow.name for flow in flows if flow.stochastic]
    key = random_key(key, wanting[0]) if wanting else None
    optimizer.check(problem.objective, params)
    for flow in flows:
        check_loss(problem, params, flow)
    return key


def check_loss(problem: Problem, params: Params, flow: AbstractFlow) -> None:
    """Raise a typed error if there is no such flow for this loss."""
    if flow.beyond_gradient:
        require_derivative(problem.objective, params, flow.name)
    flow.check(problem, params)


def check_flow(flow: Any, optimizer: Any) -> None:
    """Raise a typed error unless both are what they should be and the flow models the optimizer."""
    check_optimizer(optimizer)
    if not isinstance(flow, AbstractFlow):
        call = f"{flow.__name__}()" if isinstance(flow, type) else "flows.GradientFlow()"
        raise IncompatibleFlowError(f"{flow!r} is not a flow. Write for example {call}.")
    refused = flow.refusal(optimizer)
    if refused is not None:
        kind = type(optimizer).__name__
        others = " or ".join(f"flows.{type(other).__name__}()" for other in flows_for(optimizer))
        known = f"For this {kind} there is {others}." if others else f"No flow models {kind} yet."
        raise IncompatibleFlowError(f"{refused} {known}")


def check_flows(flows: Any, optimizer: Any) -> dict[str, AbstractFlow]:
    """The flows by name; raises a typed error unless there are some, and each models it."""
    several = isinstance(flows, Iterable) and not isinstance(flows, AbstractFlow | type | str)
    models: tuple[Any, ...] = tuple(flows) if several else (flows,)
    if not models:
        raise IncompatibleFlowError(
            "flows is empty, so there is nothing to compare with the iterates. "
            "Write for example [flows.GradientFlow()], or call flows.iterate."
        )
    for flow in models:
        check_flow(flow, optimizer)
    return dict(zip(_distinct([flow.name for flow in models]), models, strict=True))


def _distinct(names: list[str]) -> list[str]:
    """The names, the second of a kind with ` #2` behind it."""
    return [
        name if names[:place].count(name) == 0 else f"{name} #{names[:place].count(name) + 1}"
        for place, name in enumerate(names)
    ]
