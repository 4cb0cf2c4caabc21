"""Thresholds of optimizers: closed forms of the reference, and plain iterations beside them."""

import pytest
import sympy
from plain import same
from sympy import Rational as Q
from sympy import sqrt

import symbolic
from symbolic.roots._jury import first_boundary

b1, momentum, lookahead, radius, learning_rate = sympy.symbols(
    "b1 momentum lookahead radius learning_rate", positive=True
)
CLOSED = {
    "gradient_descent": sympy.Integer(2),
    "heavy_ball": 2 * (1 + momentum),
    "nesterov": 2 * (1 + momentum) / (1 + 2 * momentum),
    "look_ahead": 2 * (1 + momentum) / (1 + 2 * lookahead),
    "ema_momentum": 2 * (1 + b1) / (1 - b1),
    "adam": 2 * (1 + b1) / (1 - b1),
    "nadam": 2 * (1 + b1) / ((1 - b1) * (1 + 2 * b1)),
    "optimistic": Q(2, 3),
    "extragradient": sympy.Integer(1),
    # lambda < (sqrt(1 + 8 rho / h) - 1) / (2 rho), times h
    "sharpness_aware": learning_rate * (sqrt(1 + 8 * radius / learning_rate) - 1) / (2 * radius),
}


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms(name):
    assert same(symbolic.optimizer_threshold(name), CLOSED[name])


def test_values_at_nine_tenths():
    assert symbolic.optimizer_threshold("heavy_ball", momentum=0.9) == Q(19, 5)
    assert symbolic.optimizer_threshold("adam", b1=0.9) == 38
    assert abs(symbolic.optimizer_threshold("nesterov", momentum=0.9) - Q("1.357143")) < 1e-6
    assert abs(symbolic.optimizer_threshold("nadam", b1=0.9) - Q("13.5714")) < 1e-4


def heavy_ball(w, old, q, b=0.9):
    return w + b * (w - old) - q * w, w


def nesterov(w, old, q, b=0.9):
    return w + b * (w - old) - q * (w + b * (w - old)), w


def averaged(w, m, q, b=0.9):
    m = b * m + (1 - b) * w
    return w - q * m, m


def averaged_twice(w, m, q, b=0.9):
    m = b * m + (1 - b) * w
    return w - q * (b * m + (1 - b) * w), m


def look_ahead(w, old, q, b=0.9, a=0.3):
    return w + b * (w - old) - q * (w + a * (w - old)), w


def sharpness_aware(w, _, q):
    return w - q * (w + 0.7 * q * w), _  # h = 1, rho = 0.7


STEPS = {
    "gradient_descent": (lambda w, o, q: (w - q * w, w), {}),
    "heavy_ball": (heavy_ball, {"momentum": 0.9}),
    "nesterov": (nesterov, {"momentum": 0.9}),
    "look_ahead": (look_ahead, {"momentum": 0.9, "lookahead": 0.3}),
    "ema_momentum": (averaged, {"b1": 0.9}),
    "adam": (averaged, {"b1": 0.9}),
    "nadam": (averaged_twice, {"b1": 0.9}),
    "optimistic": (lambda w, o, q: (w - 2 * q * w + q * o, w), {}),
    "extragradient": (lambda w, o, q: (w - q * (w - q * w), w), {}),
    "sharpness_aware": (sharpness_aware, {"radius": 0.7, "learning_rate": 1}),
}


@pytest.mark.parametrize("name", STEPS)
def test_by_iteration(name):
    assert set(STEPS) == set(CLOSED)
    step, hyperparameters = STEPS[name]
    limit = float(symbolic.optimizer_threshold(name, **hyperparameters))
    for factor, converges in ((0.5, True), (0.99, True), (1.01, False)):
        w, state = 1.0, 0.9
        for _ in range(20000):
            w, state = step(w, state, factor * limit)
            if abs(w) > 1e12:
                break
        assert (abs(w) < 1e-9) == converges


def test_critical_damping():
    assert {
        sympy.expand(v) for v in symbolic.critical_damping("heavy_ball", momentum=momentum)
    } == {sympy.expand((1 - sqrt(momentum)) ** 2), sympy.expand((1 + sqrt(momentum)) ** 2)}
    found = symbolic.critical_damping("nesterov", momentum=momentum)
    assert {sympy.simplify(v) for v in found} == {
        1,
        sympy.simplify(((1 - momentum) / (1 + momentum)) ** 2),
    }


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: symbolic.optimizer_threshold("momentum"), "there is no optimizer 'momentum'"),
        (lambda: symbolic.optimizer_threshold("adam", beta=1), "no hyperparameter 'beta'"),
        (lambda: symbolic.optimizer_threshold("adam", b1=1), r"b1 must be in \[0, 1\), got 1"),
        (
            lambda: symbolic.optimizer_threshold("sharpness_aware", radius=-1),
            "radius must be positive",
        ),
        (lambda: symbolic.critical_damping("extragradient"), "has one mode"),
        (lambda: symbolic.runge_kutta_limit(5), "order must be 1 to 4"),
        (lambda: symbolic.finite_sum_thresholds([1, 2], 3), "do not fit 2 curvatures"),
        (lambda: symbolic.finite_sum_thresholds([1, 2], 2, 2), "only batches of one"),
    ],
)
def test_messages_of_optimizers(call, message):
    with pytest.raises(symbolic.InvalidArgumentError, match=message):
        call()


def test_an_l2_term_adds_to_the_curvature():
    """Coupled or not, weight decay w on a parabola is the step x - h (lam + w) x."""
    x = sympy.Symbol("x", real=True)
    curvature, decay, h = sympy.symbols("lam w h", positive=True)
    limit = symbolic.threshold(curvature * x**2 / 2 + decay * x**2 / 2, {x: 0})
    assert same(limit, symbolic.optimizer_threshold("gradient_descent") / (curvature + decay))
    coupled = symbolic.descent_step(curvature * x**2 / 2 + decay * x**2 / 2, x, h)[x]
    decoupled = symbolic.descent_step(curvature * x**2 / 2, x, h)[x] - h * decay * x
    assert same(coupled, decoupled)


def test_sharpness_aware_in_terms_of_the_curvature():
    """q (1 + rho lam) < 2 with q = h lam."""
    rho, h = sympy.symbols("rho h", positive=True)
    q = symbolic.optimizer_threshold("sharpness_aware", radius=rho, learning_rate=h)
    assert same(q * (1 + rho * q / h), 2)


@pytest.mark.parametrize(
    ("quadratic", "expected"),
    [
        # -(1 - b) q^2 + q + 1: a negative leading coefficient, roots of both signs.
        (lambda b, q: (b - 1) * q**2 + q + 1, lambda b: (1 + sqrt(5 - 4 * b)) / (2 * (1 - b))),
        # -(1 - b) q^2 + 3 q - 2: the same, both roots positive, and the smaller one counts.
        (
            lambda b, q: (b - 1) * q**2 + 3 * q - 2,
            lambda b: (3 - sqrt(1 + 8 * b)) / (2 * (1 - b)),
        ),
        (lambda b, q: (1 + b) * q**2 - q - 1, lambda b: (1 + sqrt(5 + 4 * b)) / (2 * (1 + b))),
    ],
)
def test_the_first_positive_root_of_a_quadratic_whatever_its_leading_sign(quadratic, expected):
    q = sympy.Symbol("q", positive=True)
    boundary = first_boundary([quadratic(b1, q)], q, [b1])
    assert same(boundary, expected(b1))
    for value in (Q(1, 5), Q(7, 10)):  # and by numbers: a root, and none before it
        root = float(boundary.subs(b1, value))
        signs = [quadratic(float(value), root * k / 1000) for k in range(1, 1000)]
        assert abs(quadratic(float(value), root)) < 1e-12
        assert all(s * signs[0] > 0 for s in signs)
