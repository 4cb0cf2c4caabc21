"""f(A) b and its derivative against matrix logarithms, also where eigenvalues meet."""

import functools as ft

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
import scipy.linalg
from helpers import assert_close

from flows.curvature.functions.matrix_function import divided_differences, matrix_function
from flows.curvature.spectral_functions import alpha

N = 4
DTYPES = [float, complex]
value = jax.jit(ft.partial(matrix_function, alpha))
derivative = jax.jit(lambda at, along: jax.jvp(ft.partial(matrix_function, alpha), at, along))

# Both sides of 1; None is replaced by a neighbour of the number before it.
SPECTRA = {
    "apart": [-0.7, 0.4, 1.3, 2.2],
    "repeated": [2.0, 2.0, 2.0, 0.5],
    "pairs": [0.5, 0.5, 1.5, 1.5],
    "cluster": [0.5, 0.5 + 1e-13, 1.5, 1.5 - 1e-9],
    "identity": [1.7, 1.7, 1.7, 1.7],
    "rank one": [0.0, 0.0, 0.0, 1.5],
    "zero": [0.0, 0.0, 0.0, 0.0],
    "near 1": [1 - 1e-6, 1 + 1e-6, 0.0, 3.0],
}
GAPS = [0.0, 1e-15, 1e-13, 1e-11, 1e-9, 1e-7, 1e-5, 1e-2]


def exact_alpha(z):
    """log(1 - z)/z on the branch that is smooth across the real axis, for zero and sizes like 1."""
    z = np.asarray(z, complex)
    safe = np.where(z == 0, 2, z)
    return np.where(z == 0, -1, (np.log(1j * (safe - 1)) + 0.5j * np.pi) / safe)


def exact_matrix(M):
    """The same of a nonsingular matrix, by the Schur-Pade logarithm: no eigenvectors in it."""
    identity = np.eye(len(M))
    return np.linalg.solve(M, scipy.linalg.logm(1j * (M - identity)) + 0.5j * np.pi * identity)


def orthogonal(dtype, seed=0, size=N):
    """A real or complex orthogonal matrix: its inverse is its transpose, not conjugated."""
    random = np.random.default_rng(seed)
    Q = np.linalg.qr(random.standard_normal((size, size)))[0]
    if dtype is float:
        return Q
    skew = random.standard_normal((size, size))
    return Q @ scipy.linalg.expm(0.3j * (skew - skew.T))


def vector(dtype, seed):
    random = np.random.default_rng(seed)
    b = random.standard_normal(N)
    return b if dtype is float else b + 1j * random.standard_normal(N)


def symmetric(dtype, seed):
    rows = np.stack([vector(dtype, [seed, i]) for i in range(N)])
    return (rows + rows.T) / 2


def spectrum(dtype, name):
    """The spectrum of that name, of a complex matrix turned about 1 and away from the cut."""
    z = np.array(SPECTRA[name])
    return z if dtype is float or name == "near 1" else np.where(z == 0, 0, z * np.exp(-0.2j))


def distance(actual, expected):
    return np.linalg.norm(np.asarray(actual) - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("dtype", DTYPES)
def test_value(dtype, name):
    Q, b, z = orthogonal(dtype), vector(dtype, 1), spectrum(dtype, name)
    image, eigenvalues = value((Q * z) @ Q.T, b)
    # An eigenvalue is known to some rounding units of the matrix, and f is as steep as 1/|1 - z|.
    steep = 1e3 * np.finfo(float).eps / min(1, np.abs(1 - z).min())
    assert distance(image, (Q * exact_alpha(z)) @ (Q.T @ b)) < steep
    assert eigenvalues.dtype == dtype
    assert_close(np.sort(eigenvalues), np.sort(z).astype(dtype), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_matrices_that_are_diagonal_to_the_last_bit(dtype):
    b = vector(dtype, 1)
    for name in SPECTRA:
        z = spectrum(dtype, name).astype(dtype)
        assert_close(value(np.diag(z), b)[0], exact_alpha(z) * b, rtol=1e-9)


def test_the_cases_tell_eigenvectors_that_are_not_orthogonal():
    """The published way, a transpose in place of the inverse, fails at the cases above."""
    for dtype, name in [(complex, "apart"), (complex, "repeated")]:
        Q, b, z = orthogonal(dtype), vector(dtype, 1), spectrum(dtype, name)
        values, vectors = np.linalg.eig((Q * z) @ Q.T)
        published = vectors @ (exact_alpha(values) * (vectors.T @ b))
        assert distance(published, (Q * exact_alpha(z)) @ (Q.T @ b)) > 0.01


@pytest.mark.parametrize("away", [1e-14, 1e-10, 1e-4])
def test_half_of_the_digits_where_two_eigenvectors_become_one(away):
    """A complex symmetric matrix can lack eigenvectors: [[a + c, ic], [ic, a - c]] does."""
    block = lambda a: np.array([[a + 0.1 + away, 0.1j], [0.1j, a - 0.1]])  # noqa: E731
    A, b = scipy.linalg.block_diag(block(0.3), block(1.4)), vector(complex, 1)
    assert distance(value(A, b)[0], exact_matrix(A) @ b) < 1e-7


@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_derivative_is_a_corner_of_the_function_of_a_larger_matrix(dtype, gap):
    """f([[A, dA], [0, A]]) = [[f(A), Df(A)[dA]], [0, f(A)]]."""
    turn = 1 if dtype is float else np.exp(-0.2j)
    for z in ([0.4, 0.4 + gap, 1.6, 1.6 + gap], [0.7, 0.7 + gap, 0.7 - gap, 2.1]):
        Q = orthogonal(dtype)
        A = (Q * (np.array(z) * turn)) @ Q.T
        b, dA, db = vector(dtype, 2), symmetric(dtype, 3), vector(dtype, 4)
        (image, _), (moved, _) = derivative((A, b), (dA, db))
        larger = exact_matrix(np.block([[A, dA], [np.zeros((N, N)), A]]))
        assert distance(image, larger[:N, :N] @ b) < 1e-12
        assert distance(moved, larger[:N, N:] @ b + larger[:N, :N] @ db) < 1e-11
        # Diagonal matrices, whose eigenvalues are equal to the last bit where the gap is zero.
        A = np.diag(np.array(z) * turn).astype(dtype)
        larger = exact_matrix(np.block([[A, dA], [np.zeros((N, N)), A]]))
        moved = derivative((A, b), (dA, np.zeros_like(db)))[1][0]
        assert distance(moved, larger[:N, N:] @ b) < 1e-11


@pytest.mark.parametrize("dtype", DTYPES)
def test_derivative_at_the_zero_matrix_and_at_the_singularity(dtype):
    b, dA = vector(dtype, 2), symmetric(dtype, 3)
    zero = np.zeros_like(dA)
    assert_close(derivative((zero, b), (dA, np.zeros_like(b)))[1][0], -dA @ b / 2 + 0j, rtol=1e-14)
    both = derivative((np.eye(N, dtype=dtype), b), (dA, b))
    assert all(np.isfinite(part).all() for part in jax.tree_util.tree_leaves(both))


@pytest.mark.parametrize("dtype", DTYPES)
def test_reverse_mode_is_the_transpose(dtype):
    weights = vector(complex, 5)
    scalar = lambda A, b: jnp.real(jnp.sum(weights * matrix_function(alpha, A, b)[0]))  # noqa: E731
    gradient = jax.jit(jax.grad(scalar, argnums=(0, 1)))
    Q, b, dA, db = orthogonal(dtype), vector(dtype, 2), symmetric(dtype, 3), vector(dtype, 4)
    for name in ("apart", "repeated", "cluster", "rank one"):
        A = (Q * spectrum(dtype, name)) @ Q.T
        by_A, by_b = gradient(A, b)
        forward = np.real(weights @ np.asarray(derivative((A, b), (dA, db))[1][0]))
        backward = np.real(np.sum(by_A * dA) + np.sum(by_b * db))
        assert backward == pytest.approx(forward, rel=1e-11)


@pytest.mark.parametrize("dtype", DTYPES)
def test_derivative_of_the_eigenvalues(dtype):
    Q, b, dA = orthogonal(dtype), vector(dtype, 2), symmetric(dtype, 3)
    A, step = (Q * spectrum(dtype, "apart")) @ Q.T, np.finfo(float).eps ** (1 / 3)
    slopes = derivative((A, b), (dA, b))[1][1]
    order = np.argsort(value(A, b)[1])
    eigenvalues = np.linalg.eigvals if np.iscomplexobj(A) else np.linalg.eigvalsh
    above, below = (np.sort(eigenvalues(A + s * dA)) for s in (step, -step))
    assert_close(slopes[order], (above - below) / (2 * step), rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_function_and_float32(dtype):
    single = np.dtype(dtype).char.translate({ord("d"): "f", ord("D"): "F"})
    A, b = symmetric(dtype, 3).astype(single), vector(dtype, 1).astype(single)
    image, eigenvalues = matrix_function(jnp.exp, A, b)
    assert image.dtype == eigenvalues.dtype == np.dtype(single)
    assert distance(image, scipy.linalg.expm(A.astype(complex)) @ b) < 1e-5


def exact_difference(a, b, branch):
    """The divided difference in 50 digits, by which the cancellation does not matter."""
    if a == b:
        return -(1 / (1 - a) + exact_value(a, branch)) / a if a else mp.mpf(-0.5)
    return (exact_value(a, branch) - exact_value(b, branch)) / (a - b)


def exact_value(z, branch):
    if z == 0:
        return mp.mpf(-1)
    if branch == "real":
        return mp.log(abs(1 - z)) / z
    if branch == "principal" and (mp.im(z) != 0 or mp.re(z) < 1):
        return mp.log(1 - z) / z
    return (mp.log(1j * (z - 1)) + mp.pi * 0.5j) / z


@pytest.mark.parametrize(
    ("branch", "dtype"),
    [("continued", float), ("continued", complex), ("principal", complex), ("real", float)],
)
def test_divided_differences_to_the_last_digits(branch, dtype):
    """Equal, close, and far apart; close to 1; and close on two sides of a branch cut."""
    random = np.random.default_rng(0)
    f = ft.partial(alpha, branch=branch)
    differences = jax.jit(lambda z: divided_differences(f, z))
    around = [0, 0.5, 0.98, 1.03, 1.5, 2, -1]
    if dtype is complex:
        around += [0.998 + 0.1j, 0.9999 + 0.2j, 1.0001 + 0.3j, 1.5 + 1e-4j, 1.5 - 0.2j]
    for middle in around:
        gaps = 10.0 ** -np.array([0.5, 1, 2, 3, 5, 8, 12, 15]) * random.choice([-1, 1], 8)
        if dtype is complex:
            gaps = gaps * np.exp(2j * np.pi * random.uniform(0, 1, 8))
        z = np.concatenate([[middle, middle], middle + gaps]).astype(dtype)
        actual = np.asarray(differences(z))
        with mp.workdps(50):
            points = [mp.mpmathify(point) for point in z.tolist()]
            expected = np.array([
                [complex(exact_difference(a, b, branch)) for b in points] for a in points
            ])  # fmt: skip
        assert (np.abs(actual - expected) <= 1e-13 * np.abs(expected)).all()
