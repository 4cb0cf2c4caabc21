"""Losses with Fourier transforms, whose layout XLA takes from the decompositions after them.

With a weight for each frequency the Hessian is circulant, so that its eigenvalues are the weights.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flows
from tests.helpers import assert_close

N = 6
WEIGHTS = np.array([0.5, 1.25, 2.0, 1.5])  # of the frequencies 0 to 3; 1 and 2 are there twice
EIGENVALUES = np.sort(np.concatenate([WEIGHTS, WEIGHTS[1:3]]))[::-1]
POINT = jnp.array([0.3, -1.0, 0.8, 0.1, 0.6, -0.4])
MULTIPLICITY = np.array([1.0, 2.0, 2.0, 1.0])


def real_transform(x):
    return jnp.sum(WEIGHTS * MULTIPLICITY * jnp.abs(jnp.fft.rfft(x)) ** 2) / (2 * N)


def whole_transform(x):
    weights = np.concatenate([WEIGHTS, WEIGHTS[2:0:-1]])
    return jnp.sum(weights * jnp.abs(jnp.fft.fft(x)) ** 2) / (2 * N)


def there_and_back(x):
    return x @ jnp.fft.irfft((WEIGHTS + 0j) * jnp.fft.rfft(x), N) / 2


LOSSES = pytest.mark.parametrize("loss", [real_transform, whole_transform, there_and_back])


@LOSSES
def test_eigenvalues_are_the_weights(loss):
    at = flows.stability_coefficients(loss, POINT, flows.GradientDescent(0.1))
    assert_close(at.eigenvalues, EIGENVALUES, rtol=1e-12)
    assert_close(flows.sharpness(loss, POINT), 2.0, rtol=1e-12)


def test_eigenvalues_of_a_batch_of_points():
    found = jax.vmap(lambda x: flows.sharpness(real_transform, x))(jnp.stack([POINT, 2 * POINT]))
    assert_close(found, np.array([2.0, 2.0]), rtol=1e-12)


@pytest.mark.parametrize("rate", [0.4, 0.9])  # the second is past h lambda = 1
def test_the_principal_flow_is_exact(rate):
    flow = flows.PrincipalFlow(curvature=flows.Dense())
    run = flows.solve(real_transform, POINT, flows.GradientDescent(rate), flow, 3)
    weights = np.concatenate([WEIGHTS, WEIGHTS[2:0:-1]])
    expected = np.fft.ifft((1 - rate * weights) ** 3 * np.fft.fft(np.asarray(POINT))).real
    assert_close(jnp.real(run.final_params), expected, rtol=1e-7)


# With JAX 0.12 the program of find_cycle still dies in XLA's check: see CHANGELOG.
OF_XLA = pytest.mark.xfail(
    jax.__version_info__ >= (0, 12), reason="layouts of XLA", raises=jax.errors.JaxRuntimeError
)


@pytest.mark.parametrize(
    "loss",
    [
        pytest.param(real_transform, marks=OF_XLA),
        pytest.param(whole_transform, marks=OF_XLA),
        there_and_back,
    ],
)
def test_multipliers_of_a_cycle(loss):
    cycle = flows.find_cycle(loss, POINT, flows.GradientDescent(0.4), period=1)
    expected = 1 - 0.4 * EIGENVALUES
    assert_close(np.sort(cycle.multipliers.real), np.sort(expected), rtol=1e-8, atol=1e-8)
