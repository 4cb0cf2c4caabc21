"""All critical points, with exact thresholds: closed forms, certified intervals, manifolds."""

import time

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Rational as Q
from sympy import atanh, cos, cosh, exp, log, pi, sin, sqrt, tanh

import symbolic

x, y, z = sympy.symbols("x y z", real=True)
positive, mu = sympy.symbols("p mu", positive=True)
SLIDES = (x**2 + 1) * (x - 1) ** 2 * (x - 2) ** 2


def same(a, b):
    return sympy.simplify(a - b) == 0


def test_the_example_of_nar_and_sastry():
    start = time.perf_counter()
    left, top, right = symbolic.critical_points(SLIDES)
    assert time.perf_counter() - start < 1
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


# Loss, where, threshold, and c1 = 3 f'''^2 - f'' f''''.
CATALOGUE = [
    (x**2 / 2 + x**4 / 4, 0, 2, -6),
    (1 - cos(x), 0, 2, 1),
    (log(cosh(x)), 0, 2, 2),
    (sqrt(1 + x**2), 0, 2, 3),
    ((x**2 - 1) ** 2 / 4, 1, 1, 96),
    (cosh(x), 0, 2, -1),
    (exp(x) - x, 0, 2, 2),
    (log(1 + exp(x)) - x / 2, 0, 8, Q(1, 32)),
    ((tanh(x) - Q(1, 2)) ** 2 / 2, atanh(Q(1, 2)), Q(32, 9), Q(1053, 128)),
    (x**2 / 2 + x**3 / 3, 0, 2, 12),
    (SLIDES, 1, Q(1, 2), 528),
    (SLIDES, 2, Q(1, 5), 17808),
]


@pytest.mark.parametrize(("loss", "at", "threshold", "c1"), CATALOGUE, ids=str)
def test_catalogue_of_flips(loss, at, threshold, c1):
    assert symbolic.threshold(loss, at) == threshold
    flip = symbolic.flip(loss, at)
    # f'' = 2 / threshold, and A = c1 / (3 f''^2).
    assert same(flip.coefficient, Q(c1) * threshold**2 / 12)
    assert flip.kind == ("supercritical" if c1 > 0 else "subcritical")
    assert any(
        same(point.location[x].subs(sympy.Symbol("n", integer=True), 0), at)
        and point.kind == "minimum"
        and same(point.threshold, threshold)
        for point in symbolic.critical_points(loss)
    )


def test_a_positive_symbol_keeps_only_its_own_points():
    (point,) = symbolic.critical_points(positive - log(positive))
    assert (point.location[positive], point.threshold) == (1, 2)
    assert same(point.flip.coefficient, 2)
    assert len(symbolic.critical_points((positive**2 - 1) ** 2)) == 1


def test_parameters_and_their_conditions():
    middle, right, left = symbolic.critical_points(x**4 / 4 - mu * x**2 / 2, x)
    assert middle.kind == "maximum"
    assert {left.location[x], right.location[x]} == {sqrt(mu), -sqrt(mu)}
    assert left.threshold == right.threshold == 1 / mu
    a = sympy.Symbol("a", real=True)
    found = {p.location[x]: p for p in symbolic.critical_points(x**4 / 4 - a * x**2 / 2, x)}
    assert found[sqrt(a)].kind == "depends on the parameters"
    assert found[sqrt(a)].condition.subs(a, 2) == sympy.true
    assert found[sqrt(a)].condition.subs(a, -2) == sympy.false
    assert found[sympy.Integer(0)].condition.subs(a, -2) == sympy.true


def test_families_of_points_have_an_integer_symbol():
    n = sympy.Symbol("n", integer=True)
    points = {p.location[x]: p.kind for p in symbolic.critical_points(1 - cos(x))}
    assert points == {2 * pi * n: "minimum", pi * (2 * n + 1): "maximum"}


def test_certified_intervals_of_a_transcendental_root():
    (point,) = symbolic.critical_points(x**2 / 2 - sin(x), between=(-3, 3))
    assert not point.exact
    a, b = point.intervals(Q(1, 10**20))[x]
    assert 0 < b - a <= Q(1, 10**20)
    assert (a - cos(a)).evalf(40) < 0 < (b - cos(b)).evalf(40)
    assert abs(point.threshold.evalf(20) - 2 / (1 + sin(point.location[x].evalf(25)))) < Q("1e-18")
    wells = symbolic.critical_points(cos(x), between=(-4, 4))
    assert [p.kind for p in wells] == ["minimum", "maximum", "minimum"]
    assert abs(wells[2].location[x].evalf(25) - pi.evalf(25)) < Q("1e-23")


def test_derivatives_that_are_rational_but_not_polynomial():
    (point,) = symbolic.critical_points(x**2 / (x**2 + 1))
    assert (point.location[x], point.threshold) == (0, 1)


@pytest.mark.parametrize(
    ("loss", "kind", "threshold"),
    [(x**4 / 4, "minimum", sympy.oo), (x**3, "inflection", None), (-(x**6), "maximum", None)],
)
def test_flat_points_are_decided_by_higher_derivatives(loss, kind, threshold):
    (point,) = symbolic.critical_points(loss)
    assert (point.kind, point.threshold, point.flip) == (kind, threshold, None)


def test_a_kink_is_reported_not_hidden():
    (point,) = symbolic.critical_points(Q(2, 3) * sympy.Abs(x) ** Q(3, 2))
    assert (point.kind, point.sharpness, point.threshold) == ("not smooth", None, None)


def test_two_variables():
    loss = (x**2 - 2) ** 2 + (y**2 - 3) ** 2
    points = symbolic.critical_points(loss)
    kinds = [p.kind for p in points]
    assert (kinds.count("minimum"), kinds.count("saddle"), kinds.count("maximum")) == (4, 4, 1)
    for point in points:
        if point.kind == "minimum":
            assert {abs(point.location[x]), abs(point.location[y])} == {sqrt(2), sqrt(3)}
            assert (point.eigenvalues, point.threshold) == ((16, 24), Q(1, 12))
    (rosenbrock,) = symbolic.critical_points((1 - x) ** 2 + 100 * (y - x**2) ** 2)
    assert rosenbrock.location == {x: 1, y: 1}
    assert same(rosenbrock.sharpness, 501 + sqrt(250601))


def test_coordinates_that_are_no_radicals_solve_the_equations():
    loss = x**4 / 4 + x**2 * y**2 / 2 + y**2 / 2 - x * y / 3 + x**3 - x
    points = symbolic.critical_points(loss)
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


def test_the_hyperbola_of_minima():
    saddle, hyperbola = symbolic.critical_points((x * y - mu) ** 2 / 2, [x, y])
    assert (saddle.kind, set(saddle.eigenvalues)) == ("saddle", {-mu, mu})
    assert hyperbola.equations == (x * y - mu,)
    assert (hyperbola.kind, hyperbola.dimension) == ("minimum", 1)
    assert same(hyperbola.threshold, 2 / (x**2 + y**2))
    assert hyperbola.best_threshold == 1 / mu
    assert {x: sqrt(mu), y: sqrt(mu)} in hyperbola.flattest
    assert symbolic.threshold((x * y - mu) ** 2 / 2, {x: 2, y: mu / 2}).equals(2 / (4 + mu**2 / 4))


def test_the_surface_of_minima_of_depth_three():
    found = symbolic.critical_points((x * y * z - mu) ** 2 / 2, [x, y, z])
    assert [m.kind for m in found] == ["minimum", "saddle", "saddle", "saddle"]
    assert found[0].dimension == 2
    assert same(found[0].best_threshold, 2 / (3 * mu ** Q(4, 3)))
    assert len(found[0].flattest) == 4


def test_the_four_branches_of_zhu():
    found = symbolic.critical_points((1 - x**2 * y**2) ** 2 / 4)
    minima = [m for m in found if m.kind == "minimum"]
    assert {m.equations for m in minima} == {(x * y - 1,), (x * y + 1,)}
    for manifold in minima:
        assert same(manifold.sharpness, 2 * (x**2 + y**2))
        assert manifold.best_threshold == Q(1, 2)
    assert {m.equations: m.kind for m in found if m not in minima} == {
        (x,): "maximum",
        (y,): "maximum",
    }


def test_scale_invariant_minima():
    kinds = {m.equations: m for m in symbolic.critical_points(x**2 / (x**2 + y**2))}
    assert kinds[x,].kind == "minimum"
    assert same(kinds[x,].threshold, y**2)
    assert kinds[y,].kind == "maximum"


def test_high_degrees_stay_quick_and_exact():
    loss = x**16 - 3 * x**11 + 2 * x**7 - 5 * x**2 + x
    start = time.perf_counter()
    points = symbolic.critical_points(loss)
    assert time.perf_counter() - start < 5
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
    for point in symbolic.critical_points(plane):
        ends = point.intervals(Q(1, 10**20))
        middle = {s: (a + b) / 2 for s, (a, b) in ends.items()}
        assert all(abs(plane.diff(s).subs(middle)) < Q("1e-17") for s in (x, y))
        hessian = sympy.hessian(plane, (x, y)).subs(middle)
        assert abs(sum(v.evalf(30) for v in point.eigenvalues) - hessian.trace()) < Q("1e-15")


def test_complex_sets_are_no_critical_points():
    assert [str(p) for p in symbolic.critical_points((x**2 + y**2 + 1) ** 2)] == [
        "x = 0, y = 0: minimum, sharpness 4, threshold 1/2"
    ]
    (origin,) = symbolic.critical_points((x**2 + y**2) ** 2)
    assert origin.location == {x: 0, y: 0}
    assert (origin.kind, origin.sharpness) == ("degenerate", 0)
    top, circle = symbolic.critical_points((x**2 + y**2 - 1) ** 2)
    assert (top.kind, circle.kind, circle.threshold) == ("maximum", "minimum", Q(1, 4))


def test_manifolds_that_cross_are_arbitrarily_flat():
    found = symbolic.critical_points(x**2 * y**2 * (x + y - 1) ** 2)
    assert [m.kind for m in found] == ["maximum", "minimum", "minimum", "minimum"]
    assert {m.best_threshold for m in found[1:]} == {sympy.oo}


def test_a_line_of_minima_in_space():
    found = symbolic.critical_points(x**2 * y**2 + (x + y + z - 1) ** 2)
    assert [(m.kind, m.dimension) for m in found] == [("minimum", 1)] * 2
    for m, at in zip(found, ({x: 0, y: 2, z: -1}, {x: 2, y: 0, z: -1}), strict=True):
        top = max(sympy.hessian(m.loss, (x, y, z)).subs(at).eigenvals(), key=sympy.N)
        assert same(m.sharpness.subs(at), top)


@settings(max_examples=20, deadline=None)
@given(st.sets(st.integers(-6, 6), min_size=2, max_size=4))
def test_squared_polynomials_with_known_roots(roots):
    """At a root r of p, (p^2)'' = 2 p'(r)^2, so the threshold is 1 / p'(r)^2."""
    p = sympy.prod([x - r for r in roots])
    points = symbolic.critical_points(p**2)
    minima = {q.location[x]: q.threshold for q in points if q.kind == "minimum"}
    assert set(minima) == roots
    for r in roots:
        slope = sympy.prod([r - s for s in roots if s != r])
        assert minima[r] == Q(1, slope**2)
    assert [q.kind for q in points] == ["minimum", "maximum"] * (len(roots) - 1) + ["minimum"]


def test_lines_to_print():
    text = [str(p) for p in symbolic.critical_points(SLIDES)]
    assert text[0] == "x = 1: minimum, sharpness 4, threshold 1/2, supercritical flip"
    assert text[1].startswith("x = 1.55613388")
