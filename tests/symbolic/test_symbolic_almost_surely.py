"""When "almost surely" is true, and the counter-example."""

import random

import pytest
import sympy
from sympy import Rational as Q

import symbolic

x, y, t = sympy.symbols("x y t", real=True)


def test_almost_surely_and_the_counter_example():
    loss = sympy.Piecewise((t**4 / 2 - 3 * t**2 + 8, sympy.Abs(t) <= 2), (t**2, True))
    singular = symbolic.almost_surely(loss, Q(1, 2))
    assert not singular.holds
    assert "t**2" in singular.reason
    assert symbolic.almost_surely(loss, Q(1, 4)).holds
    assert symbolic.threshold(t**4 / 2 - 3 * t**2 + 8, sympy.sqrt(3)) == Q(1, 6)

    def slope(v):
        return 2 * v**3 - 6 * v if abs(v) <= 2 else 2 * v

    draw = random.Random(1)
    for _ in range(20):
        start = draw.choice([-1, 1]) * draw.uniform(2.001, 50)
        assert start - 0.5 * slope(start) == 0.0  # a maximum: second derivative -6
    # In the plane one direction of step 1 is enough, though another moves.
    assert not symbolic.almost_surely(x**2 / 2 + y**4, 1).holds
    assert symbolic.almost_surely(x**2 / 2 - x**2 + y**2 / 2 + y**4, 1).holds
    with pytest.raises(symbolic.InvalidArgumentError, match="is not analytic"):
        symbolic.almost_surely(sympy.Abs(t), 1)
