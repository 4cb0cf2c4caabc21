"""The learning rate at which a cycle changes, or an attractor meets an unstable orbit."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from jaxtyping import Bool, Int

from .._checks import integer, is_traced, positive_scalar, split_params, step_count
from .._custom_types import Array, Data, Float, Loss, Params
from .._errors import InvalidOptionError
from .._objective import require_derivative
from .._vectors import norm, ravel, real_dtype, size, unravel
from ..optimizers import AbstractOptimizer, GradientDescent, Problem, make_problem
from ..results import short_repr
from ._newton import newton, newton_dense, rounding_at
from ._options import optimizer_at, positive, real_number, stateless
from ._periodic import CycleEquations, closeness, least_period

# The equations of a bifurcation are twice as many as the parameters.
_MOST_PARAMETERS = 128


class CriticalStep(eqx.Module):
    r"""A learning rate at which the orbits change, and the points where that happens.

    .. math:: \Phi_h^p(\theta) = \theta,\; D\Phi_h^p(\theta)\, v = \mu v \quad\text{or}\quad
        \Phi_h'(c) = 0,\; \Phi_h^n(c) = x_\star

    `flows.find_bifurcation` and `flows.find_crisis` make one.

    Attributes:
        learning_rate: The learning rate, in units of flow time.
        points: The points of the cycle, a tree with a leading axis; or the orbit of the extreme
            that meets the target, from the extreme on.
        residual: By how much the equations are missed.
        converged: Whether that is below the tolerance, the period the one that was asked for, and
            the learning rate positive. Otherwise the rest means nothing.
        minimal_periods: The least period of the cycle that the search led to; 0 for a crisis.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> print(flows.find_bifurcation(lambda x: x**2, jnp.array(1.0), 0.9, period=1))
        learning rate 1

    References:
        Yu. A. Kuznetsov, Elements of Applied Bifurcation Theory (2004).
    """

    learning_rate: Float[Array, "*batch"]
    points: Params
    residual: Float[Array, "*batch"]
    converged: Bool[Array, "*batch"]
    minimal_periods: Int[Array, "*batch"]

    def __repr__(self) -> str:
        return short_repr(self)

    def __str__(self) -> str:
        if is_traced(self.converged) or self.converged.ndim:
            raise InvalidOptionError(
                "words are those of a single result outside jit and vmap. Take one: "
                "jax.tree.map(lambda x: x[0], result)."
            )
        if bool(self.converged):
            return f"learning rate {float(self.learning_rate):.10g}"
        least = int(self.minimal_periods)
        if 0 < least < jtu.tree_leaves(self.points)[0].shape[0]:
            return f"not found: the search led to a cycle of period {least}. Start closer."
        rounding = float(jnp.finfo(self.residual.dtype).eps) ** 0.5
        if float(self.learning_rate) <= 0 and float(self.residual) < rounding:
            return (
                "not found: the search led to the learning rate "
                f"{float(self.learning_rate):.4g}, which is not positive. Start closer."
            )
        return (
            f"not found: the equations are still missed by {float(self.residual):.1e}. "
            "Start closer, in both the point and the learning rate."
        )


def find_bifurcation(
    loss: Loss,
    start: Params,
    learning_rate: float,
    period: int,
    multiplier: float = -1.0,
    *,
    optimizer: Callable[..., AbstractOptimizer] = GradientDescent,
    args: Data = None,
    transient: int = 0,
    tolerance: float | None = None,
    max_steps: int = 50,
) -> CriticalStep:
    r"""Find the learning rate at which a cycle has a given multiplier.

    .. math:: \Phi_h^p(\theta) = \theta, \qquad D\Phi_h^p(\theta)\, v = \mu v, \qquad
        \lVert v \rVert = 1

    At ``mu = -1`` the period doubles, at 0 the cycle is superstable, at 1 it meets another one.
    Newton's method for ``theta, v, h`` together, from a cycle nearby: up to 128 parameters. Where
    two branches cross at ``mu = 1``, as when a symmetry breaks, it converges slowly and less
    accurately. Works under ``jit`` and ``vmap``.

    Arguments:
        loss: As in `flows.iterate`.
        start: A point near the cycle.
        learning_rate: Where to start the search, a positive number.
        period: ``p``, a Python integer > 0.
        multiplier: ``mu``, real.
        optimizer: A function from the learning rate to an optimizer whose state is the parameters.
        args: Data for the loss.
        transient: Steps of the optimizer at `learning_rate` before the search, which lead to a
            cycle that is stable there.
        tolerance: Below which residual it counts as found; by default the 2/3rd power of the
            rounding unit: 3.7e-11 in float64, 2.4e-5 in float32; and 32 times that unit times the
            norm of the points where that is more.
        max_steps: The most steps of Newton's method.

    Returns:
        A `CriticalStep`; its ``converged`` says whether there is one.

    Raises:
        InvalidLossError: As in `flows.iterate`.
        InvalidParametersError: If a leaf of `start` cannot be moved.
        InvalidLearningRateError: If `learning_rate` is not one positive number.
        InvalidOptimizerError: If `optimizer` is no function from a learning rate to an optimizer,
            or its optimizer has a state beside the parameters.
        InvalidStepsError: If `transient` is not a non-negative integer.
        InvalidOptionError: If there are more than 128 parameters, or an option is out of range.

    Example:
        The two-cycle of the double well doubles its period at ``sqrt(5) - 1``.

        >>> import jax.numpy as jnp
        >>> import flows
        >>> well = lambda x: (x**2 - 1) ** 2 / 4
        >>> found = flows.find_bifurcation(well, jnp.array(1.13), 1.2, period=2)
        >>> bool(abs(found.learning_rate - (5**0.5 - 1)) < 1e-5)
        True

    References:
        L. Chen, J. Bruna (2023), arXiv:2206.04172. The equations: Yu. A. Kuznetsov, Elements of
        Applied Bifurcation Theory (2004), chapter 10.
    """
    problem, moving, rate = _prepared(loss, start, learning_rate, optimizer, args)
    if size(moving) > _MOST_PARAMETERS:
        raise InvalidOptionError(
            f"a bifurcation is found with at most {_MOST_PARAMETERS} parameters, got "
            f"{size(moving)}. Search with flows.find_cycle(...).multipliers at several rates."
        )
    dtype = real_dtype(moving)
    return _bifurcation(
        problem,
        moving,
        rate.astype(dtype),
        real_number(multiplier, "multiplier", dtype),
        np.asarray(step_count(transient)),
        _tolerance(tolerance, dtype),
        np.asarray(integer(max_steps, 1, "max_steps", "max_steps=50")),
        optimizer,
        integer(period, 1, "period", "period=2"),
    )


def find_crisis(
    loss: Loss,
    start: Params,
    learning_rate: float,
    after: int,
    *,
    target: Any = None,
    period: int | None = None,
    optimizer: Callable[..., AbstractOptimizer] = GradientDescent,
    args: Data = None,
    tolerance: float | None = None,
    max_steps: int = 50,
) -> CriticalStep:
    r"""Find the learning rate at which the orbit of an extreme meets a point or an unstable cycle.

    .. math:: \Phi_h'(c) = 0, \qquad \Phi_h^n(c) = x_\star \quad\text{or}\quad
        \Phi_h^{n + p}(c) = \Phi_h^n(c)

    With one parameter, an interval that the iterates do not leave ends at images of an extreme
    ``c`` of the step map. When such an image meets a maximum of the loss or an unstable cycle, the
    attractor is destroyed or merges with another. Newton's method for ``c`` and ``h``; which of the
    solutions ends an attractor is seen from the attractor. Works under ``jit`` and ``vmap``.

    Arguments:
        loss: As in `flows.iterate`, of one parameter.
        start: A point near the extreme ``c``.
        learning_rate: Where to start the search, a positive number.
        after: ``n``, the number of steps from the extreme to the target, >= 1.
        target: The point that is met, such as a maximum of the loss; shaped like `start`.
        period: Instead of a target: the period ``p`` of the unstable cycle that is met.
        optimizer: A function from the learning rate to an optimizer whose state is the parameters.
        args: Data for the loss.
        tolerance: As in `flows.find_bifurcation`.
        max_steps: The most steps of Newton's method.

    Returns:
        A `CriticalStep`; its ``points`` are ``c`` and its images, ``n + 1`` of them.

    Raises:
        InvalidLossError: As in `flows.iterate`.
        InvalidParametersError: If a leaf of `start` cannot be moved.
        InvalidLearningRateError: If `learning_rate` is not one positive number.
        InvalidOptimizerError: If `optimizer` is no function from a learning rate to an optimizer,
            or its optimizer has a state beside the parameters.
        InvalidOptionError: If there is more than one parameter, or not exactly one of `target` and
            `period` is given.

    Example:
        The two halves of the double well's attractor merge at ``3 sqrt(3) / 2 - 1``, where the
        extreme reaches the maximum 0 in two steps.

        >>> import jax.numpy as jnp
        >>> import flows
        >>> well = lambda x: (x**2 - 1) ** 2 / 4
        >>> found = flows.find_crisis(well, jnp.array(0.7), 1.6, after=2, target=0.0)
        >>> bool(abs(found.learning_rate - (1.5 * 3**0.5 - 1)) < 1e-5)
        True

    References:
        C. Grebogi, E. Ott, J. A. Yorke, Physica D 7 (1983), 181-200.
    """
    problem, moving, rate = _prepared(loss, start, learning_rate, optimizer, args)
    if size(moving) != 1:
        raise InvalidOptionError(
            f"a crisis is found for a loss of one parameter, got {size(moving)}. With more, look "
            "at flows.bifurcation_diagram for where the attractor ends."
        )
    if (target is None) == (period is None):
        raise InvalidOptionError(
            "give either target=..., a point, or period=..., that of an unstable cycle."
        )
    dtype = real_dtype(moving)
    aim = None
    if target is not None:
        aim = ravel(split_params(target)[0]).astype(dtype)
        if aim.shape != (1,):
            raise InvalidOptionError(
                f"target must be one number, got {aim.size}. Write for example target=0.0."
            )
    return _crisis(
        problem,
        moving,
        rate.astype(dtype),
        aim,
        _tolerance(tolerance, dtype),
        np.asarray(integer(max_steps, 1, "max_steps", "max_steps=50")),
        optimizer,
        integer(after, 1, "after", "after=2"),
        0 if period is None else integer(period, 1, "period", "period=1"),
    )


def _prepared(loss, start, learning_rate, optimizer, args):
    rate = positive_scalar(learning_rate, "learning_rate")
    problem, moving = make_problem(loss, start, optimizer_at(optimizer, rate), args)
    stateless(problem.optimizer, moving)
    require_derivative(problem.objective, moving, "the bifurcation")
    return problem, moving, rate


def _tolerance(value: Any, dtype: Any) -> Array:
    return positive(value, float(jnp.finfo(dtype).eps) ** (2 / 3), "tolerance", dtype)


def _at(problem: Problem, optimizer: Callable, rate: Array) -> Problem:
    return Problem(problem.objective, optimizer(rate))


@eqx.filter_jit
def _bifurcation(
    problem, params, rate, multiplier, transient, tolerance, max_steps, optimizer, period
):
    n = size(params)

    def equations(rate):
        return CycleEquations(_at(problem, optimizer, rate), None, period)

    def after_period(flat, rate):
        def body(point, _):
            return equations(rate).step(point), None

        return ravel(jax.lax.scan(body, unravel(flat, params), length=period)[0])

    def residual(z):
        x, v, h = z[:n], z[n:-1], z[-1]
        image, product = jax.linearize(lambda x: after_period(x, h), x)
        moved = product(v)
        return jnp.concatenate([image - x, moved - multiplier * v, (v @ v - 1)[None] / 2])

    # The cycle at the rate given, and the direction there that the multiplier suits best.
    there = equations(rate)
    point = jax.lax.fori_loop(0, transient, lambda _, x: there.step(x), params)
    orbit = there.orbit(point)
    tolerance = jnp.maximum(tolerance, rounding_at(norm(orbit)))
    points = newton(there.residual, there.increment, orbit, tolerance, max_steps).point
    x = ravel(jtu.tree_map(lambda leaf: leaf[0], points))
    v = _least_singular(there.matrix(points) - multiplier * jnp.eye(n, dtype=x.dtype))
    found = newton_dense(residual, jnp.concatenate([x, v, rate[None]]), tolerance, max_steps)
    h = found.point[-1]
    points = equations(h).orbit(unravel(found.point[:n], params))
    return _critical(problem, points, h, found, least_period(points, closeness(points), period))


@jax.custom_batching.sequential_vmap  # for the reason given in curvature/eigen.py
def _least_singular(matrix: Array) -> Array:
    return jnp.linalg.svd(matrix)[2][-1]


@eqx.filter_jit
def _crisis(problem, params, rate, target, tolerance, max_steps, optimizer, after, period):
    def step(x, h):
        equations = CycleEquations(_at(problem, optimizer, h), None, 1)
        return ravel(equations.step(unravel(x, params)))

    def orbit(x, h, steps):
        return jax.lax.scan(lambda x, _: (step(x, h), x), x, length=steps)

    def residual(z):
        c, h = z[:1], z[1]
        slope = jax.linearize(lambda x: step(x, h), c)[1](jnp.ones_like(c))
        image, _ = orbit(c, h, after)
        aim = target if period == 0 else orbit(image, h, period)[0]
        return jnp.concatenate([slope, image - aim])

    start = jnp.concatenate([ravel(params), rate[None]])
    tolerance = jnp.maximum(tolerance, rounding_at(norm(params)))
    found = newton_dense(residual, start, tolerance, max_steps)
    h = found.point[1]
    _, points = orbit(found.point[:1], h, after + 1)
    points = jax.vmap(lambda x: unravel(x, params))(points)
    return _critical(problem, points, h, found, jnp.asarray(0))


def _critical(problem, points, h, found, least) -> CriticalStep:
    asked = (least == 0) | (least == jtu.tree_leaves(points)[0].shape[0])
    right = found.converged & asked & (h > 0)  # a negative rate solves the equations of ascent
    return CriticalStep(h, problem.whole(points), found.residual, right, least)
