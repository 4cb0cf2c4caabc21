"""Steps at which an attractor is destroyed, merges or opens; what descent does on both sides."""

import mpmath
import pytest
import sympy
from plain import orbit, same
from sympy import Rational as Q
from sympy import sqrt

import symbolic

x, y = sympy.symbols("x y", real=True)
h, r, p = sympy.symbols("h r p", positive=True)
WELLS = (x**2 - 1) ** 2 / 4
# The landscape -1600 u^5 - 2000 u^4 + 800 u^3 + 1020 u^2 near its sharp minimum u = 0.
PIECE = -1600 * x**5 - 2000 * x**4 + 800 * x**3 + 1020 * x**2


@pytest.mark.parametrize(("step", "inside"), [(3.96, True), (4.04, False)])
def test_the_barrier_opens_at_step_four(step, inside):
    # A critical point of the map is the worst start: it goes furthest.
    c = ((step - 1) / (3 * step)) ** 0.5
    points = orbit(lambda v: v - v**3, c, step, 2000)
    assert all(abs(v) < 1 for v in points) == inside


def test_crises_of_the_double_well():
    (boundary,) = symbolic.crisis(WELLS, after=1, period=2)
    assert boundary.step == 2
    (merging,) = symbolic.crisis(WELLS, after=2, target=0)
    assert same(merging.step, 3 * sqrt(3) / 2 - 1)
    for step, merged in ((0.999 * float(merging.step), False), (1.003 * float(merging.step), True)):
        points = orbit(lambda v: v**3 - v, 0.7, step, 50000)
        assert (min(points) < 0) == merged
    a = 3.0  # y = 2 cos t -> -2 cos 3t: the Lyapunov exponent is log 3
    v, total = 0.7, mpmath.mpf(0)
    for _ in range(40000):
        total += mpmath.log(abs(a - 3 * v * v))
        v = a * v - v**3
    assert abs(total / 40000 - mpmath.log(3)) < 0.02


def test_at_three_tenths_descent_near_two_stays_near_two():
    def slope(v):
        return 2 * (v - 1) * (v - 2) * (3 * v**3 - 6 * v**2 + 4 * v - 3)

    band = orbit(slope, 2.001, 0.3, 20000)[1000:]
    # The ends of the band are F(F(c)) and F(c), with F'(c) = 0.
    assert 1.7050994 < min(band) < 1.7052
    assert 2.0899 < max(band) < 2.0899984
    assert abs(orbit(slope, 2.001, 0.35, 20000)[-1] - 1) < 1e-9


def test_the_sharp_piece_of_the_landscape():
    """Its minimum, flip, doubling, and the two steps at which the trap opens."""
    assert symbolic.threshold(PIECE, 0) == Q(1, 1020)
    flip = symbolic.flip(PIECE, 0)
    assert flip.coefficient * 3 * 2040**2 == 167040000
    maximum = next(
        p.location[x]
        for p in symbolic.critical_points(PIECE)
        if p.kind == "maximum" and p.location[x].evalf() > -1 and p.location[x].evalf() < 0
    )
    assert abs(maximum.evalf(15) + Q("2.5") - Q("2.0353102172")) < Q("1e-10")
    (first,) = symbolic.crisis(PIECE, after=1, target=maximum, near=0.284982509)
    assert abs(first.step - Q("1.39252552e-3")) < Q("1e-11")
    (second,) = symbolic.crisis(PIECE, after=2, target=maximum, near=-0.173487318)
    assert abs(second.step - Q("1.53373402e-3")) < Q("1e-11")
    onset = symbolic.orbit_step(PIECE, 2, -1, near=(0.2, 1.23e-3))[1]
    assert abs(onset - Q("1.2304414e-3")) < Q("1e-10")
