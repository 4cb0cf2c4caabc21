"""Derivatives of a loss against sympy, on any tree, at real and at complex points."""

import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
import pytest
import sympy
from helpers import assert_close, quartic
from jax.extend.core import subjaxprs

import flows
from flows._objective import PRODUCTS, make_objective
from flows.optimizers import make_problem

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


@pytest.mark.parametrize(
    ("product", "dtype", "most"),
    [
        ("reverse-over-reverse", np.float64, (1e-12, 1e-12)),
        ("difference", np.float64, (1e-8, 1e-5)),
        ("reverse-over-reverse", np.float32, (1e-5, 1e-5)),
        ("difference", np.float32, (1e-3, 2e-1)),
    ],
)
def test_products_without_a_forward_derivative(product, dtype, most):
    """Of the same polynomial; relative to the largest entry, as rounding is."""
    point, a, b = (tree(np.asarray(v, dtype)) for v in (POINTS["real"], A, B))
    objective, _ = make_objective(flows.Objective(loss, product=product), point, None)

    def error(found, *directions):
        exactly = exact(gradient_along(*directions), POINTS["real"])
        wrong = jtu.tree_map(
            lambda f, e: np.max(np.abs(np.asarray(f) - np.asarray(e))), found, tree(exactly)
        )
        return max(jtu.tree_leaves(wrong)) / np.max(np.abs(exactly))

    gradient, matvec = objective.linearised(point)
    assert error(gradient) < 1e-6
    assert error(jax.jit(matvec)(a), A) < most[0]
    assert error(objective.hessian_vector_product(point, a), A) < most[0]
    assert error(objective.third_derivative(point, a, b), A, B) < most[1]


@jax.custom_vjp
def by_hand(x):
    return jnp.sum(x**4) / 4


by_hand.defvjp(lambda x: (by_hand(x), x), lambda x, ct: (ct * x**3,))


@pytest.mark.parametrize("product", PRODUCTS)
def test_a_loss_without_a_forward_derivative(product):
    """Where jax.jvp of the gradient would raise: measures and flows of x^4 / 4."""
    objective, x = flows.Objective(by_hand, product=product), jnp.array([1.0, 0.5])
    rate = flows.GradientDescent(0.1)
    assert float(flows.sharpness(objective, x)) == pytest.approx(3.0, rel=1e-7)
    velocity = flows.vector_field(objective, x, rate, flows.ModifiedFlow())
    np.testing.assert_allclose(velocity, -(x**3 + 0.05 * 3 * x**5), rtol=1e-7)
    found = flows.vector_field(objective, x, rate, flows.PrincipalFlow("real"))
    expected = flows.vector_field(quartic, x, rate, flows.PrincipalFlow("real"))
    np.testing.assert_allclose(found, expected, rtol=1e-7)
    cubic = flows.vector_field(objective, x, rate, flows.ModifiedFlow(3))
    expected = flows.vector_field(quartic, x, rate, flows.ModifiedFlow(3))
    np.testing.assert_allclose(cubic, expected, rtol=1e-7)
    report = flows.track(objective, [x], learning_rate=0.1, k=1)
    np.testing.assert_allclose(report.eigenvalues, [[3.0]], rtol=1e-7)


def test_orbits_of_a_loss_without_a_forward_derivative():
    """The two-cycle of x^4 / 4 at h = 1 is at sqrt 2, with the multiplier (1 - 6)^2."""
    start, rate = jnp.array([1.3]), flows.GradientDescent(1.0)
    cycle = flows.find_cycle(by_hand, start, rate, 2)
    np.testing.assert_allclose(np.abs(cycle.points), 2**0.5, rtol=1e-12)
    np.testing.assert_allclose(cycle.multipliers.real, [25.0], rtol=1e-10)
    limits = [flows.classify_limit(loss, 0.5 * start, rate) for loss in (by_hand, quartic)]
    assert limits[0].kind == limits[1].kind
    assert float(limits[0].lyapunov) == pytest.approx(float(limits[1].lyapunov), rel=1e-9)


@jax.custom_vjp
def only_values(x):
    return jnp.sum(x**4) / 4


def cubed(x):
    return np.asarray(x) ** 3


def rule(x, ct):
    """A gradient by NumPy, which nothing differentiates."""
    shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
    return (ct * jax.pure_callback(cubed, shape, x, vmap_method="sequential"),)


only_values.defvjp(lambda x: (only_values(x), x), rule)


def test_a_gradient_without_a_derivative():
    x = jnp.array([1.0, 0.5])
    with pytest.raises(flows.DerivativeError, match="no derivative by product='forward-over-reve"):
        flows.sharpness(only_values, x)
    with pytest.raises(flows.DerivativeError, match="'forward-over-reverse' or 'difference'"):
        flows.sharpness(flows.Objective(only_values, product="reverse-over-reverse"), x)
    by_differences = flows.Objective(only_values, product="difference")
    assert float(flows.sharpness(by_differences, x)) == pytest.approx(3.0, rel=1e-8)


def mean_square(w, data):
    return jnp.mean((data["x"] @ w - data["y"]) ** 2)


@pytest.mark.parametrize("chunk", [1, 4, 7, 10, 99])
def test_examples_in_chunks(chunk):
    """A run, a curvature and a third derivative are what they are of all examples at once."""
    rng = np.random.default_rng(3)
    data = {"x": jnp.asarray(rng.normal(size=(10, 3))), "y": jnp.asarray(rng.normal(size=10))}
    w, v = jnp.ones(3), jnp.asarray(rng.normal(size=3))
    whole, _ = make_objective(mean_square, w, data)
    parts, _ = make_objective(flows.Objective(mean_square, chunk=chunk), w, data)
    assert_close(parts.value_and_gradient(w), whole.value_and_gradient(w), rtol=1e-13)
    assert_close(parts.linearised(w)[1](v), whole.linearised(w)[1](v), rtol=1e-12)
    run, expected = (
        flows.iterate(o, w, flows.GradientDescent(0.1), 3, args=data)
        for o in (flows.Objective(mean_square, chunk=chunk), mean_square)
    )
    assert_close(run.params, expected.params, rtol=1e-13)


def test_chunks_of_wider_data():
    """Parameters in float32, data in float64, and a loss that widens."""
    data = jnp.arange(10.0)
    loss = lambda w, x: jnp.mean((w.astype(x.dtype) * x) ** 2)  # noqa: E731
    w = jnp.ones((), jnp.float32)
    parts, _ = make_objective(flows.Objective(loss, chunk=4), w, data)
    assert_close(parts.value(w), loss(w, data))


def test_memory_does_not_grow_with_the_examples():
    """What is wide in between has room for a chunk, and not for all."""

    def wide(w, x):
        return jnp.mean(jnp.sin(x[:, None] * w[None, :]) ** 2)

    def largest(chunk):
        """The numbers in the largest value of the program, loops included."""
        objective = flows.Objective(wide, jnp.linspace(0.0, 1.0, 4096), chunk=chunk)
        programs = [jax.make_jaxpr(objective.gradient)(jnp.ones(256)).jaxpr]
        for program in programs:
            programs += subjaxprs(program)  # grows while it is walked
        return max(
            out.aval.size
            for program in programs
            for equation in program.eqns
            for out in equation.outvars
        )

    assert largest(None) >= 4096 * 256
    assert largest(64) <= 64 * 256


def test_what_an_objective_refuses():
    w, data = jnp.ones(3), (jnp.ones((4, 3)), jnp.ones(4))
    with pytest.raises(flows.InvalidOptionError, match="product must be one of 'forward-over-rev"):
        flows.Objective(quartic, product="reverse")
    with pytest.raises(flows.InvalidOptionError, match="chunk must be an integer >= 1, got 0"):
        flows.Objective(quartic, chunk=0)
    total = flows.Objective(lambda w, data: jnp.sum((data[0] @ w - data[1]) ** 2), chunk=2)
    with pytest.raises(flows.InvalidLossError, match="chunk= needs a loss that is the mean"):
        flows.sharpness(total, w, args=data)
    with pytest.raises(flows.InvalidOptionError, match="examples are slices of args"):
        flows.sharpness(total, w, args=(jnp.ones((4, 3)), jnp.ones(5)))


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
    alone = optimizer.step(problem.objective, state)
    given = optimizer.step(problem.objective, state, problem.gradient(moving))
    assert_close(alone, given, rtol=1e-15)
    expected = POINTS["real"] - 0.1 * exact(gradient_along(), POINTS["real"])
    assert_close(optimizer.params(alone), tree(expected), rtol=1e-12)
