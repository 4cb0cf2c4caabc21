"""Crises: the steps at which an attractor on the line is destroyed, merges, or opens."""

import dataclasses
from typing import Any

import mpmath
import sympy

from .._checks import read_count, read_expression, read_single, require_rational_polynomial
from .._errors import InvalidArgumentError, NotSolvedError, TooMuchWorkError
from ..roots._algebraic import points_of
from ..roots._closed_form import sign_of


@dataclasses.dataclass(frozen=True)
class Crisis:
    r"""A step at which an extreme of the map lands on an unstable orbit.

    .. math:: F'(c) = 0, \qquad F^n(c) = \text{target}

    Attributes:
        step: ``h``, exact, or to the digits asked for where the search was numerical.
        critical_point: ``c``, where ``h f''(c) = 1``.
        image: ``F^n(c)``.

    Example:
        >>> import sympy, symbolic
        >>> x = sympy.Symbol("x", real=True)
        >>> [c.step for c in symbolic.crisis((x**2 - 1) ** 2 / 4, after=2, target=0)]
        [-1 + 3*sqrt(3)/2]

    References:
        L. Chen, J. Bruna (2023), arXiv:2206.04172.
    """

    step: sympy.Expr
    critical_point: sympy.Expr
    image: sympy.Expr


def crisis(
    loss: Any,
    symbol: Any = None,
    *,
    after: int = 1,
    target: Any = None,
    period: int | None = None,
    near: Any = None,
    digits: int = 30,
    max_degree: int = 60,
) -> list[Crisis]:
    r"""Find the steps at which an extreme of the step map reaches a given point or cycle.

    .. math:: F^n(c) = x_\star \quad\text{or}\quad F^{n+p}(c) = F^n(c), \qquad h = \frac{1}{f''(c)}

    An interval that gradient descent maps into itself ends at images of an extreme ``c`` of the
    map. When such an image meets a local maximum of the loss, or a point of an unstable cycle, the
    interval opens (boundary crisis) or meets its mirror image (merging crisis). Since ``F'(c) = 0``
    gives ``h`` in terms of ``c``, that is one equation for ``c``.

    Arguments:
        loss: ``f`` of one variable; a polynomial with rational coefficients unless `near` is given.
        symbol: The variable; may be left out.
        after: ``n``, the number of steps from ``c`` to the target.
        target: ``x*``, a real number such as a local maximum; rational unless `near` is given.
        period: Instead of a target: the period ``p`` of the unstable orbit that is met.
        near: A point ``c`` to start from: one crisis is found numerically, for any smooth loss.
        digits: Decimal digits of a numerical result.
        max_degree: The bound on the degree of the equation for ``c``.

    Returns:
        All such crises with ``h > 0``, by increasing step; which of them ends an attractor is seen
        from the attractor. A symmetric loss gives each step once.

    Raises:
        InvalidArgumentError: If not exactly one of target and period is given.
        NotSolvedError: If the equation is no polynomial, or the search does not converge.
        TooMuchWorkError: If the degree would pass `max_degree`.

    Example:
        >>> import sympy, symbolic
        >>> x = sympy.Symbol("x", real=True)
        >>> [c.step for c in symbolic.crisis(x**2 / 2 + x**3 / 3, after=2, period=1)]
        [3]

    References:
        L. Chen, J. Bruna (2023), arXiv:2206.04172.
    """
    expression = read_expression(loss)
    x = read_single(expression, symbol)
    n = read_count(after, "after")
    if (target is None) == (period is None):
        raise InvalidArgumentError(
            "give either target=..., a point, or period=..., that of an unstable orbit."
        )
    aim = None if target is None else read_expression(target, "target")
    p = None if period is None else read_count(period, "period")
    if near is not None:
        return [_search(expression, x, n, aim, p, near, read_count(digits, "digits", 5))]
    if not expression.is_polynomial(x) or not (aim is None or aim.is_Rational):
        raise NotSolvedError(
            "the equation is solved exactly for polynomials and rational targets. Search from a "
            "point instead: near=1.5, say."
        )
    require_rational_polynomial(expression, x, "Search from a point: near=1.5, say.")
    degree = (sympy.degree(expression, x) - 1) ** (n + (p or 0))
    if degree > max_degree:
        raise TooMuchWorkError(
            f"the equation has degree {degree} and max_degree={max_degree}. Ask for it: "
            f"max_degree={degree}; or search from a point: near=1.5, say."
        )
    return _solve(expression, x, n, aim, p)


def _solve(
    loss: sympy.Expr, c: sympy.Symbol, n: int, aim: sympy.Expr | None, p: int | None
) -> list[Crisis]:
    slope, step = sympy.diff(loss, c), 1 / sympy.diff(loss, c, 2)
    orbit = [c]
    for _ in range(n + (p or 0)):
        orbit.append(sympy.cancel(orbit[-1] - step * slope.subs(c, orbit[-1])))
    equation = orbit[n] - aim if aim is not None else orbit[-1] - orbit[n]
    numerator = sympy.Poly(sympy.fraction(sympy.cancel(equation))[0], c)
    if p is not None:
        # Orbits that are periodic from the start are superstable, no crisis.
        early = sympy.fraction(sympy.cancel(orbit[-2] - orbit[n - 1]))[0]
        while not (common := sympy.gcd(numerator, sympy.Poly(early, c))).is_ground:
            numerator = numerator.quo(common)
    t = sympy.Dummy("t")
    roots = sympy.Poly(numerator.as_expr().subs(c, t), t, domain=sympy.QQ)
    found: dict[sympy.Expr, Crisis] = {}
    for point in points_of(roots, {c: sympy.Poly(t, t, domain=sympy.QQ)}):
        if sign_of(point.evaluate(1 / step)) == 1:
            value = point.evaluate(step)
            image = point.evaluate(orbit[n])
            found.setdefault(value, Crisis(value, point.location[c], image))
    return sorted(found.values(), key=lambda crisis: crisis.step.evalf(30))


def _search(
    loss: sympy.Expr,
    x: sympy.Symbol,
    n: int,
    aim: sympy.Expr | None,
    p: int | None,
    near: Any,
    digits: int,
) -> Crisis:
    slopes = sympy.lambdify(x, [sympy.diff(loss, x, k) for k in (1, 2)], "mpmath")
    with mpmath.workdps(digits + 15):
        goal = None if aim is None else mpmath.mpf(aim.evalf(digits + 15))

        def orbit(c: Any) -> list[Any]:
            step, points = 1 / slopes(c)[1], [c]
            for _ in range(n + (p or 0)):
                points.append(points[-1] - step * slopes(points[-1])[0])
            return points

        def defect(c: Any) -> Any:
            points = orbit(c)
            return points[n] - goal if goal is not None else points[-1] - points[n]

        try:
            start = mpmath.mpf(str(near))
            c = mpmath.findroot(defect, (start, start + mpmath.mpf("1e-6")), maxsteps=80)
        except (ValueError, ZeroDivisionError, OverflowError, TypeError) as error:
            raise NotSolvedError(
                f"no crisis was reached from near={near}. Give a closer point: it solves "
                "h f''(c) = 1 at the step in question."
            ) from error
        step = 1 / slopes(c)[1]
        if step <= 0:
            raise NotSolvedError(
                f"the solution reached from near={near} has the negative step "
                f"{mpmath.nstr(step, 8)}. Start where the loss is convex."
            )
        image = sympy.Float(orbit(c)[n], digits)
        return Crisis(sympy.Float(step, digits), sympy.Float(c, digits), image)
