"""Whether loss, optimizer, flows and key fit together: typed errors, before anything is traced."""

from collections.abc import Iterable
from typing import Any

from .._checks import random_key
from .._custom_types import Array, Params
from .._errors import IncompatibleFlowError, InvalidOptimizerError
from .._problem import Problem
from ..optimizers import AbstractOptimizer, AbstractStochasticOptimizer
from ..vector_fields import FLOWS, AbstractFlow, AbstractStochasticFlow


def check_optimizer(optimizer: Any) -> None:
    """Raise an `InvalidOptimizerError` unless it is an optimizer of this library."""
    if not isinstance(optimizer, AbstractOptimizer):
        raise InvalidOptimizerError(
            f"optimizer must be one of this library's, got {optimizer!r}. "
            "Write for example flows.GradientDescent(0.1)."
        )


def check_randomness(problem: Problem, params: Params, key: Any) -> Array | None:
    """The key, where the optimizer wants one; raises a typed error unless all is there and fits."""
    optimizer = problem.optimizer
    if not isinstance(optimizer, AbstractStochasticOptimizer):
        optimizer.check(problem, params)
        return None
    key = random_key(key, type(optimizer).__name__)
    optimizer.check(problem, params)
    return key


def check_flow(flow: Any, optimizer: Any) -> None:
    """Raise a typed error unless both are what they should be and the flow models the optimizer."""
    check_optimizer(optimizer)
    if not isinstance(flow, AbstractFlow):
        call = f"{flow.__name__}()" if isinstance(flow, type) else "flows.GradientFlow()"
        raise IncompatibleFlowError(f"{flow!r} is not a flow. Write for example {call}.")
    if not isinstance(optimizer, flow.models):
        modelled = " or ".join(model.__name__ for model in flow.models)
        others = [other.__name__ for other in FLOWS if isinstance(optimizer, other.models)]
        remedy = (
            f"use {' or '.join(others)} for {type(optimizer).__name__}"
            if others
            else f"no flow here models {type(optimizer).__name__} yet"
        )
        raise IncompatibleFlowError(
            f"{flow.name} models {modelled}, not {type(optimizer).__name__}: "
            f"compare it with {modelled}, or {remedy}."
        )
    flow.check(optimizer)


def check_noise(problem: Problem, params: Params, flow: AbstractStochasticFlow, key: Any) -> Array:
    """The key; raises a typed error unless it is one, and data and flow fit together."""
    key = random_key(key, flow.name)
    check_randomness(problem, params, key)
    flow.start(problem, params)
    return key


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
