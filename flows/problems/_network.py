"""The network of the network problems: a few affine layers, written by hand.

>>> from flows.problems._network import network_start
>>> [layer["weight"].shape for layer in network_start((5, 3, 1), seed=0)]
[(5, 3), (3, 1)]
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from .._custom_types import Array, Float, Params, Scalar
from ._options import to_array


def network_loss(params: Params, args: dict[str, Any]) -> Scalar:
    """Mean squared error of `network` over all samples and outputs."""
    outputs = network(params, args["inputs"], args["activation"])
    return jnp.mean((outputs - args["targets"]) ** 2)


def network(
    params: Params, inputs: Float[Array, "samples in"], activation: Callable[[Array], Array]
) -> Float[Array, "samples out"]:
    """Affine layers with the activation between them; the last one is linear."""
    *hidden, last = params
    for layer in hidden:
        inputs = activation(_affine(layer, inputs))
    return _affine(last, inputs)


def _affine(layer: dict[str, Array], inputs: Array) -> Array:
    # Accelerators otherwise round float32 products to ten bits, more than flows differ.
    products = jnp.matmul(inputs, layer["weight"], precision="highest")
    return products + layer["bias"][None, :]


def network_start(widths: Sequence[int], seed: int) -> list[dict[str, Array]]:
    """Gaussian weights of variance 1 / inputs; a small last layer; no biases.

    The network starts near the zero function and flat, and its sharpness rises as it trains.
    """
    # Apart from the stream of the data, which therefore do not depend on the hidden widths.
    random = np.random.default_rng([seed, 1])
    scales = [1.0] * (len(widths) - 2) + [0.1]
    return [
        {
            "weight": to_array(scale * random.standard_normal((rows, columns)) / np.sqrt(rows)),
            "bias": to_array(np.zeros(columns)),
        }
        for rows, columns, scale in zip(widths[:-1], widths[1:], scales, strict=True)
    ]
