"""The regimes of one eigendirection."""

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from sympy import Rational as Q

import symbolic

x, y, t = sympy.symbols("x y t", real=True)


@pytest.mark.parametrize(
    ("q", "regime"),
    [
        (-1, "monotone escape"),
        (0, "neutral"),
        (Q(1, 2), "monotone"),
        (1, "superstable"),
        (Q(3, 2), "oscillatory"),
        (2, "flip"),
        (Q(5, 2), "unstable"),
    ],
)
def test_regimes(q, regime):
    assert symbolic.classify(q * 7, Q(1, 7)) == regime
    assert symbolic.classify(float(q) * 4, 0.25) == regime


def test_a_regime_with_parameters():
    h = sympy.Symbol("h", positive=True)
    assert symbolic.classify(1 / h, h) == "superstable"
    with pytest.raises(symbolic.InvalidArgumentError, match="may be on either side of 0"):
        symbolic.classify(x, h)


@given(st.fractions(-4, 4), st.fractions(Q(1, 9), 3))
def test_the_regime_is_that_of_the_multiplier(eigenvalue, step):
    factor = 1 - step * eigenvalue
    stable = symbolic.classify(Q(eigenvalue), Q(step)) in {"monotone", "superstable", "oscillatory"}
    assert stable == (abs(factor) < 1)
