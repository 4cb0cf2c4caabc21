"""Long products multiplied out, since their derivatives are very long; and what that would take."""

import functools as ft
from collections.abc import Sequence

import sympy

MOST_TERMS = 500  # beyond these a sum of monomials takes longer than the derivatives of a product


@ft.lru_cache(maxsize=64)
def multiplied_out(loss: sympy.Expr, symbols: tuple[sympy.Symbol, ...]) -> sympy.Expr:
    """A polynomial in these symbols alone as a sum of monomials; anything else as it is."""
    if not loss.is_polynomial(*symbols) or not loss.free_symbols <= set(symbols):
        return loss
    if size_multiplied_out(loss, symbols)[1] > MOST_TERMS:
        return loss
    polynomial = sympy.poly(loss, *symbols)
    return polynomial.as_expr() if all(c.is_Rational for c in polynomial.coeffs()) else loss


def size_multiplied_out(
    expression: sympy.Expr, symbols: Sequence[sympy.Symbol]
) -> tuple[int, sympy.Expr]:
    """Bounds of the degree and of the number of terms, without multiplying anything."""
    degree = _degree_bound(expression, set(symbols))
    return degree, sympy.binomial(degree + len(symbols), len(symbols))


def _degree_bound(expression: sympy.Expr, symbols: set) -> int:
    """At least the degrees of numerator and denominator, from the tree alone."""
    if expression.is_Symbol or not expression.free_symbols & symbols:
        return int(expression in symbols)
    parts = [_degree_bound(argument, symbols) for argument in expression.args]
    if expression.is_Pow:
        exponent = expression.exp
        return parts[0] * int(abs(exponent)) if exponent.is_Integer else parts[0]
    return max(parts) if expression.is_Add else sum(parts)
