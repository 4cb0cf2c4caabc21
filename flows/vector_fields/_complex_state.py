"""Complex parameters as a state of real numbers, which is what solvers take."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu

from .._custom_types import Flag, PyTree


class ComplexState(eqx.Module):
    """A tree of complex arrays, held as two trees of real ones.

    Attributes:
        real: The real parts.
        imaginary: The imaginary parts.
    """

    real: PyTree[Any]
    imaginary: PyTree[Any]

    @property
    def is_real(self) -> Flag:
        """Whether every imaginary part is exactly zero."""
        leaves = jtu.tree_leaves(self.imaginary)
        return jnp.all(jnp.stack([jnp.all(leaf == 0) for leaf in leaves]))


def split(tree: PyTree[Any]) -> ComplexState:
    """Complex (or real) arrays into their parts."""
    return ComplexState(jtu.tree_map(jnp.real, tree), jtu.tree_map(jnp.imag, tree))


def join(state: ComplexState) -> PyTree[Any]:
    """The complex arrays again."""
    return jtu.tree_map(jax.lax.complex, state.real, state.imaginary)
