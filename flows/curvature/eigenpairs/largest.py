"""The largest eigenpairs of a symmetric map at one point, from scratch or from a guess."""

from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
from jaxtyping import Bool

from ..._custom_types import Array, Float, Integer, Params, Scalar
from ..._vectors import size, subtract, unravel
from ..eigen import symmetric_eigen
from ..hessian import Matvec, matrix_of
from .block import by_row, image, placed, random_rows, row_norms, rows
from .block_krylov import block_krylov

# Up to here the matrix is formed and diagonalised: it costs about as much, and is exact.
_DENSE = 64
# Vectors beyond those wanted, as a part of them.
_GUARDS = 0.5
_FEWEST_GUARDS = 2
# Powers of the map in a pass: many make the iteration fast, if they fit into memory; few are enough
# to improve on a guess.
_DEPTHS = (6, 2)
_NUMBERS = 2**26
# What the iteration aims at, as a part of the tolerance: its residuals are not quite the true ones.
_GOAL = 0.5


class Eigenpairs(eqx.Module):
    r"""The `k` largest eigenvalues of a symmetric map, from the largest down, with eigenvectors.

    .. math:: A u_i = \lambda_i u_i, \qquad u_i \cdot u_j = \delta_{ij}

    `flows.top_eigenpairs` makes one of a Hessian. Iterating gives values, vectors and residuals, so
    that it can be unpacked into three.

    Attributes:
        values: ``lambda_i``, shape ``(k,)``; of a Hessian in loss per parameter squared.
        vectors: Orthonormal ``u_i``: a tree like the parameters that move, with a leading axis
            ``k``. Signs, and the basis of an eigenspace of several dimensions, are arbitrary.
        residuals: ``|A u_i - lambda_i u_i|``: there is an eigenvalue at most so far from each.
        converged: Whether all residuals are within the tolerance.
        matvecs: How many products were made.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> pairs = flows.top_eigenpairs(lambda x: jnp.sum(x**2), jnp.ones(3), k=2)
        >>> [f"{float(value):.3f}" for value in pairs.values], bool(pairs.converged)
        (['2.000', '2.000'], True)

    References:
        K. Wu, H. Simon, SIAM J. Matrix Anal. Appl. 22 (2000), 602-616.
    """

    values: Float[Array, "*batch k"]
    vectors: Params
    residuals: Float[Array, "*batch k"]
    converged: Bool[Array, "*batch"]
    matvecs: Integer

    def __iter__(self) -> Iterator[Any]:
        return iter((self.values, self.vectors, self.residuals))


def largest_eigenpairs(
    matvec: Matvec, like: Params, k: int, start: Params | None, rtol: Scalar, max_passes: int
) -> Eigenpairs:
    """The `k` largest eigenpairs, with residuals taken from products with the final vectors.

    Arguments:
        matvec: The symmetric map.
        like: A vector that it can be applied to, ``n`` numbers in all.
        k: How many, at most ``n``.
        start: Approximate eigenvectors, a tree with a leading axis of any length, or None.
        rtol: For residuals, in units of the largest modulus of an eigenvalue.
        max_passes: How long to iterate.
    """
    n = size(like)
    p = min(n, k + max(_FEWEST_GUARDS, int(_GUARDS * k)))
    if n <= max(_DENSE, 3 * p):
        eigenvalues, vectors = symmetric_eigen(matrix_of(matvec, like))
        scale = jnp.max(jnp.abs(eigenvalues))
        X = jax.vmap(lambda row: unravel(row, like))(vectors[:, ::-1][:, :k].T)
        matvecs = jnp.asarray(n + k)
    else:
        block = random_rows(0, like, p)
        if start is not None:
            # A little of the random block in every row finds what the guess knows nothing of.
            block = by_row(jnp.full(p, n**-0.5 / 8, rtol.dtype), block)
            guess = jtu.tree_map(lambda s: s[:p], start)
            guess = by_row(1 / _or_one(row_norms(guess)), guess)
            empty = jtu.tree_map(lambda s: jnp.zeros_like(s), block)
            block = jtu.tree_map(lambda a, b: a + b, block, placed(empty, guess, 0))
        deep, shallow = _DEPTHS
        depth = deep if start is None and 2 * p * (deep + 1) * n <= _NUMBERS else shallow
        found = block_krylov(
            matvec,
            block,
            lambda values: jnp.arange(len(values)) < k,
            _GOAL * rtol,
            depth=depth,
            min_passes=2,
            max_passes=max_passes,
        )
        scale, matvecs = found.scale, found.matvecs + k
        X = jtu.tree_map(lambda s: s[:k], found.vectors)
    return _verified(matvec, X, scale, rtol, matvecs)


def _verified(
    matvec: Matvec, X: Params, scale: Scalar, rtol: Scalar, matvecs: Integer
) -> Eigenpairs:
    """The pairs with values and residuals from products with the vectors themselves."""
    X = by_row(1 / _or_one(row_norms(X)), X)
    images = image(matvec, X, jnp.asarray(rows(X)))
    products = jtu.tree_map(lambda x, y: jnp.sum(x * y, axis=tuple(range(1, x.ndim))), X, images)
    values = jtu.tree_reduce(jnp.add, products)
    residuals = row_norms(subtract(images, by_row(values, X)))
    order = jnp.argsort(-values)
    values, residuals = values[order], residuals[order]
    X = jtu.tree_map(lambda s: s[order], X)
    within = jnp.all(residuals <= rtol * scale)
    return Eigenpairs(values, X, residuals, within, matvecs)


def _or_one(lengths: Array) -> Array:
    return jnp.where(lengths > 0, lengths, 1)
