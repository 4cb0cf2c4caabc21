"""Slow rates of momentum and the weights of the log-map flow."""

import mpmath
import pytest
import sympy
from sympy import Rational as Q

import symbolic

b, a = sympy.symbols("momentum lookahead")


def zero(expression):
    return sympy.simplify(expression) == 0


def test_momentum():
    heavy = symbolic.momentum_series(4, lookahead=0)
    page = [
        -1 / (1 - b),
        -(1 + b) / (2 * (1 - b) ** 3),
        -(b**2 + 4 * b + 1) / (3 * (1 - b) ** 5),
        -(1 + b) * (b**2 + 8 * b + 1) / (4 * (1 - b) ** 7),
    ]
    assert all(zero(c - p) for c, p in zip(heavy, page, strict=True))
    nesterov = symbolic.momentum_series(3, lookahead=b)
    page = [
        -1 / (1 - b),
        -(2 * b**2 - b + 1) / (2 * (1 - b) ** 3),
        -(3 * b**4 - 3 * b**3 + 7 * b**2 - 2 * b + 1) / (3 * (1 - b) ** 5),
    ]
    assert all(zero(c - p) for c, p in zip(nesterov, page, strict=True))
    third = b**2 + 4 * b + 1 - 3 * a * (1 - b) * (b + 2) + 3 * a**2 * (1 - b) ** 2
    assert zero(symbolic.momentum_series(3)[2] + third / (3 * (1 - b) ** 5))
    with mpmath.workdps(40):
        q, beta = mpmath.mpf("1e-4"), mpmath.mpf("0.5")
        root = ((1 + beta - q) + mpmath.sqrt((1 + beta - q) ** 2 - 4 * beta)) / 2
        partial = sum(
            mpmath.mpf(str(c)) * q**k for k, c in enumerate(symbolic.momentum_series(5, 0, 0.5), 1)
        )
        assert abs(mpmath.log(root) - partial) < 1e-18


def test_log_map_weights():
    page = {
        1: "-1 1",
        2: "-3/2 2 -1/2",
        3: "-11/6 3 -3/2 1/3",
        4: "-25/12 4 -3 4/3 -1/4",
        5: "-137/60 5 -5 10/3 -5/4 1/5",
        6: "-49/20 6 -15/2 20/3 -15/4 6/5 -1/6",
    }
    for order, text in page.items():
        assert symbolic.log_map_weights(order) == [Q(w) for w in text.split()]


def test_the_second_order_of_the_family():
    """[1 + b - 2 a (1 - b)] / (2 (1 - b)^3): memory b / (2 (1 - b)^2) plus discretisation."""
    first, second = symbolic.momentum_series(2)
    assert zero(first + 1 / (1 - b))
    assert zero(second + (1 + b - 2 * a * (1 - b)) / (2 * (1 - b) ** 3))
    _, heavy = symbolic.momentum_series(2, lookahead=0)
    memory, discretisation = b / (1 - b) ** 3, 1 / (2 * (1 - b) ** 2)
    assert zero(heavy + memory + discretisation)
    _, nesterov = symbolic.momentum_series(2, lookahead=b)
    assert zero(nesterov + (1 - b + 2 * b**2) / (2 * (1 - b) ** 3))


def test_a_second_order_equation_has_the_rate_of_heavy_ball():
    """(h / 2)(1 + b) w'' + (1 - b) w' = -lam w, per step, to the second order."""
    q, rate = sympy.symbols("q rate")
    series = symbolic.momentum_series(2, lookahead=0)
    rate = sum(c * q**k for k, c in enumerate(series, 1))
    left = sympy.series((1 + b) / 2 * rate**2 + (1 - b) * rate + q, q, 0, 3).removeO()
    assert zero(left)


def test_log_maps_on_a_parabola_are_the_truncated_series():
    z = sympy.Symbol("z")
    for order in range(1, 7):
        weights = symbolic.log_map_weights(order)
        total = sum(c * (1 - z) ** k for k, c in enumerate(weights))
        assert sympy.expand(total + sum(z**k / k for k in range(1, order + 1))) == 0


def test_a_momentum_of_one():
    with pytest.raises(symbolic.InvalidArgumentError, match=r"momentum must be in \[0, 1\), got 1"):
        symbolic.momentum_series(2, momentum=1)
