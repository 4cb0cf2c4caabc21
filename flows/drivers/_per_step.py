"""One flow from one iterate to the next: what `compare` does at every step of mode "per_step"."""

import jax
import jax.numpy as jnp

from .._custom_types import Array, Flag, Params
from .._problem import Problem
from .._vectors import select
from ..results import RESULTS
from ..vector_fields import AbstractFlow
from ._integrator import Integrator, integrate
from ._iterate import Records, blank_unless
from ._solve import FlowState, Target, blank_observation, is_good, observe, one_step_from


def restart(
    problem: Problem,
    flow: AbstractFlow,
    integrator: Integrator,
    carry: FlowState,
    index: Array,
    start: Params,
    end: Params,
    due: Flag,
    save: bool,
) -> tuple[FlowState, Records]:
    """One flow from one iterate to the next; `due` says whether there is a next one.

    A flow of every second step starts anew at every second iterate, and waits there for a step.
    """
    h = problem.optimizer.step_time

    def arrive(carry: FlowState) -> tuple[FlowState, Records]:
        y = carry.y if flow.stride == 2 else flow.init(problem, start)
        since = index - (flow.stride - 1)
        t0 = (h * since.astype(h.dtype)).astype(carry.dt.dtype)
        duration = (flow.stride * h).astype(carry.dt.dtype)
        leg = integrate(problem, flow, integrator, y, t0, duration[None], carry.dt)
        y = jax.tree.map(lambda ys: ys[0], leg.ys)
        return arrived(carry, y, flow.params(y), leg.result, leg.dt, leg.stats)

    def wait(carry: FlowState) -> tuple[FlowState, Records]:
        y = flow.init(problem, start)
        none = jax.tree.map(jnp.zeros_like, carry.stats)
        return arrived(carry, y, one_step_from(problem, start), RESULTS.successful, carry.dt, none)

    def arrived(carry, y, point, result, dt, stats) -> tuple[FlowState, Records]:
        records = observe(problem, flow, y, point, save, Target(end, end))
        good = is_good(records)
        why = RESULTS.where(result != RESULTS.successful, result, RESULTS.diverged)
        y, point = select(good, (y, point), (carry.y, carry.point))
        carry = FlowState(
            y,
            point,
            carry.step + jnp.asarray(carry.alive & good, carry.step.dtype),
            carry.alive & good,
            RESULTS.where(carry.alive & ~good, why, carry.result),
            dt,
            jax.tree.map(jnp.add, carry.stats, stats),
        )
        return carry, blank_unless(good, records)

    def attempt(carry: FlowState) -> tuple[FlowState, Records]:
        if flow.stride == 1:
            return arrive(carry)
        return jax.lax.cond(index % 2 == 0, wait, arrive, carry)

    def nothing(carry: FlowState) -> tuple[FlowState, Records]:
        return carry, blank_observation(problem, flow, carry.y, carry.point, save, Target(end, end))

    return jax.lax.cond(due, attempt, nothing, carry)
