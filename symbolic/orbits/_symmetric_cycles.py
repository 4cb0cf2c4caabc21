"""Two-cycles of even losses, in closed form for every loss."""

import dataclasses
from typing import Any

import sympy

from .._checks import read_expression, read_symbols
from .._errors import InvalidArgumentError
from ..roots._closed_form import tidy


@dataclasses.dataclass(frozen=True)
class SymmetricCycle:
    r"""The two-cycle ``±x`` of gradient descent on an even loss, one for every ``x``.

    .. math:: h(x) = \frac{2 x}{f'(x)}, \qquad m(x) = 1 - h(x) f''(x)

    Attributes:
        half_width: ``x``, the variable.
        step: ``h(x)``, at which the cycle is ``±x``.
        multiplier: ``m(x)`` of *one* step (the square belongs to two): modulus below 1 is stable,
            1 breaks the symmetry, 0 is superstable.

    Example:
        >>> import sympy, symbolic
        >>> x = sympy.Symbol("x", positive=True)
        >>> cycle = symbolic.symmetric_cycle(1 - sympy.cos(x))
        >>> cycle.step.subs(x, sympy.pi / 2), cycle.multiplier.subs(x, sympy.pi / 2)
        (pi, 1)

    References:
        K. Nar, S. Sastry (2018), arXiv:1805.08890.
    """

    half_width: sympy.Symbol
    step: sympy.Expr
    multiplier: sympy.Expr


def symmetric_cycle(loss: Any, symbol: Any = None) -> SymmetricCycle:
    r"""Find the two-cycle ``±x`` of an even loss, parametrised by its half-width.

    .. math:: -x = x - h f'(x)

    Arguments:
        loss: ``f``, even in the variable, which may be declared positive; parameters may occur.
        symbol: The variable; may be left out where there is only one.

    Returns:
        Step and one-step multiplier as functions of the half-width.

    Raises:
        InvalidArgumentError: If the loss is not even, or flat.

    Example:
        >>> import sympy, symbolic
        >>> x, p = sympy.symbols("x p", positive=True)
        >>> symbolic.symmetric_cycle(x**p / p, x).multiplier
        3 - 2*p

    References:
        K. Nar, S. Sastry (2018), arXiv:1805.08890.
    """
    expression = read_expression(loss)
    (x, *others) = read_symbols(expression, symbol)
    slope = sympy.diff(expression, x)
    # A positive variable stands for |x|, and a function of that is even.
    even = x.is_positive or tidy(expression.subs(x, -x) - expression) == 0
    if others or not even or slope == 0:
        raise InvalidArgumentError(
            f"{expression} is not an even function of one variable that is not constant. Name the "
            "variable, and give |x| as a positive symbol; for other losses: symbolic.cycles."
        )
    return SymmetricCycle(x, tidy(2 * x / slope), tidy(1 - 2 * x * sympy.diff(slope, x) / slope))
