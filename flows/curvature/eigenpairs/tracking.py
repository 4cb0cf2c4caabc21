r"""The eigenpairs near a threshold, followed along a trajectory.

Between the points of a trajectory eigenvectors turn little, so that those of the last point are
nearly those of the next: a pass or two of the block iteration bring them up to date. How many
vectors are worked on follows the spectrum: all that are near the threshold, and two guards beyond
them, which see the next ones come.

>>> import jax.numpy as jnp
>>> diagonal = jnp.array([0.1, 1.9, 2.1, 0.5, -3.0])
>>> state = start_tracking(lambda v: diagonal * v, jnp.zeros(5), 4, threshold=2.0)
>>> state = follow_eigenpairs(lambda v: (diagonal + 0.15) * v, state, threshold=2.0)
>>> [f"{float(value):.3f}" for value in state.values[:2]], int(jnp.sum(state.above(2.0)))
(['2.250', '2.050'], 2)
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.tree_util as jtu
from jaxtyping import Bool

from ..._checks import integer
from ..._custom_types import Array, Flag, Float, Integer, Params, Scalar
from ..._vectors import real_dtype
from ..._vectors import size as count_numbers
from ..hessian import Matvec
from .block import random_rows
from .block_krylov import BlockEigenpairs, block_krylov, converged

# Vectors beyond those near the threshold.
_GUARDS = 2
# The size of the random part that the last guard gets: it may find what is orthogonal to all.
_RANDOM_PART = 0.05
_RTOL = 1e-6
# Powers of the map in a pass: more digits take more of them, few are had sooner without.
_DEPTH = {"float32": 1, "float64": 3}
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
        converged: Whether all pairs near the threshold, those in the last two places excepted,
            have residuals within the tolerance.
        complete: Whether all pairs near the threshold are among them, and not in the last two
            places: otherwise there may be more than there is room for, so take a larger `size`.
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
    near: float = 0.9,
    rtol: float | Scalar | None = None,
) -> TrackedEigenpairs:
    """Find the eigenpairs at the first point, from random vectors.

    Arguments:
        matvec: The symmetric map ``A``, say ``v -> h H v``.
        like: A vector that it can be applied to.
        size: For how many pairs there shall be room: those near the threshold and two more.
        threshold: Of the eigenvalues, positive: 2 for ``h H``.
        near: From this part of the threshold on an eigenvalue is near it.
        rtol: For residuals, in units of the largest modulus of an eigenvalue; by default 1e-6
            in float64 and 3e-4 in float32. Errors of eigenvalues go with its square.

    Returns:
        The `TrackedEigenpairs`.

    Raises:
        InvalidOptionError: If `size` is no positive integer.
    """
    integer(size, 1, "size", "size=8, two more than may become critical at a time")
    rtol = _tolerance(rtol, like)
    conditions = _conditions(near, threshold, like, size)
    found = block_krylov(
        matvec,
        random_rows(0, like, size),
        conditions[1],
        rtol,
        depth=_DEPTH[rtol.dtype.name],
        min_passes=3,
        max_passes=_FIRST_PASSES,
    )
    return _tracked(found, conditions, rtol, size, jnp.zeros((), int))


def follow_eigenpairs(
    matvec: Matvec,
    before: TrackedEigenpairs,
    threshold: float | Scalar,
    *,
    near: float = 0.9,
    rtol: float | Scalar | None = None,
    max_passes: int = 20,
) -> TrackedEigenpairs:
    """Bring the eigenpairs up to date at the next point.

    A pass costs one product for every pair that is followed in float32, and three in float64. There
    are two at least (one in float64), and more until the pairs near the threshold, and the largest
    in any case, have converged. Works under ``jit``, ``scan`` and ``vmap``.

    Arguments:
        matvec: The map ``A`` at the new point.
        before: The pairs of the last point.
        threshold: As in `start_tracking`.
        near: As in `start_tracking`.
        rtol: As in `start_tracking`.
        max_passes: At most so many passes, at least 2.

    Returns:
        The `TrackedEigenpairs` of the new point. Where `converged` or `complete` is False its
        residuals say how good it is, and pairs may be missing.
    """
    size = len(before.values)
    like = jtu.tree_map(lambda leaf: leaf[0], before.vectors)
    rtol = _tolerance(rtol, like)
    conditions = _conditions(near, threshold, like, size)
    steps = before.steps + 1
    depth = _DEPTH[rtol.dtype.name]
    found = block_krylov(
        matvec,
        _start(before, like, steps),
        conditions[1],
        rtol,
        depth=depth,
        # Beyond the bare Rayleigh quotients of the vectors there are, for what comes near next.
        min_passes=2 if depth == 1 else 1,
        max_passes=max_passes,
    )
    return _tracked(found, conditions, rtol, size, steps)


def _start(before: TrackedEigenpairs, like: Params, steps: Integer) -> Params:
    """The vectors to go on with, the last of them with a random part, or random if it is new."""
    size = len(before.values)
    random = random_rows(steps, like, 1)
    last = before.number - 1
    part = jnp.where(last < before.count, _RANDOM_PART, 1) / count_numbers(like) ** 0.5

    def of_leaf(vectors: Array, addition: Array) -> Array:
        shape = (-1,) + (1,) * (vectors.ndim - 1)
        row = jnp.arange(size).reshape(shape)
        kept = jnp.where(row < before.number, vectors, 0)
        return kept + jnp.where(row == last, part.astype(vectors.dtype) * addition, 0)

    return jtu.tree_map(of_leaf, before.vectors, random)


def _tracked(
    found: BlockEigenpairs, conditions: Any, rtol: Scalar, size: int, steps: Integer
) -> TrackedEigenpairs:
    is_near, is_wanted = conditions
    dimension = count_numbers(found.vectors) // size
    there = jnp.arange(size) < found.count
    near = jnp.sum(there & is_near(found.values))
    # At most one more, for which there is a random vector.
    number = jnp.minimum(jnp.maximum(near, 1) + _GUARDS, jnp.minimum(found.count + 1, size))
    return TrackedEigenpairs(
        found.vectors,
        found.images,
        found.values,
        found.residuals,
        found.count,
        number,
        jnp.all(converged(found, is_wanted, rtol)) & found.finite,
        (near <= _room(size, dimension)) & found.finite,
        found.matvecs,
        steps,
    )


def _conditions(near: float, threshold: float | Scalar, like: Params, size: int):
    """Which eigenvalues are near the threshold, and which of them must converge, and the first."""
    lowest = near * jnp.asarray(threshold, real_dtype(like))
    places, dimension = jnp.arange(size), count_numbers(like)

    def is_near(values: Array) -> Array:
        return values > lowest

    def is_wanted(values: Array) -> Array:
        return (is_near(values) & (places < _room(size, dimension))) | (places == 0)

    return is_near, is_wanted


def _room(size: int, dimension: int) -> int:
    """How many pairs near the threshold there may be: no guards are needed where all pairs fit."""
    return size if dimension <= size else max(size - _GUARDS, 1)


def usual_tolerance(precision: Any) -> float:
    """For residuals of a map that is computed in such a dtype."""
    return max(_RTOL, float(jnp.finfo(precision).eps) ** 0.5)


def _tolerance(rtol: float | Scalar | None, like: Params) -> Scalar:
    dtype = real_dtype(like)
    return jnp.asarray(usual_tolerance(dtype) if rtol is None else rtol, dtype)
