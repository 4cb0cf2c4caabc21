"""Real intervals of stability of Runge-Kutta methods."""

import math

from sympy import Rational as Q

import symbolic


def test_runge_kutta():
    assert symbolic.runge_kutta_limit(1) == symbolic.runge_kutta_limit(2) == 2
    for order, page in ((3, "2.51274532662"), (4, "2.78529356341")):
        limit = symbolic.runge_kutta_limit(order)
        assert abs(limit.evalf(20) - Q(page)) < Q("1e-11")
        for factor, stable in ((0.99, True), (1.01, False)):
            v = -float(limit) * factor
            assert (abs(sum(v**k / math.factorial(k) for k in range(order + 1))) < 1) == stable
