"""SGD on finite sums of parabolas: mean, mean-square and almost-sure thresholds."""

import itertools as it
import math
import random

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from plain import same
from sympy import Rational as Q

import symbolic


def test_one_and_three():
    found = symbolic.finite_sum_thresholds([1, 3])
    assert (found.mean, found.mean_square, found.almost_sure) == (1, Q(4, 5), Q(4, 3))


@pytest.mark.parametrize(
    ("repeats", "mean_square", "mean"),
    [
        (2, "1.458940", "1.6"),
        (3, "2.122403", "2.263026"),
        (4, "2.787337", "2.917880"),
        (8, "5.451397", "5.574674"),
    ],
)
def test_repeated_samples(repeats, mean_square, mean):
    found = symbolic.finite_sum_thresholds([1, 3], repeats=repeats)
    assert abs(found.mean_square.evalf(15) - Q(mean_square)) < Q("1e-6")
    assert abs(found.mean.evalf(15) - Q(mean)) < Q("1e-6")
    assert found.almost_sure == Q(4 * repeats, 3)


def test_the_mean_of_twice_as_many_repeats_is_the_mean_square():
    """Both average (1 - x a)^{2k}, with x the step of one repeat."""
    for k in (1, 2, 4):
        square = symbolic.finite_sum_thresholds([1, 3], repeats=k).mean_square
        mean = symbolic.finite_sum_thresholds([1, 3], repeats=2 * k).mean
        assert same(mean, 2 * square)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=5), st.data())
def test_batches_by_enumeration(curvatures, data):
    size = data.draw(st.integers(1, len(curvatures)))
    limit = symbolic.finite_sum_thresholds(curvatures, size).mean_square
    batches = list(it.combinations(curvatures, size))
    factors = [(1 - limit * Q(sum(batch), size)) ** 2 for batch in batches]
    assert same(sum(factors) / len(batches), 1)


@pytest.mark.parametrize(("step", "falls"), [(0.99 * 4 / 3, True), (1.01 * 4 / 3, False)])
def test_almost_every_path(step, falls):
    draw = random.Random(0)
    for _ in range(5):
        log = sum(math.log(abs(1 - step * draw.choice((1, 3)))) for _ in range(200_000))
        assert (log < 0) == falls


def test_a_negative_mean_curvature():
    with pytest.raises(symbolic.InvalidStepError, match="the mean curvature must be positive"):
        symbolic.finite_sum_thresholds([1, -3])


@pytest.mark.parametrize("repeats", [1, 2, 3, 4, 8])
def test_moments_by_enumeration_on_both_sides(repeats):
    """One block multiplies by (1 - h a / k)^k, a from {1, 3} at random."""
    found = symbolic.finite_sum_thresholds([1, 3], repeats=repeats)
    for limit, power in ((found.mean, 1), (found.mean_square, 2)):
        for share, falls in ((0.99, True), (1.01, False)):
            step = share * float(limit)
            factors = [(1 - step * a / repeats) ** (repeats * power) for a in (1, 3)]
            assert (abs(sum(factors)) / 2 < 1) == falls


def test_many_repeats_keep_the_noise_and_lose_the_instability():
    h, curvature, k = sympy.symbols("h a k", positive=True)
    assert sympy.limit((1 - h * curvature / k) ** k, k, sympy.oo) == sympy.exp(-h * curvature)
    steps = [symbolic.finite_sum_thresholds([1, 3], repeats=k).mean_square for k in (1, 2, 4, 8)]
    assert all(later > 1.8 * earlier for earlier, later in it.pairwise(steps))


@pytest.mark.parametrize("size", [1, 2, 4])
def test_the_mean_square_threshold_in_closed_form(size):
    """2 m / (m^2 + s^2 (n - B) / (B (n - 1))), with mean m and variance s^2."""
    curvatures = [Q(1), Q(2), Q(5), Q(1, 3), Q(7)]
    mean = sum(curvatures) / 5
    variance = sum((a - mean) ** 2 for a in curvatures) / 5
    page = 2 * mean / (mean**2 + variance * Q(5 - size, size * 4))
    assert symbolic.finite_sum_thresholds(curvatures, size).mean_square == page


def test_messages_of_finite_sums():
    with pytest.raises(symbolic.TooMuchWorkError, match="max_degree=1000"):
        symbolic.finite_sum_thresholds([1, 2], repeats=500)
    with pytest.raises(symbolic.InvalidArgumentError, match="a list is needed"):
        symbolic.finite_sum_thresholds(3)
