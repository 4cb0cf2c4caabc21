"""Lineax, optimistix and diffrax within a loss, against closed forms at complex parameters."""

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import optimistix as optx
import pytest

import flows
from flows._continuation import continued

A = np.array([[2.0, 0.3], [0.1, 3.0]])
Z = np.array([0.3 + 0.1j, 0.5 - 0.2j])
V = np.array([0.2 - 0.4j, 1 + 0.3j])


def derivatives(function, point, direction):
    """Value, gradient and Hessian-vector product at one point."""
    continuation = continued(function)
    gradient = jax.grad(continuation, holomorphic=True)
    return jax.jit(lambda z, v: (continuation(z), *jax.jvp(gradient, (z,), (v,))))(
        jnp.asarray(point), jnp.asarray(direction)
    )


def test_linear_solve():
    """Of ``(A + diag x) y = x``: ``sum y`` has the gradient ``w - w y`` with ``(.)^T w = 1``."""

    def loss(x):
        operator = lx.MatrixLinearOperator(jnp.asarray(A) + jnp.diag(x))
        return jnp.sum(lx.linear_solve(operator, x).value)

    value, gradient, product = derivatives(loss, Z, V)
    inverse = np.linalg.inv(A + np.diag(Z))
    y, w = inverse @ Z, inverse.T @ np.ones(2)
    dy, dw = inverse @ (V - V * y), -inverse.T @ (V * w)
    np.testing.assert_allclose(value, np.sum(y), rtol=1e-13)
    np.testing.assert_allclose(gradient, w - w * y, rtol=1e-12)
    np.testing.assert_allclose(product, dw - dw * y - w * dy, rtol=1e-12)


def test_an_iterative_solver_takes_complex_right_hand_sides():
    def solution(x):
        operator = lx.MatrixLinearOperator(jnp.asarray(A + A.T), lx.positive_semidefinite_tag)
        return lx.linear_solve(operator, x, lx.CG(1e-12, 1e-12)).value

    y, gradient, _ = derivatives(lambda x: jnp.sum(solution(x) ** 2), Z, V)
    inverse = np.linalg.inv(A + A.T)
    np.testing.assert_allclose(y, np.sum((inverse @ Z) ** 2), rtol=1e-12)
    np.testing.assert_allclose(gradient, 2 * inverse @ inverse @ Z, rtol=1e-12)


def test_least_squares_are_refused():
    def loss(x):
        operator = lx.MatrixLinearOperator(jnp.ones((3, 1)))
        solver = lx.AutoLinearSolver(well_posed=None)
        return jnp.sum(lx.linear_solve(operator, x[0] * jnp.arange(3.0), solver).value)

    with pytest.raises(flows.ContinuationError, match="least-squares"):
        continued(loss)(jnp.asarray(Z))


def conjugate_gradients(x):
    operator = lx.MatrixLinearOperator(jnp.diag(2 + x**2), lx.positive_semidefinite_tag)
    return jnp.sum(lx.linear_solve(operator, x, lx.CG(1e-12, 1e-12)).value)


def root(x):
    solver = optx.Newton(1e-12, 1e-12)
    return jnp.sum(optx.root_find(lambda y, x: y**3 + y - x, solver, x, args=x).value)


def differential_equation(x):
    term, solver = dfx.ODETerm(lambda t, y, args: -(y**3)), dfx.Tsit5()
    return jnp.sum(dfx.diffeqsolve(term, solver, 0.0, 1.0, 0.25, x, max_steps=16).ys)


@pytest.mark.parametrize(
    ("loss", "second"),
    [(conjugate_gradients, True), (root, False), (differential_equation, False)],
)
def test_what_stops_by_a_norm_is_right_at_real_points_and_refused_at_others(loss, second):
    """The derivatives of the two that are solved once; the second where it is cheap."""
    x, v = Z.real, V.real
    continuation = eqx.filter_jit(jax.value_and_grad(continued(loss), holomorphic=True))
    actual = continuation(jnp.asarray(x + 0j))
    expected = jax.jit(jax.value_and_grad(loss))(jnp.asarray(x))
    np.testing.assert_allclose(actual[0], expected[0], rtol=1e-13)
    np.testing.assert_allclose(actual[1], expected[1], rtol=1e-12)
    if second:
        expected = jax.jvp(jax.grad(loss), (jnp.asarray(x),), (jnp.asarray(v),))[1]
        np.testing.assert_allclose(derivatives(loss, x + 0j, v + 0j)[2], expected, rtol=1e-11)
    line = rf"in the loss \(.*test_solvers_in_a_loss\.py:\d+ \({loss.__name__}"
    with pytest.raises(Exception, match=line):
        continuation(jnp.asarray(Z))
