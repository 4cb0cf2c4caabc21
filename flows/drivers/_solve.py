"""One flow, integrated from the start along the step clock."""

from typing import Any, NamedTuple, cast

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._checks import being_traced, step_count
from .._custom_types import Array, Data, Flag, Integer, Loss, Params, PyTree, Scalar
from .._problem import Problem, make_problem
from .._vectors import byte_count, norm, real_dtype, select, subtract
from ..optimizers import AbstractOptimizer
from ..results import RESULTS, Label, Trajectory, raise_if_failed
from ..vector_fields import AbstractFlow, AbstractSteppedFlow, AbstractStochasticFlow
from ._compatible import check_flow, check_noise
from ._integrator import Integrator, Leg, integrate, make_integrator
from ._iterate import Records, blank_unless, step_times
from ._noisy import NoisyIntegrator, make_noisy_integrator, step_noisily
from ._substeps import no_stats, step_through
from ._windows import keep_params, plan, walk

# Of the solver, within a window; and within one step, where each is a window of its own. A
# principal flow that slides along its branch cut takes some hundred a step.
MAX_STEPS = 16_384
MAX_STEPS_PER_STEP = 2_048


class FlowState(eqx.Module):
    """Where a flow stands, why it stopped if it did, and the solver step to try next.

    `point` is what the flow says of the last step: its parameters, unless it speaks of every second
    step only.
    """

    y: PyTree[Array]
    point: Params
    step: Integer
    alive: Flag
    result: RESULTS
    dt: Scalar
    stats: dict[str, Array]


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

    .. math:: \dot y = f(t, y), \qquad 0 \le t \le N h

    Works under ``jit``, ``vmap`` and reverse-mode ``grad``. Memory does not grow with the number
    of steps unless the parameters are kept.

    Arguments:
        loss: As in `flows.iterate`.
        params: As in `flows.iterate`.
        optimizer: The optimizer that the flow models; its `step_time` is the time ``h`` of a step.
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
        dt0: The solver's first step in flow time; with ``ConstantStepSize()`` every step.
        max_steps: The most solver steps within a window of at most 256 optimizer steps.
        adjoint: How diffrax differentiates through the solve under a JAX transformation, by
            default ``RecursiveCheckpointAdjoint()``; ``ForwardMode()`` for forward mode.
        save_params: Keep the parameters of every step: True, False, or "auto" (up to 64 MiB).
        progress: Show a bar over the steps.
        throw: Raise an error if the solve stops early, rather than return its result code.

    Returns:
        A `flows.Trajectory` with the flow at ``t_n = n h``. If the solver gives up, or the loss
        stops being finite, the result code says so and everything up to the last whole step is
        there.

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
    if isinstance(flow, AbstractStochasticFlow):
        key = check_noise(problem, moving, flow, key)
        integrator = make_noisy_integrator(solver, stepsize_controller, dt0, key)
    else:
        optimizer.check(problem, moving)
        integrator = make_integrator(
            dtype, solver, stepsize_controller, dt0, max_steps, adjoint, traced=traced
        )
    point_bytes = byte_count(moving)
    save = keep_params(save_params, count, point_bytes)
    windows = plan(count, point_bytes)

    carry, start = begin_flow(problem, flow, integrator, moving, save)
    carry, records = walk(
        lambda carry, done: _advance(
            problem, flow, integrator, carry, done, jnp.asarray(count), windows.length, save
        ),
        carry,
        start,
        windows,
        alive=lambda carry: carry.alive,
        traced=traced,
        progress=progress,
        label=flow.name,
    )
    return raise_if_failed(
        flow_trajectory(problem, flow, carry, records), throw=throw, traced=traced
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
    integrator: Integrator | NoisyIntegrator,
    params: Params,
    save: bool,
    target: Target | None = None,
) -> tuple[FlowState, Records]:
    """The state at the start, and the records of step 0."""
    y = flow.init(problem, params)
    dt = problem.optimizer.step_time.astype(real_dtype(params))
    records = observe(problem, flow, y, flow.params(y), save, target)
    alive = is_good(records)
    result = RESULTS.where(alive, RESULTS.successful, RESULTS.diverged)
    own = isinstance(flow, AbstractSteppedFlow)
    stats = no_stats() if own else integrator.no_stats(dt.dtype)
    return FlowState(y, flow.params(y), jnp.asarray(0), alive, result, dt, stats), records


@eqx.filter_jit
def _advance(problem, flow, integrator, carry, done, steps, length, save):
    return advance_flow(problem, flow, integrator, carry, done, steps, length, save)


def advance_flow(
    problem: Problem,
    flow: AbstractFlow,
    integrator: Integrator | NoisyIntegrator,
    carry: FlowState,
    done: Array,
    steps: Array | int,
    length: int,
    save: bool,
    targets: Target | None = None,
) -> tuple[FlowState, Records]:
    """A window of `length` steps after `done` of them; nothing happens beyond `steps`.

    `targets`, with a leading axis of `length`, are what the flow is to be measured against.
    """
    dtype = carry.dt.dtype
    h = problem.optimizer.step_time
    due = done + np.arange(length) < steps
    ts = h * jnp.clip(steps - done, 0, np.arange(1, length + 1)).astype(h.dtype)
    t0 = (h * jnp.asarray(done).astype(h.dtype)).astype(dtype)

    def window(carry: FlowState) -> tuple[FlowState, Records]:
        leg = _leg(problem, flow, integrator, carry, t0, done, ts.astype(dtype))

        def at(i: Integer) -> tuple[PyTree[Array], Params]:
            """The state after so many steps of this window, and the point it stands for."""
            y = jax.tree.map(lambda ys: ys[i], leg.ys)
            before = jax.tree.map(
                lambda ys, y: jnp.where(i > 0, ys[jnp.maximum(i - 1, 0)], y), leg.ys, carry.y
            )
            return y, point_of(problem, flow, done + i + 1, before, y)

        def record(of: tuple[Integer, Target | None]) -> Records:
            i, target = of
            return observe(problem, flow, *at(i), save, target)

        records = jax.lax.map(record, (jnp.arange(length), targets))
        going_on = jnp.cumprod((is_good(records) | ~due).astype(int)).astype(bool)
        made = going_on & due
        count = jnp.sum(made.astype(carry.step.dtype))
        solver_failed = leg.result != RESULTS.successful
        y, point = select(count > 0, at(jnp.maximum(count - 1, 0)), (carry.y, carry.point))
        carry = FlowState(
            y,
            point,
            carry.step + count,
            going_on[-1],
            RESULTS.where(
                going_on[-1],
                RESULTS.successful,
                RESULTS.where(solver_failed, leg.result, RESULTS.diverged),
            ),
            leg.dt,
            jax.tree.map(jnp.add, carry.stats, leg.stats),
        )
        return carry, jax.vmap(blank_unless)(made, records)

    def nothing(carry: FlowState) -> tuple[FlowState, Records]:
        target = jax.tree.map(lambda points: points[0], targets)
        blank = blank_observation(problem, flow, carry.y, carry.point, save, target)
        return carry, jax.tree.map(lambda x: jnp.broadcast_to(x, (length, *x.shape)), blank)

    return jax.lax.cond(carry.alive, window, nothing, carry)


def _leg(
    problem: Problem,
    flow: AbstractFlow,
    integrator: Integrator | NoisyIntegrator,
    carry: FlowState,
    t0: Scalar,
    done: Array,
    ts: Array,
) -> Leg:
    """A window, made as the kind of the flow wants it."""
    if isinstance(flow, AbstractSteppedFlow):
        return step_through(problem, flow, carry.y, ts, carry.dt)
    if isinstance(flow, AbstractStochasticFlow):
        return step_noisily(problem, flow, cast(NoisyIntegrator, integrator), carry.y, done, ts)
    return integrate(problem, flow, cast(Integrator, integrator), carry.y, t0, ts, carry.dt)


def point_of(
    problem: Problem, flow: AbstractFlow, step: Integer, before: PyTree[Array], y: PyTree[Array]
) -> Params:
    """What a flow says of a step: where it is, or one optimizer step from where it was before.

    The second where the flow is a model of every second step, and this is not one of them.
    """
    if flow.stride == 1:
        return flow.params(y)
    return jax.lax.cond(
        step % flow.stride == 0,
        lambda: flow.params(y),
        lambda: one_step_from(problem, flow.params(before)),
    )


def one_step_from(problem: Problem, params: Params) -> Params:
    """The parameters after one step of the optimizer, begun there."""
    optimizer = problem.optimizer
    return optimizer.params(optimizer.step(problem, optimizer.init(params)))


def observe(
    problem: Problem,
    flow: AbstractFlow,
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
        "diagnostics": flow.diagnostics(problem, y),
        "params": params if save else None,
    }
    if target is not None:
        records["error"] = norm(subtract(params, target.reference))
        records["diagnostics"] |= flow.measured(problem, y, target.iterate)
    return records


def blank_observation(*arguments: Any) -> Records:
    """NaN in the place of what `observe` would return."""
    shapes = eqx.filter_eval_shape(observe, *arguments)
    return jax.tree.map(lambda s: jnp.full(s.shape, jnp.nan, s.dtype), shapes)


def is_good(records: Records) -> Flag:
    """Whether loss and gradient are finite."""
    return jnp.isfinite(records["loss"]) & jnp.isfinite(records["grad_norm"])


def flow_trajectory(
    problem: Problem, flow: AbstractFlow, carry: FlowState, records: Records
) -> Trajectory:
    """A flow's records as a `Trajectory`."""
    params = records["params"]
    chosen = flow.choices(problem, carry.point)
    choices = {name: Label(choice) for name, choice in chosen.items()}
    return Trajectory(
        ts=step_times(problem, records["loss"]),
        params=None if params is None else problem.whole(params),
        final_params=problem.whole(carry.point),
        loss=records["loss"],
        grad_norm=records["grad_norm"],
        diagnostics=records["diagnostics"],
        last_step=carry.step,
        result=carry.result,
        stats={**carry.stats, **flow.stats(carry.y), **choices},
        stride=flow.stride,
        reference=flow.reference,
    )
