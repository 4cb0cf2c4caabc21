"""What a two-layer ReLU network can learn at one step size."""

from collections.abc import Sequence
from typing import Any

import sympy

from .._checks import read_value
from .._errors import InvalidArgumentError


def relu_threshold(
    inputs: Sequence[Sequence[Any]], outputs: Sequence[Sequence[Any]], *, mean: bool = False
) -> sympy.Expr:
    r"""Bound the step at which a two-layer ReLU network can end with given outputs.

    .. math:: \tfrac12 \sum_i \|W (V x_i - b)_+ - y_i\|^2, \qquad
        h \le \frac{1}{\max_i \|x_i\| \|\hat f(x_i)\|}

    If gradient descent (``b`` fixed) converges to a network with these outputs, this holds almost
    surely: at zero residual, and for scalar outputs at any minimum. It is a bound, often far from
    tight.

    Arguments:
        inputs: ``x_i``, rows of numbers.
        outputs: ``f^(x_i)``, rows of numbers.
        mean: Whether the loss is the mean over the samples in place of their sum.

    Returns:
        The largest step; infinity where all outputs vanish.

    Raises:
        InvalidArgumentError: If inputs and outputs differ in number.

    Example:
        >>> import symbolic
        >>> symbolic.networks.relu_threshold([[3, 4], [1, 0]], [[2], [5]])
        1/10

    References:
        K. Nar, S. Sastry (2018), arXiv:1805.08890.
    """
    if len(inputs) != len(outputs) or not inputs:
        raise InvalidArgumentError(
            f"{len(inputs)} inputs do not go with {len(outputs)} outputs. Give one row each."
        )
    sizes = [_norm(x) * _norm(y) for x, y in zip(inputs, outputs, strict=True)]
    largest = sympy.Max(*sizes)
    if largest == 0:
        return sympy.oo
    return (len(inputs) if mean else 1) / largest


def _norm(row: Sequence[Any]) -> sympy.Expr:
    return sympy.sqrt(sum((read_value(c, "a coordinate") ** 2 for c in row), sympy.S.Zero))
