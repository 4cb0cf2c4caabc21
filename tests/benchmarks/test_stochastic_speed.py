"""How fast many paths of a stochastic flow are integrated, and what a step costs in gradients."""

import time

import jax
import jax.numpy as jnp
import jax.random as jr
import pytest
from network import loss as network_loss
from network import network
from timing import medians, report

import flows

pytestmark = pytest.mark.benchmark


def quartic(x):
    return jnp.sum(jnp.arange(1.0, 11.0) * x**2) / 20 + jnp.sum(x**4) / 4


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ten_thousand_paths_in_ten_dimensions(dtype):
    """Line: 1,000 steps under 60 s, the optimizer's own paths included."""
    jax.config.update("jax_enable_x64", dtype == "float64")
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        flows.compare_in_law(
            quartic,
            jnp.ones(10, dtype),
            flows.SGD(0.1, noise=1.0),
            [flows.StochasticModifiedFlow(1)],
            1000,
            key=jr.key(0),
            paths=10_000,
        )
        seconds.append(time.perf_counter() - start)
    print(f"\n{dtype}: {seconds[1]:.1f} s (and {seconds[0] - seconds[1]:.1f} s of compiling)")
    jax.config.update("jax_enable_x64", True)
    assert seconds[1] < 60


def test_a_step_with_minibatch_noise_against_gradients():
    """A network of 10,000 parameters and 128 examples; eight substeps of two stages."""
    params, data = network((32, 64, 64, 64, 1), 128, "float32")
    optimizer = flows.SGD(0.01, batch_size=16)
    flow = flows.StochasticModifiedFlow(1)
    gradient = jax.jit(jax.grad(network_loss))

    def twenty(flow):
        return flows.solve(
            network_loss, params, optimizer, flow, 20, args=data, key=jr.key(0), save_params=False
        ).loss

    seconds = medians(
        5,
        gradients=lambda: [gradient(params, data) for _ in range(20)],
        steps=lambda: twenty(flow),
        second_order=lambda: twenty(flows.StochasticModifiedFlow(2)),
    )
    report("20 steps with minibatch noise against 20 gradients", seconds, "gradients")
