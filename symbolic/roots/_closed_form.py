"""Points given in closed form, with or without parameters, and the sign of an exact number."""

import dataclasses
from collections.abc import Mapping

import sympy

from .._errors import NotSolvedError
from ._enclosures import is_opaque, sign_by_enclosure, sign_of_number


@dataclasses.dataclass(frozen=True)
class ClosedPoint:
    """Coordinates written as expressions: radicals, functions, parameters."""

    location: Mapping[sympy.Symbol, sympy.Expr]

    def evaluate(self, expression: sympy.Expr) -> sympy.Expr:
        """The value of any expression at the point, simplified."""
        return tidy(expression.subs(self.location))

    def eigenvalues(self, matrix: sympy.Matrix) -> list[sympy.Expr]:
        """Those of a symmetric matrix, smallest first where they can be compared."""
        if matrix.rows == 1:
            return [self.evaluate(matrix[0, 0])]
        s = sympy.Dummy("s", real=True)
        coefficients = matrix.applyfunc(self.evaluate).charpoly(s).all_coeffs()
        polynomial = sum(c * s**k for k, c in enumerate(reversed(coefficients)))
        found: list[sympy.Expr] = []
        try:
            factors = sympy.factor_list(polynomial, s)[1]
        except sympy.PolynomialError:  # numbers that sympy cannot take for coefficients
            factors = [(polynomial, 1)]
        for factor, multiplicity in factors:
            part = sympy.Poly(factor, s)
            if part.degree() <= 2:
                roots = [*_low_degree_roots(part)]
            elif part.domain.is_QQ or part.domain.is_ZZ:
                roots = part.real_roots()
            else:
                raise NotSolvedError(
                    f"the eigenvalues are the roots of {part.as_expr()}, of degree "
                    f"{part.degree()} with parameters or functions in it. Put rational numbers for "
                    "the parameters, or restrict the loss to fewer symbols."
                )
            found += multiplicity * [tidy(root) for root in roots]
        if all(value.is_number for value in found):
            found.sort(key=lambda value: sympy.re(sympy.N(value, 30)))
        return found


def _low_degree_roots(part: sympy.Poly) -> list[sympy.Expr]:
    if part.degree() == 1:
        a, b = part.all_coeffs()
        return [-b / a]
    a, b, c = part.all_coeffs()
    root = sympy.sqrt(sympy.factor(b**2 - 4 * a * c))
    return [(-b - root) / (2 * a), (-b + root) / (2 * a)]


def tidy(value: sympy.Expr) -> sympy.Expr:
    """A simple form of a value, without spending long on it."""
    return value if value.is_Rational or is_opaque(value) else sympy.simplify(value)


def sign_of(value: sympy.Expr) -> int | None:
    """1, 0 or -1; None where parameters leave it open."""
    if not value.free_symbols and is_opaque(value):
        # First of all: sympy's own questions would evaluate each root again and again.
        sign = sign_by_enclosure(value)
        if sign is not None:
            return sign
    for form in (lambda: value, lambda: sympy.factor(sympy.simplify(value))):
        shape = form()
        if shape.is_zero:
            return 0
        if shape.is_positive:
            return 1
        if shape.is_negative:
            return -1
        if shape.is_number:
            return sign_of_number(shape)
    return None
