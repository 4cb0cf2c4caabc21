"""Runs of more steps than a window holds, where the last window overruns: nothing of it shows."""

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import Clock, assert_close

import flows

# One more than the longest window of `solve` and `compare`, and of `iterate`: two windows each, of
# which the second has one step too many.
SOLVED, ITERATED = 257, 1025
# Where a step doubles the parameters, the loss overflows at 2^512.
LAST_FINITE = 511
# Nothing is differentiated.
QUICK_TO_COMPILE = {"adjoint": dfx.ForwardMode()}


def parabola(x, curvature):
    return curvature * jnp.sum(x**2) / 2


@eqx.filter_jit
def solved(x, curvature, rate):
    optimizer = flows.GradientDescent(rate)
    return flows.solve(
        parabola, x, optimizer, flows.GradientFlow(), SOLVED, args=curvature, **QUICK_TO_COMPILE
    )


@eqx.filter_jit
def iterated(x, curvature, rate):
    optimizer = flows.GradientDescent(rate)
    return flows.iterate(parabola, x, optimizer, ITERATED, args=curvature, throw=False)


def test_solve_under_jit():
    run = solved(jnp.array([1.0, -2.0]), jnp.array(1.0), jnp.array(0.01))
    decay = np.exp(-0.01 * np.arange(SOLVED + 1))
    # 257 local errors of 1e-11 of a step, and rounding.
    assert_close(run.params, jnp.asarray(np.outer(decay, [1, -2])), rtol=1e-11)
    assert_close(run.loss, jnp.asarray(2.5 * decay**2), rtol=1e-11)
    assert_close(run.final_params, np.exp(-2.57) * jnp.array([1.0, -2.0]), rtol=1e-11)
    assert int(run.last_step) == SOLVED
    assert run.successful
    # So short a step is one of the solver: it makes as many, and none for the overrun.
    assert int(run.cost.accepted) == SOLVED


def test_iterate_under_jit():
    run = iterated(jnp.array([1.0, -2.0]), jnp.array(1.0), jnp.array(0.01))
    decay = 0.99 ** np.arange(ITERATED + 1)
    # A rounding error a step.
    assert_close(run.params, jnp.asarray(np.outer(decay, [1, -2])), rtol=1e-12)
    assert_close(run.loss, jnp.asarray(2.5 * decay**2), rtol=1e-12)
    assert_close(run.final_params, run.params[-1])
    assert int(run.last_step) == ITERATED
    assert run.successful


@pytest.mark.parametrize("last", [1, 600, ITERATED])
def test_iterate_under_jit_until_it_diverges(last):
    """In the first window, in the second, and only where that overruns, which is no failure."""
    run = iterated(jnp.array([2.0 ** (LAST_FINITE - last), 0.0]), jnp.array(-1.0), jnp.array(1.0))
    powers = 2.0 ** (LAST_FINITE - last + np.arange(last + 1))
    assert_close(run.params[: last + 1, 0], jnp.asarray(powers), rtol=1e-15)
    assert np.isnan(run.params[last + 1 :]).all()
    assert_close(run.final_params[0], jnp.asarray(2.0**LAST_FINITE), rtol=1e-15)
    assert int(run.last_step) == last
    assert run.successful == (last == ITERATED)


class MidpointClock(Clock):
    """A clock that is compared with midpoints."""

    reference = "midpoint"


@eqx.filter_jit
def compared(x, curvature, rate):
    return flows.compare(
        parabola,
        x,
        flows.GradientDescent(rate),
        MidpointClock(),
        SOLVED,
        args=curvature,
        solver=dfx.Tsit5(),
        throw=False,
        **QUICK_TO_COMPILE,
    )


def clock(start, times):
    return start + np.asarray(times)[:, None] ** 2 / 2


def test_errors_from_midpoints():
    start = np.array([1.0, -2.0])
    run = compared(jnp.asarray(start), jnp.array(1.0), jnp.array(0.01))
    # The last midpoint needs one iterate more than the run has.
    iterates = np.outer(0.99 ** np.arange(SOLVED + 2), start)
    midpoints = (iterates[:-2] + 2 * iterates[1:-1] + iterates[2:]) / 4
    distances = np.linalg.norm(clock(start, run.iterates.ts)[1:] - midpoints, axis=1)
    expected = np.concatenate([[0], distances])
    assert_close(run.errors["Clock"], jnp.asarray(expected), rtol=1e-10)
    assert int(run.trajectories["Clock"].last_step) == SOLVED


def test_errors_from_midpoints_until_the_iterates_diverge():
    last = 200  # in the second window
    run = compared(jnp.array([2.0 ** (LAST_FINITE - last), 0.0]), jnp.array(-1.0), jnp.array(1.0))
    # Of 1/2, 1 and 2 the midpoint is 9/8; next to it the clock stands still.
    midpoint = 9 / 8 * 2.0 ** (LAST_FINITE - last + np.arange(1, last + 1))
    stay = 2.0 ** (LAST_FINITE - last)
    assert_close(run.errors["Clock"][1 : last + 1], jnp.asarray(midpoint - stay), rtol=1e-14)
    assert np.isnan(run.errors["Clock"][last + 1 :]).all()
    flow = run.trajectories["Clock"]
    assert int(flow.last_step) == int(run.iterates.last_step) == last
    assert flow.result == flows.RESULTS.iterates_ended


def test_nothing_is_nan_where_all_is_well(windows_of):
    """Windows that overrun, and flows whose error nobody controls, under jax_debug_nans."""
    windows_of(4)
    start, descent = jnp.array([1.0, -2.0]), flows.GradientDescent(0.01)
    traced = lambda x: flows.iterate(lambda x: jnp.sum(x**4), x, descent, 5)  # noqa: E731
    models = [flows.GradientFlow(), flows.RodFlow(substeps=2)]
    with jax.debug_nans(True):
        jax.jit(traced)(start)
        run = flows.compare(parabola, start, descent, models, 5, args=jnp.array(1.0))
        each = flows.compare(
            parabola, start, descent, models[0], 5, args=jnp.array(1.0), mode="per_step"
        )
        alone = flows.iterate(parabola, start, descent, 5, args=jnp.array(1.0))
    assert_close(alone.loss, run.iterates.loss, rtol=1e-14)
    assert np.isfinite(run.errors["RodFlow"]).all()
    assert np.isfinite(each.errors["GradientFlow"]).all()
    assert np.isposinf(run.trajectories["RodFlow"].cost.integration_error)
    assert "integration_error" not in run.summary()["flows"]["RodFlow"]
