"""Scale invariance: the SDE of SGD with weight decay, its norm, direction and circle."""

import mpmath
import pytest
import sympy
from plain import same
from sympy import Rational as Q
from sympy import cos, sin, sqrt

from symbolic import scale_invariant
from symbolic.scale_invariant import TIME, eta, lam

theta = sympy.Symbol("theta", real=True)


def test_the_norm_of_the_sde():
    found = scale_invariant.norm_fourth(2, Q("1.69") * 5, Q(1, 10), Q(1, 2))
    page = {10: 2.8960, 20: 1.1226, 30: 0.8826, 40: 0.8501, 50: 0.8457, 60: 0.8451}
    for t, value in page.items():
        assert float(found.subs(TIME, t)) == pytest.approx(value, abs=5.1e-5)
    # It solves d|W|^4/dt = -4 eta lam |W|^4 + 2 eta^2 Tr.
    trace = Q("1.69") * 5
    assert same(sympy.diff(found, TIME), -found / 5 + 2 * trace / 100)
    limit = 2 * Q(1, 20) / trace
    assert abs(sqrt(limit).evalf() - Q("0.1087857")) < 1e-7


def test_learning_rate_and_weight_decay_cut_by_ten():
    """eta = 0.1, lam = 0.05, Tr = 1: .1 -> .01 -> .0316 for the one, .1 -> .0316 for the other."""
    old = {"step": Q(1, 10), "weight_decay": Q(1, 20)}
    fourth = scale_invariant.equilibrium(**old, gradient=1).sde_norm_fourth
    norm = fourth ** Q(1, 4)
    assert same(Q(1, 10) / norm**2, Q(1, 10))
    for new, at_once in (
        ({"step": Q(1, 100), "weight_decay": Q(1, 20)}, Q(1, 100)),
        ({"step": Q(1, 10), "weight_decay": Q(1, 200)}, Q(1, 10)),
    ):
        path = new["step"] / sqrt(scale_invariant.norm_fourth(norm, 1, **new))
        assert same(path.subs(TIME, 0), at_once)
        assert same(sympy.limit(path, TIME, sympy.oo), Q(1, 10) / sqrt(10))
        assert abs(sympy.limit(path, TIME, sympy.oo).evalf() - Q("0.0316228")) < 5e-8


def test_the_norm_of_the_sde_in_units_of_its_own():
    """gamma = |W|^4 / eta^2: gamma' = -4 eta lam gamma + 2 Tr, equilibrium eta Tr / (2 lam)."""
    start, trace = sympy.symbols("r0 T", positive=True)
    fourth = scale_invariant.norm_fourth(start, trace)
    gamma = fourth / eta**2
    assert same(sympy.diff(gamma, TIME), -4 * eta * lam * gamma + 2 * trace)
    assert same(fourth.subs(TIME, 0), start**4)
    limit = eta * trace / (2 * lam)
    assert same(sympy.limit(fourth, TIME, sympy.oo), limit)
    assert same(eta / sqrt(limit), sqrt(2 * eta * lam / trace))


def test_the_mean_direction_of_the_sde():
    """Page: d = 6, sigma = 1.3, eta = 0.1, lam = 0.5, |W_0| = 2."""
    found = scale_invariant.mean_alignment(2, Q("1.69") * 5, Q(1, 10), Q(1, 2))
    page = {10: 0.9299, 20: 0.7148, 30: 0.4604, 40: 0.2819, 50: 0.1712, 60: 0.1039}
    for t, value in page.items():
        assert float(found.subs(TIME, t)) == pytest.approx(value, abs=5.1e-5)
    # From equilibrium on the norm stays, and the direction is forgotten at the rate eta lam.
    trace = sympy.Symbol("T", positive=True)
    start = (eta * trace / (2 * lam)) ** Q(1, 4)
    assert same(scale_invariant.mean_alignment(start, trace), sympy.exp(-eta * lam * TIME))


def test_the_circle():
    """Von Mises' law has no flux, and its mean is the quotient of Bessel functions."""
    mu, sigma = sympy.symbols("mu sigma", positive=True)
    found = scale_invariant.circle_equilibrium(mu, sigma)
    g = found.effective_rate
    assert same(g, sqrt(2 * eta * lam) / sigma)
    assert same(found.concentration, 2 * mu / (g * sigma**2))
    density = sympy.exp(found.concentration * cos(theta))
    flux = -g * mu * sin(theta) * density - g**2 * sigma**2 / 2 * sympy.diff(density, theta)
    assert same(flux, 0)
    page = scale_invariant.circle_equilibrium(Q(2, 5), 1, Q(1, 10), Q(1, 2))
    assert page.concentration == Q(4, 5) * sqrt(10)
    assert abs(page.effective_rate.evalf() - Q("0.3162278")) < 5e-8
    assert abs(page.concentration.evalf() - Q("2.5298221")) < 5e-8
    kappa = page.concentration.evalf(30)
    with mpmath.workdps(25):

        def moment(k):
            def integrand(angle):
                return mpmath.cos(angle) ** k * mpmath.exp(kappa * mpmath.cos(angle))

            return mpmath.quad(integrand, [0, mpmath.pi])

        assert abs(page.mean_cosine.evalf(20) - moment(1) / moment(0)) < 1e-18
    assert float(page.mean_cosine) == pytest.approx(0.7682, abs=5e-5)
