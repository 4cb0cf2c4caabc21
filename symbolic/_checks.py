"""What every entry asks of its arguments before it computes anything."""

from collections.abc import Iterable, Mapping
from typing import Any

import sympy

from ._errors import (
    InvalidArgumentError,
    InvalidExpressionError,
    InvalidPointError,
    InvalidStepError,
    InvalidSymbolsError,
    NotSolvedError,
)


def read_expression(given: Any, what: str = "loss") -> sympy.Expr:
    """One real scalar expression; decimal fractions are taken as written, 0.3 as 3/10."""
    if isinstance(given, str):
        raise InvalidExpressionError(
            f"the {what} is the text {given!r}. Read it first: symbolic.parse({given!r})."
        )
    try:
        expression = sympy.sympify(given, strict=True)
    except sympy.SympifyError:
        expression = given
    if not isinstance(expression, sympy.Expr) or not _is_scalar(expression):
        raise InvalidExpressionError(
            f"the {what} must be one scalar expression of sympy, got {given!r} of type "
            f"{type(given).__name__}. Write for example x**2 / 2 with "
            "x = sympy.Symbol('x', real=True)."
        )
    infinite = expression.has(sympy.oo, -sympy.oo, sympy.zoo, sympy.nan)
    if infinite or expression.has(sympy.I) or expression.is_real is False:
        raise InvalidExpressionError(
            f"the {what} {expression} is complex or not finite. Take its real part, for example "
            "sympy.re(...), and write that out in real symbols."
        )
    return exact(expression)


def exact(expression: sympy.Expr) -> sympy.Expr:
    """The same expression with every float replaced by the decimal fraction it prints as."""
    floats = expression.atoms(sympy.Float)
    return expression.xreplace({x: sympy.Rational(str(float(x))) for x in floats})


def _is_scalar(expression: sympy.Expr) -> bool:
    return expression.is_commutative is not False and not getattr(expression, "is_Matrix", False)


def read_symbols(expression: sympy.Expr, symbols: Any) -> tuple[sympy.Symbol, ...]:
    """The variables: those named, or all of the expression's; every symbol must be real."""
    free = sorted(expression.free_symbols, key=lambda s: s.name)
    for symbol in free:
        if symbol.is_real is not True:
            raise InvalidSymbolsError(
                f"the symbol {symbol} is not declared real. Write "
                f"{symbol} = sympy.Symbol({symbol.name!r}, real=True)."
            )
    if symbols is None:
        chosen = tuple(free)
    elif isinstance(symbols, sympy.Symbol):
        chosen = (symbols,)
    elif isinstance(symbols, Iterable) and not isinstance(symbols, str):
        chosen = tuple(symbols)
    else:
        raise InvalidSymbolsError(
            f"symbols must be one sympy.Symbol or a list of them, got {symbols!r}. Write for "
            "example symbols=[x, y]."
        )
    if not chosen:
        raise InvalidSymbolsError(
            f"{expression} has no symbols, so there is nothing to move. Give a loss that depends "
            "on at least one sympy.Symbol."
        )
    for symbol in chosen:
        if symbol not in free:
            raise InvalidSymbolsError(
                f"{symbol!r} does not occur in {expression}, which has "
                f"{', '.join(map(str, free)) or 'none'}. Symbols of the same name with other "
                "assumptions are other symbols: use one object for both."
            )
    if len(set(chosen)) < len(chosen):
        raise InvalidSymbolsError(f"the symbols {chosen} repeat one. Name each once.")
    return chosen


def read_single(expression: sympy.Expr, symbol: Any) -> sympy.Symbol:
    """The one variable of a statement about maps of the line; no parameters are left over."""
    chosen = read_symbols(expression, symbol)
    others = sorted(expression.free_symbols - set(chosen), key=str)
    if len(chosen) != 1 or others:
        left = ", ".join(map(str, (*chosen[1:], *others)))
        raise InvalidSymbolsError(
            f"one variable and no parameters are needed here, but {left} is undetermined too. Put "
            f"a number for it: loss.subs({(*chosen[1:], *others)[0]}, 1)."
        )
    return chosen[0]


def read_point(
    at: Any, expression: sympy.Expr, symbols: Any = None
) -> dict[sympy.Symbol, sympy.Expr]:
    """A point as a dictionary from symbols to exact real numbers or expressions."""
    if isinstance(at, Mapping):
        chosen = read_symbols(expression, tuple(at) if symbols is None else symbols)
        given = dict(at)
    else:
        chosen = read_symbols(expression, symbols)
        values = tuple(at) if isinstance(at, list | tuple | sympy.Tuple) else (at,)
        if len(values) != len(chosen):
            raise InvalidPointError(
                f"the point has {len(values)} coordinates, the loss {len(chosen)} variables: "
                f"{', '.join(map(str, chosen))}. Name them: "
                f"at={{{', '.join(f'{s}: ...' for s in chosen)}}}."
            )
        given = dict(zip(chosen, values, strict=True))
    missing = [s for s in chosen if s not in given]
    if missing:
        raise InvalidPointError(
            f"the point says nothing of {', '.join(map(str, missing))}. Add it."
        )
    point = {}
    for symbol in chosen:
        try:
            value = exact(sympy.sympify(given[symbol], strict=True))
        except (sympy.SympifyError, AttributeError) as error:
            raise InvalidPointError(
                f"the coordinate {symbol} = {given[symbol]!r} is not a number or an expression. "
                "Give for example sympy.Rational(1, 2)."
            ) from error
        if value.is_real is False or value.has(sympy.nan):
            raise InvalidPointError(
                f"the coordinate {symbol} = {value} is not a real number. Critical points here "
                "are real: symbolic.critical_points(loss) lists them."
            )
        point[symbol] = value
    return point


def read_step(step: Any, name: str = "step") -> sympy.Expr:
    """A positive step size, a number or an expression that is not known to be anything else."""
    try:
        value: Any = exact(sympy.sympify(step, strict=True))
    except (sympy.SympifyError, AttributeError):
        value = None
    if (
        isinstance(step, bool)
        or not isinstance(value, sympy.Expr)
        or value.is_extended_positive is False
        or value.is_infinite
        or value.has(sympy.nan)
    ):
        raise InvalidStepError(
            f"{name} must be positive and finite, got {step!r}. Write for example "
            f"{name}=sympy.Rational(1, 10)."
        )
    return value


def read_value(value: Any, name: str) -> sympy.Expr:
    """A real finite number, or an expression that may be one; text is not evaluated."""
    try:
        found: Any = exact(sympy.sympify(value, strict=True))
    except (sympy.SympifyError, AttributeError):
        found = None
    if (
        isinstance(value, bool)
        or not isinstance(found, sympy.Expr)
        or found.is_real is False
        or found.has(sympy.nan)
    ):
        raise InvalidArgumentError(
            f"{name} must be a real finite number or expression, got {value!r}. Write for example "
            "sympy.Rational(1, 2)."
        )
    return found


def read_values(values: Any, name: str) -> list[sympy.Expr]:
    """A list of numbers."""
    if not isinstance(values, Iterable) or isinstance(values, str):
        raise InvalidArgumentError(
            f"a list is needed, and {name} for each entry, got {values!r}. Write for "
            "example [1, 2]."
        )
    return [read_value(value, name) for value in values]


def require_rational_polynomial(expression: sympy.Expr, x: sympy.Symbol, remedy: str) -> None:
    """Refuse what is no polynomial of one variable with rational coefficients and curvature."""
    if expression.is_polynomial(x):
        polynomial = sympy.Poly(expression, x)
        if polynomial.degree() > 1 and all(c.is_Rational for c in polynomial.coeffs()):
            return
    raise NotSolvedError(
        f"{expression} is no polynomial in {x} of degree 2 or more with rational coefficients. "
        f"{remedy}"
    )


def read_count(value: Any, name: str, least: int = 1) -> int:
    """A whole number, at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int | sympy.Integer) or value < least:
        raise InvalidArgumentError(
            f"{name} must be a whole number, {least} or more, got {value!r}. Write for example "
            f"{name}={max(least, 2)}."
        )
    return int(value)
