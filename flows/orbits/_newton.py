"""Newton's method with a short line search, as one compiled loop."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.tree_util as jtu

from .._custom_types import Array, Flag, Float, Integer, PyTree, Scalar
from .._vectors import add_scaled, norm

# Tried at once in every step: the one that leaves the smallest residual is taken.
_FACTORS = (1.0, 0.5, 0.25, 0.0625)


class Solved(NamedTuple):
    """The last point, the norm of the residual there, whether it is small, and the steps made."""

    point: PyTree[Any]
    residual: Scalar
    converged: Flag
    steps: Integer


def newton(
    residual: Callable[[PyTree[Any]], PyTree[Any]],
    increment: Callable[[PyTree[Any], PyTree[Any]], PyTree[Any]],
    start: PyTree[Any],
    tolerance: Scalar,
    max_steps: Array,
) -> Solved:
    """Solve ``residual(z) = 0``; `increment` is minus the inverse derivative on a residual.

    Once the residual is below the tolerance one more step is made, which brings it to rounding.
    """
    first = norm(residual(start))

    def running(carry):
        _, size, polished, step, better = carry
        return better & ~polished & (step < max_steps) & jnp.isfinite(size)

    def body(carry):
        point, size, _, step, _ = carry
        polished = size <= tolerance
        direction = increment(point, residual(point))
        factors = jnp.asarray(_FACTORS, size.dtype)
        sizes = jax.lax.map(lambda s: norm(residual(add_scaled(point, s, direction))), factors)
        sizes = jnp.where(jnp.isfinite(sizes), sizes, jnp.inf)
        best = jnp.argmin(sizes)
        better = sizes[best] < size
        # A search may have to climb before it descends: far away the full step is taken as it is.
        factor = jnp.where(better, factors[best], jnp.where(polished, 0, factors[-1]))
        new = add_scaled(point, factor, direction)
        new_size = jnp.where(better, sizes[best], jnp.where(polished, size, sizes[-1]))
        finite = jnp.isfinite(new_size)
        new = jtu.tree_map(lambda a, b: jnp.where(finite, a, b), new, point)
        new_size = jnp.where(finite, new_size, size)
        return new, new_size, polished, step + 1, finite

    carry = (start, first, jnp.asarray(False), jnp.asarray(0), jnp.asarray(True))
    point, size, _, step, _ = jax.lax.while_loop(running, body, carry)
    return Solved(point, size, size <= tolerance, step)


def newton_dense(
    residual: Callable[[Float[Array, " n"]], Float[Array, " n"]],
    start: Float[Array, " n"],
    tolerance: Scalar,
    max_steps: Array,
) -> Solved:
    """The same for a short vector, with the whole derivative."""

    def increment(point, value):
        return least_change(jax.jacfwd(residual)(point), -value)

    return newton(residual, increment, start, tolerance, max_steps)


@jax.custom_batching.sequential_vmap  # for the reason given in curvature/eigen.py
def least_change(matrix: Float[Array, "n n"], value: Float[Array, " n"]) -> Float[Array, " n"]:
    """The shortest solution: where solutions fill a curve, the one nearby."""
    return jnp.linalg.lstsq(matrix, value)[0]
