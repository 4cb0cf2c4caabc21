"""A flow integrated by diffrax: its solver and step-size controller, and our defaults for them."""

from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp

from ..._checks import is_traced
from ..._custom_types import Array, At, Integer, Params, PyTree, Scalar
from ..._errors import RESULTS, InvalidOptionError, InvalidSolverError
from ..._vectors import norm, real_dtype, select, size
from ...optimizers import Problem
from ._base import AbstractMethod, Advanced, Leg, SolverOptions, Steps, lost, step_by_step
from ._cost import Cost
from ._step_size import SpeedController, root_mean_square

# Local error tolerated in units of the step's length. In float64 what sets it is a principal flow
# that is exact, for which fifty steps should agree to nine digits; in float32 the rounding in the
# gradient, which a loss may round more coarsely than its parameters.
_TOLERANCE = {
    jnp.dtype("float64"): 1e-11,
    jnp.dtype("float32"): 1e-5,
    jnp.dtype("float16"): 0.03,
    jnp.dtype("bfloat16"): 0.1,
}


class Diffrax(AbstractMethod):
    """A solver, its step-size controller and their limits; time is counted in optimizer steps.

    Between two marks a field may depend on the part of a step, smoothly. One that jumps from step
    to step, as under a schedule, is integrated step by step, each on its own: a solver that carries
    its last stage over, or its estimate of the error, never sees a jump.

    Attributes:
        solver: Any diffrax solver for ordinary differential equations; by default ``Dopri8()`` in
            float64 and ``Tsit5()`` in float32.
        stepsize_controller: diffrax's, handed through untouched; None for the default tolerance.
        dt0: First solver step (every one, with a constant step size), in optimizer steps, or None.
        max_steps: The most solver steps within one leg.
        adjoint: How to differentiate through the solve, one of diffrax's adjoints.
    """

    solver: dfx.AbstractSolver | None = None
    stepsize_controller: dfx.AbstractStepSizeController | None = None
    dt0: Scalar | None = None
    max_steps: int = eqx.field(static=True, default=16_384)
    adjoint: dfx.AbstractAdjoint | None = None

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

    def configured(self, options: SolverOptions) -> "Diffrax":
        """With what the user gave, checked, and the defaults filled in."""
        dtype = options.dtype
        solver = self.solver if options.solver is None else options.solver
        controller = options.stepsize_controller
        controller = self.stepsize_controller if controller is None else controller
        if solver is None:
            solver = dfx.Dopri8() if dtype == jnp.float64 else dfx.Tsit5()
        dt0 = self.dt0 if options.dt0 is None else options.dt0
        _check_solver(solver, controller, dt0)
        adjoint = self.adjoint if options.adjoint is None else options.adjoint
        if adjoint is None:
            # Where nothing can be differentiated, diffrax' plain loop compiles a quarter faster.
            adjoint = dfx.RecursiveCheckpointAdjoint() if options.traced else dfx.ForwardMode()
        if not isinstance(adjoint, dfx.AbstractAdjoint):
            raise InvalidSolverError(
                f"adjoint must be one of diffrax' adjoints, got {_kind(adjoint)}. "
                "Write for example adjoint=diffrax.ForwardMode()."
            )
        most = options.max_steps
        if not isinstance(most, int) or isinstance(most, bool) or most < 1:
            raise InvalidOptionError(
                f"max_steps must be a positive integer (it bounds the work in a window), "
                f"got {most!r}. Leave it out for the default."
            )
        return Diffrax(
            solver, _array_tolerances(controller, dtype), _first_step(dt0, dtype), most, adjoint
        )

    def start(
        self, flow: Advanced, problem: Problem, y: PyTree[Any], key: Array | None
    ) -> tuple[Scalar, Cost]:
        """The solver step to try first: a whole one."""
        del flow, problem, key
        dtype = real_dtype(y)
        return jnp.ones((), dtype), self._no_cost(dtype)

    def advance(
        self, flow: Advanced, problem: Problem, steps: Steps, y: PyTree[Any], memory: Scalar
    ) -> Leg:
        """One solve for all of a stretch; one for each step, where the field jumps between them."""
        if not flow.jumps(problem.optimizer):
            return self._solve(flow, problem, steps.first, steps.marks, y, memory)

        def move(step: Integer, y: PyTree[Any], dt: Scalar) -> Any:
            one = jnp.ones((1,), int)
            if self.stepsize_controller is None:
                dt = dt * self._leap(flow, problem, step, y)
            leg = self._solve(flow, problem, step, one, y, dt, alone=True)
            return jax.tree.map(lambda ys: ys[0], leg.ys), leg.memory, leg.status, leg.cost

        none = self._no_cost(memory.dtype)
        return step_by_step(steps, y, memory, RESULTS.successful, none, move)

    def point_velocity(self, flow: Advanced, problem: Problem, at: At, y: PyTree[Any]) -> Params:
        """The derivative of the parameters along the field."""
        velocity = flow.velocity(problem, at, y)
        return jax.jvp(lambda y: flow.params(problem, at, y), (y,), (velocity,))[1]

    def _leap(self, flow: Advanced, problem: Problem, step: Integer, y: PyTree[Any]) -> Scalar:
        """By how much the field shrinks as a step begins: solver steps may grow as much.

        Two evaluations, beside the dozen of a step that is tried in vain.
        """
        precision = real_dtype(y)  # any: the norm does not depend on it
        size_of = self._controller(y, precision, by_parts=not flow.one_unit).norm
        zero = jnp.zeros((), real_dtype(y))
        before = size_of(flow.velocity(problem, At(jnp.maximum(step - 1, 0), zero + 1), y))
        after = size_of(flow.velocity(problem, At(step, zero), y))
        known = (before > 0) & (after > 0) & jnp.isfinite(before) & jnp.isfinite(after)
        ratio = jnp.where(known, before, 1) / jnp.where(known, after, 1)
        return jax.lax.stop_gradient(ratio)

    def _no_cost(self, dtype: Any) -> Cost:
        error = jnp.asarray(0.0 if self.adaptive else jnp.inf, dtype)
        return eqx.tree_at(lambda cost: cost.integration_error, Cost.of_steps(0, dtype), error)

    def _solve(
        self,
        flow: Advanced,
        problem: Problem,
        first: Integer,
        marks: Array,
        y: PyTree[Any],
        dt: Scalar,
        *,
        alone: bool = False,
    ) -> Leg:
        """One call of diffrax, whose clock starts at zero and counts the steps after `first`.

        The step after `first` may be `alone`: then its field holds until it ends.
        """
        ts = marks.astype(dt.dtype)
        precision = _precision(flow, problem, first, y)
        controller = self._controller(y, precision, by_parts=not flow.one_unit)
        ours = isinstance(controller, SpeedController)
        # Between its own steps a solver interpolates, with an error that nothing controls.
        clipped = dfx.ClipStepSizeController(controller, step_ts=ts) if ours else controller
        if self.dt0 is not None:
            begin_with = self.dt0
        else:
            begin_with = dt if self.stepsize_controller is None else None
        assert self.solver is not None  # configured
        assert self.adjoint is not None
        solution = dfx.diffeqsolve(
            dfx.ODETerm(_field_of_one_step if alone else _field),
            self.solver,
            jnp.zeros_like(dt),
            ts[-1],
            begin_with,
            y,
            # Not by closure, which not every adjoint can differentiate.
            args=(problem, flow, first),
            saveat=dfx.SaveAt(ts=ts, controller_state=ours),
            stepsize_controller=clipped,
            max_steps=self.max_steps,
            adjoint=self.adjoint,
            throw=False,
        )
        tried, accepted, rejected = (
            jnp.asarray(solution.stats[f"num_{name}steps"], int)
            for name in ("", "accepted_", "rejected_")
        )
        error, next_dt = jnp.asarray(jnp.inf, dt.dtype), dt
        if ours:
            _, next_dt, error = solution.controller_state.inner_state  # pyright: ignore[reportOptionalMemberAccess]
        elif self.adaptive:
            # Each accepted step's error estimate is below the tolerance, in root mean square. That
            # of the first is relative to the start, which is the largest point of a flow that
            # decays.
            sizes = jax.vmap(norm)(solution.ys)
            largest = jnp.max(jnp.where(jnp.isfinite(sizes), sizes, 0), initial=norm(y))
            per_step = controller.atol * size(y) ** 0.5 + controller.rtol * largest
            error = accepted.astype(dt.dtype) * per_step
        if not (ours and alone):
            mean_dt = ts[-1] / jnp.maximum(accepted, 1).astype(dt.dtype)
            next_dt = jnp.where(accepted > 0, mean_dt, dt)
        stuck = solution.result == dfx.RESULTS.dt_min_reached
        status = RESULTS.where(stuck, RESULTS.flow_ended, RESULTS.promote(solution.result))
        ys, status = _judged(flow, problem, first, marks, solution.ys, status)
        return Leg(
            ys,
            next_dt,
            status,
            Cost(tried, accepted, rejected, jnp.zeros((), int), error),
        )

    def _controller(self, y: PyTree[Array], precision: Any, *, by_parts: bool) -> Any:
        """The controller for a leg that begins at `y`, of a field computed in such a dtype."""
        if self.stepsize_controller is not None:
            return self.stepsize_controller
        dtype = real_dtype(y)
        tolerance = _TOLERANCE[precision]
        return SpeedController(  # pyright: ignore[reportCallIssue] (`norm` is a method of it)
            tolerance=tolerance,
            rounding=4 * float(jnp.finfo(precision).eps),
            rtol=jnp.asarray(tolerance, dtype),
            atol=tolerance * jax.lax.stop_gradient(root_mean_square(y)),
            by_parts=by_parts,
        )


def _precision(flow: Advanced, problem: Problem, step: Integer, y: PyTree[Any]) -> Any:
    """The coarsest dtype in which the loss is computed: no field is smoother than it."""
    at = At(step, jnp.zeros((), real_dtype(y)))
    params = jax.eval_shape(lambda y: flow.params(problem, at, y), y)
    return problem.objective.examined(params).precision


def _judged(
    flow: Advanced, problem: Problem, first: Integer, marks: Array, ys: PyTree[Array], how: RESULTS
) -> tuple[PyTree[Array], RESULTS]:
    """The states, lost from the first on at which the flow itself says that it cannot go on."""

    def status(of: tuple[Integer, PyTree[Array]]) -> RESULTS:
        mark, y = of
        return flow.status(problem, At(first + mark, jnp.zeros((), real_dtype(y))), y)

    if status((marks[0], jax.tree.map(lambda leaf: leaf[0], ys))) is RESULTS.successful:
        return ys, how  # a flow that has nothing to say, as most
    said = jax.lax.map(status, (marks, ys))
    well = jnp.cumprod((said == RESULTS.successful).astype(int)).astype(bool)
    place = jnp.argmin(well)
    why = jax.tree.map(lambda leaf: leaf[place], said)
    ys = jax.vmap(lambda good, y: select(good, y, lost(y)))(well, ys)
    return ys, RESULTS.where(well[-1], how, why)


def _field(t, y, args):
    """The field where it is smooth from step to step."""
    problem, flow, first = args
    whole = jnp.floor(t)
    return _finite_velocity(flow, problem, At(first + whole.astype(first.dtype), t - whole), y)


def _field_of_one_step(t, y, args):
    """The field of one step, up to its very end."""
    problem, flow, first = args
    return _finite_velocity(flow, problem, At(first, t), y)


def _finite_velocity(flow: Advanced, problem: Problem, at: At, y: PyTree[Any]) -> PyTree[Any]:
    """The velocity, with NaN for what overflows when it is squared.

    diffrax' controller answers NaN with a shorter step, but infinity with a step of NaN (inf / inf
    in its error over tolerance), after which it rejects all the steps that it is allowed.
    """
    velocity = flow.velocity(problem, at, y)
    largest = float(jnp.finfo(real_dtype(y)).max) ** 0.5
    return jax.tree.map(lambda v: jnp.where(jnp.abs(v) < largest, v, jnp.nan), velocity)


def _check_solver(solver: Any, stepsize_controller: Any, dt0: Any) -> None:
    """Raise an `InvalidSolverError` unless both are diffrax's, and can work together."""
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
            "steps are made in windows. Use diffrax.ConstantStepSize() with dt0=0.25."
        )
    adaptive = isinstance(solver, dfx.AbstractAdaptiveSolver)
    constant = isinstance(stepsize_controller, dfx.ConstantStepSize)
    if not adaptive and not constant:
        raise InvalidSolverError(
            f"{type(solver).__name__} has no error estimate, so its steps must be constant. Add "
            "stepsize_controller=diffrax.ConstantStepSize(), dt0=0.25."
        )
    if constant and dt0 is None:
        raise InvalidOptionError(
            "stepsize_controller=ConstantStepSize() needs dt0, the solver's step in "
            "optimizer steps. Write for example dt0=0.25."
        )


def _first_step(dt0: Any, dtype: Any) -> Array | None:
    """`dt0` as an array, or an `InvalidOptionError`."""
    if dt0 is None:
        return None
    dt0 = jnp.asarray(dt0, dtype)
    if dt0.ndim != 0 or not (is_traced(dt0) or 0 < float(dt0) < float("inf")):
        raise InvalidOptionError(
            f"dt0 must be one positive number of optimizer steps, got {dt0}. "
            "Write for example dt0=0.25."
        )
    return dt0


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
