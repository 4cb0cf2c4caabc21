r"""An interior-point method for complementarity: slower than Newton's, and safe from anywhere.

Primal and dual are kept positive definite, ``X = G L G^T`` and ``Y = G^{-T} L G^{-1}`` with one
matrix ``G`` and one diagonal ``L`` (the scaling of Nesterov and Todd). A step aims at
``Y = A + B[X]`` and ``X Y = mu 1`` with ``mu`` on its way to zero. In the scaled variables
``G^{-1} X G^{-T}`` and ``G^T Y G``, both equal to ``L``, its equation is

.. math:: (1 + \tilde B)\, dx = s - r, \qquad dy = s - dx, \qquad \tilde B[x] = G^T B[G x G^T] G

with ``r`` the scaled residual: positive definite for every positive semidefinite ``B``, zero
included. Only ``G`` and its inverse are updated, from products of well-conditioned matrices, so
that both variables stay positive definite to the last digit.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.linalg import cho_solve, solve_triangular

from ..._custom_types import Array, Flag, Float, Integer, Scalar
from ..eigen import symmetric_eigen
from .packed import pack, pack_congruence, unpack

_MAX_ITERATIONS = 60
# Steps stop this part of the way to the boundary.
_SHORT_OF_BOUNDARY = 0.98
# Shorter steps lead nowhere: the problem has no solution, or rounding rules.
_SHORTEST_STEP = 1e-5


class InteriorPointResult(eqx.Module):
    """Where the interior-point method ended.

    Attributes:
        X: Positive definite.
        Y: Positive definite, and nearly ``A + B[X]``.
        error: A bound on the relative residual.
        iterations: How many steps were made.
    """

    X: Float[Array, "k k"]
    Y: Float[Array, "k k"]
    error: Scalar
    iterations: Integer


class _State(eqx.Module):
    G: Array  # X = G L G^T
    H: Array  # Y = H L H^T, the transposed inverse of G
    L: Array
    R: Array
    X: Array
    Y: Array
    error: Scalar
    best_X: Array
    best_Y: Array
    best_error: Scalar
    step: Scalar
    iterations: Integer


def interior_point(
    A: Float[Array, "k k"], M: Float[Array, "m m"], tolerance: Scalar
) -> InteriorPointResult:
    """Iterate from multiples of the identity until the error is at most the tolerance.

    It ends after 60 iterations at most, and earlier where steps become short.

    Arguments:
        A: The constant.
        M: ``B``, packed.
        tolerance: For the relative residual of complementarity.

    Returns:
        The best iterate. Not converged where its error is above the tolerance.
    """
    k, dtype = A.shape[0], A.dtype
    a = pack(A)
    identity = jnp.eye(k, dtype=dtype)
    scale = jnp.linalg.norm(a)

    def evaluate(G: Array, H: Array, L: Array) -> tuple[Array, Array, Array, Scalar]:
        X = (G * L[None, :]) @ G.T
        Y = (H * L[None, :]) @ H.T
        R = a + M @ pack(X) - pack(Y)
        # X Y = G L^2 H^T with G^T H = 1.
        product = jnp.linalg.norm((G * (L**2)[None, :]) @ H.T)
        error = (jnp.linalg.norm(R) + product / jnp.linalg.norm(X)) / scale
        return X, Y, R, error

    def unfinished(state: _State) -> Flag:
        return (
            (state.best_error > tolerance)
            & (state.iterations < _MAX_ITERATIONS)
            & (state.step > _SHORTEST_STEP)
            & jnp.isfinite(state.error)
        )

    def step(state: _State) -> _State:
        G, H, L = state.G, state.H, state.L
        # The packed congruence is the adjoint of that with the transposed matrix.
        P = pack_congruence(G)
        transposed = P.T
        r = transposed @ state.R
        system = transposed @ (M @ P) + jnp.eye(len(a), dtype=dtype)
        factor = (jnp.linalg.cholesky(system, symmetrize_input=False), True)
        sums = (L[:, None] + L[None, :]) / 2

        def direction(target: Array) -> tuple[Array, Array]:
            dx = cho_solve(factor, pack(target / sums) - r)
            # Not s - dx, with which rounding would let the residual grow.
            dy = transposed @ (state.R + M @ (P @ dx))
            return unpack(dx, k), unpack(dy, k)

        def longest(dx: Array, dy: Array) -> Scalar:
            scaling = 1 / jnp.sqrt(L)
            both = jnp.stack([dx, dy]) * scaling[None, :, None] * scaling[None, None, :]
            lowest = jnp.min(jax.vmap(lambda d: symmetric_eigen(d)[0][0])(both))
            reach = -1 / jnp.minimum(lowest, -_SHORT_OF_BOUNDARY)
            return jnp.minimum(1, _SHORT_OF_BOUNDARY * reach)

        squares = jnp.diag(L**2)
        dx, dy = direction(-squares)
        affine = longest(dx, dy)
        mu = jnp.sum(L**2) / k
        L_matrix = jnp.diag(L)
        after = jnp.sum((L_matrix + affine * dx) * (L_matrix + affine * dy)) / k
        centring = jnp.clip(after / mu, 0, 1) ** 3
        second_order = (dx @ dy + dy @ dx) / 2
        dx, dy = direction(centring * mu * identity - squares - second_order)
        length = longest(dx, dy)
        x, y = L_matrix + length * dx, L_matrix + length * dy

        # The scaling of the new pair: x = C C^T and C^T y C = V d V^T.
        C = jnp.linalg.cholesky(x, symmetrize_input=True)
        d, V = symmetric_eigen(C.T @ y @ C)
        d = jnp.maximum(d, 0)
        root = d**0.25
        G = G @ ((C @ V) / root[None, :])
        H = H @ (solve_triangular(C, V, lower=True, trans=1) * root[None, :])
        H = H @ (2 * identity - G.T @ H)  # keeps it the transposed inverse of G
        L = jnp.sqrt(d)
        X, Y, R, error = evaluate(G, H, L)
        better = error < state.best_error
        return _State(
            G,
            H,
            L,
            R,
            X,
            Y,
            error,
            jnp.where(better, X, state.best_X),
            jnp.where(better, Y, state.best_Y),
            jnp.where(better, error, state.best_error),
            length,
            state.iterations + 1,
        )

    L = jnp.full(k, scale)
    X, Y, R, error = evaluate(identity, identity, L)
    one = jnp.ones((), dtype)
    state = _State(identity, identity, L, R, X, Y, error, X, Y, error, one, jnp.asarray(0))
    state = jax.lax.while_loop(unfinished, step, state)
    return InteriorPointResult(state.best_X, state.best_Y, state.best_error, state.iterations)
