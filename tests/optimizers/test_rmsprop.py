"""RMSProp against optax and against a loop by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import flows


def loss(tree):
    return jnp.sum(jnp.cosh(tree["a"])) + tree["a"][0] * tree["b"] ** 2


START = {"a": jnp.array([0.3, -1.0]), "b": jnp.array(0.5)}


@pytest.mark.parametrize("decay", [0.9, 0.99])
def test_its_iterates_are_those_of_optax(decay):
    transformation = optax.rmsprop(0.05, decay=decay, eps=1e-3, eps_in_sqrt=False)
    params, state = START, transformation.init(START)
    for _ in range(20):
        updates, state = transformation.update(jax.grad(loss)(params), state)
        params = optax.apply_updates(params, updates)
    run = flows.iterate(loss, START, flows.RMSProp(0.05, decay, 1e-3), 20)
    for key in START:
        np.testing.assert_allclose(run.final_params[key], params[key], rtol=1e-13)


def test_the_scalar_one_by_hand():
    x, nu = np.array([3.0, -4.0]), 0.0
    run = flows.iterate(
        lambda x: x[0] ** 2 + 3 * x[1] ** 2, jnp.asarray(x), flows.ScalarRMSProp(0.1, 0.8, 0.01), 9
    )
    for n in range(9):
        g = np.array([2 * x[0], 6 * x[1]])
        nu = 0.8 * nu + 0.2 * (g @ g)
        x = x - 0.1 * g / (np.sqrt(nu) + 0.01)
        np.testing.assert_allclose(run.params[n + 1], x, rtol=1e-13)
    np.testing.assert_allclose(run.ts, 0.1 * np.arange(10))


@pytest.mark.parametrize("kind", [flows.RMSProp, flows.ScalarRMSProp])
def test_the_rate_of_the_moment(kind):
    """Where it has not settled; a decay of a half alone would not tell (1 - beta) / beta."""
    square = jnp.array([3.0])
    nu = jnp.ones(1) if kind is flows.RMSProp else jnp.ones(())
    for decay, rate in ((0.5, 2.0), (0.8, 0.5), (0.2, 8.0)):
        found = kind(0.1, decay).metric.rate(nu, square)
        np.testing.assert_allclose(found, np.full(nu.shape, rate), rtol=1e-14)
        # The step itself makes the same change, seen from the moment after it.
        np.testing.assert_allclose(nu - found, (nu - (1 - decay) * 3) / decay, rtol=1e-14)


def test_errors_teach():
    for option in ({"decay": 1.0}, {"decay": 0}, {"decay": 2.0}):
        with pytest.raises(flows.InvalidOptionError, match="must lie between 0 and 1"):
            flows.RMSProp(0.1, **option)
    with pytest.raises(flows.InvalidOptionError, match="decay must be one real number"):
        flows.ScalarRMSProp(0.1, decay=jnp.ones(2))
    for eps in ("small", -1e-8):
        with pytest.raises(flows.InvalidOptionError, match="eps must be one finite number >= 0"):
            flows.RMSProp(0.1, eps=eps)  # pyright: ignore[reportArgumentType]
    assert float(flows.RMSProp(0.1, eps=10).eps) == 10  # in units of the gradient: any size
    with pytest.raises(flows.InvalidLearningRateError, match="learning_rate must be one"):
        flows.RMSProp(-0.1)
