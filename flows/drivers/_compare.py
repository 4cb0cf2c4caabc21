"""Iterates and flows on one clock."""

from collections.abc import Iterable, Sequence
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._checks import being_traced, one_of, step_count
from .._custom_types import Array, Data, Flag, Loss, Params, PyTree, Scalar
from .._errors import IncompatibleFlowError, InvalidOptimizerError
from .._vectors import byte_count, real_dtype
from ..optimizers import AbstractOptimizer, Problem, make_problem
from ..results import RESULTS, Comparison, raise_if_failed
from ..vector_fields import AbstractFlow
from ..vector_fields.methods import AbstractMethod, Diffrax, SolverOptions
from ._advance_flow import FlowState, advance_flow, begin_flow, enlarged, flow_trajectory
from ._compatible import check_fit, check_flows
from ._flow_records import Target
from ._iterate import (
    IterateState,
    begin,
    iterate_trajectory,
    scan_iterates,
    step_once,
)
from ._per_step import restart
from ._settings import settings_of
from ._solve import MAX_STEPS, MAX_STEPS_PER_STEP
from ._windows import keep_params, plan, walk

MODES = ("trajectory", "per_step")
Flows = tuple[AbstractFlow, ...]
Methods = tuple[AbstractMethod, ...]


class CompareState(eqx.Module):
    """Where the iterates and every flow stand."""

    iterates: IterateState
    flows: tuple[FlowState, ...]


def compare(
    loss: Loss,
    params: Params,
    optimizer: AbstractOptimizer,
    flows: Sequence[AbstractFlow] | AbstractFlow,
    steps: int,
    *,
    args: Data = None,
    mode: str = "trajectory",
    solver: dfx.AbstractSolver | None = None,
    stepsize_controller: dfx.AbstractStepSizeController | None = None,
    dt0: float | Scalar | None = None,
    max_steps: int | None = None,
    adjoint: dfx.AbstractAdjoint | None = None,
    save_params: bool | str = "auto",
    progress: bool = False,
    throw: bool = True,
) -> Comparison:
    r"""Compare flows with the iterates that they model.

    .. math::
        \text{trajectory:}\quad e_n = \lVert \varphi_{nh}(\theta_0) - \theta_n \rVert
        \qquad
        \text{per step:}\quad e_n = \lVert \varphi_h(\theta_{n-1}) - \theta_n \rVert

    with the flow's map ``phi`` and the time ``h`` of one step. In mode ``"trajectory"`` they start
    together and drift apart; in mode ``"per_step"`` the flow starts anew from every iterate, and
    the error is that of one step. Works under ``jit``, ``vmap`` and reverse-mode ``grad``. Memory
    does not grow with the number of steps unless the parameters are kept.

    An optimizer that draws random numbers is compared in law, by `flows.compare_in_law`.

    Arguments:
        loss: As in `flows.iterate`.
        params: As in `flows.iterate`.
        optimizer: For example ``flows.GradientDescent(0.1)``.
        flows: The flows, each a model of this optimizer, for example
            ``[flows.GradientFlow(), flows.ModifiedFlow(order=2)]``.
        steps: How many steps, a Python integer >= 0.
        args: Data for the loss.
        mode: ``"trajectory"`` or ``"per_step"``.
        solver: As in `flows.solve`; so are the next four.
        stepsize_controller: By default the integration error is far below the model error;
            `Trajectory.cost` reports it, and the printed table marks where it is not.
        dt0: The solver's first step, in optimizer steps.
        max_steps: The most solver steps within one window (in mode ``"per_step"``: one step); by
            default 16,384 (2,048).
        adjoint: How diffrax differentiates through the solve.
        save_params: Keep the parameters of every step, of the iterates and of every flow: True,
            False, or "auto" (up to 64 MiB in all).
        progress: Show a bar over the steps.
        throw: Raise an error if anything stops early, rather than return its result code.

    Returns:
        A `flows.Comparison`. A flow that models every second step (`Trajectory.stride`) is
        compared at those; at the others, one optimizer step from it is. In mode ``"per_step"`` it
        starts anew at every second iterate. A flow that models the iterates' average
        (`Trajectory.reference`) is compared with the midpoints
        ``(theta_{n-1} + 2 theta_n + theta_{n+1}) / 4``. A flow that fails does not stop the
        others; when the iterates diverge the run ends. Either way everything up to there is kept,
        and the trajectory's result code, `last_step` and `message` say what happened. In mode
        ``"per_step"`` a flow that fails in one step starts again from the next iterate; its result
        is its first failure.

    Raises:
        InvalidLossError: If the loss cannot be called, or does not return one real number.
        InvalidParametersError: If a leaf of `params` cannot be moved; the message names it.
        InvalidStepsError: If `steps` is not a non-negative integer.
        InvalidOptionError: If an option is out of range.
        InvalidSolverError: If solver or controller is not diffrax's, or they do not fit together.
        InvalidOptimizerError: If the optimizer is none, or draws random numbers.
        IncompatibleFlowError: If there is no flow, or one does not model the optimizer.
        RunFailedError: If anything stops early and `throw` is True; its ``partial`` is the run.

    Example:
        On ``E(x) = x^2 / 2`` gradient descent is ``(1 - h)^n`` and the flow ``exp(-n h)``.

        >>> import jax.numpy as jnp
        >>> import flows
        >>> run = flows.compare(
        ...     lambda x: x**2 / 2, jnp.array(1.0), flows.GradientDescent(0.5),
        ...     [flows.GradientFlow()], steps=2,
        ... )
        >>> error = jnp.exp(-run.iterates.ts) - 0.5 ** jnp.arange(3.0)
        >>> bool(jnp.allclose(run.errors["GradientFlow"], error, atol=1e-5))
        True

    References:
        M. Rosca, Y. Wu, C. Qin, B. Dherin, On a continuous time model of gradient descent dynamics
        and instability in deep learning (2023), arXiv:2302.01952, for the two ways to compare.
    """
    count = step_count(steps)
    one_of(mode, MODES, "mode")
    named = check_flows(flows, optimizer)
    _check_alone(named.values(), optimizer, mode)
    names, models = tuple(named), tuple(named.values())
    problem, moving = make_problem(loss, params, optimizer, args)
    check_fit(problem, moving, None, *models)
    dtype = real_dtype(moving)
    if max_steps is None:
        max_steps = MAX_STEPS if mode == "trajectory" else MAX_STEPS_PER_STEP
    traced = being_traced(problem, moving, models, stepsize_controller, dt0)
    options = SolverOptions(dtype, traced, solver, stepsize_controller, dt0, max_steps, adjoint)
    used = Diffrax().configured(options)
    methods = tuple(flow.method.configured(options) for flow in models)
    point_bytes = byte_count(moving) * (1 + len(models))  # of the iterates and every flow
    save = keep_params(save_params, count, point_bytes)
    windows = plan(count, point_bytes)

    carry, start = _begin(problem, models, methods, moving, save)
    advance = _advance_trajectory if mode == "trajectory" else _advance_per_step

    def advance_with(models: Flows) -> Any:
        return lambda carry, done: advance(
            problem, models, methods, carry, done, jnp.asarray(count), windows.length, save
        )

    def again(before: CompareState, after: CompareState) -> Any:
        nonlocal models
        states = zip(models, before.flows, after.flows, strict=True)
        grown = [enlarged(problem, flow, earlier, later) for flow, earlier, later in states]
        if mode == "per_step" or not any(grown):
            return None
        kept = zip(models, before.flows, strict=True)
        going_on = [new or old for new, old in zip(grown, kept, strict=True)]
        models, states = zip(*going_on, strict=True)
        return advance_with(models), CompareState(before.iterates, states)

    carry, (iterate_records, flow_records) = walk(
        advance_with(models),
        carry,
        start,
        windows,
        alive=_anything_to_do,
        traced=traced,
        progress=progress,
        label="compare",
        again=again,
    )
    comparison = Comparison(
        iterates=iterate_trajectory(problem, carry.iterates, iterate_records),
        trajectories={
            name: flow_trajectory(problem, flow, method, _ended(state, count), records)
            for name, flow, method, state, records in zip(
                names, models, methods, carry.flows, flow_records, strict=True
            )
        },
        errors={name: records["error"] for name, records in zip(names, flow_records, strict=True)},
        mode=mode,
        settings=settings_of(
            problem,
            moving,
            solver=type(used.solver).__name__,
            stepsize_controller=used.controller_name,
        ),
    )
    return raise_if_failed(comparison, throw=throw, traced=traced)


@eqx.filter_jit
def _begin(
    problem: Problem, flows: Flows, methods: Methods, params: Params, save: bool
) -> tuple[CompareState, PyTree[Array]]:
    """Everything before the first step: one program, for all begin at the same point."""
    iterates, records = begin(problem, params, save)
    target = Target(params, params)
    begun = [
        begin_flow(problem, flow, method, params, save, target=target)
        for flow, method in zip(flows, methods, strict=True)
    ]
    carry = CompareState(iterates, tuple(state for state, _ in begun))
    no_error = jnp.zeros_like(records["grad_norm"])
    return carry, (records, tuple({**each, "error": no_error} for _, each in begun))


@eqx.filter_jit
def _advance_trajectory(
    problem: Problem,
    flows: Flows,
    methods: Methods,
    carry: CompareState,
    done: Array,
    steps: Array | int,
    length: int,
    save: bool,
) -> tuple[CompareState, PyTree[Array]]:
    """A window in which every flow continues from where it is."""
    indices = done + np.arange(length)
    iterates, records = scan_iterates(problem, carry.iterates, indices, steps, save=True)
    points = records["params"]
    # Once the iterates have diverged there is nothing to compare with.
    until = jnp.minimum(steps, iterates.step)
    references = {"iterates": points}
    if any(flow.reference == "midpoint" for flow in flows):
        references["midpoint"] = _midpoints(problem, carry.iterates, iterates, points, until - done)
    advanced = [
        advance_flow(
            problem,
            flow,
            method,
            state,
            done,
            steps,
            length,
            save,
            Target(points, references[flow.reference]),
            until,
        )
        for flow, method, state in zip(flows, methods, carry.flows, strict=True)
    ]
    carry = CompareState(iterates, tuple(state for state, _ in advanced))
    records = {**records, "params": points if save else None}
    return carry, (records, tuple(records for _, records in advanced))


def _midpoints(
    problem: Problem, before: IterateState, after: IterateState, points: Params, count: Array
) -> Params:
    """``(theta_{n-1} + 2 theta_n + theta_{n+1}) / 4`` for the `count` steps made in a window."""
    optimizer = problem.optimizer
    # The last one needs one step more than there are.
    further = optimizer.params(problem.step(after.state, after.gradient))

    def of_leaf(first: Array, points: Array, last: Array) -> Array:
        earlier = jnp.concatenate([first[None], points[:-1]])
        later = jnp.concatenate([points[1:], last[None]])
        place = jnp.arange(len(points)).reshape(-1, *(1,) * first.ndim)
        later = jnp.where(place == count - 1, last[None], later)
        return (earlier + 2 * points + later) / 4

    return jax.tree.map(of_leaf, optimizer.params(before.state), points, further)


@eqx.filter_jit
def _advance_per_step(
    problem: Problem,
    flows: Flows,
    methods: Methods,
    carry: CompareState,
    done: Array,
    steps: Array | int,
    length: int,
    save: bool,
) -> tuple[CompareState, PyTree[Array]]:
    """A window in which every flow starts anew from every iterate."""

    def step(carry: CompareState, index: Array) -> tuple[CompareState, PyTree[Array]]:
        iterates, records = step_once(problem, carry.iterates, index, steps, save)
        made, asked = iterates.step > carry.iterates.step, index < steps
        end = problem.optimizer.params(iterates.state)
        stepped = [
            restart(
                problem, flow, method, state, index, carry.iterates.state, end, made, asked, save
            )
            for flow, method, state in zip(flows, methods, carry.flows, strict=True)
        ]
        carry = CompareState(iterates, tuple(state for state, _ in stepped))
        return carry, (records, tuple(records for _, records in stepped))

    return jax.lax.scan(step, carry, done + np.arange(length))


def _ended(flow: FlowState, steps: int) -> FlowState:
    """A flow at the end of the run: one that is alive too early was stopped by the iterates."""
    stopped = flow.alive & (flow.step < steps)
    result = RESULTS.where(stopped, RESULTS.iterates_ended, flow.result)
    return eqx.tree_at(lambda f: f.result, flow, result)


def _anything_to_do(carry: CompareState) -> Flag:
    return carry.iterates.alive


def _check_alone(flows: Iterable[AbstractFlow], optimizer: AbstractOptimizer, mode: str) -> None:
    """Raise a typed error for what has a law, or an average, and no iterate of its own."""
    if optimizer.stochastic:
        raise InvalidOptimizerError(
            f"{type(optimizer).__name__} draws random numbers, so many paths of it are compared "
            "in law: flows.compare_in_law(loss, params, optimizer, flows, steps, "
            "key=jax.random.key(0)). For one path of it, or of a flow: flows.iterate, flows.solve."
        )
    for flow in flows:
        if flow.stochastic:
            raise IncompatibleFlowError(
                f"{flow.name} draws random numbers, so there is no one path of it to compare. Use "
                "flows.compare_in_law for an optimizer that draws some too, or flows.solve."
            )
        if mode == "per_step" and flow.reference != "iterates":
            raise IncompatibleFlowError(
                f"{flow.name} models the average of the iterates and not each of them, so it "
                'cannot begin anew at every one. Compare it with mode="trajectory".'
            )
