"""Noise against step size: which share of noisy chains ends beyond the barrier."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import flows

CHAINS = 400
# Shares of chains left of the maximum, by learning rate and standard deviation of the noise; from
# 20,000 chains each. Noise of 0 is there for the comparison with descent.
SHARES = {
    0.3: {0: 1.0, 1: 1.0, 3: 0.999, 10: 0.821, 30: 0.632},
    0.05: {0: 0.684, 1: 0.684, 3: 1.0, 10: 0.990, 30: 0.787},
    0.02: {0: 0.682, 1: 0.678, 3: 0.690, 10: 1.0, 30: 0.881},
}
STEPS = {0.3: 2000, 0.05: 8000, 0.02: 20000}


@pytest.mark.parametrize(
    "rate",
    [0.3, pytest.param(0.05, marks=pytest.mark.slow), pytest.param(0.02, marks=pytest.mark.slow)],
)
def test_shares_of_noisy_chains(rate):
    landscape = flows.problems.rational_landscape()
    levels = np.array(list(SHARES[rate]), dtype=float)
    starts = jr.uniform(jr.key(1), (CHAINS,), minval=-12.0, maxval=12.0)

    def end(level, start, key):
        return flows.iterate(
            landscape.loss,
            start,
            flows.SGD(rate, noise=level**2),
            STEPS[rate],
            key=key,
            save_params=False,
        ).final_params

    chains = jax.vmap(jax.vmap(end, (None, 0, 0)), (0, None, None))
    ends = jax.jit(chains)(jnp.asarray(levels), starts, jr.split(jr.key(2), CHAINS))
    found = np.mean(np.asarray(ends) < 4.4, axis=1)
    expected = np.array(list(SHARES[rate].values()))
    # Binomial errors of both samples, and a chain or two where a share is nearly 0 or 1.
    error = np.sqrt(expected * (1 - expected) * (1 / CHAINS + 1 / 20000)) + 1 / CHAINS
    assert (np.abs(found - expected) < 3 * error).all(), (found, expected)
