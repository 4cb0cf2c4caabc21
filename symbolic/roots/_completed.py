"""What a solver found, checked by a count of sign changes, and what it missed.

A solver's word is not enough: sympy's leaves out solutions at which its substitutions are
infinite, and those it takes for complex.
"""

import sympy

from .._errors import NotSolvedError, TooMuchWorkError
from ._enclosures import sign_by_enclosure
from ._isolation import isolate_roots
from ._periods import N, zeros_of_one_period
from ._sign_changes import REACH, period_of, sign_changes

# How far from each other a zero and a formula for it may be, relative to their size; more in
# floating-point numbers, in which a triple zero has a third of the digits.
_NEAR, _NEAR_IN_FLOATS = 1e-10, 1e-4
_MARGIN = sympy.Rational(1, 10**6)  # beside a change of sign, for interval arithmetic
_SAMPLES = (7, 11, 13, 17, 19, 23)  # fifths of these stand for parameters
_ORDERS = range(-64, 65)  # of a family whose formula cannot be inverted


def completed(
    function: sympy.Expr, symbol: sympy.Symbol, found: list[sympy.Expr], max_work: int
) -> tuple[list[sympy.Expr], str]:
    """The zeros that were found and those that were missed; and what may still be missing.

    Members of a family are written with `N`. Every zero that is added is certified.
    """
    parameters = sorted(function.free_symbols - {symbol}, key=str)
    values = {p: _sample(p, k) for p, k in zip(parameters, _SAMPLES, strict=False)}
    sampled = function.subs(values)
    if not parameters:
        found = [value for value in found if not _is_no_zero(function, symbol, value)]
    changes = sign_changes(sampled, symbol)
    if changes is None:
        return found, f"{function} could not be computed anywhere, so the zeros were not counted"
    formulas = [_Formula(value.subs(values)) for value in found]
    missed = [cell for cell in changes if not any(f.has_in(*cell) for f in formulas)]
    if not missed:
        return found, ""
    if parameters:
        at = ", ".join(f"{p} = {v}" for p, v in values.items())
        near = ", ".join(f"{float(a):.6g}" for a, _ in missed)
        return found, f"at {at} there are others near {symbol} = {near}"
    return _added(function, symbol, found, missed, max_work)


def _added(
    function: sympy.Expr,
    symbol: sympy.Symbol,
    found: list[sympy.Expr],
    missed: list[tuple[sympy.Rational, sympy.Rational]],
    max_work: int,
) -> tuple[list[sympy.Expr], str]:
    formulas = [_Formula(value) for value in found]
    whole = zeros_of_one_period(function, symbol, max_work)
    if whole is not None:
        new = [z for z in whole if not any(f.has_near(_as_float(z)) for f in formulas)]
        return [*found, *new], ""
    added, left = [], []
    for a, b in missed:
        try:
            added += isolate_roots(function, symbol, a - _MARGIN, b + _MARGIN, max_work)
        except (NotSolvedError, TooMuchWorkError):
            left.append(f"{float(a):.9g}")
    if left:
        return [*found, *added], f"there is one near {symbol} = {', '.join(left)}, not certified"
    if not added:  # what changed its sign was rounding
        return found, ""
    cyclic = period_of(function, symbol)
    where = "in one period" if cyclic else f"between {-REACH:.0f} and {REACH:.0f}"
    return [*found, *added], f"some were missed; those that show {where} were added"


class _Formula:
    """A number, or numbers for all integers `N`, and whether it has a given number among them."""

    def __init__(self, value: sympy.Expr):
        self.value = sympy.N(value, 20)
        self.orders = []
        if value.has(N):
            at, order = sympy.Dummy("at", real=True), sympy.Dummy("order", real=True)
            try:
                solutions = sympy.solve(self.value.subs(N, order) - at, order)
            except (NotImplementedError, ValueError, TypeError):
                solutions = []
            self.orders = [(at, solution) for solution in solutions]

    def has_in(self, a: sympy.Rational, b: sympy.Rational) -> bool:
        middle = float((a + b) / 2)
        return self.has_near(middle, float(b - a) + _NEAR_IN_FLOATS * abs(middle))

    def has_near(self, number: float, slack: float = 0.0) -> bool:
        slack += _NEAR * max(abs(number), _NEAR)
        if not self.value.has(N):
            return abs(_as_float(self.value) - number) <= slack
        orders = [_as_float(order.subs(at, number)) for at, order in self.orders]
        near = [round(order) for order in orders if order == order] or _ORDERS
        return any(abs(_as_float(self.value.subs(N, k)) - number) <= slack for k in near)


def _as_float(value: sympy.Expr) -> float:
    """The number, of a family the member 0; not a number where it is not real."""
    near = value.subs(N, 0).evalf(20)
    return float(near) if near.is_Float or near.is_Rational else float("nan")


def _is_no_zero(function: sympy.Expr, symbol: sympy.Symbol, value: sympy.Expr) -> bool:
    return value.is_number and sign_by_enclosure(function.subs(symbol, value)) in {1, -1}


def _sample(parameter: sympy.Symbol, k: int) -> sympy.Expr:
    """A number that the assumptions of a parameter admit."""
    value = sympy.Integer(k) if parameter.is_integer else sympy.Rational(k, 5)
    return -value if parameter.is_nonpositive else value
