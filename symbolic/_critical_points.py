"""All critical points of a loss, with the step size at which each loses its stability."""

import dataclasses
import functools as ft
from collections.abc import Sequence
from typing import Any

import sympy

from ._algebraic import is_closed_form, isolating_interval
from ._checks import read_count, read_expression, read_symbols
from ._closed_form import ClosedPoint, sign_of, tidy
from ._errors import (
    InvalidArgumentError,
    InvalidPointError,
    NonSmoothPointError,
    NotSolvedError,
    TooMuchWorkError,
)
from ._flips import Flip
from ._isolation import isolate_roots
from ._local import (
    MINIMUM,
    NOT_SMOOTH,
    Point,
    eigenvalues_at,
    flip_of,
    kind_of,
    sharpness_of,
    threshold_of,
)
from ._manifolds import CriticalManifold, describe
from ._systems import solve_system

MAX_OPERATIONS = 150  # of a derivative that is handed to sympy's general solver


@dataclasses.dataclass(frozen=True)
class CriticalPoint:
    r"""One critical point: where, of what kind, and up to which step gradient descent stays there.

    .. math:: \nabla f(x) = 0, \qquad h_c = 2 / \lambda_{\max}(\nabla^2 f(x))

    `symbolic.critical_points` makes them.

    Attributes:
        loss: The loss.
        location: The coordinates by symbol, exact real numbers or expressions.
        value: The loss there.
        kind: ``"minimum"``, ``"maximum"``, ``"saddle"``, ``"inflection"``, ``"degenerate"``
            (flat directions leave it open), ``"not smooth"``, or ``"depends on the parameters"``.
        eigenvalues: Of the Hessian, smallest first where they can be compared.
        sharpness: The largest of them; None where the loss is not smooth.
        threshold: ``2 / sharpness`` in units of flow time; None where no step size is stable;
            infinity at a minimum without curvature.
        condition: What parameters must satisfy for the point to exist and, where a kind depends
            on them, to be a minimum; true where nothing is asked.

    Example:
        >>> import sympy, symbolic
        >>> x = sympy.Symbol("x", real=True)
        >>> print(symbolic.critical_points((x**2 - 1) ** 2 / 4)[0])
        x = -1: minimum, sharpness 2, threshold 1, supercritical flip

    References:
        K. Nar, S. Sastry (2018), arXiv:1805.08890.
    """

    loss: sympy.Expr
    location: dict[sympy.Symbol, sympy.Expr]
    value: sympy.Expr
    kind: str
    eigenvalues: tuple[sympy.Expr, ...]
    sharpness: sympy.Expr | None
    threshold: sympy.Expr | None
    condition: Any
    point: Point = dataclasses.field(repr=False)

    @property
    def exact(self) -> bool:
        """Whether the coordinates are closed forms; else roots in certified intervals."""
        return all(map(_is_written_out, self.location.values()))

    @ft.cached_property
    def flip(self) -> Flip | None:
        """What happens just past the threshold; None where `symbolic.flip` would refuse."""
        if self.kind != MINIMUM:
            return None
        try:
            return flip_of(self.loss, tuple(self.location), self.point, self.eigenvalues)
        except (InvalidPointError, NotSolvedError):
            return None

    def intervals(self, width: Any = 1e-10) -> dict[sympy.Symbol, tuple[sympy.Expr, sympy.Expr]]:
        """Certified rational bounds of every coordinate, at most `width` apart."""
        w = sympy.Rational(str(width))
        if w <= 0:
            raise InvalidArgumentError(f"width must be positive, got {width}. Write width=1e-10.")
        return {symbol: isolating_interval(v, w) for symbol, v in self.location.items()}

    def __str__(self) -> str:
        where = ", ".join(f"{symbol} = {short(v)}" for symbol, v in self.location.items())
        parts = [f"{where}: {self.kind}"]
        if self.sharpness is not None:
            parts.append(f"sharpness {short(self.sharpness)}")
        if self.threshold is not None:
            parts.append(f"threshold {short(self.threshold)}")
        if self.flip is not None:
            parts.append(f"{self.flip.kind} flip")
        if self.condition is not sympy.true:
            parts.append(f"if {self.condition}")
        return ", ".join(parts)


def critical_points(
    loss: Any,
    symbols: Any = None,
    *,
    between: tuple[Any, Any] | None = None,
    max_work: int = 200,
) -> list[CriticalPoint | CriticalManifold]:
    r"""Find every real critical point of a loss, and the step size up to which it is stable.

    .. math:: \nabla f(x) = 0

    Losses with rational derivatives and no parameters are solved completely, in any number of
    variables: coordinates are fractions or radicals where the algebra allows, and otherwise real
    roots of integer polynomials in certified intervals; `CriticalPoint.exact` says which. Sets of
    critical points that are not isolated come as one `CriticalManifold` each. Other losses of one
    variable go through sympy's solver, or, with `between`, through interval arithmetic, which
    finds every simple root in the interval or raises.

    Arguments:
        loss: ``f``, a real scalar expression of sympy.
        symbols: The variables, declared real (or positive: then only such points count). Default:
            all symbols of the loss. The others are parameters.
        between: For a loss of one variable: two numbers, search only between them.
        max_work: The bound on the number of complex solutions that a polynomial system may have by
            its degrees (Bezout); a fifth of it bounds those that it has. With `between`, a hundred
            intervals are tried for each unit.

    Returns:
        The points from left to right (several variables: in no particular order), then manifolds.

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
    read_count(max_work, "max_work")
    gradient = [sympy.diff(expression, symbol) for symbol in chosen]
    parameters = expression.free_symbols - set(chosen)
    numerators = [sympy.fraction(sympy.together(g)) for g in gradient]
    algebraic = all(n.is_polynomial(*chosen) and d.is_polynomial(*chosen) for n, d in numerators)
    rational = algebraic and all(_has_rational_coefficients(n, chosen) for n, _ in numerators)
    manifolds: list[CriticalManifold] = []
    points: Sequence[Point]
    if between is not None:
        points = _between(gradient, chosen, parameters, between, max_work)
    elif rational and not parameters:
        found, sets = solve_system([n for n, _ in numerators], chosen, max_work)
        points = [p for p in found if all(p.evaluate(d) != 0 for _, d in numerators)]
        manifolds = [describe(expression, chosen, equations, max_work) for equations in sets]
    elif len(chosen) == 1:
        points = _solve_for_one(gradient[0], chosen[0])
    elif algebraic:
        points, sets = solve_system([n for n, _ in numerators], chosen, max_work)
        manifolds = [describe(expression, chosen, equations, max_work) for equations in sets]
    else:
        raise NotSolvedError(
            "the critical points of a loss of several variables are found where its derivatives "
            f"are rational, and {gradient} are not. Test a point you know with "
            "symbolic.threshold(loss, at)."
        )
    made = [_make(expression, chosen, point) for point in points]
    listed = [point for point in made if point is not None]
    if len(chosen) == 1 and all(p.location[chosen[0]].is_comparable for p in listed):
        listed.sort(key=lambda p: p.location[chosen[0]].evalf(30))
    return [*listed, *manifolds]


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


def _solve_for_one(slope: sympy.Expr, symbol: sympy.Symbol) -> list[ClosedPoint]:
    if sympy.count_ops(slope) > MAX_OPERATIONS:
        raise TooMuchWorkError(
            f"the derivative has more than {MAX_OPERATIONS} operations, which sympy's solver may "
            "not finish. Search an interval instead: between=(-10, 10)."
        )
    remedy = (
        "Search an interval: between=(-10, 10), with numbers for all parameters; or test a point "
        "you know with symbolic.threshold(loss, at)."
    )
    try:
        solutions = sympy.solveset(slope, symbol, sympy.S.Reals)
        located = _enumerate(solutions)
    except (NotImplementedError, ValueError, TypeError) as error:
        raise NotSolvedError(f"sympy cannot solve {slope} = 0. {remedy}") from error
    if located is None:
        raise NotSolvedError(f"sympy cannot solve {slope} = 0 in closed form. {remedy}")
    return [ClosedPoint({symbol: value}) for value in located]


def _enumerate(solutions: sympy.Set) -> list[sympy.Expr] | None:
    """The elements of a set: finite, or in families with an integer symbol; None if not so."""
    if isinstance(solutions, sympy.Complement):  # minus the points where a denominator vanishes
        return _enumerate(solutions.args[0])
    if isinstance(solutions, sympy.Intersection):  # with the reals: a condition on parameters
        inner = [part for part in solutions.args if part != sympy.S.Reals]
        return _enumerate(inner[0]) if len(inner) == 1 else None
    if solutions is sympy.S.EmptySet:
        return []
    if isinstance(solutions, sympy.FiniteSet):
        return [tidy(value) for value in solutions]
    if isinstance(solutions, sympy.Union):
        parts = [_enumerate(part) for part in solutions.args]
        return None if None in parts else [value for part in parts for value in part or ()]
    if isinstance(solutions, sympy.ImageSet) and solutions.base_sets == (sympy.S.Integers,):
        n = sympy.Symbol("n", integer=True)
        return [tidy(solutions.lamda(n))]
    return None


def _make(loss: sympy.Expr, symbols: Sequence[sympy.Symbol], point: Point) -> CriticalPoint | None:
    location = dict(point.location)
    for symbol, value in location.items():
        if value.is_real is False or value.is_infinite:
            return None
        sign = sign_of(value) if symbol.is_nonnegative or symbol.is_nonpositive else None
        if sign is not None and not _admits(symbol, sign):
            return None
    value = point.evaluate(loss)
    if value.is_real is False:
        return None
    try:
        eigenvalues = eigenvalues_at(loss, symbols, point)
    except NonSmoothPointError:
        return CriticalPoint(loss, location, value, NOT_SMOOTH, (), None, None, sympy.true, point)
    kind = kind_of(loss, symbols, point, eigenvalues)
    sharpness = sharpness_of(eigenvalues)
    return CriticalPoint(
        loss,
        location,
        value,
        kind,
        eigenvalues,
        sharpness,
        threshold_of(kind, sharpness),
        _condition(location, eigenvalues, kind),
        point,
    )


def _admits(symbol: sympy.Symbol, sign: int) -> bool:
    if sign == 0:
        return symbol.is_nonzero is not True
    return (symbol.is_nonpositive if sign > 0 else symbol.is_nonnegative) is not True


def _condition(
    location: dict[sympy.Symbol, sympy.Expr], eigenvalues: Sequence[sympy.Expr], kind: str
) -> Any:
    conditions = []
    for value in location.values():
        for power in value.atoms(sympy.Pow):
            if power.exp.is_Rational and power.exp.q % 2 == 0 and power.base.is_real:
                conditions.append(power.base >= 0)
    if kind == "depends on the parameters":
        conditions += [value > 0 for value in eigenvalues if sign_of(value) is None]
    return sympy.And(*conditions)


def _is_written_out(value: sympy.Expr) -> bool:
    return is_closed_form(value) and not hasattr(value, "isolate")


def short(value: sympy.Expr) -> str:
    """A number as people read it: written out where that is short, else twelve digits."""
    text = str(value)
    if value.is_number and (not _is_written_out(value) or len(text) > 24):
        return str(value.evalf(12))
    return text
