"""The largest eigenvalues of the Hessian and their eigenvectors."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ..._custom_types import Array, Params, Scalar
from ..._errors import InvalidOptionError
from ..._vectors import norm, ravel, real_dtype, size, unravel
from ..eigen import symmetric_eigen
from ..hessian import Matvec, matrix_of
from .largest import largest_eigenpairs

# Up to here the matrix is formed and diagonalised; beyond, its largest eigenpairs are iterated.
DENSE_LIMIT = 1024
_MAX_PASSES = 300


def top(matvec: Matvec, like: Params, k: int, precision: Any) -> tuple[Array, Array, Array, Scalar]:
    """The `k` largest eigenvalues of a symmetric map, from the largest down.

    Arguments:
        matvec: The map.
        like: A vector that it can be applied to.
        k: How many, at most the dimension.
        precision: The dtype in which the map is computed.

    Returns:
        The eigenvalues, the eigenvectors (columns in the order of the tree's leaves), how far each
        pair is from solving its equation, and the largest modulus of all eigenvalues (of those
        found, if they were iterated).
    """
    if size(like) <= DENSE_LIMIT:
        eigenvalues, vectors, largest = _of_matrix(matrix_of(matvec, like), k)
    else:
        eigenvalues, vectors, largest = _of_products(matvec, like, k, precision)
    vectors = _with_signs(vectors)
    residuals = jax.vmap(norm, 1)(_columns(matvec, like)(vectors) - eigenvalues[None, :] * vectors)
    return eigenvalues, vectors, residuals, largest


def _columns(matvec: Matvec, like: Params) -> Callable[[Array], Array]:
    """The map for vectors in the columns of a matrix."""
    return jax.vmap(lambda column: ravel(matvec(unravel(column, like))), 1, 1)


def _with_signs(vectors: Array) -> Array:
    """Each column with the sign that makes the first of its largest entries positive."""
    sizes = jnp.abs(vectors)
    # Entries that are equal but for rounding count as equal, or the sign would be left to chance.
    nearly = 1 - 1e3 * float(jnp.finfo(vectors.dtype).eps)
    pivots = jnp.argmax(sizes >= nearly * jnp.max(sizes, axis=0, keepdims=True), axis=0)
    entries = jnp.take_along_axis(vectors, pivots[None, :], axis=0)
    return jnp.where(entries < 0, -vectors, vectors)


def _of_matrix(matrix: Array, k: int) -> tuple[Array, Array, Scalar]:
    """The `k` largest eigenvalues, their vectors as columns, and the largest modulus of all."""
    eigenvalues, vectors = symmetric_eigen(matrix)
    return eigenvalues[::-1][:k], vectors[:, ::-1][:, :k], jnp.max(jnp.abs(eigenvalues))


def _of_products(
    matvec: Matvec, like: Params, k: int, precision: Any
) -> tuple[Array, Array, Scalar]:
    """As `_of_matrix`, from products with vectors only; the modulus is of those found."""
    # Vectors that are right to two thirds of the digits.
    rtol = jnp.asarray(float(jnp.finfo(precision).eps) ** (2 / 3), real_dtype(like))
    fixed = lambda vector: _not_differentiable(matvec(vector))  # noqa: E731
    found = largest_eigenpairs(fixed, like, k, None, rtol, _MAX_PASSES)
    vectors = jax.vmap(ravel, 0, 1)(found.vectors)
    eigenvalues = jnp.sum(vectors * _columns(matvec, like)(vectors), axis=0)
    return eigenvalues, vectors, jnp.max(jnp.abs(eigenvalues))


@jax.custom_jvp
def _not_differentiable(image: Params) -> Params:
    return image


@_not_differentiable.defjvp
def _(primals: Any, tangents: Any) -> Any:
    del primals, tangents
    raise InvalidOptionError(  # left alone, the iteration's derivative is NaN
        "iterated eigenvectors cannot be differentiated. Put jax.lax.stop_gradient around params, "
        f"or use at most {DENSE_LIMIT} parameters."
    )
