"""Orbits followed to a given multiplier: superstable steps and doublings, to many digits."""

import mpmath
import sympy
from plain import orbit
from sympy import Rational as Q

import symbolic

x, y = sympy.symbols("x y", real=True)
h, r, p = sympy.symbols("h r p", positive=True)
WELLS = (x**2 - 1) ** 2 / 4
LOGISTIC = x**2 / 2 + x**3 / 3
SLIDES = (x**2 + 1) * (x - 1) ** 2 * (x - 2) ** 2


def test_period_four_of_the_logistic_map_ends_where_the_page_says():
    start = orbit(lambda v: v + v * v, 0.1, 2.5, 4000)[-1]
    end = symbolic.orbit_step(LOGISTIC, 4, -1, near=(start, 2.54))[1]
    assert abs(end - Q("2.5440904")) < Q("1e-7")


def test_period_doubling_of_the_double_well():
    """Superstable parameters a = 1 + h, and their ratios."""
    page = [
        "1.5",
        "2.12132034355964",
        "2.26298965453635",
        "2.29384331349836",
        "2.30047470216029",
        "2.30189602933606",
    ]
    found = [Q(3, 2)]
    previous = mpmath.mpf(1)
    for k, value in enumerate(page[1:], 1):
        a = mpmath.mpf(value)
        # The superstable orbit goes through the map's critical point sqrt(a / 3) / sqrt(h).
        start = mpmath.sqrt(a / 3 / (a - 1))
        point, step = symbolic.orbit_step(WELLS, 2**k, 0, near=(start, a - 1))
        found.append(step + 1)
        assert abs(found[-1] - Q(value)) < Q("1e-13")
        assert point > 0
    ratios = [(b - a) / (c - b) for a, b, c in zip(found, found[1:], found[2:], strict=False)]
    assert previous < 2
    for ratio, expected in zip(ratios, (4.3857, 4.5917, 4.6527, 4.6656), strict=True):
        assert abs(ratio - expected) < 2e-4


def test_the_example_of_the_slides():
    assert symbolic.flip(SLIDES, 1).coefficient == 11
    assert symbolic.flip(SLIDES, 2).coefficient == Q(1484, 25)
    widths = {(1, Q("0.50005")): "0.00426401", (2, Q("0.20002")): "0.00183556"}
    for (at, step), page in widths.items():
        predicted = symbolic.flip(SLIDES, at).half_width(step)
        assert abs(predicted.evalf(12) - Q(page)) < Q("1e-8")
        low, high = min(
            (
                sorted(p.evalf(12) for p in cycle.points)
                for cycle in symbolic.cycles(SLIDES, x, 2, step)
            ),
            key=lambda pair: abs(pair[0] - at),
        )
        measured = {1: "0.00426360", 2: "0.00183549"}[at]
        assert abs((high - low) / 2 - Q(measured)) < Q("1e-8")
    for period, multiplier, near, page in (
        (2, 0, (1.92, 0.2245), "0.2245154931"),
        (2, -1, (1.89, 0.248), "0.2481192111"),
        (2, 0, (1.1, 0.5586), "0.5586275694"),
        (2, -1, (1.15, 0.6114), "0.6114407630"),
    ):
        step = symbolic.orbit_step(SLIDES, period, multiplier, near=near)[1]
        assert abs(step - Q(page)) < Q("1e-9")
    maximum = symbolic.critical_points(SLIDES)[1].location[x]
    (end,) = symbolic.crisis(SLIDES, after=2, target=maximum, near=1.897)
    assert abs(end.step - Q("0.3306047846")) < Q("1e-10")
    assert abs(end.critical_point - Q("1.8974177673")) < Q("1e-10")
