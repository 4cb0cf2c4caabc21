r"""The largest eigenpairs of a symmetric map by a restarted block Krylov iteration over pytrees.

Every pass adds to the ``p`` best approximate eigenvectors ``X`` the directions in which they fail,
``A X`` without its part in ``X``, further powers of ``A`` if asked for, and takes the ``p`` best
approximations from all of that (Rayleigh and Ritz). A block sees repeated eigenvalues, as one
vector could not; everything is orthogonalised in full; directions that are only rounding are
dropped, so that blocks may be larger than the dimension, and maps may be zero.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
from jaxtyping import Bool

from ..._custom_types import Array, Flag, Float, Integer, Params, Scalar
from ..._vectors import real_dtype, subtract
from ..eigen import symmetric_eigen
from ..hessian import Matvec
from .block import (
    by_row,
    combined,
    image,
    inner_products,
    orthonormalised,
    placed,
    row_norms,
    rows,
    zero_rows,
)

# A direction shorter than this many roundings of A is noise.
_NOISE = 64
# Directions of this part of the tolerance are good enough not to be worked on.
_DONE = 0.1


class BlockEigenpairs(eqx.Module):
    """Approximate eigenpairs, from the largest eigenvalue down.

    Attributes:
        vectors: Orthonormal, a tree with a leading axis ``p``; zero beyond the `count`.
        images: What the map makes of them.
        values: Shape ``(p,)``; zero beyond the `count`.
        residuals: ``|A u - value u|``: there is an eigenvalue at most so far away.
        count: How many there are: at most ``p``, and at most the dimension.
        scale: The largest modulus of an eigenvalue, as far as it was seen.
        finite: Whether all numbers were.
        matvecs: How many products were made, at most.
        passes: How many passes.
    """

    vectors: Params
    images: Params
    values: Float[Array, " p"]
    residuals: Float[Array, " p"]
    count: Integer
    scale: Scalar
    finite: Flag
    matvecs: Integer
    passes: Integer


def block_krylov(
    matvec: Matvec,
    start: Params,
    wanted: Callable[[Float[Array, " p"]], Bool[Array, " p"]],
    rtol: Scalar,
    *,
    depth: int,
    min_passes: int,
    max_passes: int,
) -> BlockEigenpairs:
    """Iterate until the wanted eigenpairs have residuals of at most ``rtol`` times the scale.

    Arguments:
        matvec: The symmetric map ``A``.
        start: ``p`` vectors, a tree with a leading axis; rows of zeros, dependent ones too, leave
            the block smaller. The first pass finds what is best among them.
        wanted: From the eigenvalues to which of them must converge.
        rtol: The tolerance, in units of the largest modulus of an eigenvalue.
        depth: How many powers of ``A`` a pass takes.
        min_passes: Passes that are made in any case, the first one included.
        max_passes: How many at most.

    Returns:
        The `BlockEigenpairs`; whether they have converged is seen of their residuals.
    """
    p = rows(start)
    dtype = real_dtype(start)
    rounding = _NOISE * float(jnp.finfo(dtype).eps)
    empty = zero_rows(jtu.tree_map(lambda leaf: leaf[0], start), p * (depth + 1))

    def unfinished(carry: tuple[Params, BlockEigenpairs]) -> Flag:
        found = carry[1]
        more = (found.passes < min_passes) | ~jnp.all(converged(found, wanted, rtol))
        return more & (found.passes < max_passes) & found.finite

    def improve(carry: tuple[Params, BlockEigenpairs]) -> tuple[Params, BlockEigenpairs]:
        W, found = carry
        smallest = jnp.maximum(rounding, _DONE * rtol) * found.scale

        def grow(carry, j):
            S, images, W, there, matvecs = carry
            W, count = orthonormalised(W, S, smallest)
            AW = image(matvec, W, count)
            first = p * (j + 1)
            new = jnp.arange(p) < count
            there = jax.lax.dynamic_update_slice_in_dim(there, new, first, axis=0)
            S, images = placed(S, W, first), placed(images, AW, first)
            return (S, images, AW, there, matvecs + count), None

        there = jnp.arange(p * (depth + 1)) < found.count
        S, images = placed(empty, found.vectors, 0), placed(empty, found.images, 0)
        grown = (S, images, W, there, found.matvecs)
        (S, images, _, there, matvecs), _ = jax.lax.scan(grow, grown, jnp.arange(depth))
        found = _best(S, images, there, found, matvecs)
        return found.images, found

    zero = jnp.zeros(p, dtype)
    block = jtu.tree_map(jnp.zeros_like, start)
    none = jnp.asarray(0)
    found = BlockEigenpairs(
        block, block, zero, zero, none, jnp.zeros((), dtype), jnp.asarray(True), none, none
    )
    return jax.lax.while_loop(unfinished, improve, (start, found))[1]


def converged(
    found: BlockEigenpairs, wanted: Callable[[Array], Array], rtol: Scalar
) -> Bool[Array, " p"]:
    """Which are as good as they must be; those that are not wanted or not there are."""
    there = jnp.arange(len(found.values)) < found.count
    return ~(wanted(found.values) & there) | (found.residuals <= rtol * found.scale)


def _best(
    S: Params, images: Params, there: Array, found: BlockEigenpairs, matvecs: Integer
) -> BlockEigenpairs:
    """The largest eigenpairs of the map within the span of the rows that are there."""
    p = len(found.values)
    T = inner_products(S, images)
    unit = jnp.max(jnp.abs(T))
    unit = jnp.where(unit > 0, unit, 1)
    T = (T + T.T) / (2 * unit)
    # Rows that are not there come last, whatever the signs of the eigenvalues, at most len(T).
    T = T - jnp.diag(jnp.where(there, 0, 2 * len(T)).astype(T.dtype))
    values, vectors = symmetric_eigen(T)
    values, vectors = unit * values[::-1], vectors[:, ::-1]
    total = jnp.sum(there)
    scale = jnp.max(jnp.where(jnp.arange(len(values)) < total, jnp.abs(values), 0))
    count = jnp.minimum(total, p)
    here = jnp.arange(p) < count
    values = jnp.where(here, values[:p], 0)
    coefficients = jnp.where(here[:, None], vectors[:, :p].T, 0)
    X, AX = combined(coefficients, S), combined(coefficients, images)
    residuals = row_norms(subtract(AX, by_row(values, X)))
    return BlockEigenpairs(
        X,
        AX,
        values,
        residuals,
        count,
        scale,
        jnp.all(jnp.isfinite(values)) & jnp.all(jnp.isfinite(residuals)),
        matvecs,
        found.passes + 1,
    )
