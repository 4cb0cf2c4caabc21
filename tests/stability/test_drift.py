"""The drift and its learning rate, against closed forms and NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import rosenbrock, tanh_network

import flows


def published_quadratic(x):
    return x[0] ** 2 + 0.01 * x[1] ** 2


# |H g| / |g|, and 2 / v^p for p = 1, 0.5, 0.3, to ten decimals with mpmath.
TABLE = [
    (published_quadratic, (-0.35, -0.2), 1.9999673510, 1.0000163248, 1.4142251057, 1.6245127486),
    (published_quadratic, (-0.35, -20.0), 1.7365146348, 1.1517323033, 1.5177169059, 1.6948312431),
    (rosenbrock, (-0.5, 0.5), 355.5292209786, 0.0056254167, 0.1060699453, 0.3433739981),
]


@pytest.mark.parametrize(("loss", "point", "v", "one", "half", "third"), TABLE)
def test_the_values_of_the_reference(loss, point, v, one, half, third):
    x = jnp.array(point)
    assert abs(flows.drift(loss, x) - v) < 5e-11 * max(1, v)
    for power, rate in ((1.0, one), (0.5, half), (0.3, third)):
        assert abs(flows.drift_adjusted_learning_rate(loss, x, power) - rate) < 5.1e-11


def test_against_a_dense_hessian_and_its_largest_eigenvalue():
    loss, start = tanh_network()
    H, g = np.asarray(jax.hessian(loss)(start)), np.asarray(jax.grad(loss)(start))
    v = flows.drift(loss, start)
    assert abs(v - np.linalg.norm(H @ g) / np.linalg.norm(g)) < 1e-12 * v
    assert v <= np.abs(np.linalg.eigvalsh(H)).max()


def test_trees_data_and_float32():
    def loss(params, c):
        return c * (params["a"] ** 2 + jnp.sum(params["b"] ** 4))

    for dtype in (jnp.float32, jnp.float64):
        params = {"a": jnp.asarray(2.0, dtype), "b": jnp.ones(3, dtype)}
        g = 3 * np.array([4.0, 4, 4, 4])
        H = 3 * np.array([2.0, 12, 12, 12])
        v = flows.drift(loss, params, args=jnp.asarray(3.0, dtype))
        assert v.dtype == dtype
        expected = np.linalg.norm(H * g) / np.linalg.norm(g)
        assert abs(float(v) - expected) < 10 * jnp.finfo(dtype).eps * expected


@pytest.mark.parametrize("scale", [1e-30, 1e-22, 1.0, 1e17, 1e30])
def test_gradients_whose_squares_are_out_of_range(scale):
    diagonal = jnp.array([1.0, 2.0], jnp.float32)

    def loss(x):  # with gradient scale * diagonal at zero, and Hessian diag(diagonal)
        return jnp.sum(diagonal * x * (jnp.asarray(scale, x.dtype) + x / 2))

    v = flows.drift(loss, jnp.zeros(2, jnp.float32))
    assert abs(float(v) - np.sqrt(17 / 5)) < 1e-6


def test_where_nothing_moves_and_where_nothing_turns():
    flat = jnp.zeros(2)
    assert flows.drift(lambda x: jnp.sum(x**2), flat) == 0
    assert flows.drift(jnp.sum, flat) == 0
    rate = flows.drift_adjusted_learning_rate
    assert rate(jnp.sum, flat) == jnp.inf
    assert rate(jnp.sum, flat, maximum=7.0) == 7
    assert rate(jnp.sum, flat, 0.0) == 2
    assert rate(lambda x: jnp.sum(x**2), flat + 1, 0) == 2
    assert rate(lambda x: 1e-3 * jnp.sum(x**2), flat + 1, maximum=5.0) == 5


def test_jit_vmap_and_derivatives():
    points = jnp.array([[-0.35, -0.2], [-0.35, -20.0]])
    v = jax.jit(jax.vmap(lambda x: flows.drift(published_quadratic, x)))(points)
    np.testing.assert_allclose(v, [TABLE[0][2], TABLE[1][2]], rtol=1e-10)
    rates = jax.vmap(lambda p: flows.drift_adjusted_learning_rate(rosenbrock, points[0], p))(
        jnp.array([1.0, 0.5])
    )
    assert rates.shape == (2,)

    def by_hand(x):
        g = jax.grad(rosenbrock)(x)
        return jnp.linalg.norm(jax.hessian(rosenbrock)(x) @ g) / jnp.linalg.norm(g)

    x = jnp.array([-0.5, 0.5])
    slope = jax.grad(lambda x: flows.drift(rosenbrock, x))(x)
    np.testing.assert_allclose(slope, jax.grad(by_hand)(x), rtol=1e-10)
    at_rest = jax.grad(lambda x: flows.drift(published_quadratic, x))(jnp.zeros(2))
    assert np.isfinite(at_rest).all()


def test_what_is_refused():
    x = jnp.ones(2)
    bad_power = pytest.raises(flows.InvalidOptionError, match="power must be one finite number")
    for power in (-1.0, jnp.inf, jnp.nan, "1", True, jnp.ones(2), 1j, None):
        with bad_power:
            flows.drift_adjusted_learning_rate(rosenbrock, x, power)
    with pytest.raises(flows.InvalidLearningRateError, match="maximum must be one positive"):
        flows.drift_adjusted_learning_rate(rosenbrock, x, maximum=0.0)
    with pytest.raises(flows.RunFailedError, match="not finite here"):
        flows.drift(lambda x: jnp.sum(jnp.sqrt(x - 2)), x)
    with pytest.raises(RuntimeError, match="not finite here"):
        jax.block_until_ready(
            jax.jit(lambda x: flows.drift(lambda x: jnp.sum(jnp.sqrt(x - 2)), x))(x)
        )
