"""The Krylov space of a vector: Lanczos and Arnoldi over pytrees, fully orthogonalised."""

import functools as ft
import operator
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu

from .._custom_types import Array, Flag, Integer, Params, Scalar
from .._vectors import norm, real_dtype, scaled, subtract
from .hessian import Matvec

# A new direction shorter than this many roundings of A is noise: the space is invariant.
_BREAKDOWN = 64


class KrylovSpace(eqx.Module):
    r"""An orthonormal basis ``V`` of the space ``b, A b, A^2 b, ...`` and ``A`` within it.

    .. math:: A V_m = V_m T_m + \beta_m\, q\, e_m^T, \qquad V_m^* V_m = I, \qquad b = |b|\, V_m e_1

    Attributes:
        basis: The vectors, a tree with a leading axis of length ``k``; zero beyond the `count`.
        projected: ``T``, shape ``(k, k)``; zero beyond the `count`.
        residual: ``beta_m``, the length of the next direction; zero if the space is invariant.
        length: ``|b|``.
        count: ``m``, how many vectors there are, at least 1 and at most ``k``.
    """

    basis: Params
    projected: Array
    residual: Scalar
    length: Scalar
    count: Integer


def krylov_space(
    matvec: Matvec,
    vector: Params,
    num_matvecs: int,
    enough: Callable[[Array, Scalar, Integer], Flag],
) -> KrylovSpace:
    """Grow the space until it is invariant, `enough`, or `num_matvecs` products were spent.

    Every new direction is made orthogonal to all others, twice: a single pass loses orthogonality
    as soon as an eigenvalue is found, and then finds it again. On real vectors the projected matrix
    is made tridiagonal (Lanczos); on complex ones it is upper Hessenberg (Arnoldi, with the
    conjugated inner product, which cannot break down early as the unconjugated one can).

    Arguments:
        matvec: ``A``.
        vector: ``b``.
        num_matvecs: ``k``.
        enough: From the projected matrix, the residual and the count to whether to stop.
    """
    dtype = jtu.tree_leaves(vector)[0].dtype
    real = real_dtype(vector)
    length = norm(vector)
    start = scaled(1 / jnp.where(length > 0, length, 1), vector)
    basis = jtu.tree_map(lambda leaf: jnp.zeros((num_matvecs, *leaf.shape), dtype), vector)
    noise = _BREAKDOWN * float(jnp.finfo(real).eps)

    def grow(carry, j):
        basis, v, T, residual, magnitude, active, count = carry
        basis = jtu.tree_map(lambda rows, row: rows.at[j].set(row), basis, v)

        def expand(v):
            w = matvec(v)
            size = norm(w)
            first = _components(basis, w)
            w = subtract(w, _combine(first, basis))
            second = _components(basis, w)
            return subtract(w, _combine(second, basis)), first + second, size

        def rest(v):
            return v, jnp.zeros(num_matvecs, dtype), jnp.zeros((), real)

        w, column, size = jax.lax.cond(active, expand, rest, v)
        magnitude = jnp.maximum(magnitude, size)
        beta = norm(w)
        T = T.at[:, j].set(column)
        count = count + active.astype(count.dtype)
        residual = jnp.where(active, jnp.where(beta > noise * magnitude, beta, 0), residual)
        active = active & (residual > 0) & (j + 1 < num_matvecs)
        active = active & ~jax.lax.cond(active, lambda: enough(T, residual, count), lambda: False)
        beta = jnp.where(active, residual, 1)
        v = jtu.tree_map(lambda leaf: jnp.where(active, leaf / beta.astype(dtype), 0), w)
        # The entry is only there if the vector is: beyond `count` everything is zero.
        below = jnp.where(active, residual, 0).astype(dtype)
        T = T.at[jnp.minimum(j + 1, num_matvecs - 1), j].add(
            jnp.where(j + 1 < num_matvecs, below, 0)
        )
        return (basis, v, T, residual, magnitude, active, count), None

    carry = (
        basis,
        start,
        jnp.zeros((num_matvecs, num_matvecs), dtype),
        jnp.zeros((), real),
        jnp.zeros((), real),
        jnp.asarray(True),
        jnp.asarray(0),
    )
    (basis, _, T, residual, _, _, count), _ = jax.lax.scan(grow, carry, jnp.arange(num_matvecs))
    return KrylovSpace(basis, T, residual, length, count)


def combine(coefficients: Array, basis: Params) -> Params:
    """The vector ``V c``, complex where the coefficients or the basis are."""
    if jnp.iscomplexobj(coefficients) and not jnp.iscomplexobj(jtu.tree_leaves(basis)[0]):
        # A real basis is not copied into complex numbers for the sake of its coefficients.
        parts = (_combine(coefficients.real, basis), _combine(coefficients.imag, basis))
        return jtu.tree_map(jax.lax.complex, *parts)
    return _combine(coefficients, basis)


def _combine(coefficients: Array, basis: Params) -> Params:
    return jtu.tree_map(
        lambda rows: jnp.tensordot(coefficients, rows, axes=1, precision="highest"), basis
    )


def _components(basis: Params, vector: Params) -> Array:
    """``V^* w``, leaf by leaf."""

    def of_leaf(rows: Array, leaf: Array) -> Array:
        axes = (tuple(range(1, rows.ndim)), tuple(range(leaf.ndim)))
        # The vector is conjugated and not the basis, of which that would make a copy.
        return jnp.conj(jnp.tensordot(rows, jnp.conj(leaf), axes=axes, precision="highest"))

    parts = jtu.tree_leaves(jtu.tree_map(of_leaf, basis, vector))
    return ft.reduce(operator.add, parts)
