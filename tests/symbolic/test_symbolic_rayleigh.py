"""Scale invariance: the gradient flow of the Rayleigh quotient."""

import sympy
from sympy import Rational as Q

from symbolic import scale_invariant
from symbolic.scale_invariant import TIME


def test_the_flow_of_the_rayleigh_quotient():
    values, start = (3, 1, Q(1, 5)), (1, Q(7, 10), Q(-2, 5))
    flow = scale_invariant.rayleigh_flow(values, start, Q(3, 10), Q(1, 5))
    slopes = [sympy.diff(w, TIME) for w in flow.weights]
    for t in (1, 5, 15):
        w, change = ([e.subs(TIME, t).evalf(40) for e in part] for part in (flow.weights, slopes))
        square = sum(c**2 for c in w)
        shrunk = sympy.exp(-Q(3, 25) * t) * Q(33, 20)
        assert abs(square - shrunk) < 1e-30
        assert abs(flow.inner_time.subs(TIME, t) - (sympy.exp(Q(3, 25) * t) - 1) / Q(33, 50)) < 1e-9
        loss = sum(a * c**2 for a, c in zip(values, w, strict=True)) / square
        for a, c, slope in zip(values, w, change, strict=True):
            law = -Q(3, 50) * c - Q(3, 10) * 2 * (a - loss) * c / square
            assert abs(slope - law) < 1e-25
