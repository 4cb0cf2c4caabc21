"""Modified losses, and the curl that rules out others."""

import pytest
import sympy
from sympy import Rational as Q

import symbolic

x, y = sympy.symbols("x y", real=True)
h = sympy.Symbol("h", positive=True)
b, a = sympy.symbols("momentum lookahead")
PLANE = x**4 / 4 + x**2 * y**2 / 2 + y**2 / 2 - x * y / 3


def zero(expression):
    return sympy.simplify(expression) == 0


def test_modified_losses():
    fields = symbolic.modified_equation(PLANE, (x, y), 2)
    modified = symbolic.modified_loss(PLANE)
    for i, s in enumerate((x, y)):
        assert sympy.expand(-sympy.diff(modified, s) - fields[0][i] - h * fields[1][i]) == 0
    heavy = symbolic.modified_loss(x**2 / 2, momentum=b)
    # (1 - b) x' = -grad E~ has the rate c_1 + h c_2 of the slow mode.
    c1, c2 = symbolic.momentum_series(2, lookahead=0)
    assert zero(-sympy.diff(heavy, x) / ((1 - b) * x) - c1 - h * c2)


def test_stationary_variances_of_sdes_on_a_parabola():
    """Drift -grad of E or of the modified loss, diffusion sqrt(eta) s: eta s^2 / (2 rate)."""
    lam = sympy.Symbol("lam", positive=True)
    second = sympy.cancel(sympy.diff(symbolic.modified_loss(lam * x**2 / 2, x), x) / x)
    assert zero(h / (2 * second) - h / (2 * lam * (1 + h * lam / 2)))
    page = {
        Q(2, 5): ("1/4", "1/5", "1/6"),
        Q(1, 5): ("1/9", "1/10", "1/11"),
        Q(1, 10): ("1/19", "1/20", "1/21"),
    }
    for step, (discrete, first, improved) in page.items():
        numbers = {lam: 1, h: step}
        assert (h / (2 * second)).subs(numbers) == Q(improved)
        assert step / 2 == Q(first)
        # The variance of x' = (1 - eta) x + eta noise reproduces itself.
        assert Q(discrete) == (1 - step) ** 2 * Q(discrete) + step**2


def test_a_curl_needs_a_component_for_every_symbol():
    with pytest.raises(symbolic.InvalidArgumentError, match="1 components for 2 symbols"):
        symbolic.curl([x], [x, y])
