r"""Schur-Cohn stability of a polynomial whose coefficients are symbolic.

The disc goes to the left half plane by ``z = (1 + s) / (1 - s)``; there Hurwitz' determinants
decide, for any degree, with parameters left in place.
"""

import functools as ft
from collections.abc import Iterable

import sympy

from .._errors import NotSolvedError
from ._closed_form import sign_of, tidy


def stability_conditions(polynomial: sympy.Expr, z: sympy.Symbol) -> list[sympy.Expr]:
    """Expressions that are all positive exactly where every root has modulus below one."""
    coefficients = sympy.Poly(polynomial, z).all_coeffs()[::-1]
    n, s = len(coefficients) - 1, sympy.Dummy("s")
    image = sum(c * (1 + s) ** k * (1 - s) ** (n - k) for k, c in enumerate(coefficients))
    a = [sympy.expand(image).coeff(s, k) for k in range(n, -1, -1)]

    def entry(i: int, j: int) -> sympy.Expr:
        index = 2 * (j + 1) - (i + 1)
        return a[index] if 0 <= index <= n else sympy.S.Zero

    hurwitz = sympy.Matrix(n, n, entry)
    return [a[0], *(sympy.factor(hurwitz[:k, :k].det()) for k in range(1, n + 1))]


def first_boundary(
    conditions: Iterable[sympy.Expr], q: sympy.Symbol, fractions: Iterable[sympy.Symbol]
) -> sympy.Expr:
    """The least positive zero of any of the conditions; infinity where there is none.

    The symbols in `fractions` lie between 0 and 1, and zeros are compared under that assumption.
    """
    # b = t / (1 + t) with t > 0 lets sympy decide signs from the signs of coefficients alone.
    opened = {b: (t := sympy.Dummy(b.name, positive=True)) / (1 + t) for b in fractions}
    zeros: list[sympy.Expr] = []
    for condition in conditions:
        zeros += [zero for zero in _positive_zeros(condition, q, opened) if zero not in zeros]
    return ft.reduce(lambda a, b: _smaller(a, b, opened), zeros, sympy.oo)


def _positive_zeros(condition: sympy.Expr, q: sympy.Symbol, opened: dict) -> list[sympy.Expr]:
    numerator = sympy.fraction(sympy.together(condition))[0]
    if not numerator.has(q):
        return []
    found: list[sympy.Expr] = []
    for factor, _ in sympy.factor_list(numerator, q)[1]:
        part = sympy.Poly(factor, q)
        if part.domain.is_QQ or part.domain.is_ZZ:
            found += [root for root in part.real_roots() if root.is_positive]
        elif part.degree() == 1:
            a, b = part.all_coeffs()
            if _required_sign(-b / a, opened) > 0:
                found.append(tidy(-b / a))
        elif part.degree() == 2:
            found += _of_quadratic(part, opened)
        else:
            raise NotSolvedError(
                f"{part.as_expr()} = 0 has no closed form. Put numbers for the hyperparameters."
            )
    return found


def _of_quadratic(part: sympy.Poly, opened: dict) -> list[sympy.Expr]:
    """Signs by Vieta: those of sum and product are easier than those of the roots."""
    a, b, c = part.all_coeffs()
    discriminant = sympy.factor(b**2 - 4 * a * c)
    small, large = ((-b + sign * sympy.sqrt(discriminant)) / (2 * a) for sign in (-1, 1))
    if _required_sign(a, opened) < 0:
        small, large = large, small
    if _required_sign(c / a, opened) < 0:
        return [tidy(large)]
    if _required_sign(discriminant, opened) < 0 or _required_sign(-b / a, opened) <= 0:
        return []
    return [tidy(small), tidy(large)]


def _required_sign(value: sympy.Expr, opened: dict) -> int:
    sign = _sign(value, opened)
    if sign is None:
        raise NotSolvedError(
            f"the sign of {value} is open. Declare the hyperparameters positive, or put numbers."
        )
    return sign


def _sign(value: sympy.Expr, opened: dict) -> int | None:
    return sign_of(sympy.factor(sympy.together(value.subs(opened))))


def _smaller(a: sympy.Expr, b: sympy.Expr, opened: dict) -> sympy.Expr:
    if a is sympy.oo:
        return b
    sign = _sign(a - b, opened)
    if sign is None:
        return sympy.Min(a, b)
    return a if sign <= 0 else b
