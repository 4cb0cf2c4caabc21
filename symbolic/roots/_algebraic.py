r"""Exact real points, and exact numbers computed at them.

Every real solution of a polynomial system with rational coefficients is ``(g_1(t), ..., g_n(t))``
for one real root ``t`` of an irreducible polynomial ``q``. Anything rational in the coordinates is
then a polynomial in ``t`` modulo ``q``, so equality with zero is decided, not guessed, and each
value is returned in its own simplest form: a fraction, a radical, or a root of its own minimal
polynomial in a certified interval.
"""

import dataclasses
import functools as ft
from collections.abc import Mapping

import sympy

from .._errors import NotSolvedError
from ._closed_form import ClosedPoint, tidy
from ._enclosures import FIRST_BITS, bounds, enclosure, root_interval, which

# Beyond this degree a value stays a polynomial in the root: its own minimal polynomial would be
# exact too, but takes a resultant that grows fast.
MAX_NORM_DEGREE = 6


@dataclasses.dataclass(frozen=True)
class AlgebraicPoint:
    """``x_i = g_i(t)`` at the real root ``t`` of an irreducible polynomial ``q``."""

    minimal: sympy.Poly
    root: sympy.Expr
    parametrisation: Mapping[sympy.Symbol, sympy.Poly]

    @property
    def location(self) -> dict[sympy.Symbol, sympy.Expr]:
        """The coordinates, each an exact real number."""
        return dict(self._coordinates)

    @ft.cached_property
    def _coordinates(self) -> dict[sympy.Symbol, sympy.Expr]:
        return {symbol: self._number(g) for symbol, g in self.parametrisation.items()}

    def evaluate(self, expression: sympy.Expr) -> sympy.Expr:
        """The exact value of an expression; in its simplest form where that is rational in them."""
        if not expression.is_rational_function(*self.parametrisation):
            return tidy(expression.subs(self.location))
        return self._number(self._reduce(expression))

    def eigenvalues(self, matrix: sympy.Matrix) -> list[sympy.Expr]:
        """Those of a symmetric matrix of rational expressions, smallest first."""
        if matrix.rows == 1:
            return [self.evaluate(matrix[0, 0])]
        if not all(entry.is_rational_function(*self.parametrisation) for entry in matrix):
            return ClosedPoint(self.location).eigenvalues(matrix)
        if self.minimal.degree() > MAX_NORM_DEGREE:
            return self._eigenvalues_of_pair(matrix)
        entries = matrix.applyfunc(lambda entry: self._reduce(entry).as_expr())
        s, t = sympy.Dummy("s"), self.minimal.gen
        # Berkowitz' algorithm divides by nothing, so the entries may be polynomials in t.
        coefficients = [
            sympy.Poly(c, t, domain=sympy.QQ).rem(self.minimal).as_expr()
            for c in sympy.Matrix(entries).charpoly(s).all_coeffs()
        ]
        if self.minimal.degree() == 1:
            return _real_roots(sympy.Poly(coefficients, s))
        # The norm has the eigenvalues at all conjugates of t: ours are those of them at which the
        # characteristic polynomial vanishes at t, as often as its derivatives do.
        characteristic = sum(c * s**k for k, c in enumerate(reversed(coefficients)))
        norm = sympy.resultant(self.minimal.as_expr(), sympy.expand(characteristic), t)
        roots = list(dict.fromkeys(_real_roots(sympy.Poly(norm, s, domain=sympy.QQ))))
        return _eigenvalues_among(roots, coefficients, {t: self.root})

    def _eigenvalues_of_pair(self, matrix: sympy.Matrix) -> list[sympy.Expr]:
        if matrix.rows > 2:
            raise NotSolvedError(
                f"a point of algebraic degree {self.minimal.degree()} in {matrix.rows} variables "
                f"has eigenvalues of degree {self.minimal.degree() * matrix.rows}, too large to "
                "write down. Split the loss, or put rounder numbers into it."
            )
        half = self._reduce(matrix.trace() / 2)
        discriminant = (half**2 - self._reduce(matrix.det())).rem(self.minimal)
        middle, root = self._number(half), sympy.sqrt(self._number(discriminant))
        return [middle - root, middle + root]

    def _reduce(self, expression: sympy.Expr) -> sympy.Poly:
        if expression.is_polynomial(*self.parametrisation):
            return self._substitute(expression)
        numerator, denominator = sympy.fraction(sympy.together(expression))
        top, bottom = self._substitute(numerator), self._substitute(denominator)
        if bottom.is_one:
            return top
        return (top * bottom.invert(self.minimal)).rem(self.minimal)

    def _substitute(self, polynomial: sympy.Expr) -> sympy.Poly:
        """A polynomial in the coordinates as a polynomial in t, reduced on the way (Horner)."""
        symbols = list(self.parametrisation)
        t = self.minimal.gen
        source = sympy.Poly(polynomial, *symbols, domain=sympy.QQ)
        powers: dict[sympy.Symbol, list[sympy.Poly]] = {}
        for index, symbol in enumerate(symbols):
            powers[symbol] = [sympy.Poly(1, t, domain=sympy.QQ)]
            for _ in range(max(source.degree(index), 0)):
                powers[symbol].append(
                    (powers[symbol][-1] * self.parametrisation[symbol]).rem(self.minimal)
                )
        total = sympy.Poly(0, t, domain=sympy.QQ)
        for exponents, coefficient in source.terms():
            term = sympy.Poly(coefficient, t, domain=sympy.QQ)
            for symbol, exponent in zip(symbols, exponents, strict=True):
                term = (term * powers[symbol][exponent]).rem(self.minimal)
            total += term
        return total

    def _number(self, value: sympy.Poly) -> sympy.Expr:
        value = value.rem(self.minimal)
        if value.degree() <= 0:
            return value.as_expr()
        if value == sympy.Poly(value.gen, value.gen, domain=sympy.QQ):
            return self.root
        if self.minimal.degree() > MAX_NORM_DEGREE:
            return value.as_expr().subs(value.gen, self.root)
        roots = _real_conjugates(self.minimal, value)
        if len(roots) == 1:
            return roots[0]
        exact = value.as_expr().subs(value.gen, self.root)
        return which(roots, lambda root, bits: _apart(root, exact, bits))


@ft.lru_cache(maxsize=1024)
def _real_conjugates(minimal: sympy.Poly, value: sympy.Poly) -> list[sympy.Expr]:
    """The values of a polynomial at all roots of another, as far as they are real; each once."""
    s = sympy.Dummy("s")
    norm = sympy.resultant(minimal.as_expr(), s - value.as_expr(), minimal.gen)
    return _real_roots(sympy.Poly(norm, s, domain=sympy.QQ).sqf_part())


def _apart(a: sympy.Expr, b: sympy.Expr, bits: int) -> bool:
    one, other = enclosure(a, bits), enclosure(b, bits)
    return one.b < other.a or other.b < one.a


def _eigenvalues_among(
    roots: list[sympy.Expr], coefficients: list[sympy.Expr], at: Mapping[sympy.Symbol, sympy.Expr]
) -> list[sympy.Expr]:
    """Those of the numbers at which a polynomial vanishes, as often as it does; all zeros are real.

    An enclosure that leaves out 0 proves that a number is no zero, so the counts below are never
    too small; they are right when their sum is the degree.
    """
    s = sympy.Dummy("s")
    derivative = sympy.Poly(coefficients, s)
    degree, derivatives = derivative.degree(), []
    for _ in range(degree):
        derivatives.append([c.subs(at) for c in derivative.all_coeffs()])
        derivative = derivative.diff(s)
    bits, found = FIRST_BITS, list[sympy.Expr]()
    while len(found) != degree:
        found = []
        for root in roots:
            near = enclosure(root, bits)
            for values in derivatives:
                value = near * 0
                for c in values:
                    value = value * near + enclosure(c, bits)
                if 0 not in value:
                    break
                found.append(root)
        bits *= 2
    return found


def rational_point(location: Mapping[sympy.Symbol, sympy.Expr]) -> AlgebraicPoint:
    """A point with rational coordinates."""
    t = sympy.Dummy("t")
    return AlgebraicPoint(
        sympy.Poly(t, t, domain=sympy.QQ),
        sympy.Integer(0),
        {symbol: sympy.Poly(value, t, domain=sympy.QQ) for symbol, value in location.items()},
    )


def points_of(
    polynomial: sympy.Poly, parametrisation: Mapping[sympy.Symbol, sympy.Poly]
) -> list[AlgebraicPoint]:
    """One point for every real root of a polynomial with rational coefficients."""
    found = []
    for factor, _ in polynomial.factor_list()[1]:
        reduced = {symbol: g.rem(factor) for symbol, g in parametrisation.items()}
        found += [AlgebraicPoint(factor, root, reduced) for root in _real_roots(factor)]
    return found


def isolating_interval(value: sympy.Expr, width: sympy.Rational) -> tuple[sympy.Expr, sympy.Expr]:
    """Rational bounds of an exact real number, certified, at most `width` apart."""
    if value.is_Rational:
        return value, value
    if isinstance(value, sympy.CRootOf):
        return root_interval(value, width)
    if hasattr(value, "isolate"):
        return value.isolate(width)
    if not value.is_number:
        raise NotSolvedError(f"{value} is no single number. Ask for the interval of a coordinate.")
    certified = bounds(value, width)
    if certified is not None:
        return certified
    digits = max(int(-sympy.log(width, 10)) + 5, 15) + int(abs(sympy.log(abs(value.evalf()), 10)))
    # evalf is right to the last digit or so; ten units of it are a bound.
    centre = sympy.Rational(value.evalf(digits + 3))
    margin = min(width / 2, sympy.Rational(1, 10 ** (digits - 5)))
    return centre - margin, centre + margin


def _real_roots(polynomial: sympy.Poly) -> list[sympy.Expr]:
    """With multiplicities, from the left: sympy refines their intervals until they are apart."""
    return polynomial.real_roots()
