"""One flow, integrated from the start along the step clock."""

from typing import Any

import diffrax as dfx
import equinox as eqx
import jax.numpy as jnp

from .._checks import being_traced, step_count
from .._custom_types import Array, Data, Loss, Params, Scalar
from .._vectors import byte_count, real_dtype
from ..optimizers import AbstractOptimizer, make_problem
from ..results import Trajectory, raise_if_failed
from ..vector_fields import AbstractFlow
from ..vector_fields.methods import SolverOptions
from ._advance_flow import FlowState, advance_flow, begin_flow, enlarged, flow_trajectory
from ._compatible import check_fit, check_flow
from ._windows import keep_params, plan, walk

# Of the solver, within a window; and within one step, where each is a window of its own. A
# principal flow that slides along its branch cut takes some hundred a step.
MAX_STEPS = 16_384
MAX_STEPS_PER_STEP = 2_048


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


@eqx.filter_jit
def _advance(problem, flow, method, carry, done, steps, length, save):
    return advance_flow(problem, flow, method, carry, done, steps, length, save)
