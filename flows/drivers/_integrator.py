"""How a flow is integrated: diffrax' solver and step-size controller, and our defaults for them."""

from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp

from .._checks import is_traced
from .._custom_types import Array, PyTree, Scalar
from .._errors import InvalidOptionError, InvalidSolverError
from .._problem import Problem
from .._vectors import norm, real_dtype, size
from ..results import RESULTS
from ..vector_fields import AbstractFlow
from ._step_size import SpeedController, root_mean_square

# Local error tolerated in units of the step's length. In float64 what sets it is a principal flow
# that is exact, for which fifty steps should agree to nine digits; in float32 the rounding in the
# gradient.
_TOLERANCE = {jnp.dtype("float64"): 1e-11, jnp.dtype("float32"): 1e-5}

_COUNTS = ("num_steps", "num_accepted_steps", "num_rejected_steps")


class Integrator(eqx.Module):
    """A solver, its step-size controller and their limits.

    Attributes:
        solver: Any diffrax solver for ordinary differential equations.
        stepsize_controller: diffrax's, handed through untouched; None for the default tolerance.
        dt0: First solver step (every one, with a constant step size), in flow time, or None.
        max_steps: The most solver steps within one window.
        adjoint: How to differentiate through the solve, one of diffrax's adjoints.
    """

    solver: dfx.AbstractSolver
    stepsize_controller: dfx.AbstractStepSizeController | None
    dt0: Scalar | None
    max_steps: int = eqx.field(static=True)
    adjoint: dfx.AbstractAdjoint

    @property
    def adaptive(self) -> bool:
        """Whether the controller has tolerances, which bound the integration error."""
        return self.stepsize_controller is None or isinstance(
            self.stepsize_controller, dfx.AbstractAdaptiveStepSizeController
        )

    @property
    def controller_name(self) -> str:
        """What the controller is called where it is said what was run."""
        given = self.stepsize_controller
        return "default" if given is None else type(given).__name__

    def no_stats(self, dtype: Any) -> dict[str, Array]:
        """The statistics of a solve that has not begun."""
        stats = {name: jnp.zeros((), int) for name in _COUNTS}
        if self.adaptive:
            stats["integration_error"] = jnp.zeros((), dtype)
        return stats

    def controller(self, h: Scalar, y: PyTree[Array], *, by_parts: bool) -> Any:
        """The controller for a window that begins at `y`."""
        if self.stepsize_controller is not None:
            return self.stepsize_controller
        dtype = real_dtype(y)
        tolerance = _TOLERANCE[dtype]
        return SpeedController(  # pyright: ignore[reportCallIssue] (`norm` is a method of it)
            h=jax.lax.stop_gradient(h),
            tolerance=tolerance,
            rounding=4 * float(jnp.finfo(dtype).eps),
            rtol=jnp.asarray(tolerance, dtype),
            atol=tolerance * jax.lax.stop_gradient(root_mean_square(y)),
            by_parts=by_parts,
        )


class Leg(eqx.Module):
    """What one solve returned: see `integrate`."""

    ys: PyTree[Array]
    result: RESULTS
    dt: Scalar
    stats: dict[str, Array]


def make_integrator(
    dtype: Any,
    solver: Any,
    stepsize_controller: Any,
    dt0: Any,
    max_steps: Any,
    adjoint: Any,
    *,
    traced: bool,
) -> Integrator:
    """Check what the user gave and fill in the defaults.

    Raises:
        InvalidSolverError: If solver, controller or adjoint is not diffrax's.
        InvalidOptionError: If `dt0` or `max_steps` is out of range or missing.
    """
    if solver is None:
        solver = dfx.Dopri8() if dtype == jnp.float64 else dfx.Tsit5()
    if not isinstance(solver, dfx.AbstractSolver):
        raise InvalidSolverError(
            f"solver must be a diffrax solver, got {_kind(solver)}. "
            "Write for example solver=diffrax.Tsit5()."
        )
    if stepsize_controller is not None and not isinstance(
        stepsize_controller, dfx.AbstractStepSizeController
    ):
        raise InvalidSolverError(
            "stepsize_controller must be a diffrax controller, got "
            f"{_kind(stepsize_controller)}. Write for example "
            "stepsize_controller=diffrax.PIDController(rtol=1e-8, atol=1e-10)."
        )
    if isinstance(stepsize_controller, dfx.StepTo):
        raise InvalidSolverError(
            "stepsize_controller=StepTo(...) fixes times from the first step to the last, but the "
            "steps are made in windows. Use diffrax.ConstantStepSize() with dt0=learning_rate / 4."
        )
    adaptive = isinstance(solver, dfx.AbstractAdaptiveSolver)
    constant = isinstance(stepsize_controller, dfx.ConstantStepSize)
    if not adaptive and not constant:
        raise InvalidSolverError(
            f"{type(solver).__name__} has no error estimate, so its steps must be constant. Add "
            "stepsize_controller=diffrax.ConstantStepSize(), dt0=learning_rate / 4."
        )
    if constant and dt0 is None:
        raise InvalidOptionError(
            "stepsize_controller=ConstantStepSize() needs dt0, the solver's step in flow time. "
            "Write for example dt0=learning_rate / 4."
        )
    if dt0 is not None:
        dt0 = jnp.asarray(dt0, dtype)
        if dt0.ndim != 0 or not (is_traced(dt0) or 0 < float(dt0) < float("inf")):
            raise InvalidOptionError(
                f"dt0 must be one positive time, got {dt0}. "
                "Write for example dt0=learning_rate / 4."
            )
    if not isinstance(max_steps, int) or isinstance(max_steps, bool) or max_steps < 1:
        raise InvalidOptionError(
            f"max_steps must be a positive integer (it bounds the work in a window), "
            f"got {max_steps!r}. Leave it out for the default."
        )
    if adjoint is None:
        # Where nothing can be differentiated, diffrax' plain loop compiles a quarter faster.
        adjoint = dfx.RecursiveCheckpointAdjoint() if traced else dfx.ForwardMode()
    if not isinstance(adjoint, dfx.AbstractAdjoint):
        raise InvalidSolverError(
            f"adjoint must be one of diffrax' adjoints, got {_kind(adjoint)}. "
            "Write for example adjoint=diffrax.ForwardMode()."
        )
    controller = _array_tolerances(stepsize_controller, dtype)
    return Integrator(solver, controller, dt0, max_steps, adjoint)


def integrate(
    problem: Problem,
    flow: AbstractFlow,
    integrator: Integrator,
    y: PyTree[Array],
    t0: Scalar,
    ts: Array,
    dt: Scalar,
) -> Leg:
    """Integrate a flow over a window that begins at `t0`.

    The solver's clock starts at zero in every window: in float32, a step of length ``h`` is no
    longer one after a thousand steps, were it the difference of two times since the start.

    Arguments:
        problem: The loss and the optimizer.
        flow: The flow.
        integrator: The solver.
        y: The state at `t0`.
        t0: Where the window begins, in flow time.
        ts: The times since `t0` that are wanted, increasing, the last one being the end.
        dt: The first solver step to try, if neither the user nor their controller has chosen.

    Returns:
        The states at `ts` (infinite where the solver did not arrive), the result code, the
        solver's mean step and its statistics.
    """
    h = problem.optimizer.step_time.astype(dt.dtype)
    controller = integrator.controller(h, y, by_parts=not flow.one_unit)
    ours = isinstance(controller, SpeedController)
    # Between its own steps a solver interpolates, with an error that nothing controls.
    clipped = dfx.ClipStepSizeController(controller, step_ts=ts) if ours else controller
    if integrator.dt0 is not None:
        first = integrator.dt0
    else:
        first = dt if integrator.stepsize_controller is None else None
    solution = dfx.diffeqsolve(
        dfx.ODETerm(_field),
        integrator.solver,
        jnp.zeros_like(t0),
        ts[-1],
        first,
        y,
        args=(problem, flow, t0),  # not by closure, which not every adjoint can differentiate
        saveat=dfx.SaveAt(ts=ts, controller_state=ours),
        stepsize_controller=clipped,
        max_steps=integrator.max_steps,
        adjoint=integrator.adjoint,
        throw=False,
    )
    accepted = solution.stats["num_accepted_steps"]
    stats = {name: jnp.asarray(solution.stats[name], int) for name in _COUNTS}
    if ours:
        *_, stats["integration_error"] = solution.controller_state.inner_state  # pyright: ignore[reportOptionalMemberAccess]
    elif integrator.adaptive:
        # Each accepted step's error estimate is below the tolerance, in root mean square. That of
        # the first is relative to the start, which is the largest point of a flow that decays.
        sizes = jax.vmap(norm)(solution.ys)
        largest = jnp.max(jnp.where(jnp.isfinite(sizes), sizes, 0), initial=norm(y))
        per_step = controller.atol * size(y) ** 0.5 + controller.rtol * largest
        stats["integration_error"] = accepted.astype(dt.dtype) * per_step
    mean_dt = ts[-1] / jnp.maximum(accepted, 1).astype(dt.dtype)
    stuck = solution.result == dfx.RESULTS.dt_min_reached
    return Leg(
        solution.ys,
        RESULTS.where(stuck, RESULTS.flow_ended, RESULTS.promote(solution.result)),
        jnp.where(accepted > 0, mean_dt, dt),
        stats,
    )


def _field(t, y, args):
    """The flow's field, with NaN for what overflows when it is squared.

    diffrax' controller answers NaN with a shorter step, but infinity with a step of NaN (inf / inf
    in its error over tolerance), after which it rejects all the steps that it is allowed.
    """
    problem, flow, t0 = args
    velocity = flow.vector_field(problem)(t0 + t, y, problem.args)
    largest = float(jnp.finfo(real_dtype(y)).max) ** 0.5
    return jax.tree.map(lambda v: jnp.where(jnp.abs(v) < largest, v, jnp.nan), velocity)


def _array_tolerances(controller: Any, dtype: Any) -> Any:
    """Tolerances as arrays: another value then compiles nothing."""
    if not isinstance(controller, dfx.PIDController):
        return controller
    return eqx.tree_at(
        lambda c: (c.rtol, c.atol),
        controller,
        (jnp.asarray(controller.rtol, dtype), jnp.asarray(controller.atol, dtype)),
    )


def _kind(value: Any) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__} (call it: {value.__name__}())"
    return f"{value!r} of type {type(value).__name__}"
