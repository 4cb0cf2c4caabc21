"""Thresholds against simulation, the regimes of a direction, and when "almost surely" is true."""

import random

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from sympy import Rational as Q

import symbolic

x, y, t = sympy.symbols("x y t", real=True)


def descend(slopes, start, step, steps):
    """Plain gradient descent in floats; stops where it leaves every box."""
    point = list(start)
    for _ in range(steps):
        point = [p - step * s(*point) for p, s in zip(point, slopes, strict=True)]
        if max(map(abs, point)) > 1e6:
            break
    return point


# Slopes written out by hand, the minimum, its threshold.
SLOPES = [
    ([lambda v: 2 * (v - 1) * (v - 2) * (3 * v**3 - 6 * v**2 + 4 * v - 3)], (1.0,), 0.5),
    ([lambda v: 2 * (v - 1) * (v - 2) * (3 * v**3 - 6 * v**2 + 4 * v - 3)], (2.0,), 0.2),
    ([lambda v: v**3 - v], (1.0,), 1.0),
    ([lambda v: v + v**3], (0.0,), 2.0),
    ([lambda a, b: (a * b - 1) * b, lambda a, b: (a * b - 1) * a], (2.0, 0.5), 2 / 4.25),
    (
        [lambda a, b: -2 * (1 - a) - 400 * a * (b - a * a), lambda a, b: 200 * (b - a * a)],
        (1.0, 1.0),
        2 / (501 + 250601**0.5),
    ),
]
LOSSES = [
    (x**2 + 1) * (x - 1) ** 2 * (x - 2) ** 2,
    (x**2 + 1) * (x - 1) ** 2 * (x - 2) ** 2,
    (x**2 - 1) ** 2 / 4,
    x**2 / 2 + x**4 / 4,
    (x * y - 1) ** 2 / 2,
    (1 - x) ** 2 + 100 * (y - x**2) ** 2,
]


@pytest.mark.parametrize("case", range(len(SLOPES)))
def test_converges_below_and_not_above(case):
    slopes, minimum, expected = SLOPES[case]
    symbols = (x, y)[: len(minimum)]
    at = {s: sympy.nsimplify(m) for s, m in zip(symbols, minimum, strict=True)}
    threshold = symbolic.threshold(LOSSES[case], at)
    assert abs(float(threshold) - expected) < 1e-14
    draw = random.Random(case)
    for _ in range(5):
        start = [m + draw.uniform(-1e-4, 1e-4) for m in minimum]
        below = descend(slopes, start, 0.99 * expected, 20000)
        assert max(abs(s(*below)) for s in slopes) < 1e-9
        assert max(abs(p - m) for p, m in zip(below, minimum, strict=True)) < 1e-2
        above = descend(slopes, start, 1.01 * expected, 20000)
        # It may wander along the manifold to a flatter point, but it does not stay here.
        assert max(abs(p - m) for p, m in zip(above, minimum, strict=True)) > 1e-2


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
    with pytest.raises(symbolic.InvalidArgumentError, match="is not analytic"):
        symbolic.almost_surely(sympy.Abs(t), 1)


@pytest.mark.parametrize("where", ["left", "right"])
def test_at_the_threshold_itself_a_supercritical_minimum_still_attracts(where):
    """|u_k| sqrt(2 A k) -> 1, with A = 11 at 1 and 1484/25 at 2."""
    at, step, coefficient = {"left": (1.0, 0.5, 11.0), "right": (2.0, 0.2, 1484 / 25)}[where]
    slope = SLOPES[0][0][0]
    v = at + 1e-2
    for _ in range(100_000):
        v -= step * slope(v)
    ratio = abs(v - at) * (2 * coefficient * 100_000) ** 0.5
    assert abs(ratio - {"left": 0.9986, "right": 0.9984}[where]) < 3e-3
