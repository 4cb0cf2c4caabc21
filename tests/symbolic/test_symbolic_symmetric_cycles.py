"""Two-cycles of even losses, in closed form."""

import itertools as it
import math

import pytest
import sympy
from plain import orbit, same
from sympy import Rational as Q
from sympy import sqrt

import symbolic

x = sympy.Symbol("x", real=True)
h, mu, r, p = sympy.symbols("h mu r p", positive=True)


def test_the_quartic():
    cycle = symbolic.symmetric_cycle(x**4 / 4)
    assert same(cycle.step, 2 / x**2)
    assert cycle.multiplier == -5
    assert abs(orbit(lambda v: v**3, 0.99 * 2**0.5, 1.0, 5000)[-1]) < 0.02
    assert abs(orbit(lambda v: v**3, 1.01 * 2**0.5, 1.0, 100)[-1]) > 1e3
    # |x_n| sqrt(2 h n) -> 1, monotonically from h <= 1 / x0^2.
    end = orbit(lambda v: v**3, 0.5, 1.0, 100_000)[-1]
    assert abs(end) * (2 * 100_000) ** 0.5 == pytest.approx(0.99995, abs=5e-6)
    for step, monotone in ((0.99, True), (1.01, False)):
        points = orbit(lambda v: v**3, 1.0, step, 100)
        assert (min(points) >= 0) == monotone
    # The gradient flow from x0.
    t, start = sympy.symbols("t x0", positive=True)
    flow = start / sympy.sqrt(1 + 2 * start**2 * t)
    assert same(sympy.diff(flow, t), -(flow**3))


def test_the_subcritical_and_the_barriers():
    """One-step multipliers 2 h - 5, at x^2 = (2 - h) / h and at x^2 = (h - 2) / h."""
    for loss, square in (
        (x**2 / 2 + x**4 / 4, (2 - h) / h),
        (x**2 / 2 - x**4 / 4, (h - 2) / h),
    ):
        cycle = symbolic.symmetric_cycle(loss)
        assert same(cycle.step.subs(x, sqrt(square)), h)
        assert same(cycle.multiplier.subs(x, sqrt(square)), 2 * h - 5)


@pytest.mark.parametrize("mu_value", [0.5, 2.0])
def test_the_two_diagonals_of_a_product(mu_value):
    """On x = ±y the product (x y - mu)^2 / 2 diverges from x0^2 + y0^2 > 4 / h ± 2 mu."""
    for sign in (1, -1):
        cycle = symbolic.symmetric_cycle((x**2 - sign * mu) ** 2 / 4, x)
        assert same(2 * x**2, 4 / cycle.step + 2 * sign * mu)
        step = 0.6 / mu_value
        edge = math.sqrt(2 / step + sign * mu_value)
        for share, inside in ((0.99, True), (1.01, False)):
            end = orbit(lambda v, s=sign: v * (v * v - s * mu_value), share * edge, step, 5000)[-1]
            assert (abs(end) <= edge) == inside


def test_powers_of_the_absolute_value():
    cycle = symbolic.symmetric_cycle(r**p / p, r)
    assert same(cycle.multiplier, 3 - 2 * p)
    inverse = cycle.step.subs(r, (h / 2) ** (1 / (2 - p)))
    assert same(sympy.powdenest(inverse, force=True), h)
    root = symbolic.symmetric_cycle(Q(2, 3) * r ** Q(3, 2))
    assert same(root.step.subs(r, h**2 / 4), h)
    assert root.multiplier == 0
    assert same((Q(2, 3) * r ** Q(3, 2)).subs(r, h**2 / 4), h**3 / 12)


@pytest.mark.parametrize("power", [2.5, 3.0, 5.0])
def test_beyond_two_the_cycle_is_the_edge_of_the_basin(power):
    for step in (0.3, 1.7):
        edge = (2 / step) ** (1 / (power - 2))

        def slope(v):
            return math.copysign(abs(v) ** (power - 1), v)

        assert abs(orbit(slope, 0.99 * edge, step, 20_000)[-1]) < 0.2 * edge
        assert abs(orbit(slope, 1.01 * edge, step, 2000, far=1e6)[-1]) > 1e3 * edge


@pytest.mark.parametrize("power", [1.2, 1.5, 1.8])
def test_below_two_zero_is_never_stable_and_the_cycle_always(power):
    for step in (0.1, 2.0):
        width = (step / 2) ** (1 / (2 - power))

        def slope(v):
            return math.copysign(abs(v) ** (power - 1), v)

        for start in (1e-3 * width, 3.3 * width):
            assert abs(orbit(slope, start, step, 5000)[-1]) == pytest.approx(width, rel=1e-9)


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
    u = sympy.Symbol("u", positive=True)
    earlier = ((1 + sqrt(1 + 4 * u)) / 2) ** 2
    step = symbolic.descent_step(Q(2, 3) * r ** Q(3, 2), r, 1)[r]
    assert same(sympy.sqrtdenest(step.subs(r, earlier)), u)
    chain = [sympy.S.One]
    for _ in range(4):
        chain.append(earlier.subs(u, chain[-1]))
    assert same(chain[1], (3 + sqrt(5)) / 2)
    for value, page in zip(chain[1:], (2.6180340, 4.8115611, 7.5613524, 10.8562321), strict=True):
        assert float(value) == pytest.approx(page, abs=6e-8)
    for later, before in it.pairwise(chain):  # one plain step back along the chain
        start = float(before)
        assert start - math.sqrt(start) == pytest.approx(float(later), abs=1e-12)


def test_the_cosine():
    cycle = symbolic.symmetric_cycle(1 - sympy.cos(x))
    assert same(cycle.step, 2 * x / sympy.sin(x))
    assert cycle.step.subs(x, sympy.pi / 2) == sympy.pi
    assert cycle.multiplier.subs(x, sympy.pi / 2) == 1
    for share, symmetric in ((0.99, True), (1.01, False)):
        *_, last, end = orbit(math.sin, 1.0, share * math.pi, 20_000)
        assert (abs(last + end) < 1e-9) == symmetric


@pytest.mark.parametrize(
    "loss", [x**3, sympy.Integer(3), sympy.sin(x) ** 2 + sympy.cos(x) ** 2, x**2 * mu * r]
)
def test_messages_of_symmetric_cycles(loss):
    with pytest.raises(symbolic.SymbolicError, match=r"not an even function|has no symbols"):
        symbolic.symmetric_cycle(loss)
