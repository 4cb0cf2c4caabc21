"""Cycles of an optimizer, stable or not, by Newton's method."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from jaxtyping import Bool, Complex, Int

from .._checks import integer, is_traced, step_count
from .._custom_types import Array, Data, Float, Loss, Params, PyTree
from .._errors import InvalidOptionError
from .._objective import require_derivative
from .._vectors import norm, real_dtype, size
from ..drivers._compatible import check_optimizer
from ..optimizers import AbstractOptimizer, make_problem
from ..results import short_repr
from ._follow import Walker, first_tangent, settle
from ._newton import newton, rounding_at
from ._options import positive
from ._periodic import DENSE_LIMIT, CycleEquations, closeness, least_period, multipliers


class Cycle(eqx.Module):
    r"""A cycle of an optimizer: its points, and whether neighbouring orbits approach it.

    .. math:: \Phi(\theta_k) = \theta_{k+1}, \quad \Phi(\theta_p) = \theta_1, \qquad
        \mu_i = \text{eigenvalues of } D\Phi^p(\theta_1)

    `flows.find_cycle` makes one; under ``vmap`` every array has leading axes.

    Attributes:
        points: The points in their order, a tree like the parameters with a leading axis `period`.
        multipliers: ``mu_i``, complex, by decreasing modulus: all of them up to 512 numbers of
            state, beyond that the largest few. NaN where the derivative of the step is not finite;
            the cycle is then neither `stable` nor `neutral`, and `print` says why.
        multiplier_residuals: A bound on ``|M v - mu v|`` for the unit vector of each; 0 where all
            were computed at once.
        residual: By how much the steps miss the next points: a norm, in units of the parameters.
        converged: Whether that is below the tolerance. Otherwise the rest means nothing.
        minimal_periods: The least period of what was found; `minimal_period` is the number.
        newton_steps: How many steps of Newton's method were made.
        period: The period that was asked for.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> well = lambda x: (x**2 - 1) ** 2 / 4
        >>> print(flows.find_cycle(well, jnp.array(1.1), flows.GradientDescent(1.1), period=2))
        stable 2-cycle, largest |multiplier| 0.18

    References:
        K. Nar, S. Sastry, Step size matters in deep learning (2018), arXiv:1805.08890.
    """

    points: Params
    multipliers: Complex[Array, "*batch k"]
    multiplier_residuals: Float[Array, "*batch k"]
    residual: Float[Array, "*batch"]
    converged: Bool[Array, "*batch"]
    minimal_periods: Int[Array, "*batch"]
    newton_steps: Int[Array, "*batch"]
    period: int = eqx.field(static=True)

    @property
    def stable(self) -> Bool[Array, "*batch"]:
        """Whether a cycle was found, all of whose multipliers are less than 1 in modulus."""
        return self.converged & (self._largest < 1 - self._rounding)

    @property
    def neutral(self) -> Bool[Array, "*batch"]:
        """Whether the largest modulus is 1 up to rounding: on a curve of minima, for example."""
        return self.converged & (jnp.abs(self._largest - 1) <= self._rounding)

    @property
    def _largest(self) -> Array:
        return jnp.max(jnp.abs(self.multipliers), axis=-1)

    @property
    def _rounding(self) -> float:
        # That of the eigenvalues of a general matrix, which rounding may move by more than eps.
        return float(jnp.finfo(self.residual.dtype).eps) ** 0.75

    @property
    def minimal_period(self) -> int:
        """The least period of a single cycle, a divisor of the one asked for."""
        self._require_single()
        return int(self.minimal_periods)

    def _require_single(self) -> None:
        if is_traced(self.minimal_periods) or self.minimal_periods.ndim:
            raise InvalidOptionError(
                "words and tables are those of a single cycle outside jit and vmap. Use "
                "minimal_periods, or take one: jax.tree.map(lambda x: x[0], cycle)."
            )

    def __repr__(self) -> str:
        return short_repr(self)

    def __str__(self) -> str:
        self._require_single()
        if not bool(self.converged):
            return (
                f"no cycle of period {self.period} found: the steps still miss by "
                f"{float(self.residual):.1e} after {int(self.newton_steps)} Newton steps. Start "
                "closer, or pass transient=1000 for a stable one."
            )
        least = self.minimal_period
        name = "fixed point" if least == 1 else f"{least}-cycle"
        asked, over = "", ""
        if least != self.period:
            asked = f", found where period {self.period} was sought"
            over = f" over {self.period} steps"
        largest = float(self._largest)
        if math.isnan(largest):
            return (
                f"{name}{asked}, but whether it is stable cannot be told: the derivative of the "
                "step is not a finite number there. Look at jax.hessian(loss)(point); where a "
                "derivative divides 0 by 0, use jnp.where on both sides of the division."
            )
        kind = "stable" if bool(self.stable) else "neutral" if bool(self.neutral) else "unstable"
        return f"{kind} {name}{asked}, largest |multiplier|{over} {largest:.4g}"


def find_cycle(
    loss: Loss,
    start: Params,
    optimizer: AbstractOptimizer,
    period: int,
    *,
    args: Data = None,
    transient: int = 0,
    tolerance: float | None = None,
    max_steps: int = 50,
    k: int = 6,
) -> Cycle:
    r"""Find a cycle of the optimizer, stable or unstable, and its multipliers.

    .. math:: \Phi^p(\theta) = \theta, \qquad M = D\Phi^p(\theta)

    Newton's method for all `period` points at once, from the orbit of the start. Up to 512 numbers
    of state ``M`` is formed (a Hessian-vector product for each number and each point); beyond that
    it is only multiplied with, and the linear equations are solved by GMRES. Where cycles fill a
    curve, as minima of overparametrised losses do, it ends at one nearby, with multipliers of 1.
    Works under ``jit`` and ``vmap``; cannot be differentiated.

    Newton's method goes to *a* solution: from far away perhaps to another one, and to a fixed point
    or a shorter cycle where that is nearer. `Cycle.minimal_period` says so.

    Arguments:
        loss: As in `flows.iterate`.
        start: A point near the cycle, any pytree.
        optimizer: Any optimizer of this library whose step does not depend on the time.
        period: ``p``, a Python integer > 0.
        args: Data for the loss.
        transient: Steps of the optimizer before the search: they find a stable cycle by themselves.
        tolerance: Below which residual it counts as found, in units of the parameters. By default
            the 3/4th power of the rounding unit: 1.8e-12 in float64, 6.4e-6 in float32; and 32
            times that unit times the norm of the points where that is more.
        max_steps: The most steps of Newton's method.
        k: How many multipliers beyond 512 numbers of state.

    Returns:
        A `Cycle`; its ``converged`` says whether there is one.

    Raises:
        InvalidLossError: If the loss cannot be called, or does not return one real number.
        InvalidParametersError: If a leaf of `start` cannot be moved.
        InvalidOptimizerError: If the optimizer is none.
        InvalidStepsError: If `transient` is not a non-negative integer.
        InvalidOptionError: If another option is out of range.

    Example:
        The jump of ``x^4 / 4`` between ``sqrt(2 / h)`` and its negative, one-step multiplier -5:

        >>> import jax.numpy as jnp
        >>> import flows
        >>> cycle = flows.find_cycle(
        ...     lambda x: x**4 / 4, jnp.array(1.9), flows.GradientDescent(0.5), period=2
        ... )
        >>> [round(float(x), 4) for x in cycle.points], round(float(cycle.multipliers[0].real), 2)
        ([2.0, -2.0], 25.0)
        >>> bool(cycle.stable)
        False

    References:
        K. Nar, S. Sastry (2018), arXiv:1805.08890; L. Chen, J. Bruna (2023), arXiv:2206.04172.
    """
    check_optimizer(optimizer)
    problem, moving = make_problem(loss, start, optimizer, args)
    optimizer.check(problem.objective, moving)
    require_derivative(problem.objective, moving, "the cycle's stability")
    dtype = real_dtype(moving)
    limit = float(jnp.finfo(dtype).eps) ** 0.75
    return _find(
        problem,
        moving,
        np.asarray(step_count(transient)),
        positive(tolerance, limit, "tolerance", dtype),
        np.asarray(integer(max_steps, 1, "max_steps", "max_steps=50")),
        integer(period, 1, "period", "period=2"),
        integer(k, 1, "k", "k=6"),
    )


@eqx.filter_jit
def _find(problem, params, transient, tolerance, max_steps, period, k) -> Cycle:
    state = problem.optimizer.init(params)
    walker = Walker(state, first_tangent(state), jnp.asarray(True), jnp.asarray(0))
    unbounded = jnp.asarray(jnp.inf, tolerance.dtype)
    state = settle(problem, walker, transient, unbounded).state
    point, rest = eqx.partition(state, eqx.is_inexact_array)
    equations = CycleEquations(problem, rest, period)
    points = equations.orbit(point)
    least = jnp.maximum(tolerance, rounding_at(norm(points)))
    found = newton(equations.residual, equations.increment, points, least, max_steps)
    n = size(point)
    values, errors = multipliers(equations, found.point, n if n <= DENSE_LIMIT else min(k, n))
    states = eqx.combine(found.point, _repeated(rest, period))
    return Cycle(
        points=problem.whole(jax.vmap(problem.optimizer.params)(states)),
        multipliers=values,
        multiplier_residuals=errors,
        residual=found.residual,
        converged=found.converged,
        minimal_periods=least_period(found.point, closeness(found.point), period),
        newton_steps=found.steps,
        period=period,
    )


def _repeated(rest: PyTree[Any], period: int) -> PyTree[Any]:
    return jtu.tree_map(lambda leaf: jnp.broadcast_to(leaf, (period, *leaf.shape)), rest)
