"""Scale invariance: where the norm settles, in discrete steps."""

import math
import random

import pytest
import sympy
from plain import same
from sympy import Rational as Q
from sympy import sqrt

from symbolic import scale_invariant
from symbolic.scale_invariant import eta, lam, s


def test_equilibrium():
    found = scale_invariant.equilibrium()
    assert same(found.norm_fourth, eta * s**2 / (lam * (2 - eta * lam)))
    assert same(found.norm_fourth / found.sde_norm_fourth, 2 / (2 - eta * lam))
    assert same(found.slope, 2 * (1 - eta * lam) ** 2 - 1)
    assert found.cosine == 1 - eta * lam
    assert same(found.effective_rate**2, lam * eta * (2 - eta * lam) / s**2)
    page = scale_invariant.equilibrium(0.2, 0.25, 1.7)
    assert abs(page.norm_fourth - Q("1.18564")) < 5e-6
    assert abs(page.sde_norm_fourth - Q("1.156")) < 5e-4
    assert abs(page.slope - Q("0.805")) < 5e-4


def test_the_norm_by_iteration():
    square, page = 2.25, {1: 2.0820027778, 10: 1.2878697425, 40: 1.0892020963}
    for k in range(1, 20001):
        square = 0.95**2 * square + 0.04 * 2.89 / square
        if k in page:
            assert square == pytest.approx(page[k], abs=1e-9)
    assert square**2 == pytest.approx(
        float(scale_invariant.equilibrium(0.2, 0.25, 1.7).norm_fourth)
    )


def test_the_range_of_stable_and_monotone_norms():
    slope = scale_invariant.equilibrium(1, lam).slope  # q = lam
    assert same(slope, 2 * (1 - lam) ** 2 - 1)
    inside = sympy.solve_univariate_inequality(slope < 1, lam, relational=False)
    assert inside == sympy.Interval.open(0, 2)
    assert min(sympy.solve(slope, lam)) == 1 - 1 / sqrt(2)


def test_the_mean_direction_of_discrete_steps():
    """(1 - q)^k against e^(-q k): eta = 0.2, lam = 0.25."""
    cosine = scale_invariant.equilibrium(Q(1, 5), Q(1, 4), 1).cosine
    page = {5: (0.77378, 0.77880), 15: (0.4633, 0.4724), 30: (0.21464, 0.22313)}
    for k, (discrete, sde) in page.items():
        places = 4 if k == 15 else 5
        assert float(cosine**k) == pytest.approx(discrete, abs=6 * 10 ** -(places + 1))
        assert math.exp(-0.05 * k) == pytest.approx(sde, abs=6 * 10 ** -(places + 1))


def test_mean_directions_by_plain_steps():
    """Tangential gradients of fixed length in the plane, either way at random."""
    draw, total, chains = random.Random(0), 0.0, 20_000
    norm = float(scale_invariant.equilibrium(0.2, 0.25, 1.7).norm_fourth) ** 0.25
    for _ in range(chains):
        u, v = norm, 0.0
        for _ in range(5):
            square = u * u + v * v
            push = 0.2 * 1.7 * draw.choice((1, -1)) / square
            u, v = 0.95 * u - push * v, 0.95 * v + push * u
        total += u / math.hypot(u, v)
        assert math.hypot(u, v) == pytest.approx(norm, rel=1e-12)  # Pythagoras, path by path
    # Five standard errors; a cosine varies by at most one.
    assert total / chains == pytest.approx(0.95**5, abs=5 / math.sqrt(chains))
