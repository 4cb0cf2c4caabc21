"""The equations of a cycle, and the derivative of the step map around it.

A cycle is sought through all of its points at once: the step from each must lead to the next. That
is far less sensitive than one equation for the first point alone, and costs the same.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np

from .._custom_types import Array, Float, Params, PyTree, Scalar
from .._vectors import add, norm, ravel, scaled, subtract, unravel
from ..optimizers import Problem
from ._newton import least_change

# Up to this size the derivative around a cycle is a matrix.
DENSE_LIMIT = 512


class CycleEquations(eqx.Module):
    """The equations of a cycle of `period` points, each a tree; trees of points lead with `period`.

    Attributes:
        problem: The loss, its data and the optimizer.
        rest: What of the optimizer's state is no floating-point number.
        period: The number of points.
    """

    problem: Problem
    rest: PyTree
    period: int = eqx.field(static=True)

    def step(self, point: Params) -> Params:
        """One step of the optimizer, of the floating-point part of its state."""
        state = self.problem.step(eqx.combine(point, self.rest))
        return eqx.filter(state, eqx.is_inexact_array)

    def orbit(self, start: Params) -> PyTree:
        """The first `period` points from the start."""

        def body(point, _):
            return self.step(point), point

        return jax.lax.scan(body, start, length=self.period)[1]

    def residual(self, points: PyTree) -> PyTree:
        """By how much the step from each point misses the next one."""
        following = jtu.tree_map(lambda leaf: jnp.roll(leaf, -1, axis=0), points)
        return subtract(jax.vmap(self.step)(points), following)

    def around(self, points: PyTree, vector: Params, residual: PyTree | None = None) -> Params:
        """``J_p ... J_1 v``, with the residuals added on the way where they are given."""
        return self._along(points, vector, residual)[0]

    def increment(self, points: PyTree, residual: PyTree) -> PyTree:
        """Newton's step: from ``(I - M) d = s`` for the first point on to the others."""
        first = jtu.tree_map(lambda leaf: leaf[0], points)
        zero = scaled(0.0, first)
        missed = self.around(points, zero, residual)

        def operator(vector):
            return subtract(vector, self.around(points, vector))

        if ravel(first).size <= DENSE_LIMIT:
            n = ravel(first).size
            matrix = jnp.eye(n, dtype=ravel(first).dtype) - self.matrix(points)
            change = unravel(least_change(matrix, ravel(missed)), first)
        else:
            change, _ = jax.scipy.sparse.linalg.gmres(operator, missed, tol=1e-6, maxiter=4)
        return self._along(points, change, residual)[1]

    def matrix(self, points: PyTree) -> Float[Array, "n n"]:
        """``M = J_p ... J_1``, the derivative of the map of `period` steps at the first point."""
        first = jtu.tree_map(lambda leaf: leaf[0], points)
        n = ravel(first).size
        columns = jax.vmap(lambda e: ravel(self.around(points, unravel(e, first))))
        return columns(jnp.eye(n, dtype=ravel(first).dtype)).T

    def _along(self, points, vector, residual):
        zero = scaled(0.0, vector)

        def body(vector, inputs):
            point, missed = inputs
            image = jax.linearize(self.step, point)[1](vector)
            return add(image, zero if missed is None else missed), vector

        return jax.lax.scan(body, vector, (points, residual))


def multipliers(
    equations: CycleEquations, points: PyTree, k: int
) -> tuple[Array, Float[Array, " k"]]:
    """The `k` eigenvalues of ``M`` of largest modulus, and a bound on the residual of each."""
    first = jtu.tree_map(lambda leaf: leaf[0], points)
    n = ravel(first).size
    if n <= DENSE_LIMIT:
        values = _eigenvalues(equations.matrix(points))
        errors = jnp.zeros(n, jnp.abs(values).dtype)
    else:
        values, errors = _arnoldi(lambda v: equations.around(points, v), first, min(n, 2 * k + 40))
    order = jnp.argsort(-jnp.abs(values))[:k]
    return values[order], errors[order]


def _arnoldi(product, like: Params, m: int) -> tuple[Array, Array]:
    """Ritz values from a start that is special in no way, with full reorthogonalisation."""
    n = ravel(like).size
    start = jax.random.normal(jax.random.key(0), (n,), ravel(like).dtype)
    basis = jnp.zeros((m + 1, n), start.dtype).at[0].set(start / norm(start))
    H = jnp.zeros((m + 1, m), start.dtype)

    def body(j, carry):
        basis, H = carry
        image = ravel(product(unravel(basis[j], like)))
        coefficients = basis @ image
        image = image - coefficients @ basis
        again = basis @ image
        image = image - again @ basis
        length = norm(image)
        # A breakdown means that the space is complete: nothing is added to it.
        left = length > 64 * jnp.finfo(length.dtype).eps * norm(coefficients)
        unit = jnp.where(left, image / jnp.where(left, length, 1), 0)
        column = (coefficients + again).at[j + 1].set(jnp.where(left, length, 0))
        return basis.at[j + 1].set(unit), H.at[:, j].set(column)

    basis, H = jax.lax.fori_loop(0, m, body, (basis, H))
    values, last = _ritz(H[:m])
    return values, jnp.abs(H[m, m - 1]) * jnp.abs(last)


@jax.custom_batching.sequential_vmap  # for the reason given in curvature/eigen.py
def _eigenvalues(matrix: Array) -> Array:
    return jnp.linalg.eigvals(matrix)


@jax.custom_batching.sequential_vmap
def _ritz(matrix: Array) -> tuple[Array, Array]:
    """Eigenvalues, and the last entry of each unit eigenvector."""
    values, vectors = jnp.linalg.eig(matrix)
    return values, vectors[-1]


def divisors(period: int) -> np.ndarray:
    """All divisors, the period itself last."""
    numbers = np.arange(1, period + 1)
    return numbers[period % numbers == 0]


def closeness(points: PyTree) -> Scalar:
    """How close two points of a cycle count as one.

    Next to a bifurcation two solutions are that close, and Newton's method that inexact: by a power
    of the rounding at the points. That of a cycle far from the origin is coarser, its width is not.
    """
    flat = ravel(points)
    return (jnp.finfo(flat.dtype).eps * jnp.maximum(jnp.max(jnp.abs(flat)), 1)) ** 0.375


def least_period(points: PyTree, reach: Scalar, period: int) -> Array:
    """The least divisor of the period after which the points repeat."""
    choices = divisors(period)

    def apart(d):
        moved = jtu.tree_map(lambda leaf: jnp.roll(leaf, -int(d), axis=0), points)
        return jnp.max(jax.vmap(norm)(subtract(moved, points)))

    repeats = jnp.stack([apart(d) for d in choices]) <= reach
    return jnp.asarray(choices)[jnp.argmax(repeats)]
