"""Single precision: with x64 off, and float32 parameters with x64 on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import quartic, rosenbrock

import flows

BOTH = (flows.GradientFlow(), flows.ModifiedFlow(order=2))


def compare(dtype, mode="trajectory", rate=5e-4, steps=20):
    start = jnp.array([-0.5, 0.5], dtype)
    return flows.compare(rosenbrock, start, flows.GradientDescent(rate), BOTH, steps, mode=mode)


@pytest.mark.parametrize("mode", ["trajectory", "per_step"])
@pytest.mark.parametrize("x64", [True, False], ids=["x64 on", "x64 off"])
def test_errors_agree_with_double_precision(mode, x64):
    exact = compare(jnp.float64, mode)
    with jax.enable_x64(x64):
        run = compare(jnp.float32, mode)
        for leaf in jax.tree.leaves((run.iterates.params, run.errors, run.iterates.loss)):
            assert leaf.dtype == jnp.float32
        assert run.successful
        for name, error in run.errors.items():
            # What rounding makes of the parameters, step by step, is the floor.
            assert np.asarray(error) == pytest.approx(
                np.asarray(exact.errors[name]), rel=2e-3, abs=20 * 6e-8
            )


def test_a_step_keeps_its_length_after_a_thousand_others():
    # On a line the flow is exact: what is left is the rounding of times and of parameters.
    run = flows.compare(
        lambda x: jnp.sum(x),
        jnp.zeros(1, jnp.float32),
        flows.GradientDescent(0.01),
        flows.GradientFlow(),
        1500,
        mode="per_step",
    )
    rounding = 6e-8 * np.abs(np.asarray(run.iterates.params))[:, 0]
    assert (np.asarray(run.errors["GradientFlow"]) <= 2 * rounding + 1e-9).all()


def test_the_reported_integration_error_is_small_beside_the_model_error():
    run = compare(jnp.float32)
    for name, error in run.errors.items():
        assert float(run.trajectories[name].cost.integration_error) < 0.1 * float(error.max())


def test_a_quadratic_in_single_precision():
    eigenvalues = jnp.array([1.0, 0.5, 0.0], jnp.float32)
    run = flows.compare(
        lambda x: jnp.sum(eigenvalues * x**2) / 2,
        jnp.ones(3, jnp.float32),
        flows.GradientDescent(0.3),
        BOTH,
        30,
    )
    expected = np.exp(-9 * np.asarray(eigenvalues))
    got = np.asarray(run.trajectories["GradientFlow"].final_params)
    assert got == pytest.approx(expected, abs=1e-5)
    h = 0.3
    expected = np.exp(-9 * np.asarray(eigenvalues * (1 + h / 2 * eigenvalues)))
    got = np.asarray(run.trajectories["ModifiedFlow(2)"].final_params)
    assert got == pytest.approx(expected, abs=1e-5)


def test_a_converged_run_does_not_stall_in_rounding():
    # The gradient sinks into its own rounding: the solver must not shrink its steps for that.
    start = jnp.array([1.2, 1.0], jnp.float32)
    run = flows.compare(
        lambda x: (x[0] - 1) ** 2 + 5 * (x[1] - x[0] ** 2) ** 2 + 3,
        start,
        flows.GradientDescent(0.02),
        BOTH,
        2000,
        save_params=False,
    )
    assert run.successful
    assert int(run.trajectories["GradientFlow"].cost.steps) < 8 * 2000


def test_a_trial_step_that_overflows_is_repeated_with_a_shorter_one():
    # The first trial step, of one learning rate, leaves the range of float32.
    start = jnp.array([3.0], jnp.float32)
    flow = flows.ModifiedFlow(order=2)
    optimizer = flows.GradientDescent(0.5)
    run = flows.solve(quartic, start, optimizer, flow, 3)
    exact = flows.solve(quartic, start.astype(jnp.float64), optimizer, flow, 3)
    assert run.successful
    assert np.asarray(run.params) == pytest.approx(np.asarray(exact.params), rel=1e-3)
