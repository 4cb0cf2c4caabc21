"""Examples: slices of the data, for a loss that is the mean over them."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.tree_util as jtu

from .._custom_types import Array, PyTree, Scalar
from .._errors import InvalidLossError, InvalidOptionError

# How far a mean over examples may be from the loss of all, in rounding units of the loss.
_ROUNDING = 1e4


def number_of_examples(args: PyTree[Any]) -> int:
    """The length of the first axis of all arrays of `args`, or an `InvalidOptionError`."""
    leaves = [leaf for leaf in jtu.tree_leaves(args) if eqx.is_array(leaf)]
    lengths = {leaf.shape[:1] for leaf in leaves}
    if len(lengths) != 1 or lengths == {()}:
        shapes = [leaf.shape for leaf in leaves]
        raise InvalidOptionError(
            "examples are slices of args, whose arrays must all have one first axis, that of "
            f"the examples; here the shapes are {shapes}. Pass the data as args=(x, y), and what "
            "is no data inside the loss."
        )
    [(n,)] = lengths
    return n


def examples(args: PyTree[Any], indices: Array) -> PyTree[Any]:
    """The examples with these numbers, as `args` of a loss."""
    return jtu.tree_map(lambda leaf: leaf[indices] if eqx.is_array(leaf) else leaf, args)


def require_mean(whole: Scalar, mean: Scalar, of: str, wanted_by: str) -> None:
    """Raise an `InvalidLossError` unless a loss of examples is the mean of the losses of each."""
    rounding = _ROUNDING * float(jnp.finfo(whole.dtype).eps)
    if abs(float(whole - mean)) > rounding * (1 + abs(float(whole))):
        raise InvalidLossError(
            f"the loss of {of} is {float(whole):.6g}, but the mean of their losses is "
            f"{float(mean):.6g}. {wanted_by} needs a loss that is the mean over the first axis of "
            "args: for example jnp.mean(...) instead of jnp.sum(...), and no normalisation over a "
            "batch."
        )
