r"""The oscillation at the edge of stability: its covariance, by complementarity one substep ahead.

.. math:: 0 \le X \perp A + B[X] \ge 0

with the critical directions ``U`` (``U^T P U = I``), the covariance ``U X U^T``, what the slack
``U^T (edge P - H) U`` will be without an oscillation, ``A``, and what one adds to it, ``B[X]``.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu

from .._custom_types import Array, Flag, Float, Params, PyTree, Scalar
from .._vectors import norm, real_dtype, scaled, unit_of
from ..curvature.complementarity.problem import complementarity
from ..curvature.eigenpairs.block import by_row, inner_products
from ..curvature.eigenpairs.critical import CriticalDerivatives, pair_places, pairs
from ..curvature.eigenpairs.tracking import TrackedEigenpairs
from ..curvature.hessian import Matvec
from ..optimizers import Problem
from ..optimizers._description import Description

# From this part of the edge on a direction takes part.
_NEAR = 0.975


class Metric:
    """A point, its gradient, and the Hessian in the metric of the preconditioner.

    Attributes:
        params: The point.
        moment: ``nu``, which the preconditioner depends on.
        gradient: Of the loss.
        described: What the optimizer's step is there.
        edge: Up to there the eigenvalues of ``P^{-1} H`` are stable.
        P: The preconditioner's diagonal, ``M`` over the gain of slow gradients.
        root: Its square root.
        hessian: ``v -> H v``.
    """

    params: Params
    moment: PyTree[Any]
    gradient: Params
    described: Description
    edge: Scalar
    P: Params
    root: Params
    hessian: Matvec

    def __init__(
        self, problem: Problem, described: Description, params: Params, moment: PyTree[Any]
    ):
        self.described = described
        self.edge = described.relative_edge.astype(real_dtype(params))
        self.params, self.moment = params, moment
        self.gradient, self.hessian = problem.linearised(params)
        self.P = self.preconditioner(moment)
        self.root = jtu.tree_map(jnp.sqrt, self.P)

    def preconditioner(self, moment: PyTree[Any]) -> Params:
        """``P``, the path's own clock: the centre moves by ``-P^{-1}`` times a force in a step."""
        gain = self.described.gain(1)
        diagonal = self.described.metric.diagonal(moment, self.params)
        return jtu.tree_map(lambda m: m / gain.astype(m.dtype), diagonal)

    def matvec(self, v: Params) -> Params:
        """``P^{-1/2} H P^{-1/2} v``, whose eigenvalues are those of ``P^{-1} H``."""
        image = self.hessian(jtu.tree_map(jnp.divide, v, self.root))
        return jtu.tree_map(jnp.divide, image, self.root)


class Oscillation(eqx.Module):
    """The oscillation about a point.

    Attributes:
        directions: ``U``, rows: the critical ones, and zeros after them.
        images: ``H U``.
        covariance: ``X``, shape ``(k, k)``.
        force: ``grad <H, U X U^T> / 2``.
        residual: Of the complementarity problem.
        solved: Whether it is within the tolerance.
    """

    directions: Params
    images: Params
    covariance: Float[Array, "k k"]
    force: Params
    residual: Scalar
    solved: Flag


def oscillation(
    problem: Problem,
    metric: Metric,
    tracked: TrackedEigenpairs,
    drift: Callable[[Params], Params],
    dt: float,
) -> Oscillation:
    """Solve for the oscillation at a point.

    Arguments:
        problem: The loss and the optimizer.
        metric: At the point.
        tracked: The eigenpairs of `metric.matvec`.
        drift: What drives the centre beside the oscillation, from the directions.
        dt: How far ahead to look, in steps.
    """
    active = tracked.above(_NEAR * metric.edge)
    k, dtype = len(tracked.values), tracked.values.dtype
    mask = active.astype(dtype)
    vectors, images = by_row(mask, tracked.vectors), by_row(mask, tracked.images)
    directions = jtu.tree_map(lambda rows, r: rows / r[None], vectors, metric.root)
    images = jtu.tree_map(lambda rows, r: rows * r[None], images, metric.root)

    def nothing() -> tuple[Array, Params, Scalar, Flag]:
        zero = jnp.zeros((), dtype)
        force = jtu.tree_map(jnp.zeros_like, metric.params)
        return jnp.zeros((k, k), dtype), force, zero, jnp.asarray(True)

    def something() -> tuple[Array, Params, Scalar, Flag]:
        def third(u: Params, v: Params) -> Params:
            return problem.third_derivative(metric.params, u, v)

        T = CriticalDerivatives(third, directions, jnp.sum(active))
        inverse = jtu.tree_map(lambda p: 1 / p, metric.P)
        velocity = jtu.tree_map(jnp.multiply, inverse, drift(directions))
        A = jnp.diag(metric.edge - tracked.values) + dt * T.along(velocity)
        B = dt / 2 * T.gram(inverse)
        if metric.moment is not None:
            of_drift, of_pairs = _stiffening(metric, directions, images)
            A, B = A + dt * of_drift, B + dt * of_pairs
        found = complementarity(A, B, active=active)
        force = jtu.tree_map(lambda leaf: leaf / 2, T.sum(found.X))
        return found.X, force, found.residual, found.converged

    return Oscillation(directions, images, *jax.lax.cond(jnp.any(active), something, nothing))


def mean_squares(gradient: Params, of: Oscillation) -> Params:
    """The mean squared gradient of every parameter, ``g^2 + diag(H Sigma H)``."""
    return jtu.tree_map(
        lambda g, rows: g**2 + jnp.einsum("ij,i...,j...->...", of.covariance, rows, rows),
        gradient,
        of.images,
    )


def root_mean_square_length(gradient: Params, of: Oscillation) -> Scalar:
    """The root of the mean squared norm of the gradient, of squares that might underflow."""
    covariance, rows = unit_of(of.covariance), unit_of(of.images)
    images = scaled(1 / rows, of.images)
    trace = jnp.sum(of.covariance / covariance * inner_products(images, images))
    # Not below zero but for rounding.
    oscillating = rows * jnp.sqrt(covariance) * jnp.sqrt(jnp.maximum(trace, 0))
    return norm((norm(gradient), oscillating))


def _stiffening(metric: Metric, directions: Params, images: Params) -> tuple[Array, Array]:
    """How ``edge U^T P U`` changes in time: without the oscillation, and by each ``X_kl``."""
    k = jtu.tree_leaves(directions)[0].shape[0]
    first, second = pairs(k)

    def change(squares: Params) -> Params:
        rate = metric.described.metric.rate(metric.moment, squares)
        return jax.jvp(metric.preconditioner, (metric.moment,), (rate,))[1]

    def products(rows: Array) -> Array:
        return rows[first] * rows[second]

    zero = jtu.tree_map(jnp.zeros_like, metric.gradient)
    without = change(jtu.tree_map(jnp.square, metric.gradient))
    # The rate is linear in the squares, but for what it loses: that is in the first one.
    lost = change(zero)
    by_pairs = jax.vmap(change)(jtu.tree_map(products, images))
    by_pairs = jtu.tree_map(lambda rows, leaf: rows - leaf[None], by_pairs, lost)
    weights = jtu.tree_map(products, directions)
    place = pair_places(k)
    of_drift = (
        metric.edge * inner_products(weights, jtu.tree_map(lambda leaf: leaf[None], without))[:, 0]
    )
    of_pairs = metric.edge * inner_products(weights, by_pairs)
    of_pairs = (of_pairs + of_pairs.T) / 2
    return of_drift[place], of_pairs[place][:, :, place]
