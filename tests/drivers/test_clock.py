"""The step is the clock: rates that change from step to step, and flows that begin at any state."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close, quartic

import flows

START = jnp.array([1.0, -0.7, 0.4])
# 1 and 0.1 in turn, exact in binary; so that times are sums of these.
RATES = np.where(np.arange(20) % 2 == 0, 1.0, 0.125)


class Alternating(flows.AbstractOptimizer):
    """Descent at a rate and at a part of it, in turn."""

    learning_rate: Any
    part: Any = eqx.field(converter=jnp.asarray, default=0.125)

    @property
    def varies(self):
        return True

    def time_of_step(self, n):
        return self.learning_rate * jnp.where(n % 2 == 0, 1.0, self.part)

    def init(self, params):
        return params, jnp.asarray(0)

    def step(self, problem, state, gradient=None):
        params, n = state
        gradient = problem.gradient(params) if gradient is None else gradient
        return params - self.time_of_step(n) * gradient, n + 1

    def params(self, state):
        return state[0]


class ScheduledFlow(flows.AbstractPointFlow):
    """``-h_n g``."""

    name: ClassVar[str] = "ScheduledFlow"

    def refusal(self, optimizer):
        return None

    def velocity(self, problem, at, y):
        return -problem.optimizer.time_of_step(at.step) * problem.gradient(y)


class Unaware(ScheduledFlow):
    """The same, of which the solver is not told that it jumps."""

    def jumps(self, optimizer):
        return False


OPTIMIZER = Alternating(jnp.asarray(0.3))


def decay(time):
    """The gradient flow of x^4 / 4, x' = -x^3."""
    start, time = jnp.broadcast_to(START, (len(time), 3)), time[:, None]
    return start / jnp.sqrt(1 + 2 * start**2 * time)


def test_flow_time_is_the_sum_of_the_steps():
    run = flows.solve(quartic, START, OPTIMIZER, ScheduledFlow(), 20)
    ts = np.concatenate([[0], np.cumsum(0.3 * RATES)])
    np.testing.assert_allclose(run.ts, ts, rtol=1e-15)
    assert_close(run.params, decay(run.ts), rtol=1e-10)
    iterates = flows.iterate(quartic, START, OPTIMIZER, 20)
    assert_close(iterates.ts, run.ts)


def test_a_field_that_jumps_between_steps_costs_no_solver_steps():
    """At most a fifth more than one whose rate is the mean of both; unaware it is twenty times."""
    jumping = flows.solve(quartic, START, OPTIMIZER, ScheduledFlow(), 20)
    smooth = flows.solve(
        quartic, START, flows.GradientDescent(0.3 * RATES.mean()), flows.GradientFlow(), 20
    )
    assert_close(jumping.final_params, smooth.final_params, rtol=1e-10)
    assert int(jumping.cost.steps) <= 1.2 * int(smooth.cost.steps)
    unaware = flows.solve(quartic, START, OPTIMIZER, Unaware(), 20)
    assert int(unaware.cost.steps) > 5 * int(jumping.cost.steps)


@pytest.mark.parametrize("windows", [1, 7])
def test_windows_do_not_move_the_clock(windows, windows_of):
    windows_of(-(-20 // windows))
    run = flows.compare(quartic, START, OPTIMIZER, ScheduledFlow(), 20)
    exact = decay(run.iterates.ts)
    assert_close(run.trajectories["ScheduledFlow"].params, exact, rtol=1e-10)


def test_per_step_begins_at_the_step_that_it_is():
    """From every iterate the exact flow for that step's time."""
    run = flows.compare(quartic, START, OPTIMIZER, ScheduledFlow(), 9, mode="per_step")
    before = run.iterates.params[:-1]
    time = np.diff(run.iterates.ts)[:, None]
    exact = before / jnp.sqrt(1 + 2 * before**2 * time)
    assert_close(run.trajectories["ScheduledFlow"].params[1:], exact, rtol=1e-10)


class Ending(ScheduledFlow):
    """Says of itself that it cannot go on from step 4."""

    def status(self, problem, at, y):
        over = at.step >= 4
        return flows.RESULTS.where(over, flows.RESULTS.flow_ended, flows.RESULTS.successful)


@pytest.mark.parametrize("optimizer", [OPTIMIZER, flows.GradientDescent(0.1)])
def test_a_solved_flow_is_asked_how_it_is(optimizer):
    run = flows.solve(quartic, START, optimizer, Ending(), 10, throw=False)
    assert run.result == flows.RESULTS.flow_ended
    assert int(run.last_step) == 3
    assert np.isnan(run.loss[4:]).all()
