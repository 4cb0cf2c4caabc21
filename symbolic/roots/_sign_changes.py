"""Where a function of one variable changes its sign, counted by floating-point numbers.

This checks what a solver claims. It proves nothing: two changes between neighbouring samples, and
zeros without a change of sign, are not seen.
"""

import bisect
import collections
import itertools as it
import math
from collections.abc import Callable

import sympy

CELLS = 128  # samples of one shell, or at least of one period
_CELLS_OF_A_WAVE = 32
# Shells around 0; one with more changes than `_MOST_CHANGES` is too dense to count.
_SHELLS = (0.0, 2.0**-8, 2.0**-4, 1.0, 4.0, 16.0, 64.0, 256.0)
REACH = _SHELLS[-1]
_MOST_CHANGES = CELLS // 2
# Not the middle of a cell: zeros such as 0 or pi would often fall on it.
_OFFSET = 0.4871
_HALVINGS = 15

Call = Callable[[float], float | None]


def as_floats(function: sympy.Expr, symbol: sympy.Symbol) -> Call:
    """The function in floating-point numbers; None where it is not real and finite."""
    compiled = sympy.lambdify(symbol, function, ["math", "mpmath"])

    def call(at: float) -> float | None:
        try:
            value = complex(compiled(at))
        except (ArithmeticError, ValueError, TypeError, NameError, AttributeError):
            return None
        return value.real if value.imag == 0 and math.isfinite(value.real) else None

    return call


def period_of(function: sympy.Expr, symbol: sympy.Symbol) -> tuple[sympy.Expr, int] | None:
    """A period, and how often the fastest wave goes round in it; None where there is no period."""
    waves = [wave for wave in waves_in(function, symbol) if is_plain(wave, symbol)]
    blank = sympy.Dummy()
    if function.xreplace(dict.fromkeys(waves, blank)).has(symbol):
        return None
    rates = [wave.args[0].diff(symbol) for wave in waves]
    if not rates or rates[0].free_symbols:
        return None
    ratios = [sympy.nsimplify(rate / rates[0]) for rate in rates]
    if not all(ratio.is_Rational and ratio != 0 for ratio in ratios):
        return None
    common = sympy.Rational(
        sympy.igcd(0, *(abs(r.p) for r in ratios)), sympy.ilcm(1, *(r.q for r in ratios))
    )
    return 2 * sympy.pi / abs(rates[0] * common), max(int(abs(r) / common) for r in ratios)


def waves_in(function: sympy.Expr, symbol: sympy.Symbol) -> list[sympy.Expr]:
    """The sines, cosines and tangents that depend on the symbol."""
    return [w for w in function.atoms(sympy.sin, sympy.cos, sympy.tan) if w.has(symbol)]


def is_plain(wave: sympy.Expr, symbol: sympy.Symbol) -> bool:
    """Whether it goes round at one rate, unlike the sine of a cosine."""
    return not wave.args[0].diff(symbol).has(symbol)


def sign_changes(
    function: sympy.Expr, symbol: sympy.Symbol
) -> list[tuple[sympy.Rational, sympy.Rational]] | None:
    """Short intervals with a continuous change of sign each; None where nothing can be computed.

    Those of one period, or those between `-REACH` and `REACH` where the function has no period.
    """
    call = as_floats(function, symbol)
    cyclic = period_of(function, symbol)
    values = [(node, call(node)) for node in (_period(*cyclic) if cyclic else _samples(symbol))]
    if all(value is None for _, value in values):
        return None
    pairs = it.pairwise((node, value) for node, value in values if value != 0)
    changes = [(a, b) for (a, u), (b, v) in pairs if u and v and (u < 0) != (v < 0)]
    crowds = collections.Counter(_shell_of(a) for a, _ in changes)
    narrow = [
        cell
        for a, b in changes
        if cyclic or crowds[_shell_of(a)] <= _MOST_CHANGES
        if (cell := _narrowed(call, a, b))
    ]
    return [(sympy.Rational(a), sympy.Rational(b)) for a, b in narrow]


def _period(period: sympy.Expr, waves: int) -> list[float]:
    cells = max(CELLS, _CELLS_OF_A_WAVE * waves)
    width = float(period) / cells
    return [(k + _OFFSET) * width for k in range(cells + 1)]


def _samples(symbol: sympy.Symbol) -> list[float]:
    """On the sides of 0 that the symbol's assumptions admit."""
    nodes = [
        a + (k + _OFFSET) * (b - a) / CELLS for a, b in it.pairwise(_SHELLS) for k in range(CELLS)
    ]
    left = [] if symbol.is_nonnegative else [-node for node in reversed(nodes)]
    return [*left, *([] if symbol.is_nonpositive else nodes)]


def _shell_of(node: float) -> int:
    return bisect.bisect(_SHELLS, abs(node))


def _narrowed(call: Call, a: float, b: float) -> tuple[float, float] | None:
    """The change in a shorter interval; None at a pole or a jump, where values do not get small."""
    u, sizes = call(a), []
    for _ in range(2):
        for _ in range(_HALVINGS):
            middles = [a + (b - a) * share for share in (_OFFSET, _OFFSET**2)]
            middle, value = next(((m, v) for m in middles if (v := call(m))), (a, None))
            if value is None or not u:
                return None
            a, b, u = (middle, b, value) if (value < 0) == (u < 0) else (a, middle, u)
        sizes.append(max(abs(call(end) or 0.0) for end in (a, b)))
    return (a, b) if sizes[1] <= sizes[0] / 2 else None
