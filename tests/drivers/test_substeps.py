"""Flows that make their own steps, through a window that overruns."""

import types

import jax.numpy as jnp
import numpy as np

import flows
from flows.vector_fields.methods import OwnSteps, Steps


def counter(most):
    """Counts its substeps, three to a step, and fails beyond the most."""
    good, bad = flows.RESULTS.successful, flows.RESULTS.sharpness_overshoot
    return types.SimpleNamespace(
        substeps=3,
        advance=lambda problem, at, y: y + 1.0,
        status=lambda problem, at, y: flows.RESULTS.where(y > most, bad, good),
        products=lambda y: 2,
    )


def through(most, due, length=3, every=1):
    steps = Steps(jnp.asarray(0), jnp.asarray(due), length, every)
    return OwnSteps().advance(counter(most), None, steps, jnp.array(0.0), None)  # pyright: ignore[reportArgumentType]


def test_nothing_happens_beyond_the_last_step():
    """Two of the three steps of the window are wanted; in the third it would fail."""
    leg = through(most=6, due=2)
    assert leg.ys.tolist() == [3, 6, 6]
    assert bool(leg.status == flows.RESULTS.successful)
    assert (int(leg.cost.steps), int(leg.cost.products)) == (6, 12)


def test_states_may_be_wanted_after_every_so_many_steps():
    """Of five steps after every second, and the last."""
    leg = through(most=99, due=5, every=2)
    assert leg.ys.tolist() == [6, 12, 15]
    assert int(leg.cost.steps) == 15


def test_a_step_that_fails_is_not_a_number_nor_are_those_after():
    leg = through(most=4, due=3)
    np.testing.assert_array_equal(leg.ys, [3, np.nan, np.nan])
    assert bool(leg.status == flows.RESULTS.sharpness_overshoot)
    assert int(leg.cost.steps) == 5
