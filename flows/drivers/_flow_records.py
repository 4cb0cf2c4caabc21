"""What is recorded of a flow at a whole step."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .._custom_types import Array, At, Flag, Integer, Params, PyTree
from .._vectors import norm, real_dtype, subtract
from ..optimizers import Problem
from ..vector_fields import AbstractFlow
from ._iterate import Records


class Target(NamedTuple):
    """What a flow is compared with at a step.

    Attributes:
        iterate: The iterate.
        reference: What its error is a distance from: the iterate, or a mean of some.
    """

    iterate: Params
    reference: Params


def whole_step(step: Integer, y: PyTree[Array]) -> At:
    """The place on the clock where so many steps were made, and no part of the next one."""
    return At(step, jnp.zeros((), real_dtype(y)))


def point_of(
    problem: Problem, flow: AbstractFlow, at: At, before: PyTree[Array], y: PyTree[Array]
) -> Params:
    """What a flow says of a step: where it is, or one optimizer step from where it was before.

    The second where the flow is a model of every second step, and this is not one of them.
    """
    if flow.stride == 1:
        return flow.params(problem, at, y)
    optimizer, earlier = problem.optimizer, At(at.step - 1, at.part)

    def one_step() -> Params:
        state = flow.optimizer_state(problem, earlier, before)
        return optimizer.params(problem.step(state))

    return jax.lax.cond(at.step % flow.stride == 0, lambda: flow.params(problem, at, y), one_step)


def observe(
    problem: Problem,
    flow: AbstractFlow,
    at: At,
    y: PyTree[Array],
    params: Params,
    save: bool,
    target: Target | None = None,
) -> Records:
    """What is recorded of a flow at a whole step; its error, if there is something to compare."""
    value, gradient = problem.value_and_gradient(params)
    records = {
        "loss": jnp.real(value),  # where parameters are complex, their |Im| tells what is left out
        "grad_norm": norm(gradient),
        "diagnostics": flow.report(problem, at, y, None if target is None else target.iterate),
        "params": params if save else None,
    }
    if target is not None:
        records["error"] = norm(subtract(params, target.reference))
    return records


def blank_observation(*arguments: Any) -> Records:
    """NaN in the place of what `observe` would return."""
    shapes = eqx.filter_eval_shape(observe, *arguments)
    return jax.tree.map(lambda s: jnp.full(s.shape, jnp.nan, s.dtype), shapes)


def is_good(records: Records) -> Flag:
    """Whether loss and gradient are finite."""
    return jnp.isfinite(records["loss"]) & jnp.isfinite(records["grad_norm"])
