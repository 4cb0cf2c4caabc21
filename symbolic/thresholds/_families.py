"""Families of critical points: for which integers a member is real, and which members stand out."""

from collections.abc import Iterator, Sequence
from typing import Any

import sympy

from ..roots._periods import N

# What a member's place needs in order to be real, as expressions that are positive (strict) or not
# negative.
Need = tuple[sympy.Expr, bool]


def needs(value: sympy.Expr) -> Iterator[Need]:
    """What must be positive (True) or not negative (False) for a formula to be real."""
    for logarithm in value.atoms(sympy.log):
        yield logarithm.args[0], True
    for power in value.atoms(sympy.Pow):
        if power.exp.is_Rational and power.exp.q % 2 == 0 and power.base.is_real is not False:
            yield power.base, bool(power.exp < 0)


def condition_of(value: sympy.Expr) -> Any:
    """The condition on symbols under which a formula is real."""
    return sympy.And(*(part > 0 if strict else part >= 0 for part, strict in needs(value)))


def members(value: sympy.Expr) -> list[tuple[sympy.Expr, Any]]:
    """A formula as formulas whose integer is known to have one sign, each with its condition.

    A member on the edge, where a root or so vanishes, comes by itself: its kind is its own.
    """
    if not value.has(N):
        return [(value, sympy.true)]
    low, high, edges = -sympy.oo, sympy.oo, set[sympy.Expr]()
    for part, strict in needs(value):
        bounds = _bounds(part, strict) if part.free_symbols == {N} else None
        if bounds is None:
            continue
        low, high = max(low, bounds[0]), min(high, bounds[1])
        edges |= {b for b in bounds if b.is_finite and part.subs(N, b) == 0}
    alone = [b for b in sorted(edges) if low <= b <= high]
    low, high = low + int(low in alone), high - int(high in alone)
    found = [(value.subs(N, edge), sympy.true) for edge in alone]
    if low > high:
        return found
    return [*found, _restricted(value, low, high)]


def _restricted(value: sympy.Expr, low: sympy.Expr, high: sympy.Expr) -> tuple[sympy.Expr, Any]:
    """With an integer symbol of the same name that has the sign; the condition says its range."""
    signs = {
        "positive": low >= 1,
        "nonnegative": low == 0,
        "negative": high <= -1,
        "nonpositive": high == 0,
    }
    symbol = sympy.Symbol(N.name, integer=True, **{k: True for k, holds in signs.items() if holds})
    # Not evaluated: of a positive symbol sympy knows the condition, and would leave it out.
    conditions = [sympy.Ge(symbol, low, evaluate=False)] if low.is_finite else []
    conditions += [sympy.Le(symbol, high, evaluate=False)] if high.is_finite else []
    condition = sympy.And(*conditions, evaluate=False) if len(conditions) > 1 else None
    return value.subs(N, symbol), condition or (conditions or [sympy.true])[0]


def _bounds(part: sympy.Expr, strict: bool) -> tuple[sympy.Expr, sympy.Expr] | None:
    """The least and the largest integer at which an expression has the sign; None if unclear."""
    order = sympy.Dummy("order", real=True)
    try:
        relation = part.subs(N, order) > 0 if strict else part.subs(N, order) >= 0
        if relation in (sympy.true, sympy.false):
            return None
        where = relation.as_set()
    except (NotImplementedError, ValueError, TypeError):
        return None
    if not isinstance(where, sympy.Interval):
        return None
    low, high = where.start, where.end
    if low.is_finite:
        low = sympy.floor(low) + 1 if where.left_open else sympy.ceiling(low)
    if high.is_finite:
        high = sympy.ceiling(high) - 1 if where.right_open else sympy.floor(high)
    return low, high


def real_members(
    loss: sympy.Expr, symbol: sympy.Symbol, value: sympy.Expr
) -> Sequence[tuple[sympy.Expr, Any]]:
    """`members`, and even and odd ones apart where the loss is real at one half of them only."""
    if value.has(N) and not any(True for _ in needs(value)):
        parities = [value.subs(N, 2 * N + k) for k in (0, 1)]
        real = [loss.subs(symbol, half.subs(N, 1)).is_real is not False for half in parities]
        if not all(real):
            halves = [half for half, there in zip(parities, real, strict=True) if there]
            return [(sympy.simplify(half), sympy.true) for half in halves]
    return members(value)
