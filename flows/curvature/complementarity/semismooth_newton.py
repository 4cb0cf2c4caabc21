r"""Newton's method for complementarity, which is fast near a solution and may fail far from one.

Any symmetric ``Z`` is the difference of two positive semidefinite matrices with product zero,
``Z = Z_+ - Z_-``. So complementarity is one equation, with ``X = Z_+``:

.. math:: G(Z) = Z_- - A - B[Z_+] = 0

In the eigenvectors of ``Z`` the derivative of ``Z_+`` multiplies entry by entry with
``D_ij = (z_i^+ - z_j^+) / (z_i - z_j)``, between 0 and 1. With ``dX = sqrt(D) v`` Newton's
equation becomes positive definite, and nothing is divided by:

.. math:: (1 - D + \sqrt D\, B\, \sqrt D)\, v = \sqrt D\, G, \qquad dZ = dX + G - B[dX]
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve

from ..._custom_types import Array, Flag, Float, Integer, Scalar
from ..eigen import symmetric_eigen
from .packed import pack, pack_congruence, unpack

_MAX_ITERATIONS = 12
# What is added along X, as a part of the residual: B may be singular there.
_DAMPING = 1e-3


class NewtonResult(eqx.Module):
    """Where Newton's method ended.

    Attributes:
        X: ``Z_+``, positive semidefinite.
        error: ``|G| / |A|``, which bounds the relative residual.
        iterations: How many equations were solved.
    """

    X: Float[Array, "k k"]
    error: Scalar
    iterations: Integer


class _State(eqx.Module):
    Z: Array
    values: Array
    vectors: Array
    G: Array
    X: Array
    error: Scalar
    best_X: Array
    best_error: Scalar
    iterations: Integer


def semismooth_newton(
    A: Float[Array, "k k"], M: Float[Array, "m m"], start: Float[Array, "k k"], tolerance: Scalar
) -> NewtonResult:
    """Iterate from `start` until the error is at most the tolerance, at most 12 times.

    Arguments:
        A: The constant.
        M: ``B``, packed.
        start: ``Z``.
        tolerance: For ``|G|``, relative to ``|A|``.

    Returns:
        The best iterate. Not converged where its error is above the tolerance.
    """
    k = A.shape[0]
    a = pack(A)
    scale = jnp.linalg.norm(a)
    scale = jnp.where(scale > 0, scale, 1)  # for A = 0 the start is exact
    floor = 10 * float(jnp.finfo(A.dtype).eps)

    def evaluate(Z: Array) -> tuple[Array, ...]:
        values, vectors = symmetric_eigen(Z)
        X = (vectors * jnp.maximum(values, 0)[None, :]) @ vectors.T
        below = (vectors * jnp.maximum(-values, 0)[None, :]) @ vectors.T
        G = pack(below) - a - M @ pack(X)
        return values, vectors, G, X, jnp.linalg.norm(G) / scale

    def unfinished(state: _State) -> Flag:
        return (
            (state.best_error > tolerance)
            & (state.iterations < _MAX_ITERATIONS)
            & jnp.isfinite(state.error)
        )

    def step(state: _State) -> _State:
        P = pack_congruence(state.vectors)
        B = P.T @ (M @ P)
        G = P.T @ state.G
        D = pack_slopes(state.values)
        root = jnp.sqrt(D)
        damping = jnp.clip(_DAMPING * state.error, floor, _DAMPING)
        system = root[:, None] * B * root[None, :] + jnp.diag(1 - D + damping * D)
        v = cho_solve((jnp.linalg.cholesky(system, symmetrize_input=False), True), root * G)
        dX = root * v
        Z = state.Z + unpack(P @ (dX + G - B @ dX), k)
        values, vectors, G, X, error = evaluate(Z)
        better = error < state.best_error
        return _State(
            Z,
            values,
            vectors,
            G,
            X,
            error,
            jnp.where(better, X, state.best_X),
            jnp.where(better, error, state.best_error),
            state.iterations + 1,
        )

    values, vectors, G, X, error = evaluate(start)
    state = _State(start, values, vectors, G, X, error, X, error, jnp.asarray(0))
    state = jax.lax.while_loop(unfinished, step, state)
    return NewtonResult(state.best_X, state.best_error, state.iterations)


def pack_slopes(values: Float[Array, " k"]) -> Float[Array, " m"]:
    """``D``, packed without weights: it multiplies entries."""
    rows, columns = jnp.triu_indices(values.shape[0])
    high, low = values[columns], values[rows]  # in increasing order
    mixed = (high > 0) & (low <= 0)
    between = jnp.where(mixed, high / jnp.where(mixed, high - low, 1), 0)
    return jnp.where(low > 0, 1, between)
