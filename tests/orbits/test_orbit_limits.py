"""Kinds, periods and exponents of limits, against closed forms and plain loops."""

import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flows
from flows.orbits._decide import _mean_and_error

# Chosen by hand to agree with the closed forms of the cubic map y -> a y - y^3, a = 1 + h.
RATES = np.array([0.3, 0.5, 0.9, 1.01, 1.2, 1.24, 1.29, 1.4, 1.9, 2.05])
KINDS = ["converged"] * 3 + ["periodic"] * 4 + ["chaotic"] * 2 + ["diverged"]
PERIODS = [1, 1, 1, 2, 2, 4, 8, 0, 0, 0]
START = jnp.array(0.5)


def well(x):
    return (x**2 - 1) ** 2 / 4


def logistic(x):
    return x**2 / 2 + x**3 / 3


def scaled_quadratic(x, curvature):
    return curvature * jnp.sum(x**2) / 2


@pytest.fixture(scope="module")
def limits():
    return jax.jit(jax.vmap(lambda h: flows.classify_limit(well, START, flows.GradientDescent(h))))(
        jnp.asarray(RATES)
    )


def test_kinds_and_periods_of_the_cubic_map(limits):
    assert limits.kinds.tolist() == KINDS
    assert limits.periods.tolist() == PERIODS
    assert limits.reason_codes.tolist() == [0] * len(RATES)


def test_exponents_on_points_and_cycles_are_those_of_the_multipliers(limits):
    point = np.log(np.abs(1 - 2 * RATES[[0, 2]]))
    np.testing.assert_allclose(limits.lyapunov[jnp.array([0, 2])], point, atol=1e-9)
    cycle = np.log(np.abs(9 - 2 * (1 + RATES[3:5]) ** 2)) / 2
    np.testing.assert_allclose(limits.lyapunov[3:5], cycle, atol=1e-6)
    assert float(limits.lyapunov[1]) == -math.inf  # h = 1 / f'': superstable
    assert limits.lyapunov_error[:7].tolist() == [0.0] * 7
    assert np.isnan(limits.lyapunov[9])


def test_one_orbit_at_a_time_gives_the_same(limits):
    for i in (2, 4, 9):
        one = flows.classify_limit(well, START, flows.GradientDescent(RATES[i]))
        assert one.kind == KINDS[i]
        assert one.period == PERIODS[i]
        assert int(one.last_steps) == int(limits.last_steps[i])
    assert str(one).startswith("diverged after step ")


def test_the_step_at_which_it_diverges_and_the_bound():
    x, step = 0.5, 0
    while abs(x - 2.05 * (x**3 - x)) <= 1e8:
        x, step = x - 2.05 * (x**3 - x), step + 1
    limit = flows.classify_limit(well, START, flows.GradientDescent(2.05))
    assert int(limit.last_steps) == step
    assert float(limit.params) == pytest.approx(x, rel=1e-6)  # rounding grows on the way
    # The 2-cycle at h = 1.2 reaches 1.14: a bound below that is left at once.
    near = flows.classify_limit(well, START, flows.GradientDescent(1.2), bound=1.0)
    assert near.kind == "diverged"
    assert float(near.params) <= 1


@pytest.mark.parametrize(
    ("loss", "rate", "exponent"), [(well, 2.0, math.log(3)), (logistic, 3.0, math.log(2))]
)
def test_exponents_of_chaos_in_closed_form(loss, rate, exponent):
    """Chebyshev maps: -2 cos t -> -2 cos 3t, and the logistic map at 4."""
    limit = flows.classify_limit(
        loss, jnp.array(0.1234), flows.GradientDescent(rate), transient=1000, steps=150_000
    )
    assert limit.kind == "chaotic"
    assert float(limit.lyapunov) == pytest.approx(exponent, abs=1e-3)
    assert float(limit.lyapunov_error) < 1e-3


def test_exponent_of_a_chaotic_band_against_a_plain_loop():
    """Nar and Sastry's polynomial at h = 0.3, from near 2."""
    coefficients = np.polynomial.Polynomial.fromroots([1, 1, 2, 2]) * np.polynomial.Polynomial(
        [1, 0, 1]
    )
    slope = coefficients.deriv()
    x, total = np.linspace(1.95, 2.05, 2000), 0.0
    for n in range(1500):
        x = x - 0.3 * slope(x)
        if n >= 500:
            total += np.mean(np.log(np.abs(1 - 0.3 * slope.deriv()(x))))
    limit = flows.classify_limit(
        flows.problems.nar_sastry().loss,
        jnp.array(1.95),
        flows.GradientDescent(0.3),
        steps=400_000,
    )
    assert limit.kind == "chaotic"
    assert float(limit.lyapunov) == pytest.approx(total / 1000, abs=1e-3)


def test_complex_multipliers_of_momentum():
    """Heavy ball with momentum 0.81 has complex roots of modulus 0.9 at q = 1."""

    def heavy_ball(state):
        x, before = state
        return jnp.stack([x - x + 0.81 * (x - before), x])

    limit = flows.classify_limit(
        lambda state: state[0] ** 2 / 2, jnp.array([1.0, 0.5]), flows.StepMap(heavy_ball)
    )
    assert limit.kind == "converged"
    assert float(limit.lyapunov) == pytest.approx(math.log(0.9), abs=1e-3)


def rotation(x):
    c, s = math.cos(1.0), math.sin(1.0)
    return jnp.stack([c * x[0] - s * x[1], s * x[0] + c * x[1]])


@pytest.mark.parametrize(
    ("loss", "start", "optimizer", "options", "reason"),
    [
        (lambda x: x**4 / 4, 1.0, flows.GradientDescent(0.1), {}, "still on its way"),
        (lambda x: x**2 / 2, 1.0, flows.GradientDescent(1e-6), {}, "pass a larger transient$"),
        (well, 0.5, flows.GradientDescent(1.29), {"max_period": 4}, "larger transient or max_per"),
        (jnp.sum, [1.0, 0.0], flows.StepMap(rotation), {}, "cannot be told from zero"),
    ],
)
def test_undecided_with_the_reason(loss, start, optimizer, options, reason):
    limit = flows.classify_limit(
        loss, jnp.array(start), optimizer, transient=2000, steps=2000, **options
    )
    assert limit.kind == "undecided"
    assert limit.period == 0
    assert re.search(reason, limit.reason)
    assert str(limit).endswith(limit.reason)


def slope_and_quartic(x, weights):
    return weights[0] * x**2 / 2 + weights[1] * x**4 / 4


def test_a_short_step_is_no_arrival():
    """What counts is the distance that is left: of a slow orbit it is many steps.

    On x^4/4 the point is at (2 h n)^(-1/2), 0.04 after 3000 steps of 0.1, and moves by 6e-6 a step.
    """

    def limit(weights, rate, transient):
        return flows.classify_limit(
            slope_and_quartic,
            jnp.array(1.0),
            flows.GradientDescent(rate),
            args=jnp.array(weights),
            transient=transient,
            steps=16,
            tolerance=1e-3,
        )

    creeping = limit([0.0, 1.0], 0.1, 3000)
    assert float(creeping.params) == pytest.approx((0.2 * 3144) ** -0.5, rel=0.02)
    assert creeping.kind == "undecided"
    assert "still on its way" in creeping.reason
    # At the rate 1 - h the distance is known: 0.99^n passes the tolerance at n = 688.
    assert limit([1.0, 0.0], 0.01, 640).kind == "undecided"
    assert limit([1.0, 0.0], 0.01, 690).kind == "converged"


def test_the_first_block_is_left_out_of_the_exponent():
    """In it the tangent only turns. Of 15 means the error is their deviation / sqrt(15)."""
    means = np.array([-1.0, 2.0] * 7 + [2.0])
    mean, error = _mean_and_error(jnp.concatenate([jnp.array([1e3]), jnp.asarray(means)]))
    assert float(mean) == pytest.approx(means.mean(), rel=1e-14)
    assert float(error) == pytest.approx(means.std(ddof=1) / np.sqrt(15), rel=1e-14)


def test_trees_of_parameters_and_data():
    limit = flows.classify_limit(
        lambda p, c: scaled_quadratic(p["a"], c) + scaled_quadratic(p["b"], 3 * c),
        {"a": jnp.ones(2), "b": jnp.ones(())},
        flows.GradientDescent(0.5),
        args=jnp.array(1.0),
        transient=500,
        steps=64,
    )
    assert limit.kind == "converged"
    assert float(limit.lyapunov) == pytest.approx(math.log(0.5), abs=1e-9)
    assert set(limit.params) == {"a", "b"}


def test_other_numbers_compile_nothing():
    traces = []

    def counted(x, shape):
        traces.append(1)
        return shape * x**2

    options = {"transient": 100, "steps": 32}
    flows.classify_limit(counted, START, flows.GradientDescent(0.1), args=1.0, **options)
    first = len(traces)
    options = {"transient": 300, "steps": 64, "tolerance": 1e-5, "bound": 9.0}
    flows.classify_limit(counted, START + 1, flows.GradientDescent(0.2), args=2.0, **options)
    assert len(traces) == first


def test_single_precision():
    with jax.enable_x64(False):
        limit = flows.classify_limit(well, jnp.array(0.5), flows.GradientDescent(1.24))
        assert limit.lyapunov.dtype == np.float32
        assert (limit.kind, limit.period) == ("periodic", 4)
        small = flows.classify_limit(well, jnp.array(0.5), flows.GradientDescent(0.3))
        assert small.kind == "converged"


DESCENT = flows.GradientDescent(0.1)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"max_period": 0}, flows.InvalidOptionError, "max_period must be an integer >= 1, got 0"),
        ({"max_period": 2.5}, flows.InvalidOptionError, "Write for example max_period=64"),
        ({"tolerance": -1.0}, flows.InvalidOptionError, "tolerance must be one positive number"),
        ({"bound": "far"}, flows.InvalidOptionError, "bound must be one positive .* got 'far'"),
        ({"transient": -1}, flows.InvalidStepsError, "steps must be 0 or more"),
        ({"steps": 1.5}, flows.InvalidStepsError, "steps must be an integer"),
    ],
)
def test_options_out_of_range(options, error, message):
    with pytest.raises(error, match=message):
        flows.classify_limit(well, START, DESCENT, **options)


def test_what_is_no_optimizer():
    with pytest.raises(flows.InvalidOptimizerError, match="must be one of this library's"):
        flows.classify_limit(well, START, 0.1)


def test_words_need_a_single_orbit_and_numbers(limits):
    with pytest.raises(flows.InvalidOptionError, match=r"batch of orbits of shape \(10,\)"):
        _ = limits.kind
    with pytest.raises(flows.InvalidOptionError, match="these are traced"):
        jax.jit(lambda h: flows.classify_limit(well, START, flows.GradientDescent(h)).kinds)(0.1)
