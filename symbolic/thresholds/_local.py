"""The quadratic picture of a loss at one critical point: kind, eigenvalues, threshold."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import sympy

from .._errors import InvalidPointError, NonSmoothPointError, NotSolvedError
from ..roots._closed_form import sign_of, tidy
from ._flips import Flip, flip_at
from ._products import multiplied_out

MINIMUM, MAXIMUM, SADDLE, INFLECTION = "minimum", "maximum", "saddle", "inflection"
DEGENERATE, DEPENDS, NOT_SMOOTH = "degenerate", "depends on the parameters", "not smooth"
# A zero of higher order than this is left undecided.
_HIGHEST_DERIVATIVE = 24
_KINKS = (sympy.Abs, sympy.sign, sympy.Heaviside)


class Point(Protocol):
    """Somewhere that expressions can be evaluated exactly."""

    @property
    def location(self) -> Mapping[sympy.Symbol, sympy.Expr]:
        """The coordinates."""
        ...

    def evaluate(self, expression: sympy.Expr) -> sympy.Expr:
        """The exact value of an expression there."""
        ...

    def eigenvalues(self, matrix: sympy.Matrix) -> list[sympy.Expr]:
        """Those of a symmetric matrix of expressions."""
        ...


def eigenvalues_at(
    loss: sympy.Expr, symbols: Sequence[sympy.Symbol], point: Point
) -> tuple[sympy.Expr, ...]:
    """The Hessian's eigenvalues, smallest first where they can be compared."""
    require_smooth(loss, point)
    hessian = sympy.hessian(multiplied_out(loss, tuple(symbols)), symbols)
    if loss.is_polynomial(*symbols):
        return tuple(point.eigenvalues(hessian))
    # Before they are solved for: where an entry is infinite there may be none.
    if not all(_is_finite(point.evaluate(entry)) for entry in hessian):
        raise _not_smooth(loss, point)
    values = point.eigenvalues(hessian)
    if not all(_is_finite(value) for value in values):
        raise _not_smooth(loss, point)
    return tuple(values)


def require_smooth(loss: sympy.Expr, point: Point) -> None:
    """Refuse a point on a kink, or where the loss is not finite."""
    if loss.is_polynomial():
        return
    kinks = [k.args[0] for k in loss.atoms(*_KINKS)]
    for extreme in loss.atoms(sympy.Max, sympy.Min):
        first, *rest = extreme.args
        kinks += [first - other for other in rest]
    for piecewise in loss.atoms(sympy.Piecewise):
        for _, condition in piecewise.args:
            kinks += [relation.lhs - relation.rhs for relation in condition.atoms(sympy.Rel)]
    for kink in kinks:
        if sign_of(point.evaluate(kink)) == 0:
            raise _not_smooth(loss, point)
    slopes = [sympy.diff(loss, symbol) for symbol in point.location]
    if not all(_is_finite(point.evaluate(value)) for value in (loss, *slopes)):
        raise _not_smooth(loss, point)


def _is_finite(value: sympy.Expr) -> bool:
    bad = value.has(sympy.nan, sympy.oo, -sympy.oo, sympy.zoo, sympy.Derivative, sympy.DiracDelta)
    return not bad and value.is_real is not False


def _not_smooth(loss: sympy.Expr, point: Point) -> NonSmoothPointError:
    where = ", ".join(f"{symbol} = {value}" for symbol, value in point.location.items())
    return NonSmoothPointError(
        f"{loss} has no real second derivative at {where}, so no threshold there. Take a point "
        "inside a smooth piece, or replace the loss by that piece."
    )


def sharpness_of(eigenvalues: Sequence[sympy.Expr]) -> sympy.Expr:
    """The largest eigenvalue; a maximum of expressions where parameters leave it open."""
    if all(value.is_number for value in eigenvalues):
        return eigenvalues[-1]
    return sympy.Max(*eigenvalues)


def threshold_of(kind: str, sharpness: sympy.Expr) -> sympy.Expr | None:
    """``2 / lambda_max`` at a minimum, nothing elsewhere; every step where nothing is curved."""
    if kind not in {MINIMUM, DEPENDS} or (kind == DEPENDS and sharpness.is_nonpositive):
        return None
    return sympy.oo if sharpness == 0 else tidy(2 / sharpness)


def kind_of(
    loss: sympy.Expr,
    symbols: Sequence[sympy.Symbol],
    point: Point,
    eigenvalues: Sequence[sympy.Expr],
) -> str:
    """Minimum, maximum, saddle, inflection, degenerate, or dependent on parameters."""
    signs = {sign_of(value) for value in eigenvalues}
    if {1, -1} <= signs:
        return SADDLE
    if None in signs:
        return DEPENDS
    if signs == {1}:
        return MINIMUM
    if signs == {-1}:
        return MAXIMUM
    return _kind_of_flat_point(loss, symbols[0], point) if len(symbols) == 1 else DEGENERATE


def _kind_of_flat_point(loss: sympy.Expr, symbol: sympy.Symbol, point: Point) -> str:
    """The first derivative that does not vanish decides."""
    simple = multiplied_out(loss, (symbol,))
    for order in range(3, _HIGHEST_DERIVATIVE + 1):
        value = point.evaluate(sympy.diff(simple, symbol, order))
        sign = sign_of(value) if _is_finite(value) else None
        if sign is None:
            return DEPENDS if value.free_symbols else DEGENERATE
        if sign:
            return INFLECTION if order % 2 else MINIMUM if sign > 0 else MAXIMUM
    return DEGENERATE


def flip_of(
    loss: sympy.Expr,
    symbols: Sequence[sympy.Symbol],
    point: Point,
    eigenvalues: Sequence[sympy.Expr],
) -> Flip:
    """The flip at a minimum; raises where the top direction is not isolated."""
    if {sign_of(value) for value in eigenvalues} - {1, None}:
        raise InvalidPointError(
            "there is a flip at isolated minima with a positive definite Hessian only, and here "
            f"its eigenvalues are {', '.join(map(str, eigenvalues))}. Restrict the loss to a line "
            "or a smaller set of symbols across the manifold."
        )
    sharpness = sharpness_of(eigenvalues)
    if sum(value == sharpness for value in eigenvalues) != 1:
        raise NotSolvedError(
            f"no single eigenvalue is known to be the largest of {', '.join(map(str, eigenvalues))}"
            ". Put numbers for the parameters, or restrict the loss to one direction."
        )
    return flip_at(multiplied_out(loss, tuple(symbols)), symbols, point.evaluate, sharpness)
