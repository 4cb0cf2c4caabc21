r"""The eigenpairs near a threshold, followed along a trajectory.

Between the points of a trajectory eigenvectors turn little, so that those of the last point are
nearly those of the next: a pass or two of the block iteration bring them up to date. How many
vectors are worked on follows the spectrum: all that are near the threshold, and some guards beyond
them, which see the next ones come.
"""

import equinox as eqx
import jax.numpy as jnp
import jax.tree_util as jtu
from jaxtyping import Bool

from .._custom_types import Array, Flag, Float, Integer, Params, Scalar
from .._vectors import real_dtype
from .block import random_rows
from .block_krylov import BlockEigenpairs, block_krylov, converged
from .hessian import Matvec

# Vectors beyond those near the threshold.
_GUARDS = 2
# The size of the random part that the last guard gets: it may find what is orthogonal to all.
_RANDOM_PART = 0.05
_MAX_PASSES = 20
_FIRST_PASSES = 200


class TrackedEigenpairs(eqx.Module):
    """The largest eigenpairs at a point, and how many of them are being followed.

    All arrays have fixed shapes, with room for `size` pairs in decreasing order; beyond the `count`
    everything is zero.

    Attributes:
        vectors: ``u_i``, orthonormal: a tree like the parameters with a leading axis `size`.
        images: ``A u_i``.
        values: The eigenvalues, shape ``(size,)``.
        residuals: ``|A u_i - value_i u_i|``.
        count: How many pairs there are.
        number: How many will be followed at the next point.
        converged: Whether all pairs near the threshold have residuals within the tolerance.
        complete: Whether a pair that is *not* near the threshold is among them, or all pairs of
            the map are: otherwise more may be near it than there is room for.
        matvecs: How many products it took in this step.
        steps: How many steps were made until now.
    """

    vectors: Params
    images: Params
    values: Float[Array, " size"]
    residuals: Float[Array, " size"]
    count: Integer
    number: Integer
    converged: Flag
    complete: Flag
    matvecs: Integer
    steps: Integer

    def above(self, threshold: float | Scalar) -> Bool[Array, " size"]:
        """Which pairs there are with an eigenvalue above the threshold: a mask for the rows."""
        there = jnp.arange(len(self.values)) < self.count
        return there & (self.values > threshold)


def start_tracking(
    matvec: Matvec,
    like: Params,
    size: int,
    threshold: float | Scalar,
    *,
    near: float = 0.75,
    rtol: float | Scalar | None = None,
) -> TrackedEigenpairs:
    """Find the eigenpairs at the first point, from random vectors.

    Arguments:
        matvec: The symmetric map ``A``, say ``v -> h H v``.
        like: A vector that it can be applied to.
        size: For how many pairs there shall be room: those near the threshold and two more.
        threshold: Of the eigenvalues, positive: 2 for ``h H``.
        near: From this part of the threshold on an eigenvalue is near it.
        rtol: For residuals, in units of the largest modulus of an eigenvalue; by default the
            square root of the dtype's ``eps``.

    Returns:
        The `TrackedEigenpairs`.
    """
    rtol = _tolerance(rtol, like)
    is_wanted = _wanted(near * jnp.asarray(threshold, rtol.dtype))
    found = block_krylov(
        matvec,
        random_rows(0, like, size),
        is_wanted,
        rtol,
        depth=1,
        min_passes=3,
        max_passes=_FIRST_PASSES,
    )
    return _tracked(found, is_wanted, rtol, size, jnp.asarray(0))


def track(
    matvec: Matvec,
    before: TrackedEigenpairs,
    threshold: float | Scalar,
    *,
    near: float = 0.75,
    rtol: float | Scalar | None = None,
) -> TrackedEigenpairs:
    """Bring the eigenpairs up to date at the next point.

    The cost is two products for every pair that is followed, and one more for every further pass,
    of which there are up to 20 until the pairs near the threshold, and the largest in any case,
    have converged. Works under ``jit``, ``scan`` and ``vmap``.

    Arguments:
        matvec: The map ``A`` at the new point.
        before: The pairs of the last point.
        threshold: As in `start_tracking`.
        near: As in `start_tracking`.
        rtol: As in `start_tracking`.

    Returns:
        The `TrackedEigenpairs` of the new point. Where `converged` or `complete` is False its
        residuals say how good it is, and pairs may be missing.
    """
    size = len(before.values)
    like = jtu.tree_map(lambda leaf: leaf[0], before.vectors)
    rtol = _tolerance(rtol, like)
    is_wanted = _wanted(near * jnp.asarray(threshold, rtol.dtype))
    steps = before.steps + 1
    found = block_krylov(
        matvec,
        _start(before, like, steps),
        is_wanted,
        rtol,
        depth=1,
        min_passes=2,
        max_passes=_MAX_PASSES,
    )
    return _tracked(found, is_wanted, rtol, size, steps)


def _start(before: TrackedEigenpairs, like: Params, steps: Integer) -> Params:
    """The vectors to go on with, the last of them with a random part, or random if it is new."""
    size = len(before.values)
    random = random_rows(steps, like, 1)
    dimension = sum(leaf.size for leaf in jtu.tree_leaves(like))
    last = before.number - 1
    part = jnp.where(last < before.count, _RANDOM_PART, 1) / dimension**0.5

    def of_leaf(vectors: Array, addition: Array) -> Array:
        shape = (-1,) + (1,) * (vectors.ndim - 1)
        row = jnp.arange(size).reshape(shape)
        kept = jnp.where(row < before.number, vectors, 0)
        return kept + jnp.where(row == last, part.astype(vectors.dtype) * addition, 0)

    return jtu.tree_map(of_leaf, before.vectors, random)


def _tracked(
    found: BlockEigenpairs, is_wanted, rtol: Scalar, size: int, steps: Integer
) -> TrackedEigenpairs:
    there = jnp.arange(size) < found.count
    wanted = is_wanted(found.values) & there
    # At most one more, for which there is a random vector.
    number = jnp.minimum(jnp.sum(wanted) + _GUARDS, jnp.minimum(found.count + 1, size))
    return TrackedEigenpairs(
        found.vectors,
        found.images,
        found.values,
        found.residuals,
        found.count,
        number,
        jnp.all(converged(found, is_wanted, rtol)) & found.finite,
        ~jnp.all(wanted) & found.finite,
        found.matvecs,
        steps,
    )


def _wanted(lowest: Scalar):
    """The largest in any case, and all that are near the threshold."""

    def wanted(values: Array) -> Array:
        return (values > lowest) | (jnp.arange(len(values)) == 0)

    return wanted


def _tolerance(rtol: float | Scalar | None, like: Params) -> Scalar:
    dtype = real_dtype(like)
    if rtol is None:
        rtol = float(jnp.finfo(dtype).eps) ** 0.5
    return jnp.asarray(rtol, dtype)
