"""Numbers in certified intervals: enclosures of exact expressions, as narrow as asked for.

A root of a polynomial is refined by bisection in whole numbers and remembered, so that an
expression that names it a hundred times costs one refinement.
"""

import functools as ft
from collections.abc import Callable, Iterator
from typing import Any

import mpmath
import sympy
from mpmath.ctx_iv import MPIntervalContext

FIRST_BITS, LAST_BITS = 64, 1 << 12  # of working precision
_FUNCTIONS = {
    **{sympy.exp: "exp", sympy.log: "log"},
    **{sympy.sin: "sin", sympy.cos: "cos", sympy.tan: "tan"},
}
_HYPERBOLIC = (sympy.sinh, sympy.cosh, sympy.tanh)
# Refined so far: sympy makes the same root anew wherever it is written.
_narrowest: dict[sympy.CRootOf, tuple[int, int, int]] = {}


@ft.lru_cache(maxsize=1024)
def is_opaque(value: sympy.Expr) -> bool:
    """Whether a number is given, or made of one that is given, by an interval."""
    return value.has(sympy.CRootOf) or any(hasattr(atom, "isolate") for atom in _nodes(value))


def _nodes(value: sympy.Basic) -> Iterator[sympy.Basic]:
    return sympy.preorder_traversal(value)


def enclosure(value: sympy.Expr, bits: int) -> Any:
    """An interval of mpmath that holds the value, computed with so many bits.

    None where a function in it has no interval arithmetic, or it is not known to be real.
    """
    try:
        return _walk(value, _context(bits), {})
    except (NotImplementedError, ZeroDivisionError, ValueError, OverflowError):
        return None


@ft.lru_cache(maxsize=64)
def _context(bits: int) -> Any:
    context = MPIntervalContext()
    context.prec = bits
    return context


def sign_of_number(value: sympy.Expr) -> int | None:
    """1, 0 or -1 of a real number; None where no digit shows and it is not proved to be 0."""
    sign = sign_by_enclosure(value)
    if sign is not None:
        return sign
    digits = value.evalf(15, maxn=1000)
    # sympy marks by a precision of one bit what it could not tell from 0.
    if digits.is_Rational or (digits.is_Float and digits._prec > 1):
        return int(sympy.sign(digits))
    return 0 if value.equals(0) else None


def sign_by_enclosure(value: sympy.Expr) -> int | None:
    """1, 0 or -1, proved; None where no digit shows, or the value cannot be enclosed."""
    for bits in _precisions(value):
        found = enclosure(value, bits)
        if found is None:
            return None
        if found.a > 0:
            return 1
        if found.b < 0:
            return -1
        if bits == FIRST_BITS and _vanishes(value):
            return 0
    return None


def _vanishes(value: sympy.Expr) -> bool:
    """Proof that a rational expression in one root of a polynomial is 0; False proves nothing."""
    roots = list(value.atoms(sympy.CRootOf))
    if len(roots) != 1 or not value.is_rational_function(roots[0]):
        return False
    t = sympy.Dummy("t")
    numerator = sympy.fraction(sympy.together(value.xreplace({roots[0]: t})))[0]
    minimal = roots[0].poly.replace(t)
    return sympy.Poly(numerator, t, domain=sympy.QQ).rem(minimal.set_domain(sympy.QQ)).is_zero


@ft.lru_cache(maxsize=1024)
def _precisions(value: sympy.Expr) -> list[int]:
    # Roots of functions that are no polynomials take long to refine.
    last = LAST_BITS if not any(hasattr(a, "isolate") for a in _nodes(value)) else 4 * FIRST_BITS
    return [FIRST_BITS * 4**k for k in range(8) if FIRST_BITS * 4**k <= last]


def bounds(value: sympy.Expr, width: sympy.Rational) -> tuple[sympy.Expr, sympy.Expr] | None:
    """Rational bounds at most `width` apart; None where the value cannot be enclosed so well."""
    for bits in _precisions(value):
        found = enclosure(value, bits)
        if found is None:
            return None
        low, high = (exact(end) for end in found._mpi_)
        if high - low <= width:
            return low, high
    return None


def exact(number: tuple) -> sympy.Rational:
    """A floating-point number of mpmath, given by its parts, as a fraction."""
    sign, mantissa, exponent, _ = number
    signed = -int(mantissa) if sign else int(mantissa)
    return sympy.Rational(signed) * sympy.Rational(2) ** exponent


def decimal(value: sympy.Expr, digits: int) -> sympy.Expr:
    """The number to so many digits; quick where it is made of roots in intervals."""
    for bits in _precisions(value) if is_opaque(value) else ():
        found = enclosure(value, bits)
        if found is None:
            break
        low, high = map(mpmath.mp.make_mpf, found._mpi_)
        with mpmath.workprec(bits):
            middle = (low + high) / 2
            if high - low <= abs(middle) * mpmath.mpf(10) ** -(digits + 3):
                return sympy.Float(middle, digits)
    return value.evalf(digits)


def which(candidates: list[Any], excluded: Callable[[Any, int], bool]) -> Any:
    """The one candidate that is never excluded, however many bits are spent."""
    left, bits = candidates, FIRST_BITS
    while len(left) > 1:
        left = [c for c in left if not excluded(c, bits)]
        bits *= 2
    return left[0]


def root_interval(root: sympy.CRootOf, width: sympy.Rational) -> tuple[sympy.Expr, sympy.Expr]:
    """Rational bounds of a real root of an integer polynomial, at most `width` apart."""
    cells = _cells(root.poly)
    if not 0 <= root.index < len(cells):
        raise NotImplementedError("not a real root")
    start, end = cells[root.index]
    if start == end:
        return start, end
    # The point j / 2**k of the cell; its left and right end are numerators over one denominator.
    common = sympy.ilcm(start.q, end.q)
    left, length = int(start * common), int((end - start) * common)
    coefficients = [int(c) for c in root.poly.clear_denoms(convert=True)[1].all_coeffs()]
    position, halvings, positive_left = _narrowest.get(
        root, (0, 0, int(_sign_at(coefficients, left, int(common)) > 0))
    )
    while sympy.Rational(length, common * 2**halvings) > width:
        position, halvings = 2 * position, halvings + 1
        numerator = (left << halvings) + length * (position + 1)
        if (_sign_at(coefficients, numerator, int(common) << halvings) > 0) == positive_left:
            position += 1
    _narrowest[root] = position, halvings, positive_left
    step = sympy.Rational(length, common * 2**halvings)
    return start + position * step, start + (position + 1) * step


@ft.lru_cache(maxsize=1024)
def _cells(polynomial: sympy.Poly) -> list[tuple[sympy.Expr, sympy.Expr]]:
    # Real roots come first in sympy's order, from the left; a width is not asked for, it is slow.
    return [cell for cell, _ in polynomial.intervals()]


def _sign_at(coefficients: list[int], numerator: int, denominator: int) -> int:
    total, power = 0, 1
    for c in coefficients:
        total = total * numerator + c * power
        power *= denominator
    return (total > 0) - (total < 0)


def _walk(value: sympy.Expr, context: Any, known: dict) -> Any:
    if value in known:
        return known[value]
    known[value] = result = _enclose(value, context, lambda part: _walk(part, context, known))
    return result


def _enclose(value: sympy.Expr, context: Any, inner: Callable[[sympy.Expr], Any]) -> Any:
    if value.is_Rational:
        return context.mpf(value.p) / value.q
    if isinstance(value, sympy.CRootOf) or hasattr(value, "isolate"):
        width = sympy.Rational(1, 2**context.prec)
        find = value.isolate if hasattr(value, "isolate") else ft.partial(root_interval, value)
        low, high = find(width)
        return context.mpf([(context.mpf(low.p) / low.q).a, (context.mpf(high.p) / high.q).b])
    if value in (sympy.pi, sympy.E):
        return +(context.pi if value is sympy.pi else context.e)
    if value.is_Add:
        return sum((inner(part) for part in value.args), context.mpf(0))
    if value.is_Mul:
        return ft.reduce(lambda a, b: a * b, map(inner, value.args))
    if value.is_Pow and value.exp.is_Rational:
        return _power(inner(value.base), value.exp, context)
    if value.func in _FUNCTIONS:
        argument = inner(value.args[0])
        if value.func is sympy.log and not argument.a > 0:
            raise NotImplementedError("the logarithm of what may be negative")
        return getattr(context, _FUNCTIONS[value.func])(argument)
    if isinstance(value, _HYPERBOLIC):
        return inner(value.rewrite(sympy.exp))
    raise NotImplementedError(f"there is no interval arithmetic for {value.func}")


def _power(base: Any, exponent: sympy.Rational, context: Any) -> Any:
    if exponent < 0 and base.a <= 0 <= base.b:
        raise NotImplementedError("division by what may be zero")
    if exponent.is_Integer:
        return base ** int(exponent)
    if base.a < 0:
        raise NotImplementedError("a root of what may be negative")
    root = context.sqrt(base) if exponent.q == 2 else context.exp(context.log(base) / exponent.q)
    return root ** int(exponent.p)
