"""Flows that model every second step: what is recorded at the others, in both modes."""

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import Clock, assert_close, rosenbrock

import flows

REAL = flows.PrincipalFlow("real", curvature=flows.Dense())
NAME = "PrincipalFlow(real)"
START = jnp.array([-0.5, 0.5])
DESCENT = flows.GradientDescent(2e-3)


def descend(x):
    return x - 2e-3 * jax.grad(rosenbrock)(x)


@pytest.mark.parametrize("steps", [6, 7])
def test_the_others_are_one_step_from_the_flow(steps):
    run = flows.compare(rosenbrock, START, DESCENT, REAL, steps)
    flow = run.trajectories[NAME]
    assert flow.stride == 2
    assert flow.own_steps.tolist() == [n % 2 == 0 for n in range(steps + 1)]
    for n in range(1, steps + 1, 2):
        assert_close(flow.params[n], descend(flow.params[n - 1]), rtol=1e-13)
    assert_close(flow.final_params, flow.params[-1])
    assert_close(flow.loss, jax.vmap(rosenbrock)(flow.params), rtol=1e-13)
    errors = np.linalg.norm(np.asarray(flow.params - run.iterates.params), axis=1)
    assert_close(run.errors[NAME], errors, atol=1e-15)
    # The flow itself goes on undisturbed.
    alone = flows.solve(rosenbrock, START, DESCENT, REAL, steps)
    assert_close(alone.params, flow.params, rtol=1e-9)


@pytest.mark.parametrize("mode", ["trajectory", "per_step"])
def test_windows_of_odd_length_do_not_show(mode, windows_of):
    whole = flows.compare(rosenbrock, START, DESCENT, REAL, 7, mode=mode)
    windows_of(3)
    parts = flows.compare(rosenbrock, START, DESCENT, REAL, 7, mode=mode)
    assert_close(parts.trajectories[NAME].params, whole.trajectories[NAME].params, rtol=1e-9)
    assert_close(parts.errors[NAME], whole.errors[NAME], atol=1e-9)


def test_per_step_the_last_of_an_odd_number_of_steps_costs_nothing(windows_of):
    windows_of(3)  # as above: the same program
    seven, six = (
        flows.compare(rosenbrock, START, DESCENT, REAL, steps, mode="per_step") for steps in (7, 6)
    )
    assert int(seven.trajectories[NAME].cost.steps) > 0
    assert seven.trajectories[NAME].cost == six.trajectories[NAME].cost


def test_per_step_it_starts_anew_at_every_second_iterate():
    run = flows.compare(
        rosenbrock, START, DESCENT, [REAL, flows.GradientFlow()], 7, mode="per_step"
    )
    flow, iterates = run.trajectories[NAME], run.iterates.params
    for n in range(2, 8, 2):
        one = flows.solve(rosenbrock, iterates[n - 2], DESCENT, REAL, 2)
        assert_close(flow.params[n], one.params[2], rtol=1e-9)
        error = jnp.linalg.norm(one.params[2] - iterates[n])
        assert float(run.errors[NAME][n]) == pytest.approx(float(error), rel=1e-6)
    assert_close(run.errors[NAME][1::2], np.zeros(4), atol=1e-15)
    relative = np.asarray(run.relative_errors[NAME])[2::2]
    summary = run.summary()["flows"][NAME]
    assert summary["median_relative_error"] == pytest.approx(np.median(relative))
    assert flow.last_step == 7


def test_per_step_the_field_is_told_the_time_of_its_two_steps():
    h, n = 0.1, np.arange(9)
    # Nothing moves but the flow, by t^2 / 2: a step of the optimizer stays where it begins.
    run = flows.compare(
        lambda x: 0 * jnp.sum(x),
        jnp.ones(2),
        flows.GradientDescent(h),
        Clock(every=2),
        8,
        mode="per_step",
        solver=dfx.Tsit5(),  # quick to compile
    )
    since = np.maximum(n - 2, 0)
    moved = np.where(n % 2 == 0, (h * n) ** 2 / 2 - (h * since) ** 2 / 2, 0)
    assert_close(run.errors["Clock"], jnp.asarray(moved * 2**0.5), rtol=1e-9)
    assert_close(run.trajectories["Clock"].diagnostics["first"], jnp.asarray(1 + moved), rtol=1e-9)
    assert int(run.trajectories["Clock"].last_step) == 8


def test_what_is_said_of_it(tmp_path):
    run = flows.compare(rosenbrock, START, DESCENT, [REAL, flows.GradientFlow()], 4)
    note = f"{NAME} models every second step; the others are one optimizer step from it."
    assert str(run).count(note) == 1
    assert "GradientFlow models" not in str(run)
    again = flows.load(run.save(tmp_path / "run"))
    assert again.trajectories[NAME].stride == 2
    assert again.trajectories["GradientFlow"].stride == 1
    line, *_ = run.plot().get_lines()
    assert line.get_xdata().tolist() == [2, 4]


def test_under_vmap_and_jit():
    def errors(rate):
        optimizer = flows.GradientDescent(rate)
        return flows.compare(rosenbrock, START, optimizer, REAL, 7, mode="per_step").errors[NAME]

    rates = jnp.array([1e-3, 3e-3])
    together = jax.jit(jax.vmap(errors))(rates)
    for rate, error in zip(rates, together, strict=True):
        assert_close(error, errors(rate), rtol=1e-6, atol=1e-12)


def plateau(x):
    """Finite up to 1, from where on it is not a number."""
    return -x + jnp.where(x < 1, 0.0, jnp.nan)


def test_a_failure_is_a_result_with_its_step():
    run = flows.compare(plateau, jnp.array(0.0), flows.GradientDescent(0.3), REAL, 6, throw=False)
    flow = run.trajectories[NAME]
    assert not flow.successful
    assert int(flow.last_step) == 3
    assert_close(flow.params[:4], 0.3 * np.arange(4), rtol=1e-9)
    assert np.isnan(np.asarray(flow.loss[4:])).all()
