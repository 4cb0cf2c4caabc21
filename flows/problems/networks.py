"""Small networks, full batch, written by hand.

>>> import flows.problems
>>> problem = flows.problems.mlp()
>>> [layer["weight"].shape for layer in problem.start]
[(5, 5), (5, 1)]
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np

from .._checks import integer
from .._custom_types import Array
from .._errors import InvalidOptionError, MissingDependencyError
from ._base import Example
from ._network import network_loss, network_start
from ._options import to_array


def mlp(
    widths: Sequence[int] = (5, 5, 1),
    samples: int = 60,
    seed: int = 0,
    activation: Callable[[Array], Array] = jnp.tanh,
) -> Example:
    r"""A network on synthetic regression; 36 parameters by default.

    .. math::
        E(\theta) = \frac{1}{m k} \lVert f_\theta(X) - Y \rVert^2, \qquad
        Y = \tanh(X A) + \tfrac{1}{2} \sin(2 X_{:, 0})

    with ``m`` samples, ``k`` outputs and standard Gaussian ``X`` and ``A``, which depend on `seed`
    and on the first and last width only. The parameters are a list of layers
    ``{"weight": (in, out), "bias": (out,)}``: Gaussian weights of variance ``1 / in``, a tenth of
    that size in the last layer, and no bias. The learning rate is ``1.25 / inputs of the last
    layer``, at most 1/4 (0.25 by default): the curvature in the last layer grows with its inputs.
    It is meant for bounded activations.

    Arguments:
        widths: Numbers of inputs, hidden units (none for linear regression) and outputs.
        samples: How many samples, ``m``.
        seed: Seed of data and start, an integer >= 0.
        activation: A function of arrays, entry by entry, twice differentiable.

    Returns:
        An `Example`; its ``args`` holds ``inputs`` (m, in), ``targets`` (m, k), ``activation``.

    Raises:
        InvalidOptionError: If a width or `samples` is not a positive integer, there are fewer than
            two widths, `seed` is not an integer >= 0, or `activation` is not a function.

    Example:
        >>> import flows.problems
        >>> problem = flows.problems.mlp(widths=(2, 8, 8, 3), samples=20)
        >>> problem.args["targets"].shape
        (20, 3)

    References:
        Data law: the 36-parameter example with which this library measures orders of accuracy.
    """
    widths = _widths(widths)
    samples = integer(samples, 1, "samples", "samples=60")
    seed = integer(seed, 0, "seed", "seed=0")
    if not callable(activation):
        raise InvalidOptionError(
            f"activation must be a function, got {activation!r}. Write activation=jnp.tanh."
        )
    random = np.random.default_rng([seed, 0])
    inputs = random.standard_normal((samples, widths[0]))
    mixing = random.standard_normal((widths[0], widths[-1]))
    targets = np.tanh(inputs @ mixing) + 0.5 * np.sin(2 * inputs[:, :1])
    return Example(
        name="mlp",
        loss=network_loss,
        start=network_start(widths, seed),
        learning_rate=min(0.25, 1.25 / widths[-2]),
        source="our own synthetic regression",
        description="mean (network(X) - Y)^2, Y = tanh(X A) + sin(2 X_0) / 2",
        args=_args(inputs, targets, activation),
    )


def _widths(widths: Any) -> tuple[int, ...]:
    example = "widths=(5, 5, 1)"
    if not isinstance(widths, list | tuple) or len(widths) < 2:
        raise InvalidOptionError(
            f"widths must list the inputs, the hidden units and the outputs, got {widths!r}. "
            f"Write for example {example}."
        )
    return tuple(integer(width, 1, f"widths[{i}]", example) for i, width in enumerate(widths))


def breast_cancer(hidden: int = 10, seed: int = 0) -> Example:
    r"""A 30-10-1 tanh network on the Wisconsin breast-cancer table: 321 parameters, 569 samples.

    .. math:: E(\theta) = \frac{1}{569} \lVert f_\theta(X) - y \rVert^2, \qquad y_i \in \{-1, 1\}

    Full batch; every feature has mean 0 and variance 1; 1 means benign. The squared error rather
    than the logistic loss, because its curvature does not die away as the labels are fitted (the
    classes are nearly separable, so the logistic minimum lies at infinity), and because it is a
    polynomial of the outputs, which flows with complex values can continue.

    The learning rate is ``1.5 / hidden``, at most 0.15. By default ``h`` times the sharpness is
    0.88 at the start, falls to 0.67 in one step, is 0.92 at step 20, passes 1 near step 73 and
    reaches 1.09 at step 200, while the loss falls in every step, from 1.04 to 0.06. First every
    flow is a fair model; then the sharpest direction changes sign in each step, which a flow of
    real values cannot follow. All other directions stay below 0.4 after the first step.

    Arguments:
        hidden: How many hidden units, an integer >= 1.
        seed: Seed of the start, an integer >= 0.

    Returns:
        An `Example`; its ``args`` holds ``inputs`` (569, 30), ``targets`` (569, 1), ``activation``.

    Raises:
        MissingDependencyError: If scikit-learn, which ships the table, is not installed.
        InvalidOptionError: If `hidden` or `seed` is not such an integer.

    Example:
        >>> import flows.problems
        >>> problem = flows.problems.breast_cancer()
        >>> problem.args["inputs"].shape
        (569, 30)

    References:
        W. N. Street, W. H. Wolberg, O. L. Mangasarian, Nuclear feature extraction for breast tumor
        diagnosis, SPIE 1905 (1993), 861-870. In the spirit of M. Rosca, Y. Wu, C. Qin, B. Dherin
        (2023), arXiv:2302.01952, whose exact setting is not known.
    """
    hidden = integer(hidden, 1, "hidden", "hidden=10")
    seed = integer(seed, 0, "seed", "seed=0")
    features, labels = _breast_cancer_table()
    inputs = (features - features.mean(axis=0)) / features.std(axis=0)
    return Example(
        name="breast_cancer",
        loss=network_loss,
        start=network_start((30, hidden, 1), seed),
        learning_rate=min(0.15, 1.5 / hidden),
        source=(
            "W. N. Street, W. H. Wolberg, O. L. Mangasarian (1993), SPIE 1905, 861-870; table as "
            "in scikit-learn; in the spirit of M. Rosca et al. (2023), arXiv:2302.01952"
        ),
        description="mean (network(X) - y)^2, y in {-1, 1}, 569 samples of 30 features",
        args=_args(inputs, 2.0 * labels[:, None] - 1.0, jnp.tanh),
    )


def _breast_cancer_table() -> tuple[np.ndarray, np.ndarray]:
    """Features (569, 30) and labels (569,), 1 for benign, from the installed scikit-learn."""
    try:
        from sklearn.datasets import load_breast_cancer
    except ImportError as error:
        raise MissingDependencyError(
            "flows.problems.breast_cancer needs the table that scikit-learn ships. "
            "Install it: pip install 'descentflows[examples]'."
        ) from error
    features, labels = load_breast_cancer(return_X_y=True)
    return np.asarray(features), np.asarray(labels)


def _args(inputs: np.ndarray, targets: np.ndarray, activation: Any) -> dict[str, Any]:
    # In a Partial the function is structure, not a leaf, so that `jax.jit(loss)` takes the tree.
    return {
        "inputs": to_array(inputs),
        "targets": to_array(targets),
        "activation": jtu.Partial(activation),
    }
