"""One flow, integrated from the start along the step clock."""

from typing import Any, NamedTuple

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from .._checks import being_traced, step_count
from .._custom_types import Array, At, Data, Flag, Integer, Loss, Params, PyTree, Scalar
from .._errors import IncompatibleFlowError
from .._vectors import byte_count, norm, real_dtype, select, subtract
from ..optimizers import AbstractOptimizer, Problem, make_problem
from ..results import RESULTS, Ran, Trajectory, as_labels, raise_if_failed
from ..vector_fields import AbstractFlow
from ..vector_fields.methods import AbstractMethod, Cost, SolverOptions, Steps
from ._compatible import check_fit, check_flow
from ._iterate import Records, blank_unless, start_state, step_times
from ._windows import keep_params, plan, walk

# Of the solver, within a window; and within one step, where each is a window of its own. A
# principal flow that slides along its branch cut takes some hundred a step.
MAX_STEPS = 16_384
MAX_STEPS_PER_STEP = 2_048


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


def solve(
    loss: Loss,
    params: Params,
    optimizer: AbstractOptimizer,
    flow: AbstractFlow,
    steps: int,
    *,
    args: Data = None,
    key: Array | None = None,
    solver: dfx.AbstractSolver | None = None,
    stepsize_controller: dfx.AbstractStepSizeController | None = None,
    dt0: float | Scalar | None = None,
    max_steps: int = MAX_STEPS,
    adjoint: dfx.AbstractAdjoint | None = None,
    save_params: bool | str = "auto",
    progress: bool = False,
    throw: bool = True,
) -> Trajectory:
    r"""Integrate one flow for the time of some optimizer steps.

    .. math:: \frac{dy}{dn} = \mathtt{velocity}(n, y), \qquad 0 \le n \le N

    Works under ``jit``, ``vmap`` and reverse-mode ``grad``. Memory does not grow with the number
    of steps unless the parameters are kept.

    Arguments:
        loss: As in `flows.iterate`.
        params: As in `flows.iterate`.
        optimizer: The optimizer that the flow models, whose steps are the clock.
        flow: For example ``flows.GradientFlow()``.
        steps: ``N``, a Python integer >= 0.
        args: Data for the loss.
        key: For a stochastic flow, ``jax.random.key(0)`` for example; the same key gives the same
            path. Many paths: ``jax.vmap`` over keys.
        solver: Any diffrax solver; by default ``Dopri8()`` in float64 and ``Tsit5()`` in float32,
            and ``ShARK()`` for a stochastic flow, which goes in equal substeps: the next three are
            not for it.
        stepsize_controller: Any diffrax controller. By default adaptive, with a local error below
            1e-11 (float64) or 1e-5 (float32) of the length of one step.
        dt0: The solver's first step, in optimizer steps; with ``ConstantStepSize()`` every step.
        max_steps: The most solver steps within a window of at most 256 optimizer steps.
        adjoint: How diffrax differentiates through the solve under a JAX transformation, by
            default ``RecursiveCheckpointAdjoint()``; ``ForwardMode()`` for forward mode.
        save_params: Keep the parameters of every step: True, False, or "auto" (up to 64 MiB).
        progress: Show a bar over the steps.
        throw: Raise an error if the solve stops early, rather than return its result code.

    Returns:
        A `flows.Trajectory` with the flow after every optimizer step. If the solver gives up, or
        the loss stops being finite, the result code says so and everything up to the last whole
        step is there.

    Raises:
        InvalidLossError: As in `flows.iterate`; so are the next three.
        InvalidParametersError: If a leaf cannot be moved.
        InvalidStepsError: If `steps` is not a non-negative integer.
        InvalidOptionError: If an option is out of range.
        InvalidSolverError: If solver or controller is not diffrax's, or they do not fit together.
        InvalidOptimizerError: If the optimizer is none.
        IncompatibleFlowError: If the flow does not model the optimizer.
        RunFailedError: If the solve stops early and `throw` is True; its ``partial`` is the run.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> run = flows.solve(
        ...     lambda x: x**2 / 2, jnp.array(1.0), flows.GradientDescent(0.5),
        ...     flows.GradientFlow(), steps=4,
        ... )
        >>> bool(jnp.allclose(run.loss, jnp.exp(-2 * run.ts) / 2, rtol=1e-4))
        True

    References:
        P. Kidger, On Neural Differential Equations (2022), arXiv:2202.02435 (diffrax).
    """
    count = step_count(steps)
    check_flow(flow, optimizer)
    problem, moving = make_problem(loss, params, optimizer, args)
    dtype = real_dtype(moving)
    traced = being_traced(problem, moving, flow, stepsize_controller, dt0, key)
    key = check_fit(problem, moving, key, flow, iterates=False)
    method = flow.method.configured(
        SolverOptions(dtype, traced, solver, stepsize_controller, dt0, max_steps, adjoint)
    )
    point_bytes = byte_count(moving)
    save = keep_params(save_params, count, point_bytes)
    windows = plan(count, point_bytes)

    def advance_with(flow: AbstractFlow) -> Any:
        return lambda carry, done: _advance(
            problem, flow, method, carry, done, jnp.asarray(count), windows.length, save
        )

    def again(before: FlowState, after: FlowState) -> Any:
        nonlocal flow
        grown = enlarged(problem, flow, before, after)
        if grown is None:
            return None
        flow, carry = grown
        return advance_with(flow), carry

    carry, start = begin_flow(problem, flow, method, moving, save, key)
    carry, records = walk(
        advance_with(flow),
        carry,
        start,
        windows,
        alive=lambda carry: carry.alive,
        traced=traced,
        progress=progress,
        label=flow.name,
        again=again,
    )
    return raise_if_failed(
        flow_trajectory(problem, flow, method, carry, records), throw=throw, traced=traced
    )


class Target(NamedTuple):
    """What a flow is compared with at a step.

    Attributes:
        iterate: The iterate.
        reference: What its error is a distance from: the iterate, or a mean of some.
    """

    iterate: Params
    reference: Params


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


@eqx.filter_jit
def _advance(problem, flow, method, carry, done, steps, length, save):
    return advance_flow(problem, flow, method, carry, done, steps, length, save)


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
        choices=as_labels(flow.choices(problem, carry.point)),
        stride=flow.stride,
        reference=flow.reference,
    )
