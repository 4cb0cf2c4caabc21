"""Thresholds of minima against plain descent."""

import random

import numpy as np
import pytest
import sympy

import symbolic

x, y, t = sympy.symbols("x y t", real=True)
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


def descend(slopes, start, step, steps):
    """Plain gradient descent in floats; stops where it leaves every box."""
    point = list(start)
    for _ in range(steps):
        point = [p - step * s(*point) for p, s in zip(point, slopes, strict=True)]
        if max(map(abs, point)) > 1e6:
            break
    return point


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


# Shares of starts from U(0, 2.5) that end at 1, at 2, far away; 20000 draws on the page.
SHARES = {
    0.05: (0.648, 0.352, 0),
    0.10: (0.710, 0.290, 0),
    0.19: (0.627, 0.316, 0.057),
    0.21: (0.610, 0, 0.072),
    0.30: (0.503, 0, 0.177),
    0.34: (0.789, 0, 0.211),
    0.40: (0.744, 0, 0.256),
    0.49: (0.526, 0, 0.474),
    0.51: (0, 0, 0.504),
}


@pytest.mark.parametrize("step", SHARES)
def test_where_the_starts_of_the_slides_end(step):
    """Each minimum attracts exactly below its threshold, 1/2 or 1/5."""
    points = (np.arange(2500) + 0.5) / 1000
    for _ in range(3000):
        slope = 2 * (points - 1) * (points - 2) * (3 * points**3 - 6 * points**2 + 4 * points - 3)
        points = points - step * slope
        points = points[np.abs(points) < 1e3]
    to_one = np.sum(np.abs(points - 1) < 1e-6) / 2500
    to_two = np.sum(np.abs(points - 2) < 1e-6) / 2500
    for share, page in zip((to_one, to_two, 1 - len(points) / 2500), SHARES[step], strict=True):
        # Five standard errors of the page's draws; none where it says none.
        assert share == pytest.approx(page, abs=5 * (page * (1 - page) / 20_000) ** 0.5)
