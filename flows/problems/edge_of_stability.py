"""A network that descent takes to the edge of stability."""

import itertools as it
from typing import Any

import jax.numpy as jnp
import numpy as np

from .._custom_types import Params, Scalar
from ._base import Example
from ._network import network
from ._options import to_array

_WIDTHS = (8, 16, 16, 4)


def edge_of_stability() -> Example:
    r"""An 8-16-16-4 tanh network, 484 parameters, that reaches the edge of stability in 184 steps.

    .. math:: E(\theta) = \frac{1}{2 \cdot 64} \lVert f_\theta(X) - Y \rVert^2

    with standard Gaussian ``X`` (64, 8), ``Y`` (64, 4) and weights of variance ``1 / inputs``, all
    from NumPy's generator with seed 0. The parameters are a list of layers
    ``{"weight": (in, out), "bias": (out,)}``. At its learning rate 0.2, ``h`` times the sharpness
    is 0.63 at the start, 1.32 after 100 steps and exceeds 2 first after step 184; up to three
    directions are at the edge in the 600 steps that it is meant for, and the iterates are chaotic
    from about step 250 on.

    Returns:
        An `Example`; its ``args`` holds ``inputs`` (64, 8) and ``targets`` (64, 4).

    Example:
        >>> import flows.problems
        >>> problem = flows.problems.edge_of_stability()
        >>> bool(abs(problem.loss(problem.start, problem.args) - 2.1434435) < 1e-5)
        True

    References:
        A benchmark of this library's own. What happens there: J. Cohen, A. Damian, A. Talwalkar,
        Z. Kolter, J. Lee (2025), arXiv:2410.24206.
    """
    random = np.random.default_rng(0)
    inputs, targets = random.standard_normal((64, 8)), random.standard_normal((64, 4))
    start = [
        {
            "weight": to_array(random.standard_normal((i, o)) / np.sqrt(i)),
            "bias": to_array(np.zeros(o)),
        }
        for i, o in it.pairwise(_WIDTHS)
    ]
    return Example(
        name="edge_of_stability",
        loss=_half_squared_error,
        start=start,
        learning_rate=0.2,
        source="this library's benchmark at the edge of stability (J. Cohen et al., 2410.24206)",
        description="mean |network(X) - Y|^2 / 2, random X and Y, 64 samples",
        args={"inputs": to_array(inputs), "targets": to_array(targets)},
    )


def _half_squared_error(params: Params, args: dict[str, Any]) -> Scalar:
    """Half the squared error, summed over outputs and averaged over samples."""
    outputs = network(params, args["inputs"], jnp.tanh)
    return jnp.mean(jnp.sum((outputs - args["targets"]) ** 2, axis=1)) / 2
