"""Two-cycles of even losses, in closed form."""

import mpmath
import pytest
import sympy
from plain import orbit, same
from sympy import Rational as Q

import symbolic

x, y = sympy.symbols("x y", real=True)
h, r, p = sympy.symbols("h r p", positive=True)


def test_the_quartic():
    cycle = symbolic.symmetric_cycle(x**4 / 4)
    assert same(cycle.step, 2 / x**2)
    assert cycle.multiplier == -5
    points = orbit(lambda v: v**3, 0.99 * 2**0.5, 1.0, 100_000)
    assert abs(points[-1]) * (2 * 100_000) ** 0.5 == pytest.approx(0.99995, abs=2e-4)
    assert abs(orbit(lambda v: v**3, 1.01 * 2**0.5, 1.0, 100)[-1]) > 1e3


def test_powers_of_the_absolute_value():
    cycle = symbolic.symmetric_cycle(r**p / p, r)
    assert same(cycle.multiplier, 3 - 2 * p)
    inverse = cycle.step.subs(r, (h / 2) ** (1 / (2 - p)))
    assert same(sympy.powdenest(inverse, force=True), h)
    root = symbolic.symmetric_cycle(Q(2, 3) * r ** Q(3, 2))
    assert same(root.step.subs(r, h**2 / 4), h)
    assert root.multiplier == 0
    assert same((Q(2, 3) * r ** Q(3, 2)).subs(r, h**2 / 4), h**3 / 12)


@pytest.mark.parametrize("step", [0.1, 1.0, 3.0])
def test_descent_on_three_halves_settles_on_its_orbit(step):
    def slope(v):
        return abs(v) ** 0.5 * (1 if v > 0 else -1)

    for start in (0.3, -2.0, 7.7):
        points = orbit(slope, start, step, 3000)
        assert abs(abs(points[-1]) - step**2 / 4) < 1e-12 * step**2
        assert points[-1] * points[-2] < 0


def test_the_countable_set_that_does_converge():
    """u -> ((1 + sqrt(1 + 4 u)) / 2)^2 lists the starts |x0| / h^2 that reach 0."""
    u, page = mpmath.mpf(1), [2.6180340, 4.8115611, 7.5613524, 10.8562321]
    for value in page:
        u = ((1 + mpmath.sqrt(1 + 4 * u)) / 2) ** 2
        assert abs(u - value) < 1e-7


def test_the_cosine():
    cycle = symbolic.symmetric_cycle(1 - sympy.cos(x))
    assert same(cycle.step, 2 * x / sympy.sin(x))
    assert cycle.step.subs(x, sympy.pi / 2) == sympy.pi
    assert cycle.multiplier.subs(x, sympy.pi / 2) == 1
    (hop,) = symbolic.crisis(1 - sympy.cos(x), after=1, target=-sympy.pi, near=1.35)
    assert abs(hop.step - Q("4.6033388488")) < Q("1e-10")
    assert abs(sympy.sqrt(hop.step**2 - 1) - sympy.acos(1 / hop.step) - sympy.pi) < Q("1e-25")
    import math

    assert max(map(abs, orbit(math.sin, 1.0, 4.59, 20000))) < 3.1416
    assert max(map(abs, orbit(math.sin, 1.0, 4.62, 20000))) > 6.3
