"""All critical points of a loss, with the step size at which each loses its stability."""

from collections.abc import Sequence
from typing import Any

import sympy

from .._checks import read_count, read_expression, read_symbols
from .._errors import InvalidArgumentError, NotSolvedError, TooMuchWorkError
from ..roots._closed_form import ClosedPoint
from ..roots._isolation import isolate_roots
from ..roots._one_variable import solve_for_one
from ..roots._systems import solve_system
from ._critical_point import critical_point_at
from ._families import real_members
from ._found import CriticalPoints
from ._local import Point
from ._manifolds import CriticalManifold, describe
from ._products import multiplied_out, size_multiplied_out

# What one unit of `max_work` pays for when a loss is multiplied out.
TERMS_PER_UNIT, DEGREE_PER_UNIT = 30, 3


def critical_points(
    loss: Any,
    symbols: Any = None,
    *,
    between: tuple[Any, Any] | None = None,
    max_work: int = 200,
) -> CriticalPoints:
    r"""Find every real critical point of a loss, and the step size up to which it is stable.

    .. math:: \nabla f(x) = 0

    Losses with rational derivatives and no parameters are solved completely, in any number of
    variables: coordinates are fractions or radicals where the algebra allows, and otherwise real
    roots of integer polynomials in certified intervals; `CriticalPoint.exact` says which. Sets of
    critical points that are not isolated come as one `CriticalManifold` each. Other losses of one
    variable go through sympy's solver; what it finds is compared with the sign changes of the
    derivative, counted numerically (in a period, or between -256 and 256), and what it missed is
    added. With `between`, interval arithmetic finds every simple root in the interval or raises.

    Arguments:
        loss: ``f``, a real scalar expression of sympy.
        symbols: The variables, declared real (or positive: then only such points count). Default:
            all symbols of the loss. The others are parameters.
        between: For a loss of one variable: two numbers, search only between them.
        max_work: The bound on the number of complex solutions that a polynomial system may have by
            its degrees (Bezout); a fifth of it bounds those that it has. With `between`, a hundred
            intervals are tried for each unit. Multiplied out, the loss may have 30 terms and
            degree 3 for each unit.

    Returns:
        The points from left to right (several variables: in no particular order), then manifolds:
        a list, with one attribute more, `incomplete`. It says what may be missing, and is empty
        where the numeric count agrees; else there is an `IncompleteWarning` too.

    Raises:
        NotSolvedError: If the equations are outside of what is solved; the message says what helps.
        TooMuchWorkError: If the work would pass `max_work`.

    Example:
        >>> import sympy, symbolic
        >>> x = sympy.Symbol("x", real=True)
        >>> for point in symbolic.critical_points((x**2 + 1) * (x - 1)**2 * (x - 2)**2):
        ...     print(point)
        x = 1: minimum, sharpness 4, threshold 1/2, supercritical flip
        x = 1.55613388291: maximum, sharpness -3.51531094193
        x = 2: minimum, sharpness 10, threshold 1/5, supercritical flip

    References:
        K. Nar, S. Sastry (2018), arXiv:1805.08890.
    """
    expression = read_expression(loss)
    chosen = read_symbols(expression, symbols)
    _require_few_terms(expression, chosen, read_count(max_work, "max_work"))
    simple = multiplied_out(expression, chosen)
    gradient = [sympy.diff(simple, symbol) for symbol in chosen]
    parameters = expression.free_symbols - set(chosen)
    numerators = [sympy.fraction(sympy.together(g)) for g in gradient]
    algebraic = all(n.is_polynomial(*chosen) and d.is_polynomial(*chosen) for n, d in numerators)
    rational = algebraic and all(_has_rational_coefficients(n, chosen) for n, _ in numerators)
    incomplete, conditions, manifolds = "", dict[sympy.Expr, Any](), list[CriticalManifold]()
    points: Sequence[Point]
    if between is not None:
        points = _between(gradient, chosen, parameters, between, max_work)
    elif rational and not parameters:
        found, sets = solve_system([n for n, _ in numerators], chosen, max_work)
        points = [p for p in found if all(p.evaluate(d) != 0 for _, d in numerators)]
        manifolds = [describe(expression, chosen, equations, max_work) for equations in sets]
    elif len(chosen) == 1:
        zeros, incomplete = solve_for_one(gradient[0], chosen[0], max_work)
        families = [f for zero in zeros for f in real_members(expression, chosen[0], zero)]
        conditions = {zero: condition for zero, condition in families}
        points = [ClosedPoint({chosen[0]: zero}) for zero in conditions]
    elif algebraic:
        points, sets = solve_system([n for n, _ in numerators], chosen, max_work)
        manifolds = [describe(expression, chosen, equations, max_work) for equations in sets]
    else:
        raise NotSolvedError(
            "the critical points of a loss of several variables are found where its derivatives "
            f"are rational, and {gradient} are not. Test a point you know with "
            "symbolic.threshold(loss, at)."
        )
    made = [
        critical_point_at(
            expression, chosen, point, conditions.get(point.location[chosen[0]], sympy.true)
        )
        for point in points
    ]
    listed = [point for point in made if point is not None]
    if len(chosen) == 1 and all(p.location[chosen[0]].is_comparable for p in listed):
        listed.sort(key=lambda p: p.location[chosen[0]].evalf(30))
    return CriticalPoints([*listed, *manifolds], incomplete)


def _require_few_terms(
    expression: sympy.Expr, symbols: Sequence[sympy.Symbol], max_work: int
) -> None:
    """Nested powers are short to write and endless to multiply out, so they are counted before."""
    degree, terms = size_multiplied_out(expression, symbols)
    needed = max(-(-terms // TERMS_PER_UNIT), -(-degree // DEGREE_PER_UNIT))
    if needed > max_work:
        raise TooMuchWorkError(
            f"multiplied out, the loss may have degree {degree} and {terms} terms, more than "
            f"max_work={max_work} pays for. Ask for it: max_work={needed}."
        )


def _has_rational_coefficients(numerator: sympy.Expr, symbols: Sequence[sympy.Symbol]) -> bool:
    return numerator == 0 or all(c.is_Rational for c in sympy.Poly(numerator, *symbols).coeffs())


def _between(
    gradient: list[sympy.Expr],
    symbols: Sequence[sympy.Symbol],
    parameters: set,
    between: tuple[Any, Any],
    max_work: int,
) -> list[ClosedPoint]:
    try:
        lower, upper = (sympy.Rational(str(end)) for end in between)
    except (TypeError, ValueError):
        lower = upper = sympy.S.Zero
    if len(symbols) != 1 or parameters or not lower < upper:
        raise InvalidArgumentError(
            "between=(a, b), two numbers with a < b, is for losses of one symbol without "
            "parameters. Leave it out, or put numbers for the other symbols."
        )
    roots = isolate_roots(gradient[0], symbols[0], lower, upper, max_work)
    return [ClosedPoint({symbols[0]: root}) for root in roots]
