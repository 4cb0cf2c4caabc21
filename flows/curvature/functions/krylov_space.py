"""The Krylov space of a vector: Lanczos and Arnoldi over pytrees, fully orthogonalised."""

import functools as ft
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu

from ..._custom_types import Array, Flag, Integer, Params, Scalar
from ..._vectors import add_scaled, norm, real_dtype, scaled
from ..basis import Basis, inner_product
from ..eigen import eigen
from ..hessian import Matvec

# A new direction shorter than this many roundings of A is noise: the space is invariant.
_BREAKDOWN = 64
# A pass that leaves less than this much of a vector has left it with too large an error.
_MUCH = 0.5**0.5


class KrylovSpace(eqx.Module):
    r"""An orthonormal basis ``V`` of the space ``b, A b, A^2 b, ...`` and ``A`` within it.

    .. math:: A V_m = V_m T_m + \beta_m\, q\, e_m^T, \qquad V_m^* V_m = I, \qquad b = |b|\, V_m e_1

    Attributes:
        basis: The vectors, ``k`` of them; zero beyond the `count`.
        projected: ``T``, shape ``(k, k)``; zero beyond the `count`.
        residual: ``beta_m``, the length of the next direction; zero if the space is invariant.
        length: ``|b|``.
        count: ``m``, how many vectors there are, at least 1 and at most ``k``.
    """

    basis: Basis
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

    Every new direction is made orthogonal to the last two, which hold nearly all that there is to
    remove, and then to all: without that, orthogonality is lost as soon as an eigenvalue is found,
    which is then found again. Where that pass still removed much, it is made once more. On real
    vectors the projected matrix is tridiagonal (Lanczos); on complex ones it is upper Hessenberg
    (Arnoldi, with the conjugated inner product, which cannot break down early as the unconjugated
    one can).

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
    noise = _BREAKDOWN * float(jnp.finfo(real).eps)

    def grow(carry, j):
        basis, before, v, T, residual, magnitude, active, count = carry
        basis = basis.with_vector(j, v)

        def expand(v):
            w = matvec(v)
            size = norm(w)
            column = jnp.zeros(num_matvecs, dtype)
            for row, i in ((before, j - 1), (v, j)):
                component = inner_product(row, w)
                w = add_scaled(w, -component, row)
                column = column.at[i].add(component)
            (w, _, column), _ = jax.lax.scan(
                ft.partial(_again, basis, j), (w, jnp.asarray(True), column), None, length=2
            )
            return w, column, size

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
        after = jtu.tree_map(lambda leaf: jnp.where(active, leaf / beta.astype(dtype), 0), w)
        # The entry is only there if the vector is: beyond `count` everything is zero.
        below = jnp.where(active, residual, 0).astype(dtype)
        T = T.at[jnp.minimum(j + 1, num_matvecs - 1), j].add(
            jnp.where(j + 1 < num_matvecs, below, 0)
        )
        return (basis, v, after, T, residual, magnitude, active, count), None

    carry = (
        Basis.empty(start, num_matvecs),
        jtu.tree_map(jnp.zeros_like, start),
        start,
        jnp.zeros((num_matvecs, num_matvecs), dtype),
        jnp.zeros((), real),
        jnp.zeros((), real),
        jnp.asarray(True),
        jnp.asarray(0),
    )
    (basis, _, _, T, residual, _, _, count), _ = jax.lax.scan(grow, carry, jnp.arange(num_matvecs))
    return KrylovSpace(basis, T, residual, length, count)


def _again(basis: Basis, j: Integer, carry: tuple[Params, Flag, Array], _: None) -> Any:
    """A pass over the basis, if it is needed: after one that removed much, it is."""

    def orthogonalise(w, column):
        left, removed = basis.orthogonalise(w, j)
        return left, norm(left) < _MUCH * norm(w), column + removed

    def rest(w, column):
        return w, jnp.asarray(False), column

    w, needed, column = carry
    return jax.lax.cond(needed, orthogonalise, rest, w, column), None


def ritz(T: Array, count: Integer) -> tuple[Array, Array, Array]:
    """Eigenvalues and eigenvectors (columns) of ``T``, and the components of ``e_1`` along them.

    Where the space has fewer than ``k`` vectors, an eigenvalue is repeated with a component of
    zero.
    """
    T, filling = filled(T, count)
    values, vectors, inverse = eigen(T)
    return without(filling, values), vectors, inverse[:, 0]


def filled(T: Array, count: Integer) -> tuple[Array, Scalar]:
    """``T`` with a number that is no eigenvalue on the diagonal beyond `count`, and that number.

    So what belongs to the rows that are not there can be told from the spectrum. A real ``T`` is
    symmetric but for rounding, in what is above the diagonal.
    """
    if not jnp.iscomplexobj(T):
        below = jnp.diagonal(T, -1)
        T = jnp.diag(jnp.diagonal(T)) + jnp.diag(below, -1) + jnp.diag(below, 1)
    filling = jax.lax.stop_gradient(1 + 2 * jnp.max(jnp.sum(jnp.abs(T), axis=1)))
    diagonal = jnp.where(jnp.arange(T.shape[0]) < count, jnp.zeros_like(filling), filling)
    return T + jnp.diag(diagonal.astype(T.dtype)), filling


def without(filling: Scalar, eigenvalues: Array) -> Array:
    """The eigenvalues, another one in the place of each that is the filling."""
    of_filling = jnp.abs(eigenvalues - filling.astype(eigenvalues.dtype)) < filling / 4
    return jnp.where(of_filling, eigenvalues[jnp.argmin(of_filling)], eigenvalues)
