"""A stochastic flow, in equal parts of an optimizer step."""

import math
from typing import Any, ClassVar, Protocol

import diffrax as dfx
import jax
import jax.numpy as jnp
import jax.random as jr
import lineax as lx

from ..._custom_types import Array, At, Flag, Integer, Params, PyTree, Scalar
from ..._errors import RESULTS, InvalidOptionError, InvalidSolverError
from ..._vectors import real_dtype, select
from ...optimizers import Problem
from ._base import AbstractMethod, Advanced, Leg, SolverOptions, Steps, step_by_step
from ._cost import Cost
from ._diffrax import Diffrax


class Noisy(Advanced, Protocol):
    """What it asks of a flow; see `flows.AbstractStochasticFlow`."""

    substeps: int
    without_drift: RESULTS | None

    def draw(self, problem: Problem, at: At, y: PyTree[Any], key: Array) -> PyTree[Array]: ...
    def diffusion(
        self, problem: Problem, at: At, y: PyTree[Any], draws: PyTree[Array]
    ) -> PyTree[Array]: ...


class _Frozen(dfx.AbstractBrownianPath):
    """Noise of one substep: an increment, and the space-time Levy area that some solvers want."""

    increment: PyTree[Array]
    area: PyTree[Array]
    t0: ClassVar[Any] = -math.inf  # no time counts
    t1: ClassVar[Any] = math.inf
    levy_area: ClassVar[Any] = dfx.SpaceTimeLevyArea

    def evaluate(self, t0: Any, t1: Any = None, left: bool = True, use_levy: bool = False) -> Any:
        """The increment over the substep, whichever times are given."""
        del left
        if not use_levy:
            return self.increment
        return dfx.SpaceTimeLevyArea(dt=t1 - t0, W=self.increment, H=self.area)


class NoisySteps(AbstractMethod):
    """Frozen noise in every substep, and any of diffrax' explicit solvers for what is left.

    What it remembers is the key of the path: a step's noise depends on it and on the step's number
    alone.

    Attributes:
        solver: By default ``ShARK()``.
    """

    solver: dfx.AbstractSolver | None = None

    def configured(self, options: SolverOptions) -> "NoisySteps":
        """With the user's solver, if it is one of diffrax's explicit ones."""
        if options.stepsize_controller is not None or options.dt0 is not None:
            raise InvalidOptionError(
                "a stochastic flow is integrated in equal parts of an optimizer step. Leave out "
                "stepsize_controller and dt0, and write for example "
                "flows.StochasticModifiedFlow(substeps=16)."
            )
        solver = self.solver if options.solver is None else options.solver
        solver = dfx.ShARK() if solver is None else solver
        if not isinstance(solver, dfx.AbstractSolver) or isinstance(
            solver, dfx.AbstractImplicitSolver
        ):
            raise InvalidSolverError(
                "the solver of a stochastic flow must be an explicit one of diffrax, got "
                f"{solver!r}. Write for example solver=diffrax.ShARK(), or diffrax.Euler()."
            )
        return NoisySteps(solver)

    def start(
        self, flow: Noisy, problem: Problem, y: PyTree[Any], key: Array | None
    ) -> tuple[Array, Cost]:
        """The key of the path."""
        del flow, problem
        assert key is not None  # the drivers ask for it
        return key, Cost.of_steps(0, real_dtype(y))

    def advance(
        self, flow: Noisy, problem: Problem, steps: Steps, y: PyTree[Any], memory: Array
    ) -> Leg:
        """Substep by substep, until one goes wrong."""
        dtype = real_dtype(y)

        def move(step: Integer, y: PyTree[Any], key: Array) -> Any:
            noise_key = jr.fold_in(key, step)
            y, status = self._substeps(flow, problem, step, y, noise_key)
            return y, key, status, Cost.of_steps(flow.substeps, dtype)

        return step_by_step(steps, y, memory, RESULTS.successful, Cost.of_steps(0, dtype), move)

    def point_velocity(self, flow: Noisy, problem: Problem, at: At, y: PyTree[Any]) -> Params:
        """That of the drift."""
        return Diffrax().point_velocity(flow, problem, at, y)

    def _substeps(
        self, flow: Noisy, problem: Problem, step: Integer, y: PyTree[Any], key: Array
    ) -> tuple[PyTree[Any], RESULTS]:
        """One optimizer step, in equal parts; the last state that was one, and how it went."""
        dtype = real_dtype(y)
        dt = 1 / jnp.asarray(flow.substeps, dtype)
        solver, needs_area = self.solver, isinstance(self.solver, dfx.AbstractSRK)
        assert solver is not None  # configured

        def field(t: Any, state: Any, number: Scalar) -> Any:
            """The drift; and beside it, 1 where there is none although there is a gradient."""
            y, _ = state
            at = At(step, number * dt + t)
            velocity = flow.velocity(problem, at, y)
            if flow.without_drift is None:
                return velocity, jnp.zeros_like(dt)
            gradient = problem.gradient(flow.params(problem, at, y))
            lost = _finite((y, gradient)) & ~_finite(velocity)
            return velocity, lost.astype(dtype)

        def substep(y: PyTree[Any], number: Integer) -> Any:
            keys = jr.split(jr.fold_in(key, number))
            still = jnp.zeros_like(dt)
            at = At(step, number.astype(dtype) * dt)

            def noise(key: Array, scale: Scalar) -> Any:
                image = flow.diffusion(problem, at, y, flow.draw(problem, at, y, key))
                return jax.tree.map(lambda leaf: scale.astype(leaf.dtype) * leaf, image), still

            increment = noise(keys[0], jnp.sqrt(dt))
            # The area is independent of the increment, with a twelfth of its variance.
            area = noise(keys[1], jnp.sqrt(dt / 12)) if needs_area else increment
            state = (y, still)
            # The noise is that of the parameters already: what multiplies it is 1.
            one = lx.DiagonalLinearOperator(jax.tree.map(jnp.ones_like, state))
            path = _Frozen(increment, area)
            terms = dfx.MultiTerm(
                dfx.ODETerm(field),
                dfx.ControlTerm(lambda t, state, number: one, path),  # pyright: ignore[reportCallIssue]
            )
            zero, args = jnp.zeros_like(dt), number.astype(dtype)
            own = solver.init(terms, zero, dt, state, args)
            state, *_ = solver.step(terms, zero, dt, state, args, own, made_jump=False)
            return state

        def advance(carry: Any, number: Integer) -> tuple[Any, None]:
            """Stay at the last state that is finite: there, or on the way from there, it failed."""
            y, made, lost = carry
            after, now = substep(y, number)
            going = made == number
            good = going & _finite(after)
            lost = jnp.where(going, now != 0, lost)
            return (select(good, after, y), made + good.astype(made.dtype), lost), None

        begun = (y, jnp.zeros((), int), jnp.asarray(False))
        (y, made, lost), _ = jax.lax.scan(advance, begun, jnp.arange(flow.substeps))

        def why() -> RESULTS:
            """What the flow says of its last state; or that a drift was missing on the way on."""
            status = flow.status(problem, At(step, made.astype(dtype) * dt), y)
            well = status == RESULTS.successful
            if flow.without_drift is not None:
                status = RESULTS.where(well & lost, flow.without_drift, status)
                well = status == RESULTS.successful
            return RESULTS.where(well, RESULTS.diverged, status)

        good = made == flow.substeps
        return y, jax.lax.cond(good, lambda: RESULTS.successful, why)


def _finite(y: PyTree[Any]) -> Flag:
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(y)]))
