"""The cubic term matrix-free against the closed form, and the rule that it is made of."""

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
from helpers import assert_close, tanh_network

import flows
from flows._vectors import scaled
from flows.curvature.basis import Basis
from flows.curvature.functions.dense_cubic import dense_cubic_image
from flows.curvature.functions.krylov_cubic import CubicTerm
from flows.curvature.functions.krylov_space import KrylovSpace
from flows.curvature.functions.logistic_rule import logistic_rule
from flows.curvature.functions.matrix_function import matrix_function
from flows.curvature.functions.rounded_alpha import rounded_alpha
from flows.curvature.hessian import scaled_hessian
from flows.optimizers import make_problem

NETWORK, NETWORK_START = tanh_network()


def weight(t):
    return np.pi / 2 / np.cosh(np.pi * t) ** 2


@pytest.mark.parametrize("n", [2, 6, 24])
def test_the_rule_integrates_polynomials(n):
    t, w = logistic_rule(n)
    assert np.abs(t[n // 2 :] + t[: n // 2]).max() == 0
    for power in range(0, min(2 * n, 16), 2):
        exact, _ = scipy.integrate.quad(lambda t, p=power: weight(t) * t**p, -20, 20)
        assert w @ t**power == pytest.approx(exact, rel=1e-10)


def test_the_rule_has_the_kernel_of_the_cubic_term():
    # x / (e^x - 1) = integral of K(t) e^((it - 1/2) x); the reference's errors by nodes.
    x = np.linspace(-1.2, 1.2, 25)
    for n, bound in ((4, 1e-4), (8, 1e-8), (12, 1e-12)):
        t, w = logistic_rule(n)
        found = np.exp(np.outer(x, 1j * t - 0.5)) @ w
        exact = np.where(x == 0, 1, x / np.where(x == 0, 1, np.expm1(x)))
        assert np.abs(found - exact).max() < bound


@eqx.filter_jit
def term(loss, x, h, branch, curvature):
    """The cubic term alone, and the image."""
    problem, _ = make_problem(loss, x.real, flows.GradientDescent(h))
    gradient, matvec = scaled_hessian(problem, h, x)

    def third(v, w):
        return scaled(h**2, problem.third_derivative(x, v, w))

    image = curvature.apply_cubic(branch, matvec, third, gradient)
    principal = curvature.apply(rounded_alpha(branch), matvec, gradient)
    return image.value - principal.value, image


@pytest.fixture(scope="module")
def iterates():
    path = flows.iterate(NETWORK, NETWORK_START, flows.GradientDescent(0.5), 40).params
    return path[jnp.array([5, 30])]


@pytest.mark.parametrize(
    ("branch", "curvature", "allowed"),
    [
        ("continued", flows.Krylov(24), 1e-3),
        pytest.param("continued", flows.Krylov(36, nodes=40), 1e-6, marks=pytest.mark.slow),
        pytest.param("real", flows.Krylov(24), 1e-3, marks=pytest.mark.slow),
    ],
)
def test_against_the_closed_form(branch, curvature, allowed, iterates):
    # Of the rates the largest eigenvalue is at 0.3, 0.5, 1.7 and 2.1. At 0.3, for the later point,
    # all that the estimate has to tell is what the skipped pairs would have been.
    hessian = jax.jit(jax.hessian(NETWORK))
    for x in iterates:
        sharpness = float(jnp.linalg.eigvalsh(hessian(x))[-1])
        for z in (0.3, 0.5, 1.7, 2.1):
            h = jnp.asarray(z / sharpness)
            expected, image = term(NETWORK, x, h, branch, flows.Dense())
            found, estimated = term(NETWORK, x, h, branch, curvature)
            error = float(jnp.linalg.norm(found - expected))
            assert error < allowed * float(jnp.linalg.norm(expected))
            # The estimate is of the whole field.
            size = float(jnp.linalg.norm(image.value))
            if curvature.nodes == "auto":
                assert error / 10 < size * float(estimated.error) < 10 * error
                assert int(estimated.matvecs) < 400


def test_at_complex_parameters(iterates):
    """There the shared functions are complex combinations, and their weights conjugate."""
    off = jnp.asarray(np.random.default_rng(0).normal(size=iterates[1].shape))
    x = jax.lax.complex(iterates[1], 0.03 * off)
    h = jnp.asarray(0.3)
    expected, _ = term(NETWORK, x, h, "continued", flows.Dense())
    found, _ = term(NETWORK, x, h, "continued", flows.Krylov(24))
    assert jnp.linalg.norm(found - expected) < 1e-3 * jnp.linalg.norm(expected)


def test_directions_that_are_left_out_are_in_the_error():
    """One direction where three are needed, on a sum of cubes, against the closed form."""
    A = jnp.array([[0.5, 0.3, 0.0], [0.3, 0.2, 0.4], [0.0, 0.4, -0.3]])
    b, cubes = jnp.array([1.0, 0.0, 0.0]), jnp.array([[1.0, 0.5, -1], [0.2, -1, 0.6], [0, 0.7, 1]])

    @jax.jit
    def both(A):
        # A is tridiagonal and b its first row's: the unit vectors are Lanczos' own.
        whole = (jnp.zeros(()), jnp.ones(()), jnp.asarray(3))
        space = KrylovSpace(Basis((jnp.eye(3),)), A, *whole)
        third = lambda v, w: cubes.T @ ((cubes @ v) * (cubes @ w))  # noqa: E731
        found = CubicTerm("real", space, 24, 1).sum(
            lambda v: A @ v, third, 3, jnp.asarray(1e-5), jnp.ones(())
        )
        along = lambda v: cubes.T @ (cubes @ v[:, None] * cubes)  # noqa: E731
        exact, *_ = dense_cubic_image("real", A, along, b)
        principal, _ = matrix_function(rounded_alpha("real"), A, b)
        return found, exact - principal

    found, exact = both(A)
    error = float(jnp.linalg.norm(found.total - exact))
    assert error > 0.01 * float(jnp.linalg.norm(exact))
    assert error < 10 * float(found.error)


@pytest.mark.slow
def test_on_the_321_parameters_of_real_data():
    """The network on the breast-cancer table, thirty steps from its start, at h lambda = 1.7."""
    problem = flows.problems.breast_cancer()
    start, unravel = jax.flatten_util.ravel_pytree(problem.start)

    def loss(x):
        return problem.loss(unravel(x), problem.args)

    x = flows.iterate(loss, start, flows.GradientDescent(problem.learning_rate), 30).final_params
    h = jnp.asarray(1.7 / float(jnp.linalg.eigvalsh(jax.hessian(loss)(x))[-1]))
    expected, _ = term(loss, x, h, "continued", flows.Dense())
    size = float(jnp.linalg.norm(expected))
    for curvature, allowed in ((flows.Krylov(), 1e-3), (flows.Krylov(60, nodes=40), 1e-6)):
        found, _ = term(loss, x, h, "continued", curvature)
        assert float(jnp.linalg.norm(found - expected)) < allowed * size


@pytest.mark.slow
@pytest.mark.parametrize(("n", "branch"), [(1, "real"), (2, "continued"), (4, "continued")])
def test_few_dimensions_and_nothing_there(branch, n):
    random = np.random.default_rng(n)
    matrix = random.normal(size=(n, n))

    def loss(x):
        return jnp.sum(jnp.cos(matrix @ x)) + x @ x / 3

    x = jnp.asarray(random.normal(size=n))
    arguments = (0.4, branch, flows.Krylov(8, nodes=24))
    expected, _ = term(loss, x, 0.4, branch, flows.Dense())
    found, _ = term(loss, x, *arguments)
    assert np.abs(np.asarray(found - expected)).max() < 1e-8 * np.abs(np.asarray(expected)).max()
    for nothing in (lambda x: 0.0 * jnp.sum(x), lambda x: x @ x / 2 + x[0]):
        found, image = term(nothing, x, *arguments)
        assert np.abs(np.asarray(found)).max() < 1e-14
        assert np.isfinite(np.asarray(image.value)).all()
        assert np.isinf(float(image.resonance_distance))


def bowl(x):
    return jnp.sum(jnp.cos(x)) + x[0] * x[1] * x[2] + x @ x


@pytest.mark.slow
def test_vmap():
    x, rates = jnp.array([0.3, -0.8, 0.5]), jnp.array([0.1, 0.8])

    def one(h):
        return term(bowl, x, h, "continued", flows.Krylov(3, nodes=24))[0]

    together = jax.vmap(one)(rates)
    for rate, found in zip(rates, together, strict=True):
        assert_close(found, one(rate), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("nodes", [0, 3, -2, 1.5, "many", True])
def test_messages(nodes):
    with pytest.raises(flows.InvalidOptionError, match=r'nodes must be "auto" or an even integer'):
        flows.Krylov(nodes=nodes)
