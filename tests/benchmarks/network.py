"""The network that the benchmarks train: tanh layers, mean squared error on random examples."""

import jax.numpy as jnp
import jax.random as jr


def network(widths, examples, dtype=float):
    """Parameters and data; `float` is the default precision."""
    keys = jr.split(jr.key(0), len(widths))
    params = [
        {"weight": jr.normal(key, (i, o), dtype) / i**0.5, "bias": jnp.zeros(o, dtype)}
        for key, i, o in zip(keys, widths[:-1], widths[1:], strict=False)
    ]
    x = jr.normal(keys[-1], (examples, widths[0]), dtype)
    return params, (x, jnp.sin(x[:, :1]))


def loss(params, args):
    """The mean squared error."""
    x, y = args
    for layer in params[:-1]:
        x = jnp.tanh(x @ layer["weight"] + layer["bias"][None])
    return jnp.mean((x @ params[-1]["weight"] + params[-1]["bias"][None] - y) ** 2)
