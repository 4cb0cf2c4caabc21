"""Flows that make their own steps, through a window that overruns."""

import types

import jax.numpy as jnp
import numpy as np

import flows
from flows.drivers._substeps import step_through


def counter(most):
    """Counts its substeps, three to a step, and fails beyond the most."""
    return types.SimpleNamespace(
        substeps=3,
        advance=lambda problem, y: y + 1.0,
        failure=lambda y: jnp.where(y > most, 1, 0),
        failures=("sharpness_overshoot",),
    )


def through(most, steps):
    ts = 0.5 * jnp.minimum(jnp.arange(1.0, 4.0), steps)
    return step_through(None, counter(most), jnp.array(0.0), ts, jnp.array(0.5))


def test_nothing_happens_beyond_the_last_step():
    """Two of the three steps of the window are wanted; in the third it would fail."""
    leg = through(most=6, steps=2.0)
    assert leg.ys.tolist() == [3, 6, 6]
    assert bool(leg.result == flows.RESULTS.successful)
    assert int(leg.stats["num_steps"]) == 6


def test_a_step_that_fails_is_not_a_number_nor_are_those_after():
    leg = through(most=4, steps=3.0)
    np.testing.assert_array_equal(leg.ys, [3, np.nan, np.nan])
    assert bool(leg.result == flows.RESULTS.sharpness_overshoot)
