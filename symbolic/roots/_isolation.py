r"""Certified roots of a smooth function in an interval, by interval arithmetic.

A box is thrown away when the range of the function over it excludes 0, kept when the derivative's
range excludes 0 and the signs at the ends differ (then it holds exactly one root), and halved
otherwise.
"""

import functools as ft
import math
from typing import Any

import mpmath
import sympy

from .._errors import NotSolvedError, TooMuchWorkError
from ._enclosures import exact, sign_by_enclosure, sign_of_number

PER_UNIT = 100  # intervals that one unit of `max_work` pays for
_NEWTON_STEPS = 60
_NARROWEST = sympy.Rational(1, 10**9)
_CLOSE = sympy.Rational(1, 10**6)  # from here Newton's method is trusted to propose digits
_KNOWN = (sympy.exp, sympy.log, sympy.sin, sympy.cos, sympy.tan)


class IsolatedRoot(sympy.Expr):
    """The one root of a function in an interval with rational ends; exact, refined on demand."""

    is_commutative = True
    is_number = True
    is_real = True
    is_finite = True

    def __new__(cls, function: Any, symbol: Any, lower: Any, upper: Any) -> "IsolatedRoot":
        """Make the number; `isolate_roots` has certified that there is exactly one."""
        return sympy.Expr.__new__(cls, function, symbol, lower, upper)

    @property
    def free_symbols(self) -> set[sympy.Basic]:
        """None: this is a number."""
        return set()

    def _eval_subs(self, old: sympy.Basic, new: sympy.Basic) -> "IsolatedRoot":
        del old, new  # the symbol inside is bound
        return self

    def _sympystr(self, printer: Any) -> str:
        return str(self.evalf(12))

    def _latex(self, printer: Any) -> str:
        return str(self.evalf(12))

    def isolate(self, width: sympy.Rational) -> tuple[sympy.Expr, sympy.Expr]:
        """Rational bounds at most `width` apart, with certified signs."""
        function, symbol, lower, upper = self.args
        lower, upper = _narrowest.get(self, (lower, upper))
        if upper - lower > width:
            lower, upper = self._halved(lower, upper, max(width, _CLOSE))
            if upper - lower > width:
                value = self._digits(int(-sympy.log(width, 2)) + 10)
                a, b = (lower, upper) if value is None else _around(value, width)
                # Signs confirm what Newton's method proposes; where they do not, halving goes on.
                inside = lower < a and b < upper
                if inside and _sign(function, symbol, a) * _sign(function, symbol, b) < 0:
                    lower, upper = a, b
                lower, upper = self._halved(lower, upper, width)
            _narrowest[self] = lower, upper
        return lower, upper

    def _halved(
        self, lower: sympy.Expr, upper: sympy.Expr, width: sympy.Rational
    ) -> tuple[sympy.Expr, sympy.Expr]:
        function, symbol, *_ = self.args
        negative_left = _sign(function, symbol, lower) < 0
        while upper - lower > width:
            middle = (lower + upper) / 2
            sign = _sign(function, symbol, middle)
            if sign == 0:
                return middle, middle
            lower, upper = (middle, upper) if (sign < 0) == negative_left else (lower, middle)
        return lower, upper

    def _eval_evalf(self, prec: int) -> sympy.Expr:
        lower, upper = self.isolate(_CLOSE)
        value = self._digits(prec)
        if value is None:
            lower, upper = self._halved(lower, upper, sympy.Rational(1, 2**prec))
            return ((lower + upper) / 2)._eval_evalf(prec)
        return sympy.Float._new(value._mpf_, prec)

    def _digits(self, prec: int) -> Any:
        """The root by Newton's method from between its certified bounds; None if it leaves them."""
        function, symbol, lower, upper = self.args
        lower, upper = _narrowest.get(self, (lower, upper))
        call = _with_slope(function, symbol)
        with mpmath.workprec(prec + 20):
            middle = (lower + upper) / 2
            value = mpmath.mpf(middle.p) / middle.q
            for _ in range(_NEWTON_STEPS):
                residual, slope = call(value)
                if slope == 0:
                    return None
                value -= residual / slope
                if abs(residual) <= abs(slope) * (1 + abs(value)) * mpmath.mpf(2) ** -(prec + 5):
                    return value if lower <= exact(value._mpf_) <= upper else None
        return None


# Bounds refined so far: sympy makes the same root anew wherever it is written.
_narrowest: dict[IsolatedRoot, tuple[sympy.Expr, sympy.Expr]] = {}


@ft.lru_cache(maxsize=256)
def _with_slope(function: sympy.Expr, symbol: sympy.Symbol) -> Any:
    return sympy.lambdify(symbol, [function, function.diff(symbol)], "mpmath")


def _around(value: Any, width: sympy.Rational) -> tuple[sympy.Expr, sympy.Expr]:
    middle = exact(value._mpf_)
    return middle - width / 2, middle + width / 2


def isolate_roots(
    function: sympy.Expr,
    symbol: sympy.Symbol,
    lower: sympy.Expr,
    upper: sympy.Expr,
    max_work: int,
) -> list[sympy.Expr]:
    """All roots in the closed interval, each simple; raises where it cannot be sure of them."""
    form = function.rewrite([sympy.sinh, sympy.cosh, sympy.tanh], sympy.exp)
    value, slope = _ranged(form, symbol), _ranged(form.diff(symbol), symbol)

    def sign(at: sympy.Expr) -> int:
        near = value(at, at)  # where this leaves 0 out, it is much quicker than the exact value
        return 1 if near.a > 0 else -1 if near.b < 0 else _sign(function, symbol, at)

    found: list[sympy.Expr] = [end for end in (lower, upper) if sign(end) == 0]
    boxes, work = [(sympy.Rational(lower), sympy.Rational(upper))], 0
    while boxes:
        work += 1
        if work > max_work * PER_UNIT:
            raise TooMuchWorkError(
                f"{max_work * PER_UNIT} intervals between {lower} and {upper} are not enough. "
                f"Narrow `between`, or ask for more: max_work={10 * max_work}."
            )
        a, b = boxes.pop()
        if b - a < _NARROWEST:
            raise NotSolvedError(
                f"{function} has a multiple root near {a.evalf(8)}, or a pole, or several roots "
                "within 1e-9, and interval arithmetic cannot tell. Choose `between` without it, or "
                "test the point with symbolic.threshold(loss, at)."
            )
        values = value(a, b)
        if 0 not in values:
            continue
        # Across a pole a function changes its sign without a root.
        if -math.inf < values.a and values.b < math.inf and 0 not in slope(a, b):
            if sign(a) * sign(b) < 0:
                found.append(_written_out(IsolatedRoot(function, symbol, a, b)))
            continue
        # Not the middle: simple roots such as 0 would often fall on it.
        middle = a + (b - a) * sympy.Rational(487, 1000)
        if sign(middle) == 0:
            found.append(middle)
        boxes += [(a, middle), (middle, b)]
    return sorted(set(found), key=sympy.N)


def _written_out(root: IsolatedRoot) -> sympy.Expr:
    """The root as a fraction, where it is one with a small denominator."""
    function, symbol, *_ = root.args
    lower, upper = root.isolate(sympy.Rational(1, 10**9))
    simple = ((lower + upper) / 2).limit_denominator(1000)
    return simple if _sign(function, symbol, simple) == 0 else root


def _ranged(expression: sympy.Expr, symbol: sympy.Symbol):
    """The range of an expression over an interval, as an enclosure."""
    unknown = [f for f in expression.atoms(sympy.Function) if not isinstance(f, _KNOWN)]
    if unknown:
        raise NotSolvedError(
            f"there is no interval arithmetic for {unknown[0].func}. Use exp, log, sin, cos, tan, "
            "sinh, cosh, tanh and powers."
        )
    # Under mpmath's printer fractions are quotients of mpf, here of intervals: never rounded.
    intervals: dict[str, Any] = {name: getattr(_IV, name) for name in _NAMES}
    call = sympy.lambdify(symbol, expression, [intervals, "mpmath"])

    def enclosure(a: sympy.Rational, b: sympy.Rational) -> Any:
        try:
            return _IV.mpf(call(_IV.mpf([_down(a), _up(b)])))
        except (ZeroDivisionError, ValueError):  # a pole, or the logarithm of a negative number
            return _IV.mpf([-math.inf, math.inf])

    return enclosure


_IV: Any = mpmath.iv
_NAMES = ("mpf", "exp", "log", "sin", "cos", "tan", "sqrt", "pi", "e")


def _down(value: sympy.Rational) -> float:
    return math.nextafter(float(value), -math.inf)


def _up(value: sympy.Rational) -> float:
    return math.nextafter(float(value), math.inf)


def _sign(function: sympy.Expr, symbol: sympy.Symbol, value: sympy.Expr) -> int:
    there = function.subs(symbol, value)
    sign = sign_by_enclosure(there)
    if sign is not None:
        return sign
    if there.is_real is False or there.evalf(15).is_real is False:
        raise NotSolvedError(
            f"{function} is not real at {symbol} = {value}. Choose `between` where the loss is "
            "real and finite."
        )
    sign = sign_of_number(there)
    if sign is None:
        raise NotSolvedError(
            f"{function} at {symbol} = {value} cannot be told from 0. Choose other ends for "
            "`between`."
        )
    return sign
