"""Quadratics, where both flows have closed forms, and symmetries that hold for every loss."""

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.stats
from helpers import assert_close, tanh_network
from hypothesis import given, settings

import flows
from flows.vector_fields.methods._step_size import SpeedController

STEPS = 12
# Zero, repeated, negative and large eigenvalues, in a random basis.
SPECTRA = {
    "well conditioned": (0.3, 0.7, 1.1),
    "repeated": (1.0, 1.0, 1.0, 0.2),
    "singular": (0.0, 0.0, 2.0),
    "zero": (0.0, 0.0),
    "indefinite": (-0.5, 0.0, 1.5),
    "past the edge": (0.1, 2.0, 4.4),
    "one number": (0.9,),
}


def quadratic(x, matrix):
    return x @ matrix @ x / 2


def random_symmetric(eigenvalues, seed):
    basis = (
        scipy.stats.ortho_group.rvs(len(eigenvalues), random_state=seed)
        if (len(eigenvalues) > 1)
        else np.eye(1)
    )
    return basis @ np.diag(eigenvalues) @ basis.T


def exponents(matrix, rate):
    """The generators of the two flows, by name."""
    return {
        "GradientFlow": matrix,
        "ModifiedFlow(2)": matrix + rate / 2 * matrix @ matrix,
    }


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(
    spectrum=st.sampled_from(sorted(SPECTRA)),
    seed=st.integers(0, 2**31 - 1),
    rate=st.floats(0.01, 0.5),
)
def test_quadratic(spectrum, seed, rate):
    eigenvalues = SPECTRA[spectrum]
    matrix = random_symmetric(eigenvalues, seed)
    start = np.random.default_rng(seed).standard_normal(len(eigenvalues))
    run = flows.compare(
        quadratic,
        jnp.asarray(start),
        flows.GradientDescent(rate),
        [flows.GradientFlow(), flows.ModifiedFlow(order=2)],
        STEPS,
        args=jnp.asarray(matrix),
    )
    size = np.linalg.norm(start)
    for name, generator in exponents(matrix, rate).items():
        path = run.trajectories[name].params
        for n in (1, STEPS // 2, STEPS):
            expected = scipy.linalg.expm(-n * rate * generator) @ start
            growth = max(1.0, np.linalg.norm(expected) / size)
            assert np.linalg.norm(path[n] - expected) <= 1e-8 * size * growth
    iterate = np.linalg.matrix_power(np.eye(len(eigenvalues)) - rate * matrix, STEPS) @ start
    assert_close(run.iterates.final_params, jnp.asarray(iterate), rtol=1e-11, atol=1e-11 * size)


def test_the_integration_error_is_what_is_reported():
    matrix = random_symmetric(SPECTRA["well conditioned"], 1)
    start = np.array([1.0, -2.0, 0.5])
    for flow, generator in zip(
        (flows.GradientFlow(), flows.ModifiedFlow(order=2)),
        exponents(matrix, 0.4).values(),
        strict=True,
    ):
        run = flows.compare(
            quadratic,
            jnp.asarray(start),
            flows.GradientDescent(0.4),
            flow,
            STEPS,
            args=jnp.asarray(matrix),
        )
        trajectory = run.trajectories[flow.name]
        actual = [
            np.linalg.norm(scipy.linalg.expm(-t * generator) @ start - y)
            for t, y in zip(trajectory.ts, trajectory.params, strict=True)
        ]
        estimate = float(trajectory.cost.integration_error)
        # Between its steps the solver interpolates, with an error that it does not control.
        assert 0 < max(actual) <= 10 * estimate
        assert estimate <= 1e-6 * float(run.errors[flow.name].max())


def test_only_steps_that_are_kept_add_to_the_integration_error():
    controller = SpeedController(tolerance=1e-6, rounding=0.0, rtol=1e-6, atol=1e-6)
    y0, y1 = jnp.zeros(2), jnp.ones(2)  # a speed of 1, so that errors of 1e-6 are allowed
    _, state = controller.init(None, 0.0, 1.0, y0, 1.0, None, None, 5)
    adapt = jax.jit(
        lambda error, state: controller.adapt_step_size(
            0.0, 1.0, y0, y1, None, jnp.full(2, error), 5, state
        )
    )
    for error, kept in ((3e-7, True), (2e-6, False), (4e-7, True), (jnp.nan, False)):
        keep, _, _, _, state, _ = adapt(error, state)
        assert bool(keep) == kept
    assert float(state[-1]) == pytest.approx(2**0.5 * 7e-7, rel=1e-12)


@pytest.mark.parametrize("flow", [flows.GradientFlow(), flows.ModifiedFlow(order=2)])
def test_rotated_parameters_give_the_rotated_flow(flow):
    loss, start = tanh_network()
    rotation = scipy.stats.ortho_group.rvs(36, random_state=3)
    rotation = jnp.asarray(rotation)
    optimizer = flows.GradientDescent(0.3)
    direct = flows.solve(loss, start, optimizer, flow, 5)
    turned = flows.solve(lambda p: loss(rotation.T @ p), rotation @ start, optimizer, flow, 5)
    assert_close(turned.params @ rotation, direct.params, rtol=1e-7, atol=1e-9)


def test_a_gradient_flow_run_backwards_returns():
    loss, start = tanh_network()
    optimizer = flows.GradientDescent(0.2)
    there = flows.solve(loss, start, optimizer, flows.GradientFlow(), 6)
    back = flows.solve(lambda p: -loss(p), there.final_params, optimizer, flows.GradientFlow(), 6)
    assert_close(back.final_params, start, rtol=1e-6, atol=1e-8)


def test_the_modified_flow_is_the_gradient_flow_of_the_modified_loss():
    loss, start = tanh_network()
    h = 0.3

    def modified(p):
        return loss(p) + h / 4 * jnp.sum(jax.grad(loss)(p) ** 2)

    velocity = flows.vector_field(
        loss, start, flows.GradientDescent(h), flows.ModifiedFlow(order=2)
    )
    assert_close(velocity, -jax.grad(modified)(start), rtol=1e-11, atol=1e-13)


def test_fields_at_a_point_of_the_reference():
    point = jnp.array([-0.5, 0.5])

    def banana(x):
        return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2

    for h, expected in (
        (1e-3, (-54.397, -59.7)),
        (5e-3, (-83.985, -98.5)),
        (1e-2, (-120.97, -147.0)),
    ):
        velocity = flows.vector_field(
            banana, point, flows.GradientDescent(h), flows.ModifiedFlow(order=2)
        )
        assert_close(velocity, jnp.array(expected), rtol=1e-13)
    velocity = flows.vector_field(banana, point, flows.GradientDescent(1e-3), flows.GradientFlow())
    assert_close(velocity, jnp.array([-47.0, -50.0]), rtol=1e-13)
