"""Orbits far from the origin: a moved loss has the same orbits, as far as rounding allows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flows
from flows.orbits._places import name_points

RATES = [0.8, 0.95, 1.1, 1.24, 1.4, 1.9]
KINDS = ["converged", "converged", "periodic", "periodic", "chaotic", "chaotic"]
PERIODS = [1, 1, 2, 4, 0, 0]


def moved_well(x, offset):
    return ((x - offset) ** 2 - 1) ** 2 / 4


@jax.jit
def limits_at(offset):
    return jax.vmap(
        lambda h: flows.classify_limit(
            moved_well, offset + 0.5, flows.GradientDescent(h), args=offset
        )
    )(jnp.asarray(RATES, offset.dtype))


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e8, 1e9])
def test_a_moved_loss_has_the_same_limits(offset):
    limits = limits_at(jnp.asarray(offset))
    assert limits.kinds.tolist() == KINDS
    assert limits.periods.tolist() == PERIODS


def test_a_moved_loss_has_the_same_limits_in_single_precision():
    with jax.enable_x64(False):
        for offset in (0.0, 29.0):
            limits = limits_at(jnp.asarray(offset, jnp.float32))
            assert limits.kinds.tolist() == KINDS
            assert limits.periods.tolist() == PERIODS


def test_where_the_numbers_are_too_coarse_it_says_so():
    """At 1e16 neighbouring numbers are 2 apart, as far as the minima of the well."""
    limits = limits_at(jnp.asarray(1e16))
    assert set(limits.kinds) == {"undecided"}
    one = jax.tree.map(lambda leaf: leaf[0], limits)
    assert "numbers are too coarse there" in one.reason
    assert "Measure the parameters from a point nearby, or use" in str(one)


def shifted(x):
    """A cycle of three numbers whose tangent doubles: what chaos in very few bits looks like."""
    image = jnp.mod(jnp.round(x) + 1, 3.0)
    return image + 2 * (x - jax.lax.stop_gradient(x))


def test_an_exponent_above_zero_and_a_repeat_contradict_each_other():
    limit = flows.classify_limit(lambda x: x, jnp.array(0.0), flows.StepMap(shifted), steps=64)
    assert limit.kind == "undecided"
    assert float(limit.lyapunov) == pytest.approx(np.log(2), abs=1e-9)
    assert limit.reason.startswith("it repeats, though neighbouring orbits separate from it")


@pytest.mark.parametrize("transient", [700, 10_000])
def test_a_saddle_that_is_reached_along_its_line_is_a_point(transient):
    limit = flows.classify_limit(
        lambda x: x[0] ** 2 / 2 - x[1] ** 2 / 2,
        jnp.array([1.0, 0.0]),
        flows.GradientDescent(0.03),
        transient=transient,
        steps=64,
    )
    assert limit.kind == "converged"
    assert float(limit.lyapunov) == pytest.approx(np.log(1.03), rel=0.01)


def test_cycles_bifurcations_and_crises_of_a_moved_loss():
    offset = jnp.asarray(1e8)
    cycle = flows.find_cycle(
        moved_well, offset + 1.1, flows.GradientDescent(1.1), 2, args=offset, transient=1000
    )
    assert bool(cycle.stable)
    assert cycle.minimal_period == 2
    found = flows.find_bifurcation(moved_well, offset + 1.13, 1.2, 2, args=offset)
    assert bool(found.converged)
    # Newton's method knows the point to rounding, 1.5e-8, and the rate as well as that.
    assert float(found.learning_rate) == pytest.approx(5**0.5 - 1, abs=1e-5)
    crisis = flows.find_crisis(moved_well, offset + 0.7, 1.6, after=2, target=offset, args=offset)
    assert bool(crisis.converged)
    assert float(crisis.learning_rate) == pytest.approx(1.5 * 3**0.5 - 1, abs=1e-5)


def test_two_minima_far_away_are_two():
    offset = jnp.asarray(1e8)
    shares = flows.basin_shares(
        moved_well, offset + jnp.linspace(-0.9, 0.9, 4), flows.GradientDescent(0.5), args=offset
    )
    assert shares.shares == {"to 99999999": 0.5, "to 100000001": 0.5}


def test_points_have_names_of_their_own():
    points = np.array([[1e8], [1e8 + 1], [1e8 + 2]])
    names = name_points(points, {"to known": np.array([1e8 + 2])}, 1e-6)
    assert names.tolist() == ["to 100000000", "to 100000001", "to known"]
