"""A flow through windows of optimizer steps, from where it begins to the trajectory at the end."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from .._custom_types import Array, Flag, Integer, Params, PyTree
from .._errors import RESULTS, IncompatibleFlowError
from .._vectors import real_dtype, select
from ..optimizers import Problem
from ..results import Ran, Trajectory, as_labels
from ..vector_fields import AbstractFlow
from ..vector_fields.methods import AbstractMethod, Cost, Steps
from ._flow_records import Target, blank_observation, is_good, observe, point_of, whole_step
from ._iterate import Records, blank_unless, start_state, step_times


class FlowState(eqx.Module):
    """Where a flow stands, why it stopped if it did, and what its method hands on.

    `point` is what the flow says of the last step: its parameters, unless it speaks of every second
    step only.
    """

    y: PyTree[Array]
    point: Params
    step: Integer
    alive: Flag
    result: RESULTS
    memory: PyTree[Any]
    cost: Cost


@eqx.filter_jit
def begin_flow(
    problem: Problem,
    flow: AbstractFlow,
    method: AbstractMethod,
    params: Params,
    save: bool,
    key: Array | None = None,
    target: Target | None = None,
) -> tuple[FlowState, Records]:
    """The state at the start, and the records of step 0."""
    at = whole_step(jnp.asarray(0), params)
    y = start_of(problem, flow, params)
    point = flow.params(problem, at, y)
    records = observe(problem, flow, at, y, point, save, target)
    alive = is_good(records)
    result = RESULTS.where(alive, RESULTS.successful, RESULTS.diverged)
    memory, cost = method.start(flow, problem, y, key)
    return FlowState(y, point, at.step, alive, result, memory, cost), records


def start_of(problem: Problem, flow: AbstractFlow, params: Params) -> PyTree[Any]:
    """The flow's state where the optimizer begins; of its state a flow takes what is not random."""
    key = jr.key(0) if problem.optimizer.stochastic else None
    return flow.start(
        problem, start_state(problem, params, key), whole_step(jnp.asarray(0), params)
    )


def advance_flow(
    problem: Problem,
    flow: AbstractFlow,
    method: AbstractMethod,
    carry: FlowState,
    done: Array,
    steps: Array | int,
    length: int,
    save: bool,
    targets: Target | None = None,
    until: Array | None = None,
) -> tuple[FlowState, Records]:
    """A window of `length` steps after `done` of them; nothing happens beyond `steps`, or `until`.

    `targets`, with a leading axis of `length`, are what the flow is to be measured against.
    """
    asked = done + np.arange(length) < steps
    steps = steps if until is None else until
    due = done + np.arange(length) < steps
    window_steps = Steps(jnp.asarray(done), jnp.clip(steps - done, 0, length), length)

    def window(carry: FlowState) -> tuple[FlowState, Records]:
        leg = method.advance(flow, problem, window_steps, carry.y, carry.memory)

        def after(i: Integer) -> tuple[PyTree[Array], Params]:
            """The state after so many steps of this window, and the point it stands for."""
            y = jax.tree.map(lambda ys: ys[i], leg.ys)
            before = jax.tree.map(
                lambda ys, y: jnp.where(i > 0, ys[jnp.maximum(i - 1, 0)], y), leg.ys, carry.y
            )
            return y, point_of(problem, flow, whole_step(done + i + 1, y), before, y)

        def record(of: tuple[Integer, Target | None]) -> Records:
            i, target = of
            y, point = after(i)
            return observe(problem, flow, whole_step(done + i + 1, y), y, point, save, target)

        records = jax.lax.map(record, (jnp.arange(length), targets))
        going_on = jnp.cumprod((is_good(records) | ~due).astype(int)).astype(bool)
        made = going_on & due
        count = jnp.sum(made.astype(carry.step.dtype))
        failed = leg.status != RESULTS.successful
        y, point = select(count > 0, after(jnp.maximum(count - 1, 0)), (carry.y, carry.point))
        why = RESULTS.where(failed, leg.status, RESULTS.diverged)
        carry = FlowState(
            y,
            point,
            carry.step + count,
            going_on[-1],
            RESULTS.where(going_on[-1], RESULTS.successful, why),
            leg.memory,
            carry.cost + leg.cost,
        )
        return carry, jax.vmap(blank_unless)(made, records, asked)

    def nothing(carry: FlowState) -> tuple[FlowState, Records]:
        target = jax.tree.map(lambda points: points[0], targets)
        at = whole_step(carry.step, carry.y)
        blank = blank_observation(problem, flow, at, carry.y, carry.point, save, target)
        return carry, jax.tree.map(lambda x: jnp.broadcast_to(x, (length, *x.shape)), blank)

    return jax.lax.cond(carry.alive, window, nothing, carry)


def enlarged(
    problem: Problem, flow: AbstractFlow, before: FlowState, after: FlowState
) -> tuple[AbstractFlow, FlowState] | None:
    """Another flow with which to go on from before a window, if the flow knows one."""
    if bool(after.alive) or not bool(before.alive):
        return None
    grown = flow.enlarged(problem, whole_step(before.step, before.y), before.y, after.result)
    if grown is None:
        return None
    other, y = grown
    if other is flow or other == flow or type(other.method) is not type(flow.method):
        raise IncompatibleFlowError(
            f"{flow.name} was to be followed by one with more room, and `enlarged` returned "
            f"{other!r}. Return another flow that is advanced by the same method, or None."
        )
    return other, eqx.tree_at(lambda carry: carry.y, before, y)


def flow_trajectory(
    problem: Problem, flow: AbstractFlow, method: AbstractMethod, carry: FlowState, records: Records
) -> Trajectory:
    """A flow's records as a `Trajectory`."""
    params = records["params"]
    return Trajectory(
        ts=step_times(problem, records["loss"].shape[0]),
        params=None if params is None else problem.whole(params),
        final_params=problem.whole(carry.point),
        loss=records["loss"],
        grad_norm=records["grad_norm"],
        diagnostics=records["diagnostics"],
        last_step=carry.step,
        result=carry.result,
        cost=carry.cost,
        ran={"flow": Ran.of(flow), "method": Ran.of(method)},
        choices=as_labels(flow.choices(problem, carry.point) | _precision(problem, carry.point)),
        stride=flow.stride,
        reference=flow.reference,
    )


def _precision(problem: Problem, params: Params) -> dict[str, str]:
    """A word on a loss that is computed more coarsely than its parameters are given."""
    precision = problem.objective.examined(params).precision
    return {} if precision == real_dtype(params) else {"precision": f"{precision} inside the loss"}
