"""Pytrees as vectors: leaf by leaf, so that a sharded tree is never gathered into one array."""

import functools as ft
import operator
from typing import Any

import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np

from ._custom_types import Array, Flag, PyTree, Scalar


def size(tree: PyTree[Any]) -> int:
    """How many numbers the tree holds."""
    return sum(leaf.size for leaf in jtu.tree_leaves(tree))


def byte_count(tree: PyTree[Array]) -> int:
    """The memory that a tree takes."""
    return size(tree) * real_dtype(tree).itemsize


def ravel(tree: PyTree[Any]) -> Array:
    """All numbers of the tree in one array: for small trees only."""
    return jnp.concatenate([jnp.ravel(leaf) for leaf in jtu.tree_leaves(tree)])


def unravel(flat: Array, like: PyTree[Any]) -> PyTree[Any]:
    """The tree of the shape of `like` that `flat` is the array of; the dtype is that of `flat`."""
    leaves, structure = jtu.tree_flatten(like)
    ends = np.cumsum([leaf.size for leaf in leaves])[:-1]
    parts = jnp.split(flat, ends)
    return structure.unflatten(
        part.reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)
    )


def real_dtype(tree: PyTree[Any]) -> jnp.dtype:
    """The real dtype of the tree's numbers (they all agree; see `_checks.split_params`)."""
    dtypes = (leaf.dtype for leaf in jtu.tree_leaves(tree))
    return jnp.finfo(next(d for d in dtypes if jnp.issubdtype(d, jnp.inexact))).dtype


def add(x: PyTree[Any], y: PyTree[Any]) -> PyTree[Any]:
    """`x + y`."""
    return jtu.tree_map(operator.add, x, y)


def subtract(x: PyTree[Any], y: PyTree[Any]) -> PyTree[Any]:
    """`x - y` in the dtype of `x`."""
    return jtu.tree_map(lambda a, b: a - b.astype(a.dtype), x, y)


def add_scaled(x: PyTree[Any], scale: float | Array, y: PyTree[Any]) -> PyTree[Any]:
    """`x + scale * y` in the dtype of `x`, whatever those of the scale and of `y`."""
    return jtu.tree_map(
        lambda a, b: a + jnp.asarray(scale).astype(a.dtype) * b.astype(a.dtype), x, y
    )


def scaled(scale: float | Array, x: PyTree[Any]) -> PyTree[Any]:
    """`scale * x`, each leaf in its own dtype."""
    return jtu.tree_map(lambda a: jnp.asarray(scale).astype(a.dtype) * a, x)


def combination(*terms: tuple[float, PyTree[Any]]) -> PyTree[Any]:
    """The sum of `coefficient * tree` over the terms."""
    (coefficient, tree), *rest = terms
    total = scaled(coefficient, tree)
    for coefficient, tree in rest:
        total = add_scaled(total, coefficient, tree)
    return total


def unit_of(tree: PyTree[Any]) -> Scalar:
    """About the largest modulus of an entry: in this unit squares neither over- nor underflow.

    A power of two, so that dividing by it rounds nothing, and such that its inverse is a number
    too. It has no derivative, as what it is used for must not depend on it.
    """
    parts = [
        part
        for leaf in jtu.tree_leaves(jax.lax.stop_gradient(tree))
        for part in ((leaf.real, leaf.imag) if jnp.iscomplexobj(leaf) else (leaf,))
    ]
    largest = ft.reduce(jnp.maximum, [jnp.max(jnp.abs(part), initial=0) for part in parts])
    numbers = jnp.finfo(largest.dtype)
    # Away from the subnormal numbers, which are flushed to zero; zero itself is taken for one.
    least = 64 * float(numbers.tiny)
    largest = jnp.clip(jnp.where(largest > 0, largest, 1), least, 1 / least)
    return jax.lax.reduce_precision(largest, exponent_bits=numbers.nexp, mantissa_bits=0)


def norm(tree: PyTree[Any]) -> Scalar:
    """The Euclidean norm over all leaves, complex ones by modulus; its gradient at zero is zero.

    It is finite and not zero wherever it is a number of the dtype that is neither, and not finite
    where an entry is not.
    """
    unit = unit_of(tree)
    leaves = [leaf * (1 / unit).astype(leaf.dtype) for leaf in jtu.tree_leaves(tree)]
    squares = [jnp.sum(jnp.real(a * jnp.conj(a))) for a in leaves]
    total = ft.reduce(operator.add, squares)
    # A square root has no derivative at zero, where flow and iterate start together.
    positive = total > 0
    root = jnp.where(positive, jnp.sqrt(jnp.where(positive, total, jnp.ones_like(total))), total)
    return unit * root


def select(predicate: Flag, x: PyTree[Any], y: PyTree[Any]) -> PyTree[Any]:
    """`x` where the predicate holds, else `y`."""
    return jtu.tree_map(ft.partial(jax.lax.select, predicate), x, y)
