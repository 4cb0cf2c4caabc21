"""Orbits of any smooth loss, followed numerically to where their multiplier has a given value."""

from typing import Any

import mpmath
import sympy

from ._checks import read_count, read_expression, read_single
from ._errors import NotSolvedError


def orbit_step(
    loss: Any,
    period: int,
    multiplier: Any,
    near: tuple[Any, Any],
    *,
    symbol: Any = None,
    digits: int = 30,
) -> tuple[sympy.Float, sympy.Float]:
    r"""Find to many digits where an orbit of one period has a given multiplier.

    .. math:: F^p(x) = x, \qquad \prod_{k < p} F'(F^k(x)) = m

    Multiplier 0 is superstable, -1 the start of period doubling, 1 a fold or the breaking of a
    symmetry. Works for every loss with three derivatives; Newton's method in point and step.

    Arguments:
        loss: ``f`` of one variable.
        period: ``p``.
        multiplier: ``m``, a real number.
        near: Point and step to start from.
        symbol: The variable; may be left out.
        digits: Decimal digits of the result.

    Returns:
        Point and step.

    Raises:
        NotSolvedError: If Newton's method does not converge from there, or finds a lower period.

    Example:
        >>> import sympy, symbolic
        >>> x = sympy.Symbol("x", real=True)
        >>> symbolic.orbit_step((x**2 - 1) ** 2 / 4, 2, 0, near=(0.6, 1.1))[1].n(10)
        1.121320344

    References:
        L. Chen, J. Bruna (2023), arXiv:2206.04172.
    """
    expression = read_expression(loss)
    x = read_single(expression, symbol)
    p, places = read_count(period, "period"), read_count(digits, "digits", 5)
    aim = read_expression(multiplier, "multiplier")
    slopes = sympy.lambdify(x, [sympy.diff(expression, x, k) for k in (1, 2)], "mpmath")
    with mpmath.workdps(places + 15):

        def defect(point: Any, step: Any) -> list[Any]:
            current, product = point, mpmath.mpf(1)
            for _ in range(p):
                first, second = slopes(current)
                product *= 1 - step * second
                current -= step * first
            return [current - point, product - mpmath.mpf(aim.evalf(places + 15))]

        try:
            start = [mpmath.mpf(str(value)) for value in near]
            solution = mpmath.findroot(
                defect, start, tol=mpmath.mpf(10) ** -(2 * places), maxsteps=60
            )
        except (ValueError, ZeroDivisionError, OverflowError, TypeError) as error:
            raise NotSolvedError(
                f"no orbit of period {p} with multiplier {aim} was reached from near={near}. Give "
                "a closer point and step, for example from a simulation."
            ) from error
        point, step = solution[0], solution[1]
        lower = [
            d for d in sympy.divisors(p)[:-1] if abs(_after(slopes, point, step, d) - point) < 1e-9
        ]
        if lower or step <= 0:
            raise NotSolvedError(
                f"the orbit reached from near={near} has period {lower[0] if lower else p} at step "
                f"{mpmath.nstr(step, 8)}. Start nearer to the one that is meant."
            )
        return sympy.Float(point, places), sympy.Float(step, places)


def _after(slopes: Any, point: Any, step: Any, count: int) -> Any:
    for _ in range(count):
        point -= step * slopes(point)[0]
    return point
