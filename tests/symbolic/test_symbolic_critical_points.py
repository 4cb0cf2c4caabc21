"""All critical points, with exact thresholds: closed forms and certified intervals."""

import time

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from plain import critical_points, same
from sympy import Rational as Q
from sympy import cos, log, pi, sin, sqrt

import symbolic
from symbolic.roots._algebraic import isolating_interval

x, y, z = sympy.symbols("x y z", real=True)
positive, mu = sympy.symbols("p mu", positive=True)
SLIDES = (x**2 + 1) * (x - 1) ** 2 * (x - 2) ** 2


def test_the_example_of_nar_and_sastry():
    start = time.process_time()
    left, top, right = critical_points(SLIDES)
    assert time.process_time() - start < 1
    assert (left.location[x], left.kind, left.sharpness, left.threshold) == (
        1,
        "minimum",
        4,
        Q(1, 2),
    )
    assert (right.location[x], right.kind, right.sharpness, right.threshold) == (
        2,
        "minimum",
        10,
        Q(1, 5),
    )
    assert left.exact
    assert left.value == right.value == 0
    assert top.kind == "maximum"
    assert top.threshold is None
    assert not top.exact
    assert (3 * x**3 - 6 * x**2 + 4 * x - 3).subs(x, top.location[x]).equals(0)
    assert abs(top.location[x].evalf(15) - Q("1.5561338829")) < Q("1e-10")
    assert abs(top.value.evalf(15) - Q("0.208490335")) < Q("1e-9")
    assert abs(top.sharpness.evalf(15) + Q("3.515311")) < Q("1e-6")
    a, b = top.intervals(Q(1, 10**30))[x]
    assert b - a <= Q(1, 10**30)
    cubic = sympy.Poly(3 * x**3 - 6 * x**2 + 4 * x - 3)
    assert cubic.eval(a) * cubic.eval(b) < 0


def test_the_interval_of_a_polynomial_in_a_root_holds_its_value():
    """Also where the polynomial has its minimum next to the root, below both ends' values."""
    root = sympy.CRootOf(x**3 - x - 1, 0)
    value = root**2 - Q(66, 25) * root
    low, high = isolating_interval(value, Q(1))
    assert low <= value.evalf(30) <= high
    assert high - low <= 1


def test_a_positive_symbol_keeps_only_its_own_points():
    (point,) = critical_points(positive - log(positive))
    assert (point.location[positive], point.threshold) == (1, 2)
    assert same(point.flip.coefficient, 2)
    assert len(critical_points((positive**2 - 1) ** 2)) == 1


def test_parameters_and_their_conditions():
    middle, right, left = critical_points(x**4 / 4 - mu * x**2 / 2, x)
    assert middle.kind == "maximum"
    assert {left.location[x], right.location[x]} == {sqrt(mu), -sqrt(mu)}
    assert left.threshold == right.threshold == 1 / mu
    a = sympy.Symbol("a", real=True)
    found = {p.location[x]: p for p in critical_points(x**4 / 4 - a * x**2 / 2, x)}
    assert found[sqrt(a)].kind == "depends on the parameters"
    assert found[sqrt(a)].condition.subs(a, 2) == sympy.true
    assert found[sqrt(a)].condition.subs(a, -2) == sympy.false
    assert found[sympy.Integer(0)].condition.subs(a, -2) == sympy.true


def test_families_of_points_have_an_integer_symbol():
    n = sympy.Symbol("n", integer=True)
    points = {p.location[x]: p.kind for p in critical_points(1 - cos(x))}
    assert points == {2 * pi * n: "minimum", pi * (2 * n + 1): "maximum"}


def test_certified_intervals_of_a_transcendental_root():
    (point,) = critical_points(x**2 / 2 - sin(x), between=(-3, 3))
    assert not point.exact
    a, b = point.intervals(Q(1, 10**20))[x]
    assert 0 < b - a <= Q(1, 10**20)
    assert (a - cos(a)).evalf(40) < 0 < (b - cos(b)).evalf(40)
    assert abs(point.threshold.evalf(20) - 2 / (1 + sin(point.location[x].evalf(25)))) < Q("1e-18")
    wells = critical_points(cos(x), between=(-4, 4))
    assert [p.kind for p in wells] == ["minimum", "maximum", "minimum"]
    assert abs(wells[2].location[x].evalf(25) - pi.evalf(25)) < Q("1e-23")


def test_derivatives_that_are_rational_but_not_polynomial():
    (point,) = critical_points(x**2 / (x**2 + 1))
    assert (point.location[x], point.threshold) == (0, 1)


@pytest.mark.parametrize(
    ("loss", "kind", "threshold"),
    [(x**4 / 4, "minimum", sympy.oo), (x**3, "inflection", None), (-(x**6), "maximum", None)],
)
def test_flat_points_are_decided_by_higher_derivatives(loss, kind, threshold):
    (point,) = critical_points(loss)
    assert (point.kind, point.threshold, point.flip) == (kind, threshold, None)


def test_a_kink_is_reported_not_hidden():
    (point,) = critical_points(Q(2, 3) * sympy.Abs(x) ** Q(3, 2))
    assert (point.kind, point.sharpness, point.threshold) == ("not smooth", None, None)


def test_two_variables():
    loss = (x**2 - 2) ** 2 + (y**2 - 3) ** 2
    points = critical_points(loss)
    kinds = [p.kind for p in points]
    assert (kinds.count("minimum"), kinds.count("saddle"), kinds.count("maximum")) == (4, 4, 1)
    for point in points:
        if point.kind == "minimum":
            assert {abs(point.location[x]), abs(point.location[y])} == {sqrt(2), sqrt(3)}
            assert (point.eigenvalues, point.threshold) == ((16, 24), Q(1, 12))
    (rosenbrock,) = critical_points((1 - x) ** 2 + 100 * (y - x**2) ** 2)
    assert rosenbrock.location == {x: 1, y: 1}
    assert same(rosenbrock.sharpness, 501 + sqrt(250601))


def test_coordinates_that_are_no_radicals_solve_the_equations():
    loss = x**4 / 4 + x**2 * y**2 / 2 + y**2 / 2 - x * y / 3 + x**3 - x
    points = critical_points(loss)
    assert {p.kind for p in points} == {"minimum", "saddle"}
    for point in points:
        assert not point.exact
        numbers = {s: v.evalf(40) for s, v in point.location.items()}
        for symbol in (x, y):
            assert abs(loss.diff(symbol).subs(numbers)) < Q("1e-35")
        hessian = sympy.hessian(loss, (x, y)).subs(numbers)
        assert abs(sum(v.evalf(40) for v in point.eigenvalues) - hessian.trace()) < Q("1e-33")
        assert abs(sympy.prod([v.evalf(40) for v in point.eigenvalues]) - hessian.det()) < Q(
            "1e-30"
        )


def test_high_degrees_stay_quick_and_exact():
    loss = x**16 - 3 * x**11 + 2 * x**7 - 5 * x**2 + x
    start = time.process_time()
    points = critical_points(loss)
    assert time.process_time() - start < 5
    kinds = [point.kind for point in points]
    assert kinds == ["minimum", "maximum", "minimum"]
    for point in points:
        a, b = point.intervals(Q(1, 10**15))[x]
        assert loss.diff(x).subs(x, a) * loss.diff(x).subs(x, b) < 0
        exact, direct = (
            e.evalf(30) for e in (point.sharpness, loss.diff(x, 2).subs(x, (a + b) / 2))
        )
        assert abs(exact - direct) < Q("1e-9")
    plane = x**4 + y**4 + x**3 * y - 2 * x * y**2 + x**2 - x + y
    for point in critical_points(plane):
        ends = point.intervals(Q(1, 10**20))
        middle = {s: (a + b) / 2 for s, (a, b) in ends.items()}
        assert all(abs(plane.diff(s).subs(middle)) < Q("1e-17") for s in (x, y))
        hessian = sympy.hessian(plane, (x, y)).subs(middle)
        assert abs(sum(v.evalf(30) for v in point.eigenvalues) - hessian.trace()) < Q("1e-15")


@settings(max_examples=20, deadline=None)
@given(st.sets(st.integers(-6, 6), min_size=2, max_size=4))
def test_squared_polynomials_with_known_roots(roots):
    """At a root r of p, (p^2)'' = 2 p'(r)^2, so the threshold is 1 / p'(r)^2."""
    p = sympy.prod([x - r for r in roots])
    points = critical_points(p**2)
    minima = {q.location[x]: q.threshold for q in points if q.kind == "minimum"}
    assert set(minima) == roots
    for r in roots:
        slope = sympy.prod([r - s for s in roots if s != r])
        assert minima[r] == Q(1, slope**2)
    assert [q.kind for q in points] == ["minimum", "maximum"] * (len(roots) - 1) + ["minimum"]


def test_decimal_coefficients_in_two_variables():
    """x = 3 y and y^3 = 10/0.21 by hand; the eigenvalues from trace and determinant in floats."""
    (point,) = critical_points(0.07 * x * y + 10 / y + 30 / x)
    b = (10 / 0.21) ** (1 / 3)
    a = 3 * b
    assert float(point.location[y]) == pytest.approx(b, rel=1e-14)
    assert float(point.location[x]) == pytest.approx(a, rel=1e-14)
    xx, yy, xy = 60 / a**3, 20 / b**3, 0.07
    root = ((xx - yy) ** 2 / 4 + xy**2) ** 0.5
    for found, expected in zip(point.eigenvalues, (-root, root), strict=True):
        assert float(found) == pytest.approx((xx + yy) / 2 + expected, rel=1e-13)
    assert point.kind == "minimum"


def test_eigenvalues_that_coincide_at_roots_of_large_coefficients():
    """A sum of one quartic in each of three variables: 27 points, eigenvalues one by one."""
    loss = sum(v**4 - 16 * v**2 + 5 * v for v in (x, y, z)) / 2
    slopes = np.roots([2, 0, -16, 2.5]).real
    points = critical_points(loss)
    assert len(points) == 27
    for point in points:
        at = [float(v.evalf(20)) for v in point.location.values()]
        assert all(min(abs(slopes - v)) < 1e-12 for v in at)
        curvatures = sorted(6 * v**2 - 16 for v in at)
        assert [float(e.evalf(20)) for e in point.eigenvalues] == pytest.approx(curvatures)
    assert [p.kind for p in points].count("minimum") == 8


@pytest.mark.parametrize(
    ("loss", "count"),
    [
        (4 * x**2 - Q(21, 10) * x**4 + x**6 / 3 + x * y - 4 * y**2 + 4 * y**4, 15),  # a camel
        (sympy.prod([x - k for k in range(1, 10)]), 8),
        (sympy.prod([x - k for k in range(1, 13)]), 11),
    ],
)
def test_textbook_functions_are_printed_whole(loss, count):
    points = critical_points(loss)
    lines = symbolic.table(points).splitlines()[1:]
    assert len(lines) == count
    f = sympy.lambdify(tuple(points[0].location), loss)
    for point in points:
        ends = point.intervals(Q(1, 10**20))
        at = [float((a + b) / 2) for a, b in ends.values()]
        assert point.value.evalf(20) == pytest.approx(f(*at), rel=1e-9)
    minima = [p for p in points if p.kind == "minimum"]
    assert sum("two-cycle" in line for line in lines) == len(minima)


def test_the_flip_of_a_long_product_is_that_of_its_derivatives():
    """By numbers from the multiplied-out polynomial, at the second critical point."""
    points = critical_points(sympy.prod([x - k for k in range(1, 10)]))
    polynomial = np.poly1d(np.poly(range(1, 10)))
    at = points[1].location[x].evalf(30)
    second, third, fourth = (
        sum(Q(round(c)) * at**k for k, c in enumerate(polynomial.deriv(order).c[::-1]))
        for order in (2, 3, 4)
    )
    expected = (3 * third**2 / second - fourth) / (3 * second)
    assert float(points[1].flip.coefficient.evalf(20)) == pytest.approx(float(expected), rel=1e-9)
