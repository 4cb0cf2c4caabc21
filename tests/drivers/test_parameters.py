"""Parameters of any structure give the same numbers; what cannot move is refused by name."""

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from helpers import assert_close

import flows

BOTH = (flows.GradientFlow(), flows.ModifiedFlow(order=2))
X = np.random.default_rng(0).standard_normal((20, 3))
Y = np.sin(X.sum(axis=1))
W1 = np.random.default_rng(1).standard_normal((3, 4))
B1 = np.random.default_rng(2).standard_normal(4)
W2 = np.random.default_rng(3).standard_normal((4, 1))
B2 = np.zeros(1)


def half_square(x):
    return x**2 / 2


def squared_error(output):
    return jnp.mean((output[:, 0] - Y) ** 2)


def forward(w1, b1, w2, b2):
    return jnp.tanh(X @ w1 + b1[None]) @ w2 + b2[None]


def bare():
    start = jnp.concatenate([jnp.asarray(part).ravel() for part in (W1, B1, W2, B2)])

    def loss(p):
        return squared_error(
            forward(p[:12].reshape(3, 4), p[12:16], p[16:20].reshape(4, 1), p[20:])
        )

    return loss, start


def nested():
    start = {"hidden": [jnp.asarray(W1), jnp.asarray(B1)], "out": (jnp.asarray(W2), {"b": B2})}

    def loss(p):
        return squared_error(forward(*p["hidden"], p["out"][0], p["out"][1]["b"]))

    return loss, start


def equinox_module():
    model = eqx.nn.MLP(3, 1, 4, 1, activation=jnp.tanh, key=jr.key(0))
    model = eqx.tree_at(
        lambda m: (*[layer.weight for layer in m.layers], *[layer.bias for layer in m.layers]),
        model,
        tuple(jnp.asarray(part) for part in (W1.T, W2.T, B1, B2)),
    )
    return lambda m: squared_error(jax.vmap(m)(jnp.asarray(X))), model


def flax_tree():
    class Network(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = jnp.tanh(nn.Dense(4, param_dtype=jnp.float64)(x))
            return nn.Dense(1, param_dtype=jnp.float64)(x)

    network = Network()
    start = {
        "params": {
            "Dense_0": {"kernel": jnp.asarray(W1), "bias": jnp.asarray(B1)},
            "Dense_1": {"kernel": jnp.asarray(W2), "bias": jnp.asarray(B2)},
        }
    }
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        shapes = jax.eval_shape(network.init, jr.key(0), X)
    assert jax.tree.structure(shapes) == jax.tree.structure(start)

    def loss(p):
        with jax.numpy_rank_promotion("allow"):  # Flax's own layers promote
            return squared_error(network.apply(p, X))

    return loss, start


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["trajectory", "per_step"])
def test_every_structure_gives_the_same_numbers(mode):
    runs = {}
    for make in (bare, nested, equinox_module, flax_tree):
        loss, start = make()
        runs[make.__name__] = flows.compare(
            loss, start, flows.GradientDescent(0.2), BOTH, 6, mode=mode
        )
    reference = runs.pop("bare")
    for run in runs.values():
        assert_close(run.iterates.loss, reference.iterates.loss, rtol=1e-12)
        assert_close(run.iterates.grad_norm, reference.iterates.grad_norm, rtol=1e-12)
        for name, error in reference.errors.items():
            assert_close(run.errors[name], error, rtol=1e-6, atol=1e-14)


def test_what_comes_back_has_the_structure_that_went_in():
    loss, model = equinox_module()
    run = flows.iterate(loss, model, flows.GradientDescent(0.2), 3)
    assert isinstance(run.final_params, eqx.nn.MLP)
    assert run.final_params.activation is model.activation
    assert_close(loss(run.final_params), run.loss[-1], rtol=1e-13)
    middle = jax.tree.map(lambda x: x[1] if eqx.is_array(x) else x, run.params)
    assert_close(loss(middle), run.loss[1], rtol=1e-13)
    velocity = flows.vector_field(loss, model, flows.GradientDescent(0.2), BOTH[0])
    assert velocity.layers[0].weight.shape == (4, 3)


def test_settings_of_a_layer_do_not_move():
    class Model(eqx.Module):
        weight: jax.Array
        dropout: eqx.nn.Dropout
        rate: float = 0.5

    model = Model(jnp.array([1.0, 2.0]), eqx.nn.Dropout(0.3))

    def loss(m):
        return m.rate * jnp.sum(m.weight**2) / 2

    run = flows.iterate(loss, model, flows.GradientDescent(1.0), 1)
    assert run.final_params.rate == 0.5
    assert run.final_params.dropout.p == 0.3
    assert_close(run.final_params.weight, jnp.array([0.5, 1.0]))


@pytest.mark.parametrize(
    "start", [2.0, np.float64(2.0), np.array(2.0), jnp.array(2.0), jnp.asarray(2.0)]
)
def test_one_number(start):
    run = flows.compare(half_square, start, flows.GradientDescent(0.5), BOTH, 3)
    assert run.iterates.params.shape == (4,)
    assert float(run.iterates.final_params) == 0.25
    assert float(run.trajectories["GradientFlow"].final_params) == pytest.approx(
        2 * np.exp(-1.5), rel=1e-9
    )


def test_python_floats_in_containers_move():
    run = flows.iterate(
        lambda p: p["a"] ** 2 / 2 + p["b"] ** 2,
        {"a": 1.0, "b": 2.0},
        flows.GradientDescent(0.25),
        1,
    )
    assert_close(run.final_params, {"a": jnp.array(0.75), "b": jnp.array(1.0)})


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, r"params holds no floating-point array.*jnp\.zeros\(2\)"),
        (None, r"params holds no floating-point array"),
        ({"f": jnp.tanh}, r"params holds no floating-point array"),
        ({"n": jnp.arange(3), "x": jnp.ones(2)}, r"leaf \['n'\] has dtype int64.*astype\(float\)"),
        ([1.0, 2], r"leaf \[1\] has dtype int64"),
        ({"flag": True, "x": 1.0}, r"leaf \['flag'\] has dtype bool"),
        (jnp.ones(2, complex), r"leaf params is complex \(complex128\).*real and imaginary parts"),
        ({"z": 1j}, r"leaf \['z'\] is complex"),
        (
            {"a": jnp.ones(2), "b": jnp.ones(2, jnp.float32)},
            r"mixes float64 \(leaf \['a'\]\) and float32 \(leaf \['b'\]\).*Cast them",
        ),
        (jnp.ones(2, jnp.bfloat16), r"leaf params has dtype bfloat16.*float32 or float64"),
        (jnp.ones(2, jnp.float16), r"leaf params has dtype float16"),
        (
            {"w": [jnp.ones(2), jnp.array([1.0, jnp.nan])]},
            r"leaf \['w'\]\[1\] is not finite at the start",
        ),
        (float("inf"), r"leaf params is not finite at the start"),
        ({"key": jr.key(0), "x": 1.0}, r"leaf \['key'\] has dtype key"),
    ],
)
def test_parameters_that_cannot_move(params, message):
    def loss(p):
        raise AssertionError("the loss must not be called")

    for call in (
        lambda: flows.iterate(loss, params, flows.GradientDescent(0.1), 3),
        lambda: flows.compare(loss, params, flows.GradientDescent(0.1), BOTH, 3),
    ):
        with pytest.raises(flows.InvalidParametersError, match=message):
            call()
    assert issubclass(flows.InvalidParametersError, ValueError)


def test_integer_arrays_in_a_module_are_named():
    class Model(eqx.Module):
        weight: jax.Array
        index: jax.Array

    with pytest.raises(flows.InvalidParametersError, match=r"leaf \.index has dtype int64"):
        flows.iterate(
            lambda m: jnp.sum(m.weight),
            Model(jnp.ones(2), jnp.arange(2)),
            flows.GradientDescent(0.1),
            1,
        )
