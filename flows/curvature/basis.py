"""Some orthonormal vectors over a pytree, and what is read of them in as few passes as possible."""

import functools as ft
import operator

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu

from .._custom_types import Array, Integer, Params, Scalar
from .._vectors import add, subtract

# As many rows lie in one array. Blocks that are still empty are not read.
_BLOCK = 8


class Basis(eqx.Module):
    r"""Orthonormal vectors ``V = [v_0, ..., v_{k-1}]``, filled one after the other.

    Attributes:
        blocks: The vectors as rows: trees with a leading axis of at most 8; zero where not filled.
    """

    blocks: tuple[Params, ...]

    @classmethod
    def empty(cls, like: Params, k: int) -> "Basis":
        """Room for `k` vectors of the shapes and dtypes of `like`."""
        sizes = [min(_BLOCK, k - first) for first in range(0, k, _BLOCK)]
        return cls(
            tuple(
                jtu.tree_map(lambda leaf, n=n: jnp.zeros((n, *leaf.shape), leaf.dtype), like)
                for n in sizes
            )
        )

    @property
    def _firsts(self) -> list[int]:
        """Which vector each block begins with."""
        return [_BLOCK * i for i in range(len(self.blocks))]

    def with_vector(self, j: Integer, v: Params) -> "Basis":
        """The basis with `v` as its vector `j`."""

        def place(first, block):
            def of_leaf(rows, row):
                # Out of bounds, and so dropped, in every block but one.
                i = jnp.where(j >= first, j - first, rows.shape[0])
                return rows.at[i].set(row, mode="drop")

            return jtu.tree_map(of_leaf, block, v)

        return Basis(tuple(map(place, self._firsts, self.blocks)))

    def orthogonalise(self, w: Params, j: Integer) -> tuple[Params, Array]:
        """``w - V V^* w`` and the components ``V^* w``, with the vectors up to `j`."""
        components = []
        for first, block in zip(self._firsts, self.blocks, strict=True):

            def remove(w, block=block):
                c = _components(block, w)
                return subtract(w, _weighted_sum(c, block)), c

            def skip(w, block=block):
                rows = jtu.tree_leaves(block)[0]
                return w, jnp.zeros(len(rows), rows.dtype)

            w, c = remove(w) if first == 0 else jax.lax.cond(j >= first, remove, skip, w)
            components.append(c)
        return w, jnp.concatenate(components)

    def combine(self, coefficients: Array) -> Params:
        """The vector ``V c``, complex where the coefficients or the basis are."""
        real = not jnp.iscomplexobj(jtu.tree_leaves(self.blocks)[0])
        if jnp.iscomplexobj(coefficients) and real:
            # A real basis is not copied into complex numbers for the sake of its coefficients.
            parts = (self.combine(coefficients.real), self.combine(coefficients.imag))
            return jtu.tree_map(jax.lax.complex, *parts)
        ends = self._firsts[1:]
        sums = map(_weighted_sum, jnp.split(coefficients, ends), self.blocks)
        return ft.reduce(add, sums)


def inner_product(x: Params, y: Params) -> Scalar:
    """``x^* y``, the first one conjugated."""
    return _components(jtu.tree_map(lambda leaf: leaf[None], x), y)[0]


def _components(block: Params, vector: Params) -> Array:
    """``V^* w`` for the rows of one block, leaf by leaf."""

    def of_leaf(rows: Array, leaf: Array) -> Array:
        axes = (tuple(range(1, rows.ndim)), tuple(range(leaf.ndim)))
        # The vector is conjugated and not the basis, of which that would make a copy.
        return jnp.conj(jnp.tensordot(rows, jnp.conj(leaf), axes=axes, precision="highest"))

    return ft.reduce(operator.add, jtu.tree_leaves(jtu.tree_map(of_leaf, block, vector)))


def _weighted_sum(coefficients: Array, block: Params) -> Params:
    """``V c`` for the rows of one block; as a sum, which the compiler fuses."""

    def of_leaf(rows: Array) -> Array:
        terms = [c * row for c, row in zip(coefficients, rows, strict=True)]
        return ft.reduce(operator.add, terms)

    return jtu.tree_map(of_leaf, block)
