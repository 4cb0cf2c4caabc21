"""Just past the threshold: coefficient and kind of the flip, and the width of its two-cycle."""

import pytest
import sympy
from plain import same
from sympy import Rational as Q
from sympy import atanh, cos, cosh, exp, log, sqrt, tanh

import symbolic

x, y = sympy.symbols("x y", real=True)
SLIDES = (x**2 + 1) * (x - 1) ** 2 * (x - 2) ** 2
# Loss, where, threshold, and c1 = 3 f'''^2 - f'' f''''.
CATALOGUE = [
    (x**2 / 2 + x**4 / 4, 0, 2, -6),
    (1 - cos(x), 0, 2, 1),
    (log(cosh(x)), 0, 2, 2),
    (sqrt(1 + x**2), 0, 2, 3),
    ((x**2 - 1) ** 2 / 4, 1, 1, 96),
    (cosh(x), 0, 2, -1),
    (exp(x) - x, 0, 2, 2),
    (log(1 + exp(x)) - x / 2, 0, 8, Q(1, 32)),
    ((tanh(x) - Q(1, 2)) ** 2 / 2, atanh(Q(1, 2)), Q(32, 9), Q(1053, 128)),
    (x**2 / 2 + x**3 / 3, 0, 2, 12),
    (SLIDES, 1, Q(1, 2), 528),
    (SLIDES, 2, Q(1, 5), 17808),
]


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
        rate, u, v = float(step), measured, -0.01
        for _ in range(200_000 if step == "1.0001" else 20_000):
            last = u
            u, v = (
                u - rate * (2 * u + 2 * u * v + 0.4 * u**3 + v * v / 5),
                v - rate * (v + u * u + 0.4 * u * v),
            )
        assert abs(u - last) / 2 == pytest.approx(measured, rel=1e-4)


@pytest.mark.parametrize("where", ["left", "right"])
def test_at_the_threshold_itself_a_supercritical_minimum_still_attracts(where):
    """|u_k| sqrt(2 A k) -> 1, with A = 11 at 1 and 1484/25 at 2."""
    at, step, coefficient = {"left": (1.0, 0.5, 11.0), "right": (2.0, 0.2, 1484 / 25)}[where]
    slope = slope_of_slides
    v = at + 1e-2
    for _ in range(100_000):
        v -= step * slope(v)
    ratio = abs(v - at) * (2 * coefficient * 100_000) ** 0.5
    assert abs(ratio - {"left": 0.9986, "right": 0.9984}[where]) < 3e-3


@pytest.mark.parametrize(("loss", "at", "threshold", "c1"), CATALOGUE, ids=str)
def test_catalogue_of_flips(loss, at, threshold, c1):
    assert symbolic.threshold(loss, at) == threshold
    flip = symbolic.flip(loss, at)
    # f'' = 2 / threshold, and A = c1 / (3 f''^2).
    assert same(flip.coefficient, Q(c1) * threshold**2 / 12)
    assert flip.kind == ("supercritical" if c1 > 0 else "subcritical")
    assert any(
        same(point.location[x].subs(sympy.Symbol("n", integer=True), 0), at)
        and point.kind == "minimum"
        and same(point.threshold, threshold)
        for point in symbolic.critical_points(loss)
    )
