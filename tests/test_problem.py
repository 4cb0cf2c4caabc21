"""Derivatives of a loss against sympy, on any tree, at real and at complex points."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy
from helpers import assert_close

import flows
from flows._problem import make_problem

X, Y, Z = sympy.symbols("x y z")
POLYNOMIAL = X**4 / 4 + X**2 * Y**2 / 2 - 3 * X * Y * Z + Y**3 * Z / 5 + sympy.cos(X * Z)
POINTS = {
    "real": np.array([0.7, -0.4, 1.1]),
    "complex": np.array([0.7 + 0.2j, -0.4 - 0.3j, 1.1 + 0.1j]),
}
A, B = np.array([1.0, -2.0, 0.5]), np.array([0.3, 0.4, -1.0])


def loss(p):
    x, y, z = p["xy"][0], p["xy"][1], p["z"]
    return x**4 / 4 + x**2 * y**2 / 2 - 3 * x * y * z + y**3 * z / 5 + jnp.cos(x * z)


def tree(vector):
    vector = jnp.asarray(vector)
    return {"xy": vector[:2], "z": vector[2]}


def exact(expression, point):
    """A sympy expression (or a list of them) at a point, in twenty digits."""
    values = dict(zip((X, Y, Z), (sympy.sympify(complex(c)) for c in point), strict=True))
    number = np.array(
        [complex(sympy.N(e.subs(values), 20)) for e in np.atleast_1d(np.array(expression))]
    )
    return number if np.iscomplexobj(point) else number.real


def gradient_along(*directions):
    """The gradient of the polynomial's derivative in some directions."""
    symbols = (X, Y, Z)
    expression = POLYNOMIAL
    for direction in directions:
        pairs = zip(symbols, direction, strict=True)
        expression = sum(sympy.diff(expression, s) * sympy.Float(d) for s, d in pairs)
    return [sympy.diff(expression, s) for s in symbols]


@pytest.fixture
def problem():
    return make_problem(loss, tree(POINTS["real"]), flows.GradientDescent(0.1))[0]


@pytest.mark.parametrize("where", POINTS)
def test_every_derivative(problem, where):
    point = POINTS[where]
    as_point = lambda v: tree(np.asarray(v, point.dtype))  # noqa: E731
    params = as_point(point)
    value, gradient = problem.value_and_gradient(params)
    assert np.asarray(value) == pytest.approx(exact(POLYNOMIAL, point)[0], rel=1e-13)
    assert_close(problem.value(params), value, rtol=1e-14)
    assert_close(gradient, tree(exact(gradient_along(), point)), rtol=1e-12)
    assert_close(problem.gradient(params), gradient, rtol=1e-14)
    product = problem.hessian_vector_product(params, as_point(A))
    assert_close(product, tree(exact(gradient_along(A), point)), rtol=1e-12)
    third = problem.third_derivative(params, as_point(A), as_point(B))
    assert_close(third, tree(exact(gradient_along(A, B), point)), rtol=1e-12)


def test_third_derivative_is_symmetric_and_works_under_jit(problem):
    params, a, b = tree(POINTS["real"]), tree(A), tree(B)
    one = jax.jit(lambda p: problem.third_derivative(p, a, b))(params)
    assert_close(problem.third_derivative(params, b, a), one, rtol=1e-13)


def test_what_conjugates_is_continued():
    problem, _ = make_problem(
        lambda x: jnp.var(x) + jnp.linalg.norm(x) + jnp.sum(jnp.abs(x)),
        jnp.ones(2),
        flows.GradientDescent(0.1),
    )
    z = jnp.array([0.6 + 0.3j, -1.0 + 0.2j])
    norm = np.sqrt(np.sum(np.asarray(z) ** 2))
    pieces = z[0] - z[1]
    expected = np.mean((z - np.mean(z)) ** 2) + norm + pieces
    assert_close(problem.value(z), jnp.asarray(expected), rtol=1e-14)


def test_data_and_a_module_that_does_not_move():
    problem, moving = make_problem(
        lambda p, data: p["scale"](jnp.sum((p["x"] - data["mean"]) ** 2)),
        {"x": np.ones(2), "scale": jnp.sqrt},
        flows.GradientDescent(0.1),
        {"mean": np.zeros(2)},
    )
    assert moving["scale"] is None
    assert problem.whole(moving)["scale"] is jnp.sqrt
    assert float(problem.value(moving)) == pytest.approx(2**0.5, rel=1e-15)
    assert_close(problem.gradient(moving)["x"], jnp.full(2, 0.5**0.5), rtol=1e-15)


@pytest.mark.parametrize("rate", [0.01, 0.3])
def test_modified_flow_against_sympy(rate):
    point = POINTS["real"]
    h = sympy.Float(rate)
    g = gradient_along()
    squared = sum(component**2 for component in g)
    modified = POLYNOMIAL + h / 4 * squared
    expected = exact([-sympy.diff(modified, s) for s in (X, Y, Z)], point)
    velocity = flows.vector_field(
        loss, tree(point), flows.GradientDescent(rate), flows.ModifiedFlow(order=2)
    )
    assert_close(velocity, tree(expected), rtol=1e-12)


def test_a_step_of_the_optimizer_with_and_without_the_gradient():
    optimizer = flows.GradientDescent(0.1)
    problem, moving = make_problem(loss, tree(POINTS["real"]), optimizer)
    state = optimizer.init(moving)
    alone = optimizer.step(problem, state)
    given = optimizer.step(problem, state, problem.gradient(moving))
    assert_close(alone, given, rtol=1e-15)
    expected = POINTS["real"] - 0.1 * exact(gradient_along(), POINTS["real"])
    assert_close(optimizer.params(alone), tree(expected), rtol=1e-12)
