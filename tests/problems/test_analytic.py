"""The problems in closed form against sympy, and against what is known of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import flows
import flows.problems
from flows._errors import InvalidOptionError
from tests.helpers import assert_close

x, y = sp.symbols("x y", real=True)

ROTATED = np.array([[3.0, 1.0], [1.0, -0.5]])

# Problem, its formula and the variables in it.
FORMULAS = {
    "quadratic": (flows.problems.quadratic(), x**2 + y**2 / 100, (x, y)),
    "quadratic, matrix": (
        flows.problems.quadratic(matrix=ROTATED),
        sp.Rational(3, 2) * x**2 + x * y - y**2 / 4,
        (x, y),
    ),
    "rosenbrock": (flows.problems.rosenbrock(), (1 - x) ** 2 + 100 * (y - x**2) ** 2, (x, y)),
    "rosenbrock, b=5": (
        flows.problems.rosenbrock(a=2, b=5),
        (2 - x) ** 2 + 5 * (y - x**2) ** 2,
        (x, y),
    ),
    "product": (flows.problems.product(), (x * y - 1) ** 2 / 2, (x, y)),
    "product, 3": (flows.problems.product(target=3), (x * y - 3) ** 2 / 2, (x, y)),
    "cosine": (flows.problems.cosine(), sp.cos(x), (x,)),
    "quartic": (flows.problems.quartic(), x**4 / 4, (x,)),
    "double_well": (flows.problems.double_well(), (x**2 - 1) ** 2 / 4, (x,)),
    "nar_sastry": (
        flows.problems.nar_sastry(),
        x**6 - 6 * x**5 + 14 * x**4 - 18 * x**3 + 17 * x**2 - 12 * x + 4,
        (x,),
    ),
}

SCALAR = [
    flows.problems.cosine,
    flows.problems.quartic,
    flows.problems.double_well,
    flows.problems.nar_sastry,
]


def loss_of(problem):
    """The loss as a function of the parameters alone."""
    return lambda p: problem.loss(p) if problem.args is None else problem.loss(p, problem.args)


def sharpness(problem, point):
    hessian = np.atleast_2d(jax.jit(jax.hessian(loss_of(problem)))(jnp.asarray(point)))
    return np.linalg.eigvalsh(hessian)[-1]


@pytest.mark.parametrize("case", FORMULAS)
def test_value_gradient_and_hessian_are_the_formulas(case):
    problem, formula, symbols = FORMULAS[case]
    exact = sp.lambdify(symbols, formula)
    gradient = sp.lambdify(symbols, [sp.diff(formula, s) for s in symbols])
    hessian = sp.lambdify(symbols, sp.hessian(formula, symbols))
    points = np.random.default_rng(3).uniform(-2.5, 2.5, (20, len(symbols)))

    def loss(p):
        return loss_of(problem)(jnp.reshape(p, problem.start.shape))

    got = jax.jit(jax.vmap(lambda p: (loss(p), jax.grad(loss)(p), jax.hessian(loss)(p))))(points)
    expected = tuple(
        np.array([f(*point) for point in points], float) for f in (exact, gradient, hessian)
    )
    assert_close(got, expected, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("factory", SCALAR)
def test_a_scalar_loss_adds_over_the_entries_of_an_array(factory):
    loss = factory().loss
    points = jnp.array([[0.3, -1.2, 2.0]])
    assert_close(loss(points), sum(loss(p) for p in points[0]), rtol=1e-13)
    assert factory(start=[0.5, 1.5]).start.shape == (2,)
    assert factory().start.shape == ()


@pytest.mark.parametrize(
    ("problem", "minimum", "threshold"),
    [
        (flows.problems.nar_sastry(), 1.0, 1 / 2),
        (flows.problems.nar_sastry(), 2.0, 1 / 5),
        (flows.problems.double_well(), -1.0, 1.0),
        (flows.problems.double_well(), 1.0, 1.0),
        (flows.problems.cosine(), np.pi, 2.0),
        (flows.problems.quadratic(), [0.0, 0.0], 1.0),
        (flows.problems.product(), [1.0, 1.0], 1.0),
        (flows.problems.product(target=-6.0), [2.0, -3.0], 2 / 13),
        (flows.problems.rosenbrock(), [1.0, 1.0], 2 / (501 + np.sqrt(501**2 - 400))),
    ],
)
def test_the_minima_and_their_largest_stable_learning_rates(problem, minimum, threshold):
    point = jnp.asarray(minimum)
    assert_close(jax.jit(jax.grad(loss_of(problem)))(point), jnp.zeros_like(point), atol=1e-12)
    assert_close(2 / sharpness(problem, point), np.float64(threshold), rtol=1e-10)


def test_gradient_descent_stays_at_a_minimum_only_below_its_threshold():
    problem = flows.problems.nar_sastry()
    for minimum, threshold in ((1.0, 1 / 2), (2.0, 1 / 5)):
        for factor, stays in ((0.98, True), (1.02, False)):
            run = flows.iterate(
                problem.loss,
                jnp.asarray(minimum + 1e-6),
                flows.GradientDescent(factor * threshold),
                steps=1000,
            )
            assert bool(abs(run.final_params - minimum) < 1e-6) is stays


def test_the_product_s_hessian_on_its_minima_has_rank_one():
    problem = flows.problems.product(target=1.5)
    hessian = jax.jit(jax.hessian(loss_of(problem)))
    for x0 in np.random.default_rng(0).uniform(0.5, 3.0, 10):
        point = jnp.array([x0, 1.5 / x0])
        eigenvalues = np.linalg.eigvalsh(hessian(point))
        # The small one is a difference of terms of the size of the large one.
        atol = 1e-14 * eigenvalues[1]
        assert_close(eigenvalues, np.array([0, x0**2 + (1.5 / x0) ** 2]), rtol=1e-12, atol=atol)


def test_the_saddle_of_the_product_and_the_maxima():
    saddle = jax.hessian(loss_of(flows.problems.product(target=0.7)))(jnp.zeros(2))
    assert_close(saddle, jnp.array([[0.0, -0.7], [-0.7, 0.0]]), rtol=1e-14)
    assert sharpness(flows.problems.double_well(), 0.0) == -1
    top = max(np.roots([3, -6, 4, -3]), key=np.real).real
    slope = jax.grad(flows.problems.nar_sastry().loss)(jnp.asarray(top))
    assert abs(slope) < 1e-12
    assert_close(sharpness(flows.problems.nar_sastry(), top), np.float64(-3.515311), rtol=1e-6)


def test_the_published_quadratic():
    problem = flows.problems.quadratic()
    assert problem.learning_rate == 0.9
    assert_close(problem.start, jnp.array([-0.35, -0.2]), rtol=0)
    run = flows.iterate(
        problem.loss, problem.start, flows.GradientDescent(0.9), 200, args=problem.args
    )
    end = jnp.array([-0.35 * (-0.8) ** 200, -0.2 * (1 - 0.018) ** 200])
    assert_close(run.final_params, end, rtol=1e-11)
    assert_close(run.final_params[1], np.float64(-5.28843965e-3), rtol=1e-8)


def test_rosenbrock_at_its_start():
    problem = flows.problems.rosenbrock()
    hessian = jax.hessian(problem.loss)(problem.start, problem.args)
    assert_close(hessian, jnp.array([[102.0, 200.0], [200.0, 200.0]]), rtol=1e-14)
    assert problem.learning_rate == pytest.approx(1e-3, rel=1e-14)


@pytest.mark.parametrize(
    "problem",
    [
        flows.problems.quadratic((5.0, -1.0, 0.1), start=(1.0, 0.0, 1.0)),
        flows.problems.quadratic(matrix=ROTATED + 3 * np.eye(2)),
        flows.problems.rosenbrock(a=0.5, b=1),
        flows.problems.rosenbrock(a=3, b=1000),
        flows.problems.product(target=50.0, start=(1.0, 1.0)),
        flows.problems.product(target=-3.0),
        flows.problems.product(target=0.0),
        flows.problems.product(target=0.01, start=(5.0, 0.3)),
    ],
    ids=lambda p: p.name,
)
def test_the_learning_rate_follows_the_numbers_of_the_problem(problem):
    run = flows.iterate(
        problem.loss,
        problem.start,
        flows.GradientDescent(problem.learning_rate),
        200,
        args=problem.args,
    )
    assert bool(jnp.all(jnp.diff(run.loss) <= 1e-14))
    assert run.loss[-1] < 0.9 * run.loss[0]


def test_the_rate_of_a_product_is_that_of_the_sharper_end():
    """0.4 times 2 / sharpness, where the run starts or at the flattest minimum, 2 |mu|."""
    assert flows.problems.product(-3.0, start=(0.1, 0.2)).learning_rate == pytest.approx(0.8 / 6)
    assert flows.problems.product(1.0, start=(2.0, 3.0)).learning_rate == pytest.approx(0.8 / 13)


def test_the_cliffs_of_the_sharp_valley_meet_the_parabola():
    loss = flows.problems.sharp_valley().loss
    for edge, inwards in ((8.4, 1e-5), (8.6, -1e-5)):
        assert float(loss(jnp.array(edge))) == pytest.approx(20 * edge**2, rel=1e-9)
        middle = float(loss(jnp.array(edge + inwards / 2)))
        assert middle == pytest.approx(10 * edge**2, rel=1e-9)
        assert float(loss(jnp.array(edge + 1.01 * inwards))) == 0


def test_flat_problems_have_a_learning_rate_too():
    assert flows.problems.quadratic((0.0, 0.0)).learning_rate == 0.9
    assert flows.problems.product(target=0.0, start=(0.0, 0.0)).learning_rate == 0.8


def test_a_matrix_that_is_symmetric_up_to_rounding_is_made_symmetric():
    matrix = ROTATED + np.array([[0, 1e-7], [-1e-7, 0]])
    args = flows.problems.quadratic(matrix=matrix).args
    assert_close(args, jnp.asarray(ROTATED), rtol=1e-14)
    assert_close(args, args.T, rtol=0)


def test_the_numbers_travel_in_args():
    a = flows.problems.rosenbrock()
    b = flows.problems.rosenbrock(a=2.0, b=7.0)
    assert a.loss is b.loss
    assert flows.problems.quadratic((1.0, 3.0)).loss is flows.problems.quadratic().loss
    assert flows.problems.product(2.0).loss is flows.problems.product().loss
    assert {k: float(v) for k, v in b.args.items()} == {"a": 2.0, "b": 7.0}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: flows.problems.quadratic((1.0, 2.0, 3.0)), r"3 numbers.*start=\(1.0, 1.0, 1.0\)"),
        (lambda: flows.problems.quadratic(np.ones(9)), r"start must hold 9 .*start=np.ones\(9\)"),
        (lambda: flows.problems.quadratic(start=(1.0,)), r"start must hold 2 numbers, .*\(1,\)"),
        (lambda: flows.problems.quadratic((1.0, np.nan)), "eigenvalues must hold finite numbers"),
        (lambda: flows.problems.quadratic(()), "eigenvalues must hold finite numbers, at least"),
        (lambda: flows.problems.quadratic(("a", "b")), "eigenvalues must hold real numbers"),
        (lambda: flows.problems.quadratic((1.0, 2j)), "eigenvalues must hold real numbers"),
        (lambda: flows.problems.quadratic(2.0), "eigenvalues must be a list of numbers"),
        (lambda: flows.problems.quadratic(np.eye(2)), r"pass a full matrix as matrix="),
        (lambda: flows.problems.quadratic((1.0, 2.0), matrix=np.eye(2)), "not both"),
        (lambda: flows.problems.quadratic(matrix=[[1, 2], [0, 1]]), r"differs .* by 2\..*matrix.T"),
        (lambda: flows.problems.quadratic(matrix=np.ones((2, 3))), r"square, got shape \(2, 3\)"),
        (lambda: flows.problems.quadratic(matrix=[1.0, 2.0]), "quadratic.eigenvalues=.*"),
        (lambda: flows.problems.quadratic(matrix=np.full((2, 2), np.inf)), "matrix .* finite"),
        (lambda: flows.problems.quadratic(matrix=[[1.0, 2.0], [3.0]]), "matrix must hold real"),
        (lambda: flows.problems.rosenbrock(b=0), "b must be positive, got 0.*b=100.0"),
        (lambda: flows.problems.rosenbrock(b=-1.0), "b must be positive"),
        (lambda: flows.problems.rosenbrock(a=np.inf), "a must hold finite numbers.*a=1.0"),
        (lambda: flows.problems.rosenbrock(a=np.ones(2)), r"a must be one number, got shape \(2,"),
        (lambda: flows.problems.rosenbrock(start=(1.0, 2.0, 3.0)), "start must hold 2 numbers"),
        (lambda: flows.problems.product(target=np.nan), "target must hold finite.*target=1.0"),
        (lambda: flows.problems.product(start=(1.0, np.nan)), "start must hold finite numbers"),
        (lambda: flows.problems.product(start=1.0), r"start must hold 2 numbers, .* shape \(\)"),
        (lambda: flows.problems.cosine(np.nan), "start must hold finite numbers.*start=2.5"),
        (lambda: flows.problems.quartic(np.inf), "start must hold finite numbers.*start=1.0"),
        (lambda: flows.problems.double_well([1.0, np.nan]), "start must hold finite.*start=0.1"),
        (lambda: flows.problems.nar_sastry("two"), "start must hold real numbers.*start=1.7"),
    ],
)
def test_bad_numbers_are_refused_with_a_remedy(make, message):
    with pytest.raises(InvalidOptionError, match=message):
        make()


def test_the_rate_of_the_rayleigh_quotient_is_in_units_of_the_start():
    """0.45 |start|^2 over the range of the eigenvalues: the curvature falls as 1 / |w|^2."""
    problem = flows.problems.rayleigh_quotient(((3.0, 0.0), (0.0, 1.0)), start=(0.0, 2.0))
    assert problem.learning_rate == pytest.approx(0.45 * 4 / 2)
