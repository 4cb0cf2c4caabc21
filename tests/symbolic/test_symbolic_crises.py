"""Steps at which an attractor is destroyed, merges or opens; what descent does on both sides."""

import math

import pytest
import sympy
from plain import critical_points, orbit, same
from sympy import Rational as Q
from sympy import sqrt

import symbolic

x = sympy.Symbol("x", real=True)
WELLS = (x**2 - 1) ** 2 / 4
LOGISTIC = x**2 / 2 + x**3 / 3
BARRIERS = x**2 / 2 - x**4 / 4
SLIDES = (x**2 + 1) * (x - 1) ** 2 * (x - 2) ** 2
# The landscape -1600 u^5 - 2000 u^4 + 800 u^3 + 1020 u^2 near its sharp minimum u = 0.
PIECE = -1600 * x**5 - 2000 * x**4 + 800 * x**3 + 1020 * x**2


def slope_of_slides(v):
    return 2 * (v - 1) * (v - 2) * (3 * v**3 - 6 * v**2 + 4 * v - 3)


def test_the_logistic_map_diverges_beyond_three():
    assert [c.step for c in symbolic.crisis(LOGISTIC, after=2, period=1)] == [3]
    for step, inside in ((2.97, True), (3.03, False)):
        end = orbit(lambda v: v + v * v, (1 / step - 1) / 2, step, 5000)[-1]
        assert (abs(end) < 2) == inside


def test_the_barrier_opens_at_step_four():
    assert [c.step for c in symbolic.crisis(BARRIERS, after=1, target=1)] == [4]
    for step, inside in ((3.96, True), (4.04, False)):
        # A critical point of the map is the worst start: it goes furthest.
        c = ((step - 1) / (3 * step)) ** 0.5
        points = orbit(lambda v: v - v**3, c, step, 2000)
        assert all(abs(v) < 1 for v in points) == inside


def test_crises_of_the_double_well():
    (boundary,) = symbolic.crisis(WELLS, after=1, period=2)
    assert boundary.step == 2
    for step, inside in ((1.98, True), (2.02, False)):
        assert (abs(orbit(lambda v: v**3 - v, 0.7, step, 5000)[-1]) < 2) == inside
    # The extreme of y -> a y - y^3 meets the two-cycle y^2 = a + 1, with a = 1 + h.
    a, t = sympy.symbols("a t", positive=True)
    extreme = sympy.sqrt(a / 3)
    meeting = (a * extreme - extreme**3) ** 2 - (a + 1)
    assert same(27 * meeting, 4 * a**3 - 27 * a - 27)
    assert same(4 * a**3 - 27 * a - 27, (a - 3) * (2 * a + 3) ** 2)
    # There y = 2 cos t goes to -2 cos 3t, so the Lyapunov exponent is log 3.
    y = 2 * sympy.cos(t)
    assert same(sympy.expand_trig(3 * y - y**3 + 2 * sympy.cos(3 * t)), 0)
    v, total = 0.7, 0.0
    for _ in range(400_000):
        total += math.log(abs(3 - 3 * v * v))
        v = 3 * v - v**3
    assert total / 400_000 == pytest.approx(math.log(3), abs=1e-3)


def test_the_two_wells_merge():
    (merging,) = symbolic.crisis(WELLS, after=2, target=0)
    assert same(merging.step, 3 * sqrt(3) / 2 - 1)
    for step, merged in ((0.999 * float(merging.step), False), (1.003 * float(merging.step), True)):
        points = orbit(lambda v: v**3 - v, 0.7, step, 50000)
        assert (min(points) < 0) == merged


def test_the_band_of_the_slides_ends():
    maximum = critical_points(SLIDES)[1].location[x]
    (end,) = symbolic.crisis(SLIDES, after=2, target=maximum, near=1.897)
    assert abs(end.step - Q("0.3306047846")) < Q("1e-10")
    assert abs(end.critical_point - Q("1.8974177673")) < Q("1e-10")
    for share, stays in ((0.99, True), (1.01, False)):
        points = orbit(slope_of_slides, 2.001, share * float(end.step), 50_000)
        assert (min(points) > float(maximum)) == stays


def test_at_three_tenths_descent_near_two_stays_near_two():
    band = orbit(slope_of_slides, 2.001, 0.3, 20000)[1000:]
    # The ends of the band are F(F(c)) and F(c), with F'(c) = 0.
    assert 1.7050994 < min(band) < 1.7052
    assert 2.0899 < max(band) < 2.0899984
    assert abs(orbit(slope_of_slides, 2.001, 0.35, 20000)[-1] - 1) < 1e-9


def test_the_cosine_hops_between_wells():
    (hop,) = symbolic.crisis(1 - sympy.cos(x), after=1, target=-sympy.pi, near=1.35)
    assert abs(hop.step - Q("4.6033388488")) < Q("1e-10")
    assert abs(sympy.sqrt(hop.step**2 - 1) - sympy.acos(1 / hop.step) - sympy.pi) < Q("1e-25")
    assert max(map(abs, orbit(math.sin, 1.0, 4.59, 20000))) < 3.1416
    assert max(map(abs, orbit(math.sin, 1.0, 4.62, 20000))) > 6.3


def test_the_sharp_piece_of_the_landscape():
    """Its doubling, and the two steps at which the trap opens, in part and in full."""
    maximum, *_ = (
        p.location[x]
        for p in critical_points(PIECE)
        if p.kind == "maximum" and -1 < p.location[x].evalf() < 0
    )
    assert abs(maximum.evalf(15) + Q("2.5") - Q("2.0353102172")) < Q("1e-10")
    assert abs(PIECE.subs(x, maximum.evalf(15)) - Q("81.3918")) < Q("1e-4")
    page = ((1, 0.284982509, "1.39252552e-3"), (2, -0.173487318, "1.53373402e-3"))
    for after, near, step in page:
        (found,) = symbolic.crisis(PIECE, after=after, target=maximum, near=near)
        assert abs(found.step - Q(step)) < Q("1e-11")
        assert abs(found.critical_point - Q(str(near))) < Q("1e-9")
    assert float(page[-1][2]) * 1020 == pytest.approx(1.56, abs=5e-3)
    onset = symbolic.orbit_step(PIECE, 2, -1, near=(0.2, 1.23e-3))[1]
    assert abs(onset - Q("1.2304414e-3")) < Q("1e-10")


def test_the_trap_of_the_landscape_by_plain_descent():
    def slope(v):
        return -8000 * v**4 - 8000 * v**3 + 2400 * v**2 + 2040 * v

    top = 2.0353102172 - 2.5
    # Below the first crisis the worst start, the extreme of the map, stays inside; above it leaves.
    for share, stays in ((0.99, True), (1.01, False)):
        left = orbit(slope, 0.284982509, share * 1.39252552e-3, 20_000)
        assert (min(left) > top) == stays


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: symbolic.crisis(WELLS), "InvalidArgumentError", "either target"),
        (
            lambda: symbolic.crisis(WELLS, target=0, period=2),
            "InvalidArgumentError",
            "either target",
        ),
        (
            lambda: symbolic.crisis(sympy.cos(x), target=0),
            "NotSolvedError",
            "Search from a point instead",
        ),
        (
            lambda: symbolic.crisis(sympy.sqrt(2) * x**4, target=1),
            "NotSolvedError",
            "with rational coefficients. Search from a point",
        ),
        (lambda: symbolic.crisis(x, target=1), "NotSolvedError", "of degree 2 or more"),
        (
            lambda: symbolic.crisis(WELLS, after=5, target=0),
            "TooMuchWorkError",
            "max_degree=243",
        ),
        (
            lambda: symbolic.crisis(-(x**2), target=1, near=3),
            "NotSolvedError",
            "no crisis was reached|negative step",
        ),
    ],
)
def test_messages_of_crises(call, error, message):
    with pytest.raises(getattr(symbolic, error), match=message):
        call()
