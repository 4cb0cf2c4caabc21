"""How a flow that makes its own steps is taken through a window of optimizer steps."""

from typing import Any

import jax
import jax.numpy as jnp

from .._custom_types import Array, PyTree, Scalar
from .._problem import Problem
from ..results import RESULTS
from ..vector_fields import AbstractSteppedFlow
from ._integrator import Leg


def no_stats() -> dict[str, Array]:
    """The statistics of a run that has not begun."""
    return {"num_steps": jnp.zeros((), int)}


def step_through(
    problem: Problem, flow: AbstractSteppedFlow, y: PyTree[Any], ts: Array, dt: Scalar
) -> Leg:
    """Advance a flow to times that are whole steps apart, or none where a window overruns.

    Arguments:
        problem: The loss and the optimizer.
        flow: The flow.
        y: The state where the window begins.
        ts: The times since then that are wanted, in flow time.
        dt: Returned as it is: such a flow has no step size to hand on.

    Returns:
        The states at `ts`, not a number from a failure on, its result code and the substeps made.
    """
    gaps = jnp.diff(ts, prepend=jnp.zeros_like(ts[:1]))

    def step(carry: tuple[PyTree[Any], Array], gap: Scalar) -> tuple[Any, Any]:
        y, failure = carry
        due = (gap > 0) & (failure == 0)

        def substep(_: int, carry: tuple[PyTree[Any], Array]) -> tuple[PyTree[Any], Array]:
            return jax.lax.cond(carry[1] == 0, made, lambda *carry: carry, *carry)

        def made(y: PyTree[Any], _: Array) -> tuple[PyTree[Any], Array]:
            y = flow.advance(problem, y)
            return y, flow.failure(y)

        y, failure = jax.lax.fori_loop(0, jnp.where(due, flow.substeps, 0), substep, (y, failure))
        lost = jax.tree.map(
            lambda x: (
                jnp.where(failure > 0, jnp.nan, x) if jnp.issubdtype(x.dtype, jnp.floating) else x
            ),
            y,
        )
        return (y, failure), (lost, jnp.where(due, flow.substeps, 0))

    (_, failure), (ys, made) = jax.lax.scan(step, (y, flow.failure(y)), gaps)
    result = RESULTS.successful
    for place, name in enumerate(flow.failures, start=1):
        result = RESULTS.where(failure == place, getattr(RESULTS, name), result)
    return Leg(ys, result, dt, {"num_steps": jnp.sum(made)})
