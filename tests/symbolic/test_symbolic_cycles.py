"""Cycles of the step map: points, multipliers, and exact intervals of stability."""

import pytest
import sympy
from plain import orbit, same
from sympy import Rational as Q
from sympy import sqrt

import symbolic

x, y = sympy.symbols("x y", real=True)
h, r, p = sympy.symbols("h r p", positive=True)
WELLS = (x**2 - 1) ** 2 / 4
LOGISTIC = x**2 / 2 + x**3 / 3
BARRIERS = x**2 / 2 - x**4 / 4


def families(loss, period):
    return symbolic.cycles(loss, x, period, h)


def test_two_cycles_of_the_double_well():
    symmetric, pair = families(WELLS, 2)
    assert same(symmetric.equation, h * x**2 - h - 2)
    assert same(symmetric.multiplier, (2 * h + 5) ** 2)
    assert symmetric.stable_steps == ()
    # x = (s ± d) / 2 with s^2 = (3 + h) / h, d^2 = (h - 1) / h
    for sign in (1, -1):
        point = (sqrt((3 + h) / h) + sign * sqrt((h - 1) / h)) / 2
        assert same(sympy.expand(pair.equation.subs(x, point)), 0)
    assert same(pair.multiplier, 9 - 2 * (1 + h) ** 2)
    assert pair.stable_steps == ((1, sqrt(5) - 1),)
    assert same(pair.superstable_steps[0], 3 / sqrt(2) - 1)
    assert pair.doubling_steps == (sqrt(5) - 1,)


def test_the_stable_pair_at_one_step():
    found = symbolic.cycles(WELLS, x, 2, Q(21, 20))
    assert [cycle.stable for cycle in found] == [False, True, True]
    right = found[2]
    assert same(right.multiplier, 9 - 2 * Q(41, 20) ** 2)
    low, high = (point.evalf(15) for point in right.points)
    assert abs(high - Q("1.0910894512")) < Q("1e-10")
    assert abs(low - Q("0.8728715609")) < Q("1e-10")
    simulated = orbit(lambda v: v**3 - v, 1.3, 1.05, 5000)[-2:]
    assert sorted(simulated) == pytest.approx([float(low), float(high)], abs=1e-12)


@pytest.mark.parametrize(
    ("step", "settles"), [(0.99 * (5**0.5 - 1), True), (1.01 * (5**0.5 - 1), False)]
)
def test_the_interval_of_stability_by_simulation(step, settles):
    points = orbit(lambda v: v**3 - v, 1.1, step, 20000)
    assert (abs(points[-1] - points[-3]) < 1e-9) == settles


def test_the_basin_of_the_logistic_map():
    for step in (0.5, 1.5, 1.99):
        for start, inside in (
            (-0.99, True),
            (0.99 / step, True),
            (-1.01, False),
            (1.01 / step, False),
        ):
            end = orbit(lambda v: v + v * v, start, step, 5000)[-1]
            assert (abs(end) < 1e-6) == inside


def test_the_logistic_map():
    (two,) = families(LOGISTIC, 2)
    assert two.stable_steps == ((2, sqrt(6)),)
    assert two.superstable_steps == (sqrt(5),)
    assert same(two.multiplier, 5 - h**2)
    (three,) = families(LOGISTIC, 3)
    assert three.stable_steps[0][0] == 2 * sqrt(2)
    assert abs(three.doubling_steps[0].evalf(12) - Q("2.8414990")) < Q("1e-6")
    assert symbolic.threshold(LOGISTIC, 0) == 2
    assert symbolic.classify(1, 1) == "superstable"


def test_losses_with_barriers():
    symmetric, broken = families(BARRIERS, 2)
    assert same(symmetric.equation, h * x**2 - h + 2)
    assert same(symmetric.multiplier, (2 * h - 5) ** 2)
    assert symmetric.stable_steps == ((2, 3),)
    assert broken.stable_steps == ((3, 1 + sqrt(5)),)


@pytest.mark.parametrize(
    ("slope", "period", "end"),
    [
        (lambda v: v + v * v, 2, 6**0.5),  # the logistic map
        (lambda v: v + v * v, 1, 2.0),
        (lambda v: v - v**3, 2, 1 + 5**0.5),  # barriers: the pair whose symmetry is broken
        (lambda v: v**3 - v, 1, 1.0),
        (lambda v: v**3 - v, 2, 5**0.5 - 1),  # wells
    ],
)
def test_where_intervals_end_by_plain_descent(slope, period, end):
    for share, settles in ((0.99, True), (1.01, False)):
        points = orbit(slope, 0.3, share * end, 20_000)
        assert (abs(points[-1] - points[-1 - period]) < 1e-9) == settles


def test_where_the_symmetric_cycle_of_the_barriers_breaks():
    for step, symmetric in ((2.97, True), (3.03, False)):
        *_, last, end = orbit(lambda v: v - v**3, 0.3, step, 20_000)
        assert (abs(last + end) < 1e-9) == symmetric


def test_the_cubic_map_in_its_own_variable():
    """y = sqrt(h) x turns the wells into a y - y^3 with a = 1 + h, the barriers into its mirror."""
    a = sympy.Symbol("a", positive=True)
    after = symbolic.descent_step(WELLS, x, h)[x].subs(x, y / sqrt(h)) * sqrt(h)
    assert same(after, (1 + h) * y - y**3)
    after = symbolic.descent_step(BARRIERS, x, h)[x].subs(x, y / sqrt(h)) * sqrt(h)
    assert same(after, -((h - 1) * y - y**3))
    cubic = a * y - y**3
    twice = sympy.expand(cubic.subs(y, cubic) - y)
    factors = -(y**2 - a - 1) * (y**4 - a * y**2 + 1)
    assert same(sympy.cancel(twice / (cubic - y)), factors)
    symmetric, pair = families(WELLS, 2)
    in_y = {x: y / sqrt(h)}
    assert same(symmetric.equation.subs(in_y), (y**2 - a - 1).subs(a, 1 + h))
    ratio = sympy.cancel(pair.equation.subs(in_y) / (y**4 - a * y**2 + 1).subs(a, 1 + h))
    assert ratio.is_constant()
    assert same(symmetric.multiplier, (2 * a + 3).subs(a, 1 + h) ** 2)
    assert same(pair.multiplier, 9 - 2 * (1 + h) ** 2)


def test_the_step_of_chen_and_bruna():
    """At d on the two-cycle: eta = 1 / (d^2 (sqrt(mu / d^2 - 3/4) + 1/2)), with mu = 1."""
    *_, pair = families(WELLS, 2)
    d = sympy.Symbol("d", positive=True)
    eta = 1 / (d**2 * (sqrt(1 / d**2 - Q(3, 4)) + Q(1, 2)))
    assert same(pair.equation.subs({x: d, h: eta}), 0)


def test_the_logistic_map_in_its_own_variable():
    """z = h (x + 1) / (1 + h), r = 1 + h; z' = r z (1 - z)."""
    z = h * (x + 1) / (1 + h)
    after = z.subs(x, symbolic.descent_step(LOGISTIC, x, h)[x])
    assert same(after, (1 + h) * z * (1 - z))


def test_the_subcritical_quartic():
    loss = x**2 / 2 + x**4 / 4
    symmetric = families(loss, 2)[0]
    assert same(symmetric.equation, h * x**2 + h - 2)
    assert symmetric.stable_steps == ()
    assert same(symbolic.symmetric_cycle(loss).multiplier, (2 * h - 5).subs(h, 2 / (1 + x**2)))
    for step in (0.5, 1.0, 1.9):
        edge = ((2 - step) / step) ** 0.5
        inside = orbit(lambda v: v + v**3, 0.99 * edge, step, 5000)
        outside = orbit(lambda v: v + v**3, 1.01 * edge, step, 5000)
        assert abs(inside[-1]) < 1e-9
        assert abs(outside[-1]) > 1e3


def test_the_loss_falls_at_every_step_until_two_root_two_minus_two():
    """e' / e = 1 - 2h + h (h - 2) e + h^2 e^2 for the residual e = x^2 - 1."""
    e = x**2 - 1
    after = (x - h * (x**3 - x)) ** 2 - 1
    assert sympy.expand(after - e * (1 - 2 * h + h * (h - 2) * e + h**2 * e**2)) == 0
    ratio = 1 - 2 * h + h * (h - 2) * y + h**2 * y**2
    vertex = sympy.solve(sympy.diff(ratio, y), y)[0]
    least = sympy.simplify(ratio.subs(y, vertex))
    assert same(least.subs(h, 2 * sqrt(2) - 2), -1)
    # At the ends of the basin, e = -1 and e = 2 / h, the ratio is 1: between, it is smaller.
    assert same(ratio.subs(y, -1), 1)
    assert same(ratio.subs(y, 2 / h), 1)
    for step, falls in ((0.82, True), (0.84, False)):
        edge = (1 + 2 / step) ** 0.5
        pairs = (
            (k * edge / 5000, orbit(lambda v: v**3 - v, k * edge / 5000, step, 1)[-1])
            for k in range(5000)
        )
        assert all(abs(w * w - 1) <= abs(v * v - 1) * (1 + 1e-12) for v, w in pairs) == falls


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: symbolic.cycles(x**2, x, 2, 1), "InvalidStepError", "every point returns after 2"),
        (lambda: symbolic.cycles(sympy.cos(x)), "NotSolvedError", "no polynomial in x of degree 2"),
        (lambda: symbolic.cycles(x, x, 2, 1), "NotSolvedError", "of degree 2 or more"),
        (
            lambda: symbolic.cycles(sympy.sqrt(2) * x**4, x, 2, 1),
            "NotSolvedError",
            "with rational coefficients",
        ),
        (lambda: symbolic.cycles(x**4, x, 2, x), "InvalidArgumentError", "a symbol other than x"),
        (lambda: symbolic.cycles(x**4, x, 0), "InvalidArgumentError", "period must be a whole"),
        (
            lambda: symbolic.cycles(x**4, x, 2, 1 + h),
            "InvalidArgumentError",
            "a rational number or a symbol other than x",
        ),
        (lambda: symbolic.cycles(x**4, x, 5, 1), "TooMuchWorkError", "max_degree=243"),
        (lambda: symbolic.cycles(x**4, x, 4), "TooMuchWorkError", "max_degree=243"),
        (lambda: symbolic.cycles(x * y, x, 2, 1), "InvalidSymbolsError", "y is undetermined"),
    ],
)
def test_messages_of_cycles(call, error, message):
    with pytest.raises(getattr(symbolic, error), match=message):
        call()
