r"""How the Hessian in the critical directions changes with the parameters.

.. math:: T_{ij} = \nabla_\theta\, (u_i^T H(\theta)\, u_j)

for every pair of the directions, which do not move with ``theta``.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np

from ..._custom_types import Array, Float, Integer, Params
from ..functions._base import Third
from .block import combined, inner_products, zero_rows


def pairs(size: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs ``i >= j`` row by row: those of the first few directions come first."""
    return np.tril_indices(size)


def pair_places(size: int) -> np.ndarray:
    """Where the pair of ``i`` and ``j`` stands in that order, shape ``(size, size)``."""
    i, j = np.indices((size, size))
    larger, smaller = np.maximum(i, j), np.minimum(i, j)
    return larger * (larger + 1) // 2 + smaller


class CriticalDerivatives(eqx.Module):
    """``T_ij`` for the first few of ``k`` directions: one third derivative a pair.

    Attributes:
        rows: A tree like the parameters with a leading axis ``k (k + 1) / 2``: the `pairs`.
        size: ``k``.
    """

    rows: Params
    size: int = eqx.field(static=True)

    def __init__(self, third: Third, directions: Params, count: Integer):
        """Differentiate.

        Arguments:
            third: ``D^3E[v, w]``.
            directions: The ``u_i``, a tree with a leading axis ``k``.
            count: How many of them count; for the others it is zero.
        """
        self.size = jtu.tree_leaves(directions)[0].shape[0]
        first, second = map(jnp.asarray, pairs(self.size))

        def derivative(p: Integer, done: Params) -> Params:
            u, v = (
                jtu.tree_map(lambda rows, i=i: rows[i], directions) for i in (first[p], second[p])
            )
            return jtu.tree_map(lambda rows, leaf: rows.at[p].set(leaf), done, third(u, v))

        like = jtu.tree_map(lambda rows: rows[0], directions)
        self.rows = jax.lax.fori_loop(
            0, count * (count + 1) // 2, derivative, zero_rows(like, len(first))
        )

    def along(self, vector: Params) -> Float[Array, "k k"]:
        """``T_ij . v``: how fast the Hessian changes along a vector."""
        row = jtu.tree_map(lambda leaf: leaf[None], vector)
        return inner_products(self.rows, row)[:, 0][pair_places(self.size)]

    def sum(self, X: Float[Array, "k k"]) -> Params:
        """``sum_ij X_ij T_ij``, the gradient of ``<H, U X U^T>``."""
        first, second = pairs(self.size)
        twice = jnp.where(first == second, 1, 2).astype(X.dtype)
        total = combined((twice * X[first, second])[None], self.rows)
        return jtu.tree_map(lambda leaf: leaf[0], total)

    def gram(self, scale: Params) -> Float[Array, "k k k k"]:
        """``T_ij . (scale T_kl)`` with a factor for every parameter."""
        weighted = jtu.tree_map(lambda rows, factor: rows * factor[None], self.rows, scale)
        products = inner_products(self.rows, weighted)
        place = pair_places(self.size)
        return products[place][:, :, place]
