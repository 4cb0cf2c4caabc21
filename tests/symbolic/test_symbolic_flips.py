"""Just past the threshold: coefficient and kind of the flip, and the width of its two-cycle."""

import math
import random

import pytest
import sympy
from plain import critical_points, orbit, same
from sympy import Rational as Q
from sympy import atanh, cos, cosh, exp, log, sqrt, tanh

import symbolic

x, y = sympy.symbols("x y", real=True)
positive = sympy.Symbol("x", positive=True)
SLIDES = (x**2 + 1) * (x - 1) ** 2 * (x - 2) ** 2


def slope_of_slides(v):
    return 2 * (v - 1) * (v - 2) * (3 * v**3 - 6 * v**2 + 4 * v - 3)


# Loss, its slope written out by hand, where, threshold, and c1 = 3 f'''^2 - f'' f''''.
CATALOGUE = [
    (x**2 / 2 + x**4 / 4, lambda v: v + v**3, 0, 2, -6),
    (1 - cos(x), math.sin, 0, 2, 1),
    (log(cosh(x)), math.tanh, 0, 2, 2),
    (sqrt(1 + x**2), lambda v: v / math.sqrt(1 + v * v), 0, 2, 3),
    ((x**2 - 1) ** 2 / 4, lambda v: v**3 - v, 1, 1, 96),
    (cosh(x), lambda v: math.sinh(max(-99, min(99, v))), 0, 2, -1),
    (exp(x) - x, lambda v: math.expm1(min(v, 99)), 0, 2, 2),
    (log(1 + exp(x)) - x / 2, lambda v: math.tanh(v / 2) / 2, 0, 8, Q(1, 32)),
    (positive - log(positive), lambda v: 1 - 1 / v, 1, 2, 6),
    (
        (tanh(x) - Q(1, 2)) ** 2 / 2,
        lambda v: (math.tanh(v) - 0.5) * (1 - math.tanh(v) ** 2),
        atanh(Q(1, 2)),
        Q(32, 9),
        Q(1053, 128),
    ),
    (x**2 / 2 + x**3 / 3, lambda v: v + v * v, 0, 2, 12),
    (SLIDES, slope_of_slides, 1, Q(1, 2), 528),
    (SLIDES, slope_of_slides, 2, Q(1, 5), 17808),
]


NAMES = [f"{loss}-{at}" for loss, _, at, *_ in CATALOGUE]


@pytest.mark.parametrize(("loss", "slope", "at", "threshold", "c1"), CATALOGUE, ids=NAMES)
def test_catalogue_of_flips(loss, slope, at, threshold, c1):
    del slope
    (symbol,) = loss.free_symbols
    assert symbolic.threshold(loss, at) == threshold
    flip = symbolic.flip(loss, at)
    # f'' = 2 / threshold, and A = c1 / (3 f''^2).
    assert same(flip.coefficient, Q(c1) * threshold**2 / 12)
    assert flip.kind == ("supercritical" if c1 > 0 else "subcritical")
    as_logarithm = sympy.sympify(at).rewrite(log)
    assert any(
        same(point.location[symbol].subs(sympy.Symbol("n", integer=True), 0), as_logarithm)
        and point.kind == "minimum"
        and same(point.threshold, threshold)
        for point in critical_points(loss)
    )


@pytest.mark.parametrize(("loss", "slope", "at", "threshold", "c1"), CATALOGUE, ids=NAMES)
def test_the_catalogue_by_plain_descent(loss, slope, at, threshold, c1):
    """Converges at 0.99 of the threshold; past it a small two-cycle, or an escape."""
    del loss
    at, threshold = float(at), float(threshold)
    width = math.sqrt(0.02 / (abs(float(c1)) * threshold**2 / 12))  # at 1.01 times the threshold
    draw = random.Random(0)
    for _ in range(5):
        start = at + draw.uniform(-1, 1) * 0.05 * width
        below = orbit(slope, start, 0.99 * threshold, 5000)
        assert abs(below[-1] - at) < 1e-9
        above = orbit(slope, start, 1.01 * threshold, 5000)
        if c1 > 0:
            half = abs(above[-1] - above[-2]) / 2
            assert half == pytest.approx(width, rel=0.05)
            assert abs(above[-1] - above[-3]) < 1e-12
        else:
            assert max(abs(v - at) for v in above) > 10 * width


def test_one_neuron_flips_supercritically_where_its_schwarzian_is_bounded():
    """(g - y)^2 qualifies exactly if g' g''' < 6 g''^2."""
    first = sympy.Symbol("g1", positive=True)
    second, third = sympy.symbols("g2 g3", real=True)
    neuron = first * x + second * x**2 / 2 + third * x**3 / 6
    flip = symbolic.flip(neuron**2, {x: 0})
    c1 = 16 * first**2 * (6 * second**2 - first * third)
    assert same(flip.coefficient, c1 / (3 * (2 * first**2) ** 2))
    assert same(flip.threshold, 1 / first**2)
    assert flip.kind == "undetermined"


def test_the_flip_of_two_variables_by_simulation():
    """Half-widths of the two-cycle just past the threshold 1, and their prediction."""
    flip = symbolic.flip(x**2 + y**2 / 2 + x**2 * y + x**4 / 10 + x * y**2 / 5, {x: 0, y: 0})
    assert (flip.coefficient, flip.threshold) == (Q(8, 5), 1)
    page = {
        "1.0001": ("0.01118034", 0.01117999),
        "1.001": ("0.03535534", 0.03534430),
        "1.01": ("0.11180340", 0.11145745),
    }
    for step, (predicted, measured) in page.items():
        assert abs(flip.half_width(Q(step)).evalf(12) - Q(predicted)) < Q("1e-8")
        rate, last, point = float(step), (0.0, 0.0), (float(predicted), 0.0)
        for _ in range(200_000 if step == "1.0001" else 20_000):
            (u, v), last = point, point
            point = (
                u - rate * (2 * u + 2 * u * v + 0.4 * u**3 + v * v / 5),
                v - rate * (v + u * u + 0.4 * u * v),
            )
        assert math.dist(point, last) / 2 == pytest.approx(measured, abs=6e-9)


def test_across_a_manifold_the_third_derivative_is_the_slope_of_the_sharpness():
    """D^3 f(v, v, k) = d lambda / d k along the kernel, at the minima of (x y - mu)^2 / 2."""
    mu = sympy.Symbol("mu", positive=True)
    loss, symbols = (x * y - mu) ** 2 / 2, (x, y)
    size = sqrt(x**2 + y**2)
    top, kernel = (y / size, x / size), (-x / size, y / size)
    third = sympy.Add(
        *(
            top[i] * top[j] * kernel[k] * sympy.diff(loss, symbols[i], symbols[j], symbols[k])
            for i in range(2)
            for j in range(2)
            for k in range(2)
        )
    )
    hyperbola = critical_points(loss, [x, y])[-1]
    along = sympy.Add(*(kernel[k] * sympy.diff(hyperbola.sharpness, symbols[k]) for k in range(2)))
    on_it = {y: mu / x}
    assert same(third.subs(on_it), along.subs(on_it))


@pytest.mark.parametrize(
    ("at", "step", "coefficient", "page"),
    [(1.0, 0.5, 11.0, 0.9986), (2.0, 0.2, 1484 / 25, 0.9984)],
)
def test_at_the_threshold_itself_a_supercritical_minimum_still_attracts(
    at, step, coefficient, page
):
    """|u_k| sqrt(2 A k) -> 1, with A = 11 at 1 and 1484/25 at 2."""
    end = orbit(slope_of_slides, at + 1e-2, step, 100_000)[-1]
    assert abs(end - at) * (2 * coefficient * 100_000) ** 0.5 == pytest.approx(page, abs=5e-5)


def test_the_two_cycles_of_the_slides():
    """Predicted and exact half-widths just past the two thresholds."""
    page = {
        (1, Q("0.50005")): ("0.00426401", "0.00426360"),
        (2, Q("0.20002")): ("0.00183556", "0.00183549"),
    }
    for (at, step), (predicted, measured) in page.items():
        flip = symbolic.flip(SLIDES, at)
        assert flip.coefficient == {1: 11, 2: Q(1484, 25)}[at]
        assert abs(flip.half_width(step).evalf(12) - Q(predicted)) < Q("1e-8")
        low, high = min(
            (
                sorted(p.evalf(12) for p in cycle.points)
                for cycle in symbolic.cycles(SLIDES, x, 2, step)
            ),
            key=lambda pair: abs(pair[0] - at),
        )
        assert abs((high - low) / 2 - Q(measured)) < Q("1e-8")
