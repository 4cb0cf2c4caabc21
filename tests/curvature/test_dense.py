"""The principal flow's field from the whole spectrum, and its derivatives."""

import functools as ft

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import mpmath as mp
import numpy as np
import pytest
from helpers import assert_close, rosenbrock

import flows
from flows.curvature import resolve
from flows.curvature.spectral_functions import alpha
from flows.optimizers import make_problem
from flows.vector_fields._complex_state import ComplexState, join

FLOW = flows.PrincipalFlow(curvature=flows.Dense())
N = 4
STEP = np.finfo(float).eps ** (1 / 3)


@eqx.filter_jit
def field_of(loss, h, x, args=None):
    """The field at a complex point, as one complex array."""
    problem, _ = make_problem(loss, x.real, flows.GradientDescent(h), args)
    y = ComplexState(x.real, x.imag)
    return join(FLOW.vector_field(problem)(0.0, y, args))


def quadratic(x, args):
    """x.A x/2 + l.x."""
    return x @ args["A"] @ x / 2 + args["l"] @ x


def warped(x, args):
    """A quadratic, and powers of projections that vanish at a chosen point."""
    projections = args["U"] @ x
    return quadratic(x, args) + jnp.sum(projections**3) / 6 + jnp.sum(projections**4) / 24


def rotation(seed, size=N):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((size, size)))[0]


def distance(actual, expected):
    return np.linalg.norm(np.asarray(actual) - expected) / np.linalg.norm(expected)


def complex_rosenbrock(x, y):
    """Gradient and Hessian, by hand."""
    gradient = mp.matrix([-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)])
    return gradient, mp.matrix([[2 + 1200 * x**2 - 400 * y, -400 * x], [-400 * x, mp.mpf(200)]])


@pytest.mark.parametrize(
    ("point", "published_error"),
    [((-0.5, 0.5), 0), ((-0.5 + 0.05j, 0.5 - 0.02j), 0.115), ((0.3 + 0.4j, 0.2 + 0.1j), 0.577)],
)
def test_rosenbrock_against_a_matrix_logarithm(point, published_error):
    """The transpose of the eigenvectors in place of their inverse was 11.5 and 57.7 % wrong."""
    h = 2e-3
    with mp.workdps(40):
        gradient, H = complex_rosenbrock(*map(mp.mpmathify, point))
        A, identity = mp.mpf(h) * H, mp.eye(2)
        logarithm = mp.logm(1j * (A - identity)) + mp.pi * 0.5j * identity
        expected = np.array([complex(entry) for entry in mp.lu_solve(A, logarithm * gradient)])
        g = np.array([complex(entry) for entry in gradient])
        A = np.array([[complex(A[i, j]) for j in range(2)] for i in range(2)])
    assert distance(field_of(rosenbrock, h, jnp.array(point, complex)), expected) < 1e-13
    values, vectors = np.linalg.eig(A)
    coefficients = (np.log(1j * (values - 1)) + 0.5j * np.pi) / values * (vectors.T @ g)
    assert distance(vectors @ coefficients, expected) == pytest.approx(published_error, abs=5e-4)


def quadratic_case(z, seed, imaginary=0.0):
    """Point, data, and the components of the gradient along the eigenvectors (columns)."""
    Q, z = rotation(seed), np.array(z, float)
    x = np.linspace(1, 2, N) + 1j * imaginary * np.array([1, -1, 2, 0.5])
    args = {"A": (Q * z) @ Q.T, "l": np.random.default_rng(1).standard_normal(N)}
    return x, args, Q, Q.T @ (args["A"] @ x + args["l"])


@pytest.mark.parametrize("imaginary", [0.0, 1e-16, 0.3])
def test_repeated_and_zero_eigenvalues(imaginary):
    """Published: 29 % off for the first spectrum, NaN for those with zeros."""
    for seed, z in enumerate(([2, 2, 2, 0.5], [0, 0, 0, 1.5], [0, 0, 0, 0], [0.4, 0.4, 3, 3])):
        x, args, Q, components = quadratic_case(z, seed, imaginary)
        factors = [-1 if y == 0 else (np.log(abs(1 - y)) + 1j * np.pi * (y > 1)) / y for y in z]
        actual = field_of(quadratic, 1.0, x, args)
        assert distance(actual, Q @ (factors * components)) < 1e-13, z


@pytest.mark.parametrize("imaginary", [0.0, 0.3])
def test_at_the_singularity_the_field_is_finite_and_the_other_directions_are_right(imaginary):
    x, args, Q, components = quadratic_case([1, 1, 0, 3], 3, imaginary)
    actual = Q.T @ np.asarray(field_of(quadratic, 1.0, x, args))
    expected = np.array([-1, (np.log(2) + 1j * np.pi) / 3]) * components[2:]
    assert distance(actual[2:], expected) < 1e-13
    # Clamped at the logarithm of eps; its imaginary part could be anything from 0 to pi.
    factors = actual[:2] / components[:2]
    assert np.allclose(factors.real, np.log(np.finfo(float).eps), rtol=1e-13)
    assert (np.abs(factors.imag - np.pi / 2) <= np.pi / 2 + 1e-12).all()


def test_trees_give_the_numbers_of_the_flat_vector():
    """Mixed shapes, a scalar, an empty leaf and None, nested."""
    parts = [(2, 1), (), (3,), (0,), (1, 2, 1)]
    random = np.random.default_rng(0)
    B = random.standard_normal((8, 8)) / 4
    leaves = [random.standard_normal(shape) for shape in parts]
    tree = {"b": [leaves[0], (leaves[1], None)], "a": leaves[2], "c": (leaves[3], leaves[4])}

    def flat_loss(x):
        return jnp.sum(jnp.tanh(B @ x)) + x @ x

    def loss(tree):
        return flat_loss(jnp.concatenate([jnp.ravel(leaf) for leaf in jtu.tree_leaves(tree)]))

    flat = jnp.concatenate([jnp.ravel(leaf) for leaf in jtu.tree_leaves(tree)])
    optimizer = flows.GradientDescent(0.6)
    expected = flows.vector_field(flat_loss, flat, optimizer, FLOW)
    actual = flows.vector_field(loss, tree, optimizer, FLOW)
    assert [np.shape(leaf) for leaf in jtu.tree_leaves(actual)] == [
        np.shape(leaf) for leaf in jtu.tree_leaves(tree)
    ]
    joined = jnp.concatenate([jnp.ravel(leaf) for leaf in jtu.tree_leaves(actual)])
    assert_close(joined, expected, rtol=1e-13)


def test_spectrum_and_what_it_cost():
    A = np.diag([0.3, -1.0, 1.6, 0.3])
    image = flows.Dense().apply(alpha, lambda v: A @ v, np.ones(N))
    assert_close(np.sort(image.eigenvalues), np.sort(np.diag(A)), rtol=1e-14)
    assert int(image.matvecs) == N
    assert 0 < float(image.error) < 1e-15


def test_vmap_over_points_and_learning_rates():
    points = np.random.default_rng(3).standard_normal((3, 2))
    rates = jnp.array([1e-4, 2e-3, 1e-2])
    at = lambda x, h: flows.vector_field(rosenbrock, x, flows.GradientDescent(h), FLOW)  # noqa: E731
    each = jnp.stack([at(x, h) for x, h in zip(jnp.asarray(points), rates, strict=True)])
    assert_close(jax.jit(jax.vmap(at))(points, rates), each, rtol=1e-13)


def test_float32_stays_float32():
    x, optimizer = jnp.array([-0.5, 0.5]), flows.GradientDescent(2e-3)
    single = flows.vector_field(rosenbrock, x.astype(jnp.float32), optimizer, FLOW)
    assert single.dtype == jnp.complex64
    assert distance(single, np.asarray(flows.vector_field(rosenbrock, x, optimizer, FLOW))) < 1e-5
    image = flows.Dense().apply(alpha, lambda v: 2 * v, jnp.ones(2, jnp.float32))
    assert (image.value.dtype, image.eigenvalues.dtype) == (jnp.complex64, jnp.float32)
    assert image.error.dtype == jnp.float32


# Derivatives of the field: the Hessian at the chosen point is exactly A, its derivative is not 0.


def real_field(h, parts, args):
    """The field as a map of the real and imaginary parts, stacked."""
    field = field_of.__wrapped__(warped, h, jax.lax.complex(parts[:N], parts[N:]), args)
    return jnp.concatenate([field.real, field.imag])


jacobian = jax.jit(jax.jacfwd(real_field, argnums=(0, 1)))
values = jax.jit(jax.vmap(real_field, in_axes=(0, 0, None)))


def differences(h, parts, args):
    """Central differences, of relative step eps^(1/3)."""
    moves = np.diag(np.full(2 * N + 1, STEP))
    at = np.concatenate([[h], parts])
    above, below = (values((at + s * moves)[:, 0], (at + s * moves)[:, 1:], args) for s in (1, -1))
    columns = (np.asarray(above) - np.asarray(below)).T / (2 * STEP)
    return columns[:, 0], columns[:, 1:]


def case(spectrum, is_real, seed=0):
    """A point at which the Hessian is Q diag(spectrum) Q^T, exactly diagonal if seed is None."""
    random = np.random.default_rng(5)
    Q = np.eye(N) if seed is None else rotation(seed)
    direction = np.full(N, 0.5)  # where the loss stays quadratic
    U = random.standard_normal((6, N))
    U -= np.outer(U @ direction, direction)
    x = np.zeros(N) if is_real else direction * (0.4 + 0.7j)
    l = random.standard_normal(N)
    args = {"A": (Q * np.array(spectrum)) @ Q.T, "l": l, "U": U}
    return np.concatenate([x.real, x.imag]), args


GAPS = [0.0, 1e-15, 1e-13, 1e-11, 1e-9, 1e-7, 1e-5]


@pytest.mark.parametrize("seed", [None, 0])
@pytest.mark.parametrize("is_real", [True, False])
def test_derivatives_where_eigenvalues_meet(is_real, seed):
    """With respect to the point (both its parts) and the learning rate, on both sides of 1."""
    for gap in GAPS:
        for spectrum in (
            [0.5, 0.5 + gap, 0.5 - gap, 1.7],
            [1.5, 1.5 + gap, 0.4, 0.4 + gap],
            [0.0, gap, -0.8, 2.2],
        ):
            parts, args = case(spectrum, is_real, seed)
            by_rate, by_parts = jacobian(1.0, parts, args)
            expected_rate, expected_parts = differences(1.0, parts, args)
            columns = slice(0, N) if is_real else slice(None)
            assert_close(by_rate, expected_rate, rtol=0, atol=1e-6)
            assert_close(by_parts[:, columns], expected_parts[:, columns], rtol=0, atol=1e-6)


def test_gradient_of_vector_field_with_respect_to_real_parameters():
    """As a user takes it; the derivative of a real function of a complex velocity."""
    parts, args = case([0.5, 0.5, 1.5, 1.5], True)
    scalar = lambda x, h: jnp.sum(  # noqa: E731
        jnp.abs(flows.vector_field(warped, x, flows.GradientDescent(h), FLOW, args=args)) ** 2
    )
    at = (jnp.asarray(parts[:N]), jnp.asarray(1.0))
    along = np.arange(1.0, N + 1)
    (slope, rate), moved = jax.jit(
        lambda *at: (
            jax.grad(scalar, argnums=(0, 1))(*at),
            jax.jvp(ft.partial(scalar, h=at[1]), at[:1], (jnp.asarray(along),))[1],
        )
    )(*at)
    field = np.asarray(real_field(1.0, parts, args))
    by_rate, by_parts = differences(1.0, parts, args)
    assert_close(slope, 2 * field @ by_parts[:, :N], rtol=0, atol=1e-6)
    assert_close(rate, jnp.asarray(2 * field @ by_rate), rtol=0, atol=1e-6)
    assert float(moved) == pytest.approx(float(slope @ along), rel=1e-10)


def test_auto_is_dense_for_few_parameters():
    assert isinstance(resolve("auto", 64), flows.Dense)
    assert isinstance(resolve("auto", 65), flows.Krylov)
    mine = flows.Krylov(num_matvecs=3)
    assert resolve(mine, 2) is mine


def test_messages():
    with pytest.raises(flows.InvalidOptionError, match=r'"auto", flows.Dense\(\) or flows.Krylov'):
        flows.PrincipalFlow(curvature="dense")
    with pytest.raises(flows.InvalidOptionError, match=r"got 24. Write .*curvature=flows.Krylov"):
        flows.PrincipalFlow(curvature=24)
    with pytest.raises(
        flows.InvalidOptionError, match=r"Write for example curvature=flows.Dense\(\)"
    ):
        flows.PrincipalFlow(curvature=flows.Dense)
