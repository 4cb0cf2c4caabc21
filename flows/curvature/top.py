"""The largest eigenvalues of the Hessian and their eigenvectors."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
from jax.experimental.sparse.linalg import lobpcg_standard

from .._custom_types import Array, Params, Scalar
from .._errors import InvalidOptionError
from .._vectors import ravel, size, unravel
from .eigen import symmetric_eigen
from .hessian import Matvec, matrix_of

# Up to here the matrix is formed and diagonalised; beyond, its largest eigenpairs are iterated.
DENSE_LIMIT = 1024
# Of the block iteration: each costs 4 k products.
_MAX_ITERATIONS = 500


def top(matvec: Matvec, like: Params, k: int) -> tuple[Array, Array, Array, Scalar]:
    """The `k` largest eigenvalues of a symmetric map, from the largest down.

    Arguments:
        matvec: The map.
        like: A vector that it can be applied to.
        k: How many: at most the dimension, and beyond `DENSE_LIMIT` less than a fifth of it.

    Returns:
        The eigenvalues, the eigenvectors (columns in the order of the tree's leaves), how far each
        pair is from solving its equation, and the largest modulus of all eigenvalues (of those
        found, if they were iterated).
    """
    apply = jax.vmap(lambda column: ravel(matvec(unravel(column, like))), 1, 1)
    if size(like) <= DENSE_LIMIT:
        eigenvalues, vectors, largest = _of_matrix(matrix_of(matvec, like), k)
    else:
        eigenvalues, vectors, largest = _of_products(apply, ravel(like), k)
    vectors = _with_signs(vectors)
    residuals = jnp.linalg.norm(apply(vectors) - eigenvalues[None, :] * vectors, axis=0)
    return eigenvalues, vectors, residuals, largest


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


def _of_products(H: Callable[[Array], Array], like: Array, k: int) -> tuple[Array, Array, Scalar]:
    """As `_of_matrix`, from products with blocks of columns only; the modulus is of those found."""
    dtype, n = like.dtype, like.size
    start = jnp.linalg.qr(jr.normal(jr.key(0), (n, k), dtype))[0]
    # Shifted by about its norm, the operator is positive: the stopping rule is relative to
    # eigenvalues, which must not be zero, and an operator that is zero gives NaN.
    image = H(start)
    first, second = jnp.linalg.norm(image), jnp.linalg.norm(H(image))
    shift = jnp.where(first > 0, second / jnp.where(first > 0, first, 1.0), 1.0)
    # The rule's tolerance is in units of 10 n; vectors that are right to two thirds of the digits.
    tolerance = float(jnp.finfo(dtype).eps) ** (2 / 3) / (10 * n)
    shifted = lambda X: H(X) + shift * X  # noqa: E731
    _, vectors, _ = lobpcg_standard(shifted, start, _MAX_ITERATIONS, tolerance)
    vectors = _not_differentiable(vectors)
    eigenvalues = jnp.sum(vectors * H(vectors), axis=0)
    order = jnp.argsort(-eigenvalues)
    return eigenvalues[order], vectors[:, order], jnp.max(jnp.abs(eigenvalues))


@jax.custom_jvp
def _not_differentiable(vectors: Array) -> Array:
    return vectors


@_not_differentiable.defjvp
def _(primals: Any, tangents: Any) -> Any:
    del primals, tangents
    raise InvalidOptionError(  # left alone, the iteration's derivative is NaN
        "iterated eigenvectors cannot be differentiated. Put jax.lax.stop_gradient around params, "
        f"or use at most {DENSE_LIMIT} parameters."
    )
