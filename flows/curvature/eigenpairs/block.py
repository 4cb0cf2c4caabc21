"""Some vectors over a pytree as one tree: each leaf has a leading axis, a row for each vector.

Inner products and sums run leaf by leaf, so that a sharded tree is never gathered. A row of zeros
stands for a vector that is not there.
"""

import functools as ft
import math
import operator

import jax
import jax.numpy as jnp
import jax.tree_util as jtu

from ..._custom_types import Array, Integer, Params, Scalar
from ..._vectors import real_dtype, subtract
from ..eigen import symmetric_eigen
from ..hessian import Matvec

# Rows that a product is taken of at once, if there are as many.
_CHUNK = 4
# How long the lines are over which products are added up at once.
_SHORTEST, _LONGEST = 64, 4096


def rows(block: Params) -> int:
    """How many vectors there is room for."""
    return jtu.tree_leaves(block)[0].shape[0]


def zero_rows(like: Params, p: int) -> Params:
    """Room for `p` vectors of the shapes and dtypes of `like`."""
    return jtu.tree_map(lambda leaf: jnp.zeros((p, *leaf.shape), leaf.dtype), like)


def random_rows(seed: int | Integer, like: Params, p: int) -> Params:
    """`p` vectors with pseudo-random entries, uniform between -1 and 1.

    They only have to be in general position. A hash of each entry's number does for that; JAX' own
    generator would take seconds to compile for trees of some leaves.
    """
    leaves, structure = jtu.tree_flatten(like)
    seeds = jnp.asarray(seed).astype(jnp.uint32) * len(leaves) + jnp.arange(
        len(leaves), dtype=jnp.uint32
    )
    return structure.unflatten(
        _hashed(seeds[i], (p, *leaf.shape), leaf.dtype) for i, leaf in enumerate(leaves)
    )


def _hashed(seed: Array, shape: tuple[int, ...], dtype: jnp.dtype) -> Array:
    """The last steps of the hash MurmurHash3 (A. Appleby), which is in the public domain, twice."""

    def mixed(x: Array) -> Array:
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
            x = (x ^ (x >> shift)) * jnp.uint32(factor)
        return x ^ (x >> 16)

    number = jax.lax.iota(jnp.uint32, math.prod(shape)).reshape(shape)
    return mixed(number ^ mixed(seed + 1)).astype(dtype) * 2.0**-31 - 1


def inner_products(S: Params, W: Params) -> Array:
    """The matrix ``S_i . W_j``.

    A product over a million numbers at once adds them one after the other, which in single
    precision costs half of the digits: so each line of a leaf by itself, then the sum of those.
    """

    def of_leaf(s: Array, w: Array) -> Array:
        by_line = jnp.einsum("plm,qlm->lpq", _lines(s), _lines(w), precision="highest")
        return jnp.sum(by_line, axis=0)

    return ft.reduce(operator.add, jtu.tree_leaves(jtu.tree_map(of_leaf, S, W)))


def _lines(s: Array) -> Array:
    """Vectors as lines, ``(p, lines, length)``: those of the last axis, or parts of a whole."""
    p, n = s.shape[0], math.prod(s.shape[1:])
    if s.ndim > 2 and s.shape[-1] >= _SHORTEST:
        return s.reshape(p, -1, s.shape[-1])
    length = max(1, min(_LONGEST, n))  # a leaf may be empty
    padded = jnp.pad(s.reshape(p, n), ((0, 0), (0, -n % length)))
    return padded.reshape(p, -1, length)


def combined(coefficients: Array, S: Params) -> Params:
    """The vectors ``sum_j c_ij S_j``."""
    return jtu.tree_map(lambda s: jnp.tensordot(coefficients, s, axes=1, precision="highest"), S)


def by_row(factors: Array, S: Params) -> Params:
    """Each vector times its factor."""
    return jtu.tree_map(lambda s: s * factors.reshape(-1, *(1,) * (s.ndim - 1)), S)


def row_norms(S: Params) -> Array:
    """The length of each vector; squares neither over- nor underflow."""
    leaves = jtu.tree_leaves(S)
    axes = [tuple(range(1, s.ndim)) for s in leaves]
    largest = [jnp.max(jnp.abs(s), axis=a, initial=0) for s, a in zip(leaves, axes, strict=True)]
    unit = ft.reduce(jnp.maximum, largest)
    safe = jnp.where(unit > 0, unit, 1)
    leaves = jtu.tree_leaves(by_row(1 / safe, S))
    squares = [jnp.sum(s**2, axis=a) for s, a in zip(leaves, axes, strict=True)]
    return unit * jnp.sqrt(ft.reduce(operator.add, squares))


def placed(S: Params, part: Params, first: int | Integer) -> Params:
    """`S` with the vectors of `part` from row `first` on."""

    def of_leaf(s: Array, w: Array) -> Array:
        return jax.lax.dynamic_update_slice_in_dim(s, w, first, axis=0)

    return jtu.tree_map(of_leaf, S, part)


def image(matvec: Matvec, S: Params, count: Integer) -> Params:
    """The map applied to the first `count` vectors; the others, zero, are mostly passed over."""
    p = rows(S)
    chunk = min(_CHUNK, p)
    chunks = -(-p // chunk)

    def split(s: Array) -> Array:
        padding = jnp.zeros((chunks * chunk - p, *s.shape[1:]), s.dtype)
        return jnp.concatenate([s, padding]).reshape(chunks, chunk, *s.shape[1:])

    def apply(_: None, indexed: tuple[Array, Params]) -> tuple[None, Params]:
        first, part = indexed
        there = first < count
        zeros = ft.partial(jtu.tree_map, jnp.zeros_like)
        return None, jax.lax.cond(there, jax.vmap(matvec), zeros, part)

    firsts = chunk * jnp.arange(chunks)
    _, parts = jax.lax.scan(apply, None, (firsts, jtu.tree_map(split, S)))
    return jtu.tree_map(lambda s: s.reshape(chunks * chunk, *s.shape[2:])[:p], parts)


def orthonormalised(W: Params, S: Params, smallest: Scalar) -> tuple[Params, Integer]:
    """An orthonormal basis of what `W` has beside `S`: as many rows as `W`, and how many count.

    The parts in `S`, whose rows are orthonormal or zero, are removed twice. Vectors of which less
    than `smallest` is left, and combinations that are nothing but rounding, are dropped: what is
    left comes first and zeros after it.
    """
    eps = float(jnp.finfo(real_dtype(W)).eps)
    W = _removed(_removed(W, S), S)
    lengths = row_norms(W)
    there = lengths > smallest
    W = by_row(jnp.where(there, 1 / jnp.where(there, lengths, 1), 0), W)
    # The first pass leaves errors of a part of 1 where vectors were nearly dependent.
    W = _whitened(W, 16 * rows(W) * eps)
    W = _whitened(_removed(W, S), 0.1)
    return W, jnp.sum(row_norms(W) > 0)


def _removed(W: Params, S: Params) -> Params:
    return subtract(W, combined(inner_products(W, S), S))


def _whitened(W: Params, smallest: float) -> Params:
    """Orthonormal combinations by the Gram matrix, but for those with less than `smallest`."""
    values, vectors = symmetric_eigen(inner_products(W, W))
    values, vectors = values[::-1], vectors[:, ::-1]
    there = values > smallest
    factors = jnp.where(there, 1 / jnp.sqrt(jnp.where(there, values, 1)), 0)
    return combined(factors[:, None] * vectors.T, W)
