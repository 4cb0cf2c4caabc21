"""The modified loss of second order, and the curl that rules out any of higher order."""

import itertools as it
from collections.abc import Sequence
from typing import Any

import sympy

from .._checks import read_expression, read_symbols, read_value
from .._errors import InvalidArgumentError


def curl(field: Sequence[Any], symbols: Sequence[sympy.Symbol]) -> tuple[sympy.Expr, ...]:
    r"""Tell whether a field is a gradient: all its components vanish exactly then.

    .. math:: \partial_i f_j - \partial_j f_i, \qquad i < j

    From order three on the terms of a modified equation have a curl in general, so that there is
    no modified loss beyond order two.

    Arguments:
        field: One expression for every symbol.
        symbols: The variables.

    Returns:
        The components for all pairs of symbols, expanded.

    Raises:
        InvalidArgumentError: If field and symbols differ in number.

    Example:
        >>> import sympy, symbolic
        >>> x, y = sympy.symbols("x y", real=True)
        >>> first, second, third = symbolic.modified_equation(x**2 * y**2 / 2, order=3)
        >>> symbolic.curl(second, (x, y)), symbolic.curl(third, (x, y))
        ((0,), (-x**5*y/3 + x*y**5/3,))

    References:
        D. Barrett, B. Dherin (2021), arXiv:2009.11162.
    """
    if len(field) != len(symbols):
        raise InvalidArgumentError(
            f"the field has {len(field)} components for {len(symbols)} symbols. Give one "
            "expression for every symbol."
        )
    pairs = it.combinations(range(len(symbols)), 2)
    return tuple(
        sympy.expand(sympy.diff(field[j], symbols[i]) - sympy.diff(field[i], symbols[j]))
        for i, j in pairs
    )


def modified_loss(loss: Any, symbols: Any = None, momentum: Any = 0) -> sympy.Expr:
    r"""Give the loss whose gradient flow descent follows to second order.

    .. math:: \tilde E = E + \frac{h}{4} \frac{1 + \beta}{(1 - \beta)^2} \|\nabla E\|^2

    With heavy-ball momentum ``b`` the flow is ``(1 - b) x' = -grad E~``. There is no such loss for
    order three in general: see `symbolic.curl`.

    Arguments:
        loss: ``E``.
        symbols: The variables; default: all symbols.
        momentum: ``b``, in [0, 1) or a symbol; 0 is gradient descent.

    Returns:
        An expression in the symbols and in ``h``, the positive symbol of that name.

    Example:
        >>> import sympy, symbolic
        >>> x = sympy.Symbol("x", real=True)
        >>> symbolic.modified_loss(x**2 / 2)
        h*x**2/4 + x**2/2

    References:
        D. Barrett, B. Dherin (2021), arXiv:2009.11162.
    """
    expression = read_expression(loss)
    chosen = read_symbols(expression, symbols)
    b = read_value(momentum, "momentum")
    if b.is_number and not 0 <= b < 1:
        raise InvalidArgumentError(
            f"momentum must be in [0, 1), got {momentum}. Write momentum=0.9."
        )
    h = sympy.Symbol("h", positive=True)
    square = sympy.Add(*(sympy.diff(expression, s) ** 2 for s in chosen))
    return expression + h * (1 + b) / (4 * (1 - b) ** 2) * square
