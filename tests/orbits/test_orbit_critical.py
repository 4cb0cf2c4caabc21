"""Superstable steps, period doublings and crises, found numerically, against known values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy

import flows
import symbolic


def well(x):
    return (x**2 - 1) ** 2 / 4


def logistic(x):
    return x**2 / 2 + x**3 / 3


def quartic_hill(x):
    return x**2 / 2 - x**4 / 4


def one_minus_cosine(x):
    return 1 - jnp.cos(x)


def chain(w, depth):
    """A balanced chain of so many layers, reduced to one weight."""
    return (w**depth - 1) ** 2 / (2 * depth)


polynomial = flows.problems.nar_sastry().loss
valley = flows.problems.sharp_valley().loss


def close(found, expected, tolerance=1e-6):
    assert bool(found.converged), str(found)
    assert abs(float(found.learning_rate) / expected - 1) < tolerance


@pytest.mark.parametrize(
    ("loss", "start", "rate", "period", "multiplier", "expected"),
    [
        (well, 1.0, 0.9, 1, -1.0, 1.0),
        (well, 1.1, 1.12, 2, 0.0, 3 / np.sqrt(2) - 1),
        (well, 1.1, 1.2, 2, -1.0, np.sqrt(5) - 1),
        (logistic, 0.1, 2.4, 2, -1.0, np.sqrt(6)),
        (logistic, 0.1, 1.3, 1, 0.0, 1.0),
        (polynomial, 2.02, 0.22, 2, 0.0, 0.2245154931),
        (polynomial, 2.02, 0.245, 2, -1.0, 0.2481192111),
        (polynomial, 1.05, 0.56, 2, 0.0, 0.5586275694),
        (polynomial, 1.05, 0.6, 2, -1.0, 0.6114407630),
        (valley, 2.51, 1.2e-3, 2, -1.0, 1.2304414e-3),
        (quartic_hill, 0.5, 3.1, 2, -1.0, 1 + np.sqrt(5)),
    ],
)
def test_superstable_steps_and_period_doublings(loss, start, rate, period, multiplier, expected):
    found = flows.find_bifurcation(loss, jnp.array(start), rate, period, multiplier, transient=1000)
    close(found, expected)


def test_a_window_opens_where_two_cycles_meet():
    """The period-3 window of the logistic map opens at r = 1 + sqrt 8, so h = 2 sqrt 2."""
    found = flows.find_bifurcation(logistic, jnp.array(-0.05), 2.84, 3, 1.0, transient=1000)
    close(found, 2 * np.sqrt(2))


def test_a_symmetry_breaks():
    """At h = 3 the symmetric cycle has the one-step multiplier 1: x -> -Phi(x) flips there."""

    def mirrored(h):
        return flows.StepMap(lambda x: h * jax.grad(quartic_hill)(x) - x, step_time=h)

    found = flows.find_bifurcation(
        quartic_hill, jnp.array(0.57), 2.9, 1, -1.0, optimizer=mirrored, transient=500
    )
    close(found, 3.0)


def test_superstable_cascade_and_its_limit():
    """Periods 1 to 64 of y -> a y - y^3; the quotients of the distances go to Feigenbaum's."""
    expected = [1.5, 2.12132034355964, 2.26298965453635, 2.29384331349836]
    expected += [2.30047470216029, 2.30189602933606, 2.30220048394147]
    found, rate, gap = [], 0.5, 0.62
    for k in range(7):
        # The extreme of the step map lies on every superstable cycle: h (3 c^2 - 1) = 1.
        start = jnp.array(np.sqrt((1 / rate + 1) / 3))
        step = flows.find_bifurcation(well, start, rate, 2**k, 0.0)
        assert bool(step.converged), (k, str(step))
        found.append(float(step.learning_rate))
        gap = found[-1] - found[-2] if k else 4.3857 * 0.1416693
        rate = found[-1] + (gap / 4.6692 if k else 0.62)
    np.testing.assert_allclose(np.array(found) + 1, expected, atol=1e-9)
    gaps = np.diff(found)
    np.testing.assert_allclose(gaps[-3:-1] / gaps[-2:], [4.6656, 4.6684], atol=2e-4)
    limit = found[-1] + gaps[-1] / (4.66920160910 - 1)
    assert limit == pytest.approx(1.3022834627, abs=1e-6)


def test_balanced_chains_of_every_depth():
    depth = jnp.array([2.0, 3.0, 4.0, 5.0, 8.0])
    threshold = 2 / depth

    def search(factor, period, multiplier):
        def one(depth, h):
            return flows.find_bifurcation(
                chain, jnp.array(1.02), h, period, multiplier, args=depth, transient=3000
            )

        return jax.vmap(one)(depth, factor * threshold)

    superstable = search(1.124, 2, 0.0)
    expected = [1.121320344, 0.7490799795, 0.562146769, 0.449843413, 0.2812474604]
    np.testing.assert_allclose(superstable.learning_rate, expected, rtol=1e-8)
    doubling = search(1.22, 2, -1.0)
    expected = [1.236067977, 0.8297382619, 0.6235846362, 0.4993508424, 0.312461934]
    np.testing.assert_allclose(doubling.learning_rate, expected, rtol=1e-8)
    assert superstable.converged.all()
    assert doubling.converged.all()


def test_a_bifurcation_in_two_dimensions():
    """Along x = y the product is the double well; the multipliers across do not interfere."""
    found = flows.find_bifurcation(
        lambda w: (w[0] * w[1] - 1) ** 2 / 2, jnp.array([1.2, 0.9]), 1.15, 2, -1.0, transient=500
    )
    close(found, np.sqrt(5) - 1)


MAXIMUM = next(r.real for r in np.roots([3, -6, 4, -3]) if abs(r.imag) < 1e-12)
VALLEY_MAXIMUM = min(
    2.5 + r.real for r in np.roots([-8000, -8000, 2400, 2040]) if -0.5 < r.real < -0.1
)


@pytest.mark.parametrize(
    ("loss", "start", "rate", "options", "expected"),
    [
        (well, 0.7, 1.6, {"after": 2, "target": 0.0}, 3 * np.sqrt(3) / 2 - 1),
        (well, 0.7, 1.9, {"after": 1, "period": 2}, 2.0),
        (logistic, -0.3, 2.9, {"after": 2, "period": 1}, 3.0),
        (quartic_hill, 0.5, 3.9, {"after": 1, "target": -1.0}, 4.0),
        (one_minus_cosine, 1.35, 4.6, {"after": 1, "target": -np.pi}, 4.6033388488),
        (polynomial, 1.9, 0.33, {"after": 2, "target": MAXIMUM}, 0.3306047846),
        (valley, 2.78, 1.39e-3, {"after": 1, "target": VALLEY_MAXIMUM}, 1.39252552e-3),
        (valley, 2.33, 1.53e-3, {"after": 2, "target": VALLEY_MAXIMUM}, 1.53373402e-3),
    ],
)
def test_crises(loss, start, rate, options, expected):
    found = flows.find_crisis(loss, jnp.array(start), rate, **options)
    close(found, expected, 1e-8)


def test_the_maxima_that_orbits_escape_over():
    assert pytest.approx(1.5561338829, abs=1e-10) == MAXIMUM
    assert pytest.approx(2.0353102172, abs=1e-10) == VALLEY_MAXIMUM


def test_against_the_exact_half_of_the_library():
    x = sympy.Symbol("x", real=True)
    exact = symbolic.crisis((x**2 - 1) ** 2 / 4, after=2, target=0)
    merging = next(c for c in exact if abs(float(c.step) - 1.598) < 0.01)
    found = flows.find_crisis(well, jnp.array(0.7), 1.6, after=2, target=0.0)
    assert float(found.learning_rate) == pytest.approx(float(merging.step), rel=1e-12)
    # From the extreme, where h (3 c^2 - 1) = 1, by two steps to the maximum.
    c, step = float(merging.critical_point), float(merging.step)
    middle = c - step * (c**3 - c)
    np.testing.assert_allclose(np.abs(found.points), np.abs([c, middle, 0]), atol=1e-9)
    f = (x**2 + 1) * (x - 1) ** 2 * (x - 2) ** 2
    doubling = symbolic.orbit_step(f, 2, -1, near=(2.09, 0.248))
    found = flows.find_bifurcation(polynomial, jnp.array(2.02), 0.245, 2, transient=1000)
    assert float(found.learning_rate) == pytest.approx(float(doubling[1]), rel=1e-11)


def test_a_search_that_lands_on_a_shorter_cycle_is_none():
    found = flows.find_bifurcation(polynomial, jnp.array(2.02), 0.22, 2, 0.0)
    assert not bool(found.converged)
    assert str(found) == "not found: the search led to a cycle of period 1. Start closer."


def test_a_search_without_an_answer_says_so():
    found = flows.find_bifurcation(lambda x: x, jnp.array(1.0), 0.5, 1)
    assert not bool(found.converged)
    assert str(found).startswith("not found: the equations are still missed by")


def test_a_multiplier_that_only_ascent_has_is_refused():
    """On x^2/2 it is 1 - h, which is 2 at h = -1."""
    found = flows.find_bifurcation(lambda x: x**2 / 2, jnp.array(0.0), 0.5, 1, 2.0)
    assert float(found.learning_rate) == pytest.approx(-1, abs=1e-12)
    assert not bool(found.converged)
    assert str(found).startswith("not found: the search led to the learning rate -1, which is not")


class TwoPart(flows.AbstractOptimizer):
    """Descent that also counts; so its state is not the parameters."""

    learning_rate: jax.Array

    def time_of_step(self, n):
        return self.learning_rate

    def init(self, params):
        return params, jnp.asarray(0)

    def step(self, problem, state, gradient=None):
        params, count = state
        return params - self.learning_rate * problem.gradient(params), count + 1

    def params(self, state):
        return state[0]


def test_optimizers_with_a_state_of_their_own():
    """Limits and cycles are those of the floating-point part of the state."""
    optimizer = TwoPart(jnp.asarray(1.1))
    limit = flows.classify_limit(well, jnp.array(0.5), optimizer, transient=500, steps=160)
    assert (limit.kind, limit.period) == ("periodic", 2)
    cycle = flows.find_cycle(well, jnp.array(1.1), optimizer, 2)
    assert float(cycle.multipliers[0].real) == pytest.approx(9 - 2 * 2.1**2, abs=1e-10)


def bifurcation(**changed):
    options = {"loss": well, "start": jnp.array(1.1), "learning_rate": 1.2, "period": 2}
    return lambda: flows.find_bifurcation(**{**options, **changed})


def crisis(**changed):
    options = {"loss": well, "start": jnp.array(0.7), "learning_rate": 1.6, "after": 2}
    return lambda: flows.find_crisis(**{**options, **changed})


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (bifurcation(learning_rate=-1.0), flows.InvalidLearningRateError, "one positive finite"),
        (bifurcation(period=0), flows.InvalidOptionError, "period must be an integer >= 1"),
        (
            bifurcation(loss=lambda x: x @ x, start=jnp.ones(129)),
            flows.InvalidOptionError,
            "at most 128 parameters, got 129",
        ),
        (
            bifurcation(optimizer=flows.GradientDescent(0.1)),
            flows.InvalidOptimizerError,
            "one optimizer, with one learning rate",
        ),
        (bifurcation(optimizer=3), flows.InvalidOptimizerError, "cannot be called, got 3"),
        (bifurcation(optimizer=lambda h: h), flows.InvalidOptimizerError, "returned Array"),
        (bifurcation(multiplier="a"), flows.InvalidOptionError, "multiplier must be one real num"),
        (bifurcation(optimizer=TwoPart), flows.InvalidOptimizerError, "state of TwoPart is more"),
        (crisis(), flows.InvalidOptionError, "give either target=..., a point, or period"),
        (crisis(target=0.0, period=1), flows.InvalidOptionError, "give either target"),
        (crisis(target=[0.0, 1.0]), flows.InvalidOptionError, "target must be one number, got 2"),
        (
            crisis(loss=lambda x: x @ x, start=jnp.ones(2), target=0.0),
            flows.InvalidOptionError,
            "a crisis is found for a loss of one parameter, got 2",
        ),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_words_need_a_single_result():
    found = jax.vmap(lambda h: flows.find_bifurcation(well, jnp.array(1.0), h, 1))(
        jnp.array([0.9, 1.1])
    )
    np.testing.assert_allclose(found.learning_rate, 1, atol=1e-12)
    with pytest.raises(flows.InvalidOptionError, match="words are those of a single result"):
        str(found)
