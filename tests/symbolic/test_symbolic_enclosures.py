"""Numbers in certified intervals: bounds, signs and digits against mpmath."""

import mpmath
import pytest
import sympy
from plain import critical_points

from symbolic.roots._algebraic import isolating_interval
from symbolic.roots._closed_form import sign_of
from symbolic.roots._enclosures import decimal, enclosure, root_interval
from symbolic.roots._isolation import IsolatedRoot

x = sympy.Symbol("x", real=True)
POLYNOMIAL = x**8 - 7 * x**3 + 2
ROOT = sympy.CRootOf(POLYNOMIAL, 1)
NUMBERS = [
    ROOT**3 - sympy.sqrt(2) * ROOT + sympy.exp(ROOT),
    sympy.log(ROOT) / (1 + ROOT) ** 3,
    sympy.cos(ROOT) * sympy.sin(ROOT) - ROOT ** sympy.Rational(2, 3) + sympy.pi,
    sympy.tanh(ROOT) - sympy.sinh(ROOT) * sympy.tan(ROOT) / sympy.cosh(3 * ROOT),
]


@pytest.mark.parametrize("number", range(len(NUMBERS)))
def test_enclosures_hold_the_number(number):
    with mpmath.workdps(60):
        root = mpmath.findroot(lambda v: v**8 - 7 * v**3 + 2, 1.4)
        expected = sympy.lambdify(x, NUMBERS[number].xreplace({ROOT: x}), "mpmath")(root)
        for bits in (60, 150):
            low, high = map(mpmath.mp.make_mpf, enclosure(NUMBERS[number], bits)._mpi_)
            assert low <= expected <= high
            assert high - low < mpmath.mpf(2) ** (10 - bits)
        assert decimal(NUMBERS[number], 12) == sympy.Float(expected, 12)
        assert sign_of(NUMBERS[number]) == mpmath.sign(expected)


def test_the_interval_of_a_root_is_certified_and_as_narrow_as_asked_for():
    for width in (sympy.Rational(1, 10), sympy.Rational(1, 10**50), sympy.Rational(1, 100)):
        low, high = root_interval(ROOT, width)
        assert 0 < high - low <= width
        assert POLYNOMIAL.subs(x, low) * POLYNOMIAL.subs(x, high) < 0


def test_signs_of_what_nearly_vanishes():
    near = sympy.Rational(str(ROOT.evalf(80)))
    assert {sign_of(ROOT - near), sign_of(near - ROOT)} == {1, -1}
    assert sign_of(ROOT**8 - 7 * ROOT**3 + 2) == 0


def test_a_sharpness_with_an_isolated_root_in_it_is_printed_in_digits():
    """The sharpness is 2/3 - cos(r) at the root r of sin(r) = 2 r / 3."""
    left, _, right = critical_points(sympy.cos(x) + x**2 / 3, between=(-5, 5))
    root = mpmath.findroot(lambda v: mpmath.sin(v) - 2 * v / 3, 1.5)
    sharpness = f"sharpness {float(2 / mpmath.mpf(3) - mpmath.cos(root)):.12f}"
    for point in (left, right):
        assert sharpness in str(point)


def test_signs_of_numbers_that_are_small_but_not_zero():
    """exp(-100) is the larger of the two, and 1e-44; the square roots are 2e-31 apart."""
    assert sign_of(sympy.exp(-100) - sympy.exp(-101)) == 1
    large = sympy.Integer(10) ** 60
    assert sign_of(sympy.sqrt(large + 1) - 10**30 - sympy.Rational(1, 10**29)) == -1
    assert sign_of(sympy.sqrt(3 + 2 * sympy.sqrt(2)) - 1 - sympy.sqrt(2)) == 0


def test_intervals_of_numbers_made_of_several_roots():
    other = sympy.CRootOf(x**5 - x - 1, 0)
    with mpmath.workdps(90):
        expected = mpmath.findroot(lambda v: v**8 - 7 * v**3 + 2, 1.4) * mpmath.findroot(
            lambda v: v**5 - v - 1, 1.2
        )
        low, high = isolating_interval(ROOT * other, sympy.Rational(1, 10**25))
        assert mpmath.mpf(low.p) / low.q < expected < mpmath.mpf(high.p) / high.q
        assert high - low <= sympy.Rational(1, 10**25)


def test_digits_of_a_root_stay_between_its_bounds():
    """Newton's method from any point but the nearest ones is thrown far out by the flat ends."""
    root = IsolatedRoot(sympy.tanh(10**9 * (x**2 - 2)), x, sympy.Integer(1), sympy.Integer(2))
    assert abs(root.evalf(30) - sympy.sqrt(2).evalf(40)) < sympy.Float("1e-29")
    low, high = root.isolate(sympy.Rational(1, 10**30))
    assert low**2 <= 2 <= high**2
