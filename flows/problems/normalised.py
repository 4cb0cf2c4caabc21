"""A normalised network on the digits: scale invariant in all of its parameters.

>>> import flows.problems
>>> problem = flows.problems.normalised_network()
>>> [weight.shape for weight in problem.start]
[(64, 16), (16, 16)]
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._checks import integer
from .._custom_types import Array, Float, Scalar
from .._errors import MissingDependencyError
from ._base import Example
from ._options import to_array

_CLASSES = 10


def normalised_network_loss(weights: list[Array], args: dict[str, Any]) -> Scalar:
    """Mean cross entropy over all samples."""
    (first, second), inputs = weights, args["inputs"]
    hidden = jnp.tanh(_normalised(inputs, first))
    logits = jnp.matmul(
        _normalised(hidden, second), _readout(second.shape[1], second.dtype), precision="highest"
    )
    return -jnp.mean(jnp.sum(args["targets"] * jax.nn.log_softmax(logits), axis=1))


def _normalised(inputs: Array, weight: Array) -> Float[Array, "samples out"]:
    """A layer whose outputs have mean 0 and variance 1 over the units, sample by sample.

    Without the usual small number under the root and without gains, so that no scale is left.
    """
    sums = jnp.matmul(inputs, weight, precision="highest")
    centred = sums - jnp.mean(sums, axis=1, keepdims=True)
    return centred / jnp.sqrt(jnp.mean(centred**2, axis=1, keepdims=True))


def _readout(units: int, dtype: Any) -> Float[Array, "units classes"]:
    """Orthonormal columns of mean zero: cosines of 1 to 10 half waves."""
    places = (np.arange(units) + 0.5) / units
    waves = np.cos(np.pi * np.outer(places, np.arange(1, _CLASSES + 1)))
    return jnp.asarray(np.sqrt(2 / units) * waves, dtype)


def normalised_network(hidden: int = 16, seed: int = 0) -> Example:
    r"""A 64-16-16-10 network with layer normalisation on the digits: 1280 parameters, 1797 images.

    .. math::
        L(W_1, W_2) = \frac{1}{1797} \sum_i \mathrm{CE}\left(
            R^\top N(\tanh N(x_i W_1)\, W_2),\; y_i \right), \qquad
        N(z) = \frac{z - \bar z}{\operatorname{std} z}

    Cross entropy of ten classes; ``N`` normalises over the units, sample by sample, and the last
    layer ``R``, with orthonormal columns, is fixed. So the loss does not change if ``W_1``, ``W_2``
    or both are multiplied by positive numbers. Logits are bounded by ``sqrt(hidden)``, so that the
    gradient noise never dies away. The parameters are a list of the two matrices, with Gaussian
    entries of variance ``1 / inputs``; the pixels are centred, each on its mean, and divided by
    their common standard deviation. The learning rate is 0.5.

    Arguments:
        hidden: How many units either layer has, an integer >= 11 (there are ten classes, and
            normalised units have one degree of freedom less).
        seed: Seed of the start, an integer >= 0.

    Returns:
        An `Example`; its ``args`` holds ``inputs`` (1797, 64) and ``targets`` (1797, 10), one-hot.

    Raises:
        MissingDependencyError: If scikit-learn, which ships the table, is not installed.
        InvalidOptionError: If `hidden` or `seed` is not such an integer.

    Example:
        Doubling a layer changes nothing.

        >>> import flows.problems
        >>> problem = flows.problems.normalised_network()
        >>> first, second = problem.start
        >>> both = problem.start, [2 * first, second]
        >>> values = [float(problem.loss(weights, problem.args)) for weights in both]
        >>> abs(values[0] - values[1]) < 1e-5
        True

    References:
        E. Alpaydin, C. Kaynak, Optical recognition of handwritten digits (1998), UCI. A stand-in
        for the normalised networks of Z. Li, K. Lyu, S. Arora (2020), arXiv:2010.02916.
    """
    hidden = integer(hidden, _CLASSES + 1, "hidden", "hidden=16")
    seed = integer(seed, 0, "seed", "seed=0")
    images, labels = _digits_table()
    inputs = (images - images.mean(axis=0)) / images.std()
    random = np.random.default_rng([seed, 1])
    return Example(
        name="normalised_network",
        loss=normalised_network_loss,
        start=[
            to_array(random.standard_normal((rows, hidden)) / np.sqrt(rows))
            for rows in (inputs.shape[1], hidden)
        ],
        learning_rate=0.5,
        source=(
            "E. Alpaydin, C. Kaynak (1998), UCI digits, as in scikit-learn; in the spirit of "
            "Z. Li, K. Lyu, S. Arora (2020), arXiv:2010.02916"
        ),
        description="cross entropy of a layer-normalised 64-16-16-10 network, 1797 digits",
        args={"inputs": to_array(inputs), "targets": to_array(np.eye(_CLASSES)[labels])},
    )


def _digits_table() -> tuple[np.ndarray, np.ndarray]:
    """Images (1797, 64) and labels (1797,) from the installed scikit-learn."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise MissingDependencyError(
            "flows.problems.normalised_network needs the digits that scikit-learn ships. "
            "Install it: pip install 'descentflows[examples]'."
        ) from error
    images, labels = load_digits(return_X_y=True)
    return np.asarray(images), np.asarray(labels)
