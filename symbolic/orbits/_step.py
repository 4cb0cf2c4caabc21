"""One step of gradient descent, as expressions."""

from typing import Any

import sympy

from .._checks import read_expression, read_step, read_symbols


def descent_step(
    loss: Any, symbols: Any = None, step: Any = None
) -> dict[sympy.Symbol, sympy.Expr]:
    r"""Write out where one step of gradient descent leads.

    .. math:: x \mapsto x - h \nabla f(x)

    Arguments:
        loss: ``f``.
        symbols: The variables; default: all symbols.
        step: ``h``; default: the positive symbol ``h``.

    Returns:
        The next value of every variable, ready for ``expression.subs(..., simultaneous=True)``.

    Example:
        >>> import sympy, symbolic
        >>> x, y = sympy.symbols("x y", real=True)
        >>> after = symbolic.descent_step((x * y) ** 2 / 2)
        >>> sympy.factor((x * y).subs(after, simultaneous=True) / (x * y))
        (h*x**2 - 1)*(h*y**2 - 1)

    References:
        K. Nar, S. Sastry (2018), arXiv:1805.08890.
    """
    expression = read_expression(loss)
    h = read_step(sympy.Symbol("h", positive=True) if step is None else step)
    chosen = read_symbols(expression, symbols)
    return {s: s - h * sympy.diff(expression, s) for s in chosen}
