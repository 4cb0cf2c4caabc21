"""One critical point of a loss: where, of what kind, and the step size up to which it is stable."""

import dataclasses
import functools as ft
from collections.abc import Sequence
from typing import Any

import sympy

from .._errors import (
    InvalidArgumentError,
    InvalidPointError,
    NonSmoothPointError,
    NotSolvedError,
)
from ..roots._algebraic import isolating_interval
from ..roots._closed_form import sign_of
from ..roots._enclosures import decimal, is_opaque
from ._families import condition_of
from ._flips import Flip
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


@dataclasses.dataclass(frozen=True)
class CriticalPoint:
    r"""One critical point: where, of what kind, and up to which step gradient descent stays there.

    .. math:: \nabla f(x) = 0, \qquad h_c = 2 / \lambda_{\max}(\nabla^2 f(x))

    `symbolic.critical_points` makes them.

    Attributes:
        loss: The loss.
        location: The coordinates by symbol, exact real numbers or expressions; a family of points
            has an integer symbol ``n``, with the sign that the condition gives it.
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
        return not any(map(is_opaque, self.location.values()))

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
        try:
            w = sympy.Rational(str(width))
        except (TypeError, ValueError):
            w = sympy.S.Zero
        if w <= 0:
            raise InvalidArgumentError(
                f"width must be a positive number, got {width!r}. Write width=1e-10."
            )
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


def critical_point_at(
    loss: sympy.Expr, symbols: Sequence[sympy.Symbol], point: Point, exists: Any = sympy.true
) -> CriticalPoint | None:
    """The point with all that is known of it; None where symbol or loss do not admit it."""
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
        return CriticalPoint(loss, location, value, NOT_SMOOTH, (), None, None, exists, point)
    kind = kind_of(loss, symbols, point, eigenvalues)
    sharpness = sharpness_of(eigenvalues)
    threshold = threshold_of(kind, sharpness)
    return CriticalPoint(
        loss,
        location,
        value,
        kind,
        eigenvalues,
        sharpness,
        threshold,
        _condition(location, eigenvalues, threshold, exists),
        point,
    )


def _admits(symbol: sympy.Symbol, sign: int) -> bool:
    if sign == 0:
        return symbol.is_nonzero is not True
    return (symbol.is_nonpositive if sign > 0 else symbol.is_nonnegative) is not True


def _condition(
    location: dict[sympy.Symbol, sympy.Expr],
    eigenvalues: Sequence[sympy.Expr],
    threshold: sympy.Expr | None,
    exists: Any,
) -> Any:
    conditions = [condition_of(value) for value in location.values()]
    if threshold is not None:  # then it is a minimum where all of these are positive
        conditions += [value > 0 for value in eigenvalues if sign_of(value) is None]
    conditions = [c for c in conditions if c is not sympy.true]
    if exists is sympy.true:
        return sympy.And(*conditions)
    # Not evaluated: the symbol's own assumptions would make it true and invisible.
    return sympy.And(exists, *conditions, evaluate=False) if conditions else exists


def short(value: sympy.Expr) -> str:
    """A number as people read it: written out where that is short, else twelve digits."""
    if value.is_number and is_opaque(value):
        return str(decimal(value, 12))
    text = str(value)
    return str(value.evalf(12)) if value.is_number and len(text) > 24 else text
