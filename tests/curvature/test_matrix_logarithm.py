"""log(M) / (M - I) of general matrices, against mpmath and against the exponential."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.linalg

from flows.curvature.functions.matrix_logarithm import logarithm_ratio

ratio = jax.jit(logarithm_ratio, static_argnums=0)


def logarithm(branch, M):
    M = np.asarray(M)
    return np.asarray(ratio(branch, jnp.asarray(M))) @ (M - np.eye(len(M)))


def with_spectrum(eigenvalues, seed=0):
    """A general real matrix: blocks [[a, -b], [b, a]] for complex numbers, turned and sheared."""
    blocks = [
        np.array([[z.real, -z.imag], [z.imag, z.real]]) if np.iscomplex(z) else np.array([[z.real]])
        for z in map(complex, eigenvalues)
    ]
    matrix = scipy.linalg.block_diag(*blocks)
    turn = np.random.default_rng(seed).standard_normal(matrix.shape) + 2 * np.eye(len(matrix))
    return turn @ matrix @ np.linalg.inv(turn)


@pytest.mark.parametrize("eigenvalues", [(0.5, 0.3 + 1j), (2.0, 30.0, 1e-4), (1.1, -0.2 + 0.9j)])
def test_against_mpmath(eigenvalues):
    M = with_spectrum(eigenvalues)
    with mpmath.workdps(40):
        exact = mpmath.logm(mpmath.matrix(M)) * mpmath.inverse(mpmath.matrix(M) - mpmath.eye(3))
    exact = np.array(exact.tolist(), dtype=complex)
    value = ratio("principal", jnp.asarray(M))
    assert np.linalg.norm(value - exact) < 1e-12 * np.linalg.norm(exact) * np.linalg.cond(M)


def test_where_m_minus_1_has_no_inverse():
    """log(I + N) / N = I - N / 2 + N^2 / 3 for a nilpotent N, which has one eigenvector only."""
    N = np.diag([1.0, 1.0], 1)
    value = ratio("continued", jnp.eye(3) + jnp.asarray(N))
    np.testing.assert_allclose(value, np.eye(3) - N / 2 + N @ N / 3, atol=1e-14)


@pytest.mark.parametrize(
    ("branch", "eigenvalue", "argument"),
    [
        ("principal", -0.7, np.pi),
        ("continued", -0.7, np.pi),
        ("principal", -0.7 + 0.1j, np.pi - np.arctan(1 / 7)),
        ("continued", -0.7 + 0.1j, np.pi - np.arctan(1 / 7)),
        ("principal", -0.7 - 0.1j, -np.pi + np.arctan(1 / 7)),
        ("continued", -0.7 - 0.1j, np.pi + np.arctan(1 / 7)),
        ("continued", 0.1 - 0.7j, -np.arctan(7)),
        ("real", -0.7, 0.0),
        ("real", -0.7 + 0.1j, -np.arctan(1 / 7)),
    ],
)
def test_which_logarithm(branch, eigenvalue, argument):
    """Of a complex matrix with this one eigenvalue, without all of its eigenvectors."""
    M = np.array([[eigenvalue, 1], [0, eigenvalue]], dtype=complex)
    values = np.linalg.eigvals(logarithm(branch, M))
    np.testing.assert_allclose(values, np.log(abs(eigenvalue)) + 1j * argument, atol=1e-7)


@pytest.mark.parametrize("branch", ["principal", "continued"])
def test_its_exponential_is_the_matrix(branch):
    M = with_spectrum([-2.0, -0.3 + 0.8j, 0.5, 1e-3], seed=1)
    np.testing.assert_allclose(scipy.linalg.expm(logarithm(branch, M)), M, atol=1e-11)


def test_real_branch_is_real_and_halves_the_two_step_map():
    M = with_spectrum([-2.0, -0.3 + 0.8j, 0.5], seed=2)
    half = logarithm("real", M)
    np.testing.assert_allclose(half.imag, 0, atol=1e-12)
    np.testing.assert_allclose(scipy.linalg.expm(2 * half), M @ M, atol=1e-12)


@pytest.mark.parametrize("branch", ["principal", "continued", "real"])
def test_derivative(branch):
    M, dM = with_spectrum([0.4, -0.5 + 1j], seed=3), np.random.default_rng(4).normal(size=(3, 3))
    _, tangent = jax.jvp(lambda M: ratio(branch, M), (jnp.asarray(M),), (jnp.asarray(dM),))
    step = 1e-5
    difference = (ratio(branch, M + step * dM) - ratio(branch, M - step * dM)) / (2 * step)
    np.testing.assert_allclose(tangent, difference, atol=1e-7)


@pytest.mark.parametrize("branch", ["principal", "continued"])
def test_small_is_not_singular(branch):
    m = np.array([1e-15, 3e-15])
    np.testing.assert_allclose(
        ratio(branch, jnp.diag(m)), np.diag(np.log(m) / (m - 1)), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("branch", ["principal", "continued", "real"])
def test_singular_matrix_has_none(branch):
    assert np.all(np.isnan(ratio(branch, jnp.asarray([[0.5, 1.0], [0.25, 0.5]]))))
