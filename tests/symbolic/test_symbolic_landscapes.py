"""Certificates, and the landscape in which every threshold of a large step is exact."""

import random

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from plain import critical_points
from sympy import Rational as Q
from sympy import sqrt

import symbolic
from symbolic import landscapes

LAND = landscapes.rational_landscape()
x = LAND.symbol
# The figure's landscape without its flat piece: 20 x^2, and a quintic on [2, 3].
u = x - Q(5, 2)
FIGURE = sympy.Piecewise(
    (20 * x**2, x <= 2),
    (-1600 * u**5 - 2000 * u**4 + 800 * u**3 + 1020 * u**2, x <= 3),
    (20 * x**2, True),
)


def slope(v):
    """The slope of the rational landscape, written out by hand."""
    if v <= 4 or v >= 100 / 19:
        return v
    return 4 - 10 * (v - 4) if v <= 4.8 else -4 + 20 * (v - 4.8)


def descend(start, step, steps):
    for _ in range(steps):
        start -= step * slope(start)
        if abs(start) > 1e9:
            break
    return start


def test_the_four_thresholds():
    assert LAND.local_threshold == Q(1, 10) == symbolic.threshold(LAND.loss, 5)
    assert LAND.opening_step == Q(41, 250)
    assert LAND.expansion_step == (sqrt(21) - 1) / 10
    assert LAND.global_threshold == 2 == symbolic.threshold(LAND.loss, 0)


def test_the_landscape_itself():
    at = {v: LAND.loss.subs(x, v) for v in (4, Q(22, 5), Q(24, 5), 5)}
    assert list(at.values()) == [8, Q(44, 5), 8, Q(38, 5)]
    assert (LAND.local_maximum, LAND.local_minimum) == (Q(22, 5), 5)
    derivative = sympy.diff(LAND.loss, x)
    for v in (-3, 0, 4.1, 4.4, 4.79, 4.81, 5, 5.2, 5.3, 9):
        assert float(derivative.subs(x, sympy.nsimplify(v))) == pytest.approx(slope(v), abs=1e-12)
    for joint in (4, Q(24, 5), Q(100, 19)):
        left, right = (float(derivative.subs(x, joint + e)) for e in (-Q(1, 10**9), Q(1, 10**9)))
        assert left == pytest.approx(right, abs=1e-6)


@pytest.mark.parametrize(
    ("share", "threshold", "where"),
    [
        (0.99, "local_threshold", "local"),
        (1.01, "local_threshold", "trapped"),
        (0.99, "opening_step", "trapped"),
        (1.01, "opening_step", "global"),
        (1.01, "expansion_step", "global"),
        (0.99, "global_threshold", "global"),
        (1.01, "global_threshold", "trapped"),  # or gone: it converges nowhere
    ],
)
def test_thresholds_by_simulation(share, threshold, where):
    step = share * float(getattr(LAND, threshold))
    draw = random.Random(0)
    for _ in range(20):
        end = descend(draw.uniform(4.5, 5.2), step, 20000)
        found = "global" if abs(end) < 1e-6 else "local" if abs(end - 5) < 1e-6 else "trapped"
        assert found == where


@pytest.mark.parametrize(
    ("step", "shares"),
    [
        (0.02, (0.682, 0.318, 0)),
        (0.099, (0.686, 0.314, 0)),
        (0.101, (0.685, 0, 0.315)),
        (0.12, (0.682, 0, 0.318)),
        (0.163, (0.685, 0, 0.315)),
        (0.1645, (1, 0, 0)),
        (0.2, (1, 0, 0)),
        (1.99, (1, 0, 0)),
        (2.01, (0, 0, 1)),
    ],
)
def test_shares_of_the_basins(step, shares):
    ends = 12 * ((np.arange(4000) + 0.5) / 2000 - 1)
    for _ in range(4000):
        inner = np.where(ends <= 4.8, 4 - 10 * (ends - 4), -4 + 20 * (ends - 4.8))
        ends = ends - step * np.where((ends <= 4) | (ends >= 100 / 19), ends, inner)
    to_zero, to_five = (np.mean(np.abs(ends - at) < 1e-6) for at in (0, 5))
    for found, page in zip((to_zero, to_five, 1 - to_zero - to_five), shares, strict=True):
        # Five standard errors of the page's 20000 draws; none where it says none.
        assert found == pytest.approx(page, abs=5 * (page * (1 - page) / 20_000) ** 0.5 + 1e-12)


def test_why_the_trap_holds_until_it_opens():
    """F maps [22/5, F(24/5)] into itself for 1/10 < h < 41/250."""
    h = sympy.Symbol("h", positive=True)
    end = Q(24, 5) + 4 * h
    assert symbolic.descent_step(LAND.loss, x, h)[x].subs(x, Q(24, 5)) == end
    for step in (Q(101, 1000), Q(13, 100), Q(163, 1000)):
        top = end.subs(h, step)
        ends = [Q(22, 5), Q(24, 5), Q(100, 19), top]
        images = [v - step * Q(sympy.diff(LAND.loss, x).subs(x, v)) for v in ends if v <= top]
        assert Q(22, 5) <= min(images)
        assert max(images) <= top
    # It opens when the right end of the valley reaches the barrier: 1 - (22/5) / (100/19).
    assert LAND.opening_step == 1 - Q(22, 5) / Q(100, 19)
    # An excursion beyond the valley is followed by the falling piece: together they expand.
    both = sympy.expand((1 - h) * (1 + 10 * h) - 1)
    assert sympy.factor(both) == -h * (10 * h - 9)


def test_where_the_step_map_is_singular():
    for step, holds in ((Q(1, 20), False), (1, False), (Q(1, 10), True), (Q(3, 10), True)):
        assert symbolic.almost_surely(LAND.loss, step).holds == holds


def test_the_laws_of_a_certificate():
    """Contraction exactly below 2 mu / L^2, with factor sqrt(1 - h mu) up to mu / L^2."""
    mu, smooth, h = sympy.symbols("mu L h", positive=True)
    found = landscapes.Certificate(sympy.S.Zero, (sympy.S.Zero, sympy.S.One), mu, smooth)
    assert found.contraction_step == 2 * mu / smooth**2
    assert found.escape_step == 2 / mu
    assert sympy.simplify(found.contraction(2 * mu / smooth**2)) == 1
    excess = sympy.factor(found.contraction(h) ** 2 - (1 - h * mu))
    assert sympy.simplify(excess - h * (h * smooth**2 - mu)) == 0


def test_a_slope_that_falls_counts_for_the_smoothness_too():
    """f'(x) / x = -2 - x^2 lies between -3 and -2."""
    found = landscapes.certify(-(x**2) - x**4 / 4, at=0, interval=(-1, 1))
    assert (found.convexity, found.smoothness) == (-3, 3)
    assert found.contraction_step is found.escape_step is None


def test_certificates_on_the_rational_landscape():
    sharp = landscapes.certify(LAND.loss, at=5, interval=(Q(24, 5), Q(100, 19)))
    assert (sharp.convexity, sharp.smoothness, sharp.escape_step) == (20, 20, Q(1, 10))
    assert sharp.expansion(Q(1, 5)) == 3
    wide = landscapes.certify(LAND.loss, at=0, interval=(-12, Q(43, 10)))
    # On the falling piece the quotient (44 - 10 x) / x is least at the right end.
    assert (wide.convexity, wide.smoothness) == (Q(10, 43), 1)
    assert wide.contraction(Q(10, 43)) == sqrt(1 - Q(100, 1849))
    across = landscapes.certify(LAND.loss, at=0, interval=(-1, 6))
    assert across.convexity < 0
    assert across.contraction_step is None


def test_the_landscape_of_the_figure():
    assert symbolic.threshold(FIGURE, Q(5, 2)) == Q(1, 1020)
    assert symbolic.threshold(FIGURE, 0) == Q(1, 20)
    piece = FIGURE.args[1][0]
    assert [piece.subs(x, v) for v in (2, 3)] == [80, 180]
    assert [sympy.diff(piece, x).subs(x, v) for v in (2, 3)] == [80, 120]
    inside = landscapes.certify(FIGURE, at=Q(5, 2), interval=(Q(12, 5), Q(13, 5)))
    assert inside.convexity < 2040 < inside.smoothness
    slope = sympy.Poly(sympy.diff(piece, x), x)
    others = [root for root in slope.real_roots() if root > 2 and root != Q(5, 2)]
    for root, page in zip(others, ("2.0353102172", "3.0199948427"), strict=True):
        assert abs(root.evalf(15) - Q(page)) < Q("1e-10")
    assert abs(piece.subs(x, others[0].evalf(20)) - Q("81.3918")) < Q("5e-5")
    assert others[1] > 3  # outside the piece
    assert [p.kind for p in critical_points(piece) if 2 < p.location[x] < 3] == [
        "maximum",
        "minimum",
    ]


def test_the_flat_piece_of_the_figure_is_continuous():
    falling, rising = (
        Q("1411.2") * (1 - 10**4 * (x - Q("8.4"))),
        Q("1479.2") * (10**4 * (x - Q("8.6")) + 1),
    )
    assert falling.subs(x, Q("8.4")) == 20 * Q("8.4") ** 2 == Q("1411.2")
    assert rising.subs(x, Q("8.6")) == 20 * Q("8.6") ** 2 == Q("1479.2")
    assert falling.subs(x, Q("8.4001")) == rising.subs(x, Q("8.5999")) == 0


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 5),
    st.integers(0, 5),
    st.fractions(Q(1, 50), 1),
    st.floats(-1, 1, allow_nan=False),
)
def test_a_certified_step_contracts(quadratic, quartic, share, start):
    loss = quadratic * x**2 / 2 + quartic * x**4 / 4
    found = landscapes.certify(loss, at=0, interval=(-1, 1))
    step = found.contraction_step * Q(share)
    factor = float(found.contraction(step))
    after = start - float(step) * (quadratic * start + quartic * start**3)
    assert abs(after) <= factor * abs(start) + 1e-12
    assert factor <= 1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: landscapes.certify(x**2, at=1, interval=(0, 2)),
            "InvalidArgumentError",
            "the slope at 1 is 2, not 0",
        ),
        (
            lambda: landscapes.certify(x**2, at=0, interval=(0, 1, 2)),
            "InvalidArgumentError",
            "interval has two ends",
        ),
        (
            lambda: landscapes.certify(x**2, at=0, interval=(1, -1)),
            "InvalidArgumentError",
            "the lower end first",
        ),
        (
            lambda: landscapes.certify(sympy.cos(x), at=0, interval=(-1, 1)),
            "NotSolvedError",
            "no polynomial",
        ),
        (
            lambda: landscapes.certify(x**2, at=0, interval=(-1, 1)).expansion(Q(1, 2)),
            "InvalidStepError",
            "not certain to expand",
        ),
    ],
)
def test_messages_of_landscapes(call, error, message):
    with pytest.raises(getattr(symbolic, error), match=message):
        call()
