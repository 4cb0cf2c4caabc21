"""Newton's method with a short line search, as one compiled loop."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.tree_util as jtu

from .._custom_types import Array, Flag, Float, Integer, PyTree, Scalar
from .._vectors import add_scaled, norm

# Newton's direction lowers the residual if the step is short enough; below this one gives up.
_MOST_HALVINGS = 12
# So many units of rounding a step may miss by, though nothing else is wrong.
ROUNDINGS = 32


class Solved(NamedTuple):
    """The last point, the norm of the residual there, whether it is small, and the steps made."""

    point: PyTree[Any]
    residual: Scalar
    converged: Flag
    steps: Integer


def rounding_at(scale: Scalar) -> Scalar:
    """The least distance that can be asked for at points of this norm: however far they are.

    Nothing else grows with the distance from the origin: a loss that is moved has the same orbits.
    """
    return ROUNDINGS * jnp.finfo(scale.dtype).eps * jnp.maximum(scale, jnp.ones_like(scale))


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
        direction = increment(point, residual(point))

        def too_long(trial):
            halvings, new_size = trial
            return ~(new_size < size) & (halvings < _MOST_HALVINGS)

        def halve(trial):
            factor = 0.5 ** (trial[0] + 1).astype(size.dtype)
            return trial[0] + 1, norm(residual(add_scaled(point, factor, direction)))

        whole = jnp.asarray(0), norm(residual(add_scaled(point, 1.0, direction)))
        halvings, new_size = jax.lax.while_loop(too_long, halve, whole)
        better = new_size < size
        factor = jnp.where(better, 0.5 ** halvings.astype(size.dtype), 0)
        new = add_scaled(point, factor, jtu.tree_map(_finite_part, direction))
        return new, jnp.where(better, new_size, size), size <= tolerance, step + 1, better

    carry = (start, first, jnp.asarray(False), jnp.asarray(0), jnp.asarray(True))
    point, size, _, step, _ = jax.lax.while_loop(running, body, carry)
    return Solved(point, size, size <= tolerance, step)


def _finite_part(leaf: Array) -> Array:
    return jnp.where(jnp.isfinite(leaf), leaf, jnp.zeros_like(leaf))


def newton_dense(
    residual: Callable[[Float[Array, " n"]], Float[Array, " n"]],
    start: Float[Array, " n"],
    tolerance: Scalar,
    max_steps: Array,
) -> Solved:
    """The same for a short vector, with the whole derivative."""

    def increment(point, value):
        product = jax.linearize(residual, point)[1]
        columns = jax.vmap(product)(jnp.eye(point.size, dtype=point.dtype))
        return least_change(columns.T, -value)

    return newton(residual, increment, start, tolerance, max_steps)


@jax.custom_batching.sequential_vmap  # for the reason given in curvature/eigen.py
def least_change(matrix: Float[Array, "n n"], value: Float[Array, " n"]) -> Float[Array, " n"]:
    """The shortest solution: where solutions fill a curve, the one nearby."""
    return jnp.linalg.lstsq(matrix, value)[0]
