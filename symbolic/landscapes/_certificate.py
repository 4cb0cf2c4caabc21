"""Certificates of contraction and escape: one-point convexity and smoothness on an interval."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import sympy

from .._checks import read_expression, read_single, read_step, read_value
from .._errors import InvalidArgumentError, InvalidStepError, NotSolvedError
from ..roots._algebraic import points_of
from ..roots._closed_form import sign_of

Interval = tuple[sympy.Expr, sympy.Expr]


@dataclasses.dataclass(frozen=True)
class Certificate:
    r"""One-point strong convexity and smoothness with respect to one point, on an interval.

    .. math:: \mu\, (x - p)^2 \le f'(x) (x - p), \qquad |f'(x)| \le L |x - p|

    `symbolic.landscapes.certify` makes one.

    Attributes:
        at: ``p``.
        interval: Where the two inequalities hold.
        convexity: ``mu``, the best constant.
        smoothness: ``L``, the best constant.

    Example:
        >>> import sympy, symbolic
        >>> x = sympy.Symbol("x", real=True)
        >>> found = symbolic.landscapes.certify(x**2 / 2 + x**4 / 4, at=0, interval=(-1, 1))
        >>> found.convexity, found.smoothness, found.contraction_step
        (1, 2, 1/2)

    References:
        A. Mohtashami, M. Jaggi, S. Stich (2023), arXiv:2205.15142.
    """

    at: sympy.Expr
    interval: Interval
    convexity: sympy.Expr
    smoothness: sympy.Expr

    @property
    def contraction_step(self) -> sympy.Expr | None:
        """``2 mu / L^2``: smaller steps contract towards the point; None if ``mu <= 0``."""
        return 2 * self.convexity / self.smoothness**2 if self._is_convex else None

    @property
    def escape_step(self) -> sympy.Expr | None:
        """``2 / mu``: larger steps expand, and leave the interval in finite time; or None."""
        return 2 / self.convexity if self._is_convex else None

    @property
    def _is_convex(self) -> bool:
        return sign_of(self.convexity) == 1

    def contraction(self, step: Any) -> sympy.Expr:
        """``sqrt(1 - 2 h mu + h^2 L^2)``: a bound on how distances shrink in one step.

        Arguments:
            step: ``h``.

        Returns:
            A factor, below 1 exactly for ``h < contraction_step``.
        """
        h = read_step(step)
        return sympy.sqrt(1 - 2 * h * self.convexity + h**2 * self.smoothness**2)

    def expansion(self, step: Any) -> sympy.Expr:
        """``h mu - 1``: a bound from below on how distances grow in one step.

        Arguments:
            step: ``h``, beyond `escape_step`.

        Returns:
            A factor above 1.

        Raises:
            InvalidStepError: If the step does not expand.
        """
        h = read_step(step)
        if self.escape_step is None or sign_of(h - self.escape_step) != 1:
            raise InvalidStepError(
                f"the step {h} is not certain to expand. Take one beyond {self.escape_step}."
            )
        return h * self.convexity - 1


def certify(loss: Any, *, at: Any, interval: tuple[Any, Any], symbol: Any = None) -> Certificate:
    r"""Find the best constants of one-point convexity and smoothness on an interval.

    .. math:: \mu = \inf \frac{f'(x)}{x - p}, \qquad L = \sup \left|\frac{f'(x)}{x - p}\right|

    Between a global and a local minimum the conditions with respect to the two contradict each
    other, so no continuous slope has both everywhere: leave out a zone of transition. A step beyond
    ``2 / f''`` alone does *not* imply escape; orbits can be trapped.

    Arguments:
        loss: ``f``, a polynomial or a `sympy.Piecewise` of polynomials that is continuously
            differentiable, with rational coefficients.
        at: ``p``, a rational number; a critical point of the piece that holds it.
        interval: Two rational numbers, with ``p`` between them or outside.
        symbol: The variable; may be left out.

    Returns:
        Exact constants, and the steps that follow from them.

    Raises:
        InvalidArgumentError: If the slope does not vanish at the point while it is in the interval.
        NotSolvedError: If a piece is no polynomial.

    Example:
        >>> import sympy, symbolic
        >>> x = sympy.Symbol("x", real=True)
        >>> found = symbolic.landscapes.certify(10 * (x - 5) ** 2, at=5, interval=(4, 6))
        >>> found.escape_step, found.expansion(sympy.Rational(1, 5))
        (1/10, 3)

    References:
        A. Mohtashami, M. Jaggi, S. Stich (2023), arXiv:2205.15142.
    """
    expression = read_expression(loss)
    x = read_single(expression, symbol)
    if not isinstance(interval, Sequence) or len(interval) != 2:
        raise InvalidArgumentError(
            f"interval has two ends, got {interval!r}. Write for example interval=(-1, 1)."
        )
    p, lower, upper = (read_value(value, "at and interval") for value in (at, *interval))
    if not all(value.is_Rational for value in (p, lower, upper)) or lower >= upper:
        raise InvalidArgumentError(
            f"at and the ends of interval are rational numbers, the lower end first; got {at} and "
            f"{interval}. Write for example at=0, interval=(-1, 1)."
        )
    values: list[sympy.Expr] = []
    for slope, a, b in _pieces(sympy.diff(expression, x), x, lower, upper):
        values += _extremes(slope, x, p, a, b)
    least, largest = min(values, key=sympy.N), max(values, key=sympy.N)
    smoothness = max(abs(least), abs(largest), key=sympy.N)
    return Certificate(p, (lower, upper), least, smoothness)


def _pieces(
    slope: sympy.Expr, x: sympy.Symbol, lower: sympy.Expr, upper: sympy.Expr
) -> list[tuple[sympy.Expr, sympy.Expr, sympy.Expr]]:
    slope = sympy.piecewise_fold(slope)
    cases = slope.args if isinstance(slope, sympy.Piecewise) else ((slope, sympy.true),)
    found, covered = [], sympy.S.EmptySet
    for piece, condition in cases:
        where = sympy.S.Reals if condition is sympy.true else condition.as_set()
        part = sympy.Intersection(where - covered, sympy.Interval(lower, upper))
        covered = covered | where
        for one in part.args if isinstance(part, sympy.Union) else (part,):
            if isinstance(one, sympy.Interval) and one.start < one.end:
                if not piece.is_polynomial(x):
                    raise NotSolvedError(
                        f"the slope {piece} is no polynomial. Give a piecewise polynomial loss."
                    )
                found.append((piece, one.start, one.end))
    return found


def _extremes(
    slope: sympy.Expr, x: sympy.Symbol, p: sympy.Expr, a: sympy.Expr, b: sympy.Expr
) -> list[sympy.Expr]:
    """Values of f'(x) / (x - p) among which are its least and largest on [a, b]."""
    quotient = sympy.cancel(slope / (x - p))
    if a <= p <= b and not quotient.is_polynomial(x):
        raise InvalidArgumentError(
            f"the slope at {p} is {slope.subs(x, p)}, not 0, so the interval cannot hold it. Take "
            "a critical point, or an interval without the point."
        )
    t = sympy.Dummy("t")
    rise = sympy.fraction(sympy.cancel(sympy.diff(quotient, x)))[0]
    values = [quotient.subs(x, a), quotient.subs(x, b)]
    if rise.has(x):
        roots = sympy.Poly(rise.subs(x, t), t, domain=sympy.QQ)
        for point in points_of(roots, {x: sympy.Poly(t, t, domain=sympy.QQ)}):
            if sign_of(point.location[x] - a) == 1 and sign_of(b - point.location[x]) == 1:
                values.append(point.evaluate(quotient))
    return values
