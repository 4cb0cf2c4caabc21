"""A window made once more, by a flow with more room."""

import functools as ft
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flows


class Roomy(flows.AbstractSteppedFlow):
    """Adds 1 to each parameter in every step, and has room up to a number, with rows as wide."""

    name: ClassVar[str] = "Roomy"
    room: int = eqx.field(static=True)
    most: int = eqx.field(static=True, default=16)
    substeps: int = eqx.field(static=True, default=2)

    def refusal(self, optimizer):
        return None

    def start(self, problem, state, at):
        return problem.optimizer.params(state)

    def advance(self, problem, at, y):
        return y + 1 / self.substeps

    def velocity(self, problem, at, y):
        return jnp.ones_like(y)

    def params(self, problem, at, y):
        return y

    def report(self, problem, at, y, iterate=None):
        return {"row": jnp.full(self.room, y[0])}

    def status(self, problem, at, y):
        full = y[0] > self.room
        return flows.RESULTS.where(
            full, flows.RESULTS.too_many_critical_directions, flows.RESULTS.successful
        )

    def enlarged(self, problem, at, y, why):
        assert bool(why == flows.RESULTS.too_many_critical_directions)
        assert float(y[0]) == int(at.step)
        if self.room >= self.most:
            return None
        return Roomy(2 * self.room, self.most, self.substeps), y


ARGUMENTS = (lambda x: jnp.sum(x**2), jnp.zeros(2), flows.GradientDescent(0.1))


@pytest.fixture(autouse=True)
def windows_of_three(windows_of):
    windows_of(3)


def test_a_flow_grows_until_it_fits():
    """From room for 2 to room for 8, on the way; rows grow, and nothing before is lost."""
    run = flows.solve(*ARGUMENTS, Roomy(2), 8)
    assert run.successful
    np.testing.assert_allclose(run.params[:, 0], np.arange(9))
    row = np.asarray(run.diagnostics["row"])
    assert row.shape == (9, 8)
    np.testing.assert_allclose(row[:, 0], np.arange(9))
    assert np.isnan(row[0, 2:]).all()
    assert run.settings["flow"] == "Roomy(room=8)"


def test_the_others_of_a_comparison_are_as_they_were():
    both = flows.compare(*ARGUMENTS, [Roomy(2), flows.GradientFlow(), Roomy(4)], 8)
    assert both.successful
    alone = flows.compare(*ARGUMENTS, [flows.GradientFlow()], 8)
    np.testing.assert_allclose(
        both.errors["GradientFlow"], alone.errors["GradientFlow"], rtol=1e-12, atol=1e-16
    )
    for name in ("Roomy", "Roomy #2"):
        np.testing.assert_allclose(both.trajectories[name].params[:, 0], np.arange(9))


def test_where_there_is_no_more_room_the_run_ends_as_before():
    run = flows.solve(*ARGUMENTS, Roomy(2, most=4), 8, throw=False)
    assert run.result == flows.RESULTS.too_many_critical_directions
    assert int(run.last_step) == 4
    np.testing.assert_allclose(run.params[:5, 0], np.arange(5))


def test_under_a_transformation_nothing_grows():
    def last(x):
        return flows.solve(ARGUMENTS[0], x, ARGUMENTS[2], Roomy(2), 8, throw=False).last_step

    assert int(jax.jit(last)(jnp.zeros(2))) == 2


class Stubborn(Roomy):
    def enlarged(self, problem, at, y, why):
        return (self if self.most == 1 else flows.GradientFlow()), y


@pytest.mark.parametrize("most", [1, 2])
def test_what_is_no_other_flow_of_the_kind(most):
    with pytest.raises(flows.IncompatibleFlowError, match="Return another flow that is"):
        flows.solve(*ARGUMENTS, Stubborn(2, most), 8)


@pytest.mark.parametrize("substeps", [0, -1, 2.0, True, "4"])
def test_substeps_are_checked_for_ones_own_flows_too(substeps):
    for flow in (ft.partial(Roomy, 4), flows.CentralFlow, flows.StochasticModifiedFlow):
        with pytest.raises(flows.InvalidOptionError, match="substeps must be an integer >= 1, got"):
            flow(substeps=substeps)
