r"""A sum of many functions of ``A``, each applied to a vector of its own, by a few of them.

.. math:: \sum_p f_p(A)\, v_p = \sum_r \phi_r(A) \sum_p U_{pr}\, v_p + \text{rest}, \qquad
          \phi_r = \sum_p \overline{U_{pr}}\, f_p

with the leading left singular vectors ``U`` of the values of all ``f_p`` on the spectrum: functions
that are smooth there are nearly combinations of a few. A Krylov space is built for each ``phi_r``
and not for each ``f_p``.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu

from ..._custom_types import Array, Integer, Params, Scalar
from ..eigen import left_singular

# Vectors are summed into blocks of so many: those that are not needed are not touched.
_BLOCK = 4

# Vectors by blocks: trees with a leading axis.
Sums = tuple[Params, ...]


class SharedFunctions(eqx.Module):
    """The few functions.

    Attributes:
        mixing: ``U``, shape ``(p, r)``, zero from the column `number` on.
        number: How many are needed.
        rest: The largest value of what is left of any ``f_p``.
    """

    mixing: Array
    number: Integer
    rest: Scalar

    def __init__(self, values: Array, most: int, tolerance: Scalar):
        """Look for them.

        Arguments:
            values: Of the functions on the spectrum, shape ``(p, points)``; real, or complex if the
                sums are to be. Functions that are zero throughout are left out.
            most: The most functions.
            tolerance: What may be left of each one.
        """
        mixing, sizes = left_singular(values)
        self.number = jnp.minimum(jnp.sum(sizes > tolerance), most)
        mixing = mixing[:, :most]
        # The vectors of small singular values are not zero, to rounding, for functions that are.
        there = jnp.any(values != 0, axis=1)[:, None]
        needed = jnp.arange(mixing.shape[1])[None] < self.number
        self.mixing = jnp.where(there & needed, mixing, 0)
        left = values - self.mixing @ (jnp.conj(self.mixing).T @ values)
        self.rest = jnp.max(jnp.abs(left))

    def nothing(self, like: Params) -> Sums:
        """The sums of no vectors like this one."""
        firsts = range(0, self.mixing.shape[1], _BLOCK)
        return tuple(
            jtu.tree_map(lambda leaf: jnp.zeros((_BLOCK, *leaf.shape), leaf.dtype), like)
            for _ in firsts
        )

    def with_vector(self, sums: Sums, p: Integer, vector: Params) -> Sums:
        """The sums, with the vector that ``f_p`` is applied to."""

        def place(first: int, block: Params) -> Params:
            row = jnp.pad(self.mixing[p], (0, _BLOCK))[first : first + _BLOCK]

            def added() -> Params:
                return jtu.tree_map(
                    lambda rows, leaf: rows + jnp.multiply.outer(row.astype(leaf.dtype), leaf),
                    block,
                    vector,
                )

            return jax.lax.cond(first < self.number, added, lambda: block)

        return tuple(place(_BLOCK * i, block) for i, block in enumerate(sums))

    def vector(self, sums: Sums, r: Integer) -> Params:
        """What ``phi_r`` is to be applied to."""

        def within(block: Params) -> Params:
            return jtu.tree_map(lambda rows: rows[r % _BLOCK], block)

        return jax.lax.switch(r // _BLOCK, [lambda b=block: within(b) for block in sums])
