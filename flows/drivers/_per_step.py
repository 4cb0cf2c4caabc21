"""One flow from one iterate to the next: what `compare` does at every step of mode "per_step"."""

from typing import Any

import jax
import jax.numpy as jnp

from .._custom_types import Array, Flag, Params, PyTree
from .._errors import RESULTS
from .._vectors import select
from ..optimizers import Problem
from ..vector_fields import AbstractFlow
from ..vector_fields.methods import AbstractMethod, Cost, Steps
from ._advance_flow import FlowState
from ._flow_records import Target, blank_observation, is_good, observe, whole_step
from ._iterate import Records, blank_unless


def restart(
    problem: Problem,
    flow: AbstractFlow,
    method: AbstractMethod,
    carry: FlowState,
    index: Array,
    state: PyTree[Any],
    end: Params,
    due: Flag,
    asked: Flag,
    save: bool,
) -> tuple[FlowState, Records]:
    """One flow from one state of the optimizer to the next.

    `due` says whether there is a next one, `asked` whether anybody wants to know.

    A flow of every second step starts anew at every second iterate, and waits there for a step.
    """
    at = whole_step(index + 1, carry.y)

    def begun() -> PyTree[Array]:
        return flow.start(problem, state, whole_step(index, carry.y))

    def arrive(carry: FlowState) -> tuple[FlowState, Records]:
        y = carry.y if flow.stride == 2 else begun()
        stride = flow.stride
        steps = Steps(index - (stride - 1), jnp.asarray(stride), 1, stride)
        leg = method.advance(flow, problem, steps, y, carry.memory)
        y = jax.tree.map(lambda ys: ys[0], leg.ys)
        point = flow.params(problem, at, y)
        return arrived(carry, y, point, leg.status, leg.memory, carry.cost + leg.cost)

    def wait(carry: FlowState) -> tuple[FlowState, Records]:
        # One optimizer step from the iterate is the next one.
        return arrived(carry, begun(), end, RESULTS.successful, carry.memory, carry.cost)

    def arrived(
        carry: FlowState, y: Any, point: Any, status: RESULTS, memory: Any, cost: Cost
    ) -> tuple[FlowState, Records]:
        records = observe(problem, flow, at, y, point, save, Target(end, end))
        good = is_good(records)
        why = RESULTS.where(status != RESULTS.successful, status, RESULTS.diverged)
        y, point = select(good, (y, point), (carry.y, carry.point))
        carry = FlowState(
            y,
            point,
            carry.step + jnp.asarray(carry.alive & good, carry.step.dtype),
            carry.alive & good,
            RESULTS.where(carry.alive & ~good, why, carry.result),
            memory,
            cost,
        )
        return carry, blank_unless(good, records)

    def attempt(carry: FlowState) -> tuple[FlowState, Records]:
        if flow.stride == 1:
            return arrive(carry)
        return jax.lax.cond(index % 2 == 0, wait, arrive, carry)

    def nothing(carry: FlowState) -> tuple[FlowState, Records]:
        target = Target(end, end)
        blank = blank_observation(problem, flow, at, carry.y, carry.point, save, target)
        return carry, blank_unless(jnp.asarray(False), blank, asked)

    return jax.lax.cond(due, attempt, nothing, carry)
