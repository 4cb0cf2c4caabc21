r"""Symmetric matrices as vectors, so that linear maps on them are matrices.

A symmetric ``(k, k)`` matrix has ``m = k (k + 1) / 2`` numbers. They are taken row by row from the
upper triangle, those off the diagonal times ``sqrt(2)``, so that inner products stay what they are:

.. math:: \langle X, Y \rangle = \operatorname{tr}(X Y) = \operatorname{pack}(X) \cdot
    \operatorname{pack}(Y)

>>> import jax.numpy as jnp
>>> X = jnp.array([[1.0, 2.0], [2.0, 3.0]])
>>> f"{float(pack(X) @ pack(X)):.4f}"
'18.0000'
>>> unpack(pack(X), 2).tolist() == X.tolist()
True
"""

import jax.numpy as jnp
import numpy as np

from ..._custom_types import Array, Float


def pack(X: Float[Array, "k k"]) -> Float[Array, " m"]:
    """The numbers of a symmetric matrix; what is below the diagonal is not read."""
    rows, columns, weights = _layout(X.shape[0])
    return X[rows, columns] * weights.astype(X.dtype)


def unpack(x: Float[Array, " m"], k: int) -> Float[Array, "k k"]:
    """The symmetric ``(k, k)`` matrix of the numbers."""
    rows, columns, weights = _layout(k)
    places = np.zeros((k, k), int)
    places[rows, columns] = places[columns, rows] = np.arange(len(rows))
    return (x / weights.astype(x.dtype))[places]


def pack_operator(B: Float[Array, "k k k k"]) -> Float[Array, "m m"]:
    r"""The symmetric matrix of ``X -> sum_kl B_ijkl X_kl``.

    The part of ``B`` that is symmetric in ``i, j``, in ``k, l``, and under exchange of both pairs
    is what counts; the rest, rounding as a rule, is dropped.
    """
    rows, columns, weights = _layout(B.shape[0])
    B = (B + jnp.swapaxes(B, 0, 1)) / 2
    B = (B + jnp.swapaxes(B, 2, 3)) / 2
    M = B[rows, columns][:, rows, columns]
    weights = weights.astype(B.dtype)
    return (M + M.T) / 2 * weights[:, None] * weights[None, :]


def pack_congruence(G: Float[Array, "k k"]) -> Float[Array, "m m"]:
    """The matrix of ``X -> G X G^T``, orthogonal where ``G`` is; its transpose, that of ``G^T``."""
    rows, columns, weights = _layout(G.shape[0])
    upper, lower = G[rows], G[columns]
    pairs = upper[:, rows] * lower[:, columns] + upper[:, columns] * lower[:, rows]
    weights = weights.astype(G.dtype)
    return pairs * (weights[:, None] * weights[None, :] / 2)


def diagonal_places(k: int) -> np.ndarray:
    """Where the diagonal stands among the numbers."""
    rows, columns, _ = _layout(k)
    return np.flatnonzero(rows == columns)


def _layout(k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row and column of each number, and its weight."""
    rows, columns = np.triu_indices(k)
    return rows, columns, np.where(rows == columns, 1.0, 2**0.5)
