"""The Hessian as a linear map on parameters, and as a matrix where there are few of them."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import jax.tree_util as jtu

from .._custom_types import Array, Params, Scalar
from .._objective import Objective
from .._vectors import ravel, scaled, size, unravel

# A symmetric linear map from tangent vectors to tangent vectors (trees like the parameters).
Matvec = Callable[[Params], Params]

# Columns of a dense matrix that are made at once: more only costs memory.
_BATCH = 64


def scaled_hessian(objective: Objective, h: Scalar, params: Params) -> tuple[Params, Matvec]:
    """The gradient ``g``, and the map ``v -> h H v`` at the same point, ``h`` a learning rate.

    The gradient is linearised once, for all products.
    """
    gradient, product = objective.linearised(params)
    return gradient, lambda vector: scaled(h, product(vector))


def matrix_of(matvec: Matvec, like: Params) -> Array:
    """The ``(n, n)`` matrix of a symmetric map, in the order of the tree's leaves."""
    matrix = columns_of(matvec, like)
    return (matrix + matrix.T) / 2


def columns_of(linear: Matvec, like: Params) -> Array:
    """The ``(n, n)`` matrix of a linear map, in the order of the tree's leaves.

    Arguments:
        linear: The linear map.
        like: A vector that it can be applied to; ``n`` numbers in all.
    """
    dtype = jtu.tree_leaves(like)[0].dtype
    n = size(like)
    columns = jax.lax.map(
        lambda row: ravel(linear(unravel(row, like))),
        jnp.eye(n, dtype=dtype),
        batch_size=min(_BATCH, n),
    )
    # LAPACK takes columns, and XLA hands that wish on to whatever makes the matrix: on a CPU even
    # to a Fourier transform in a loss, which it then refuses to run (of JAX 0.10). In a flat array
    # there is nothing to wish for; the barrier keeps it from being optimised away.
    return jax.lax.optimization_barrier(jnp.ravel(columns)).reshape(n, n).T
