"""All zeros of a periodic function: those of one period, certified, and multiples of pi exactly."""

import functools as ft

import sympy

from .._errors import NotSolvedError, TooMuchWorkError
from ._closed_form import tidy
from ._enclosures import is_opaque, sign_of_number
from ._isolation import isolate_roots
from ._sign_changes import is_plain, period_of, waves_in

N = sympy.Symbol("n", integer=True)  # which member of a family
_GAP = sympy.Rational(1, 10**12)  # of a period, that need not be searched: next to it is no zero
_LARGEST_DENOMINATOR = 360  # of a multiple of pi that is written out
_MOST_WORK = 50  # for one period; where it takes more, an interval has to be asked for
# Harmonics up to which sympy's solver finds closed forms, and beyond which it may not end.
_MOST_HARMONICS = 3


@ft.lru_cache(maxsize=64)
def zeros_of_one_period(
    function: sympy.Expr, symbol: sympy.Symbol, max_work: int
) -> tuple[sympy.Expr, ...] | None:
    """Every zero, in families; None where there is no period, or a zero that is not simple."""
    cyclic = period_of(function, symbol)
    if cyclic is None:
        return None
    period, waves = cyclic
    start = sympy.Rational(487, 10000) / waves * sympy.Rational(str(period.evalf(6)))
    end = sympy.Rational(str((start + period).evalf(40))) - _GAP
    try:
        zeros = isolate_roots(function, symbol, start, end, min(max_work, _MOST_WORK))
    except (NotSolvedError, TooMuchWorkError):
        return None
    exact = [_written_out(zero, function, symbol) for zero in zeros]
    return tuple(tidy(z + period * N if z != period else period * N) for z in exact)


def _written_out(zero: sympy.Expr, function: sympy.Expr, symbol: sympy.Symbol) -> sympy.Expr:
    """As a multiple of pi, where it is one."""
    ratio = sympy.Rational(str((zero / sympy.pi).evalf(30)))
    simple = ratio.limit_denominator(_LARGEST_DENOMINATOR)
    if abs(ratio - simple) > _GAP or zero.is_Rational:
        return zero
    exact = simple * sympy.pi
    return exact if sign_of_number(function.subs(symbol, exact)) == 0 else zero


def needs_no_solver(
    function: sympy.Expr, symbol: sympy.Symbol, zeros: tuple[sympy.Expr, ...]
) -> bool:
    """Whether a solver would find no nicer forms of these zeros, or may not end."""
    if not any(map(is_opaque, zeros)):
        return True
    divisor = sympy.fraction(sympy.together(function))[1]
    waves = waves_in(function, symbol)
    if not all(is_plain(wave, symbol) and wave.args[0].subs(symbol, 0) == 0 for wave in waves):
        return True
    return divisor.has(symbol) or _harmonics(function, symbol) > _MOST_HARMONICS


def _harmonics(expression: sympy.Expr, symbol: sympy.Symbol) -> int:
    """A bound of the order of a trigonometric polynomial."""
    cyclic = period_of(expression, symbol)
    if cyclic is None:
        return 0
    slowest = 2 * sympy.pi / cyclic[0]

    def order(part: sympy.Expr) -> int:
        if not part.has(symbol):
            return 0
        if isinstance(part, sympy.sin | sympy.cos | sympy.tan):
            return int(abs(part.args[0].diff(symbol)) / slowest)
        if part.is_Pow:
            return order(part.base) * int(abs(part.exp))
        return (max if part.is_Add else sum)(map(order, part.args))

    return order(expression)
