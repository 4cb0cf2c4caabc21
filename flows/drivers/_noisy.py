"""How a stochastic flow is taken through a window of optimizer steps."""

import math
from typing import Any, ClassVar

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import lineax as lx

from .._custom_types import Array, Integer, PyTree, Scalar
from .._errors import InvalidOptionError, InvalidSolverError
from .._problem import Problem
from .._vectors import select
from ..results import RESULTS
from ..vector_fields import AbstractStochasticFlow
from ._integrator import Leg


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


class NoisyIntegrator(eqx.Module):
    """The solver for a stochastic flow, and what the noise comes from.

    Attributes:
        solver: Any explicit one of diffrax's.
        key: Of the whole path: a step's noise depends on it and on the step's number alone.
    """

    solver: dfx.AbstractSolver
    key: Array

    def no_stats(self, dtype: Any) -> dict[str, Array]:
        """The statistics of a solve that has not begun."""
        del dtype
        return {"num_steps": jnp.zeros((), int)}


def make_noisy_integrator(
    solver: Any, stepsize_controller: Any, dt0: Any, key: Array
) -> NoisyIntegrator:
    """Check what the user gave and fill in the default.

    Raises:
        InvalidSolverError: If the solver is none of diffrax's explicit ones.
        InvalidOptionError: If steps of other lengths are asked for.
    """
    if stepsize_controller is not None or dt0 is not None:
        raise InvalidOptionError(
            "a stochastic flow is integrated in equal parts of an optimizer step. Leave out "
            "stepsize_controller and dt0, and write for example "
            "flows.StochasticModifiedFlow(substeps=16)."
        )
    solver = dfx.ShARK() if solver is None else solver
    if not isinstance(solver, dfx.AbstractSolver) or isinstance(solver, dfx.AbstractImplicitSolver):
        raise InvalidSolverError(
            f"the solver of a stochastic flow must be an explicit one of diffrax, got {solver!r}. "
            "Write for example solver=diffrax.ShARK(), or diffrax.Euler()."
        )
    return NoisyIntegrator(solver, key)


def step_noisily(
    problem: Problem,
    flow: AbstractStochasticFlow,
    integrator: NoisyIntegrator,
    y: PyTree[Any],
    done: Integer,
    ts: Array,
) -> Leg:
    """Integrate over a window that begins after `done` optimizer steps.

    Arguments:
        problem: The loss and the optimizer.
        flow: The flow.
        integrator: The solver and the key.
        y: The state where the window begins.
        done: How many steps were made before.
        ts: The times since then that are wanted, whole steps apart, or none where a window
            overruns.

    Returns:
        The states at `ts`, not a number from a failure on, its result code and the substeps made.
    """
    gaps = jnp.diff(ts, prepend=jnp.zeros_like(ts[:1]))

    def step(carry: tuple[PyTree[Any], Integer], of: tuple[Scalar, Integer]) -> tuple[Any, Any]:
        y, failure = carry
        gap, number = of
        due = (gap > 0) & (failure == 0)
        noise_key = jr.fold_in(integrator.key, number)

        def move() -> tuple[PyTree[Any], Integer]:
            return _substeps(problem, flow, integrator.solver, y, noise_key, gap, number)

        y, failure = jax.lax.cond(due, move, lambda: (y, failure))
        return (y, failure), (y, jnp.where(due, flow.substeps, 0))

    numbers = done + jnp.arange(len(ts))
    (_, failure), (ys, made) = jax.lax.scan(step, (y, jnp.zeros((), int)), (gaps, numbers))
    result = RESULTS.successful
    for place, name in enumerate(flow.failures, start=1):
        result = RESULTS.where(failure == place, getattr(RESULTS, name), result)
    return Leg(ys, result, ts[-1], {"num_steps": jnp.sum(made)})


def _substeps(problem, flow, solver, y, key, gap, step):
    """One optimizer step, in equal parts; the state, not a number where it failed, and why."""
    dt = gap / flow.substeps
    needs_area = isinstance(solver, dfx.AbstractSRK)
    drift, none = flow.vector_field(problem), jnp.zeros((), int)

    def field(t, state, begun):
        """The drift; and beside it, 1 where there is none although there is a gradient."""
        y, _ = state
        velocity = drift(begun + t, y, problem.args)
        if not flow.failures:
            return velocity, jnp.zeros_like(dt)
        lost = _finite((y, problem.gradient(flow.params(y)))) & ~_finite(velocity)
        return velocity, lost.astype(dt.dtype)

    def substep(y, number):
        keys = jr.split(jr.fold_in(key, number))
        still = jnp.zeros_like(dt)

        def noise(key, scale):
            image = flow.diffusion(problem, y, flow.draw(problem, y, key))
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
            dfx.ControlTerm(lambda t, state, begun: one, path),  # pyright: ignore[reportCallIssue]
        )
        zero = jnp.zeros_like(dt)
        # The solver's clock starts at zero in every substep, the flow's at the start of the run.
        begun = gap * step.astype(dt.dtype) + dt * number.astype(dt.dtype)
        own = solver.init(terms, zero, dt, state, begun)
        state, *_ = solver.step(terms, zero, dt, state, begun, own, made_jump=False)
        return state

    def advance(carry, number):
        """Stay at the last state that is finite: there, or on the way from there, it failed."""
        y, made, lost = carry
        after, now = substep(y, number)
        going = made == number
        good = going & _finite(after)
        lost = jnp.where(going, now != 0, lost)
        return (select(good, after, y), made + good.astype(made.dtype), lost), None

    (y, made, lost), _ = jax.lax.scan(
        advance, (y, none, jnp.asarray(False)), jnp.arange(flow.substeps)
    )
    good = made == flow.substeps

    def why():
        there = flow.failure(problem, y)
        return jnp.where(there > 0, there, lost.astype(there.dtype))

    failure = jax.lax.cond(good, lambda: none, why) if flow.failures else none
    return jax.tree.map(lambda leaf: jnp.where(good, leaf, jnp.nan), y), failure


def _finite(y):
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(y)]))
