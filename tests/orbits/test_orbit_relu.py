"""Nar and Sastry's two-layer ReLU network: outputs that swing between odd and even steps.

20 hidden units, 1000 inputs in [0, 1), fixed biases, a target of the same shape, the sum of squares
without a half, 20001 steps. Which seeds show it is a matter of luck; this one does.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flows

HIDDEN, STEPS = 20, 20_001
X = np.arange(0, 1, 0.001)


def outputs(V, W, b):
    return np.maximum(np.outer(X, V) - b[None, :], 0) @ W


@pytest.fixture(scope="module")
def drawn():
    random = np.random.RandomState(7)
    W, V, b, target_W, target_V = (random.normal(size=HIDDEN) for _ in range(5))
    return V, W, b, outputs(target_V, target_W, b)


def network(params, inputs, b):
    hidden = jnp.maximum(inputs[:, None] * params["V"][None, :] - b[None, :], 0)
    return hidden @ params["W"]


def loss(params, args):
    inputs, b, targets = args
    return jnp.sum((network(params, inputs, b) - targets) ** 2)


def plain_descent(V, W, b, targets, h, steps):
    """Gradient descent written out in numpy; the last three points."""
    V, W, points = V.copy(), W.copy(), []
    for step in range(steps):
        hidden = np.maximum(np.outer(X, V) - b[None, :], 0)
        residual = hidden @ W - targets
        back = 2 * residual[:, None] * W[None, :] * (hidden > 0)
        V, W = V - h * (X @ back), W - h * (2 * residual @ hidden)
        if step >= steps - 3:
            points.append((V, W))
    return points


def test_the_first_steps_are_those_of_plain_numpy(drawn):
    V, W, b, targets = drawn
    run = flows.iterate(
        loss,
        {"V": jnp.asarray(V), "W": jnp.asarray(W)},
        flows.GradientDescent(3e-4),
        50,
        args=(X, b, targets),
    )
    (*_, (last_V, last_W)) = plain_descent(V, W, b, targets, 3e-4, 50)
    np.testing.assert_allclose(run.final_params["V"], last_V, rtol=1e-6)
    np.testing.assert_allclose(run.final_params["W"], last_W, rtol=1e-6)


@pytest.mark.slow
def test_a_two_cycle_of_the_outputs_at_the_large_step_and_none_at_the_small_one(drawn):
    V, W, b, targets = drawn

    def swing(params):
        return network(params, jnp.asarray(X), jnp.asarray(b))[-1]

    diagram = flows.bifurcation_diagram(
        loss,
        {"V": jnp.asarray(V), "W": jnp.asarray(W)},
        [1e-4, 3e-4],
        args=(X, b, targets),
        observe=swing,
        transient=STEPS - 36,
        steps=16,
        keep=20,
        max_period=10,
    )
    small, large = diagram.values
    even, odd = large[::2], large[1::2]
    assert abs(even.mean() - odd.mean()) > 1
    assert max(np.ptp(even), np.ptp(odd)) < 1e-2  # it still drifts, along the flat directions
    assert np.ptp(small) < 1e-4
    assert "periodic" not in diagram.kinds  # the parameters themselves have not come back
    # The same by plain numpy: all outputs of neighbouring steps, and of every second one.
    points = [
        [outputs(V, W, b) for V, W in plain_descent(V, W, b, targets, h, STEPS)]
        for h in (1e-4, 3e-4)
    ]
    apart = [(np.abs(f3 - f2).max(), np.abs(f3 - f1).max()) for f1, f2, f3 in points]
    assert apart[0][0] < 1e-5
    assert apart[1][0] > 1
    assert apart[1][1] < 1e-2


def test_the_sharpness_bound_of_the_paper(drawn):
    """Where the small step has nearly converged, max |x| |f(x)| is below 1 / (2 h)."""
    V, W, b, targets = drawn
    (*_, (V, W)) = plain_descent(V, W, b, targets, 1e-4, 4000)
    assert 2e-4 * np.max(X * np.abs(outputs(V, W, b))) < 1
    values = jax.jit(loss)({"V": jnp.asarray(V), "W": jnp.asarray(W)}, (X, b, targets))
    assert float(values) < 0.05 * float(np.sum(targets**2))
