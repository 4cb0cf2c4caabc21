"""Orbits of any smooth loss, followed numerically to where their multiplier has a given value."""

from typing import Any

import mpmath
import sympy

from .._checks import read_count, read_expression, read_single, read_value
from .._errors import InvalidArgumentError, NotSolvedError, TooMuchWorkError


def orbit_step(
    loss: Any,
    period: int,
    multiplier: Any,
    near: tuple[Any, Any],
    *,
    symbol: Any = None,
    digits: int = 30,
    max_work: int = 200_000,
) -> tuple[sympy.Float, sympy.Float]:
    r"""Find to many digits where an orbit of one period has a given multiplier.

    .. math:: F^p(x) = x, \qquad \prod_{k < p} F'(F^k(x)) = m

    Multiplier 0 is superstable, -1 the start of period doubling, 1 a fold. (Where a symmetry breaks
    the multiplier is 1 too, but Newton's method, in point and step, is singular there:
    `symbolic.symmetric_cycle` has that step in closed form.) Works for every loss with three
    derivatives.

    Arguments:
        loss: ``f`` of one variable.
        period: ``p``.
        multiplier: ``m``, a real number.
        near: Point and step to start from.
        symbol: The variable; may be left out.
        digits: Decimal digits of the result.
        max_work: The bound on the period times the digits.

    Returns:
        Point and step.

    Raises:
        InvalidArgumentError: If the multiplier is no number.
        TooMuchWorkError: If the work would pass `max_work`.
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
    aim = read_value(multiplier, "multiplier")
    if not aim.is_number:
        raise InvalidArgumentError(
            f"the multiplier must be a number, got {aim}. Write for example multiplier=-1."
        )
    if p * places > max_work:
        raise TooMuchWorkError(
            f"{places} digits of an orbit of period {p} are more than max_work={max_work} pays "
            f"for. Ask for it: max_work={p * places}."
        )
    slopes = sympy.lambdify(x, [sympy.diff(expression, x, k) for k in (1, 2, 3)], "mpmath")
    # A symmetric orbit is a double root, which loses half of the digits: work with twice as many.
    with mpmath.workdps(2 * places + 15):
        goal = mpmath.mpf(aim.evalf(2 * places + 15))
        try:
            start = mpmath.matrix([mpmath.mpf(str(value)) for value in near])
            point, step = _newton(lambda at: _defect(slopes, at[0], at[1], p, goal), start, places)
        except (ValueError, ZeroDivisionError, OverflowError, TypeError) as error:
            raise NotSolvedError(
                f"no orbit of period {p} with multiplier {aim} was reached from near={near}. Give "
                "a closer point and step, for example from a simulation."
            ) from error
        lower = [
            d for d in sympy.divisors(p)[:-1] if abs(_after(slopes, point, step, d) - point) < 1e-9
        ]
        if lower or step <= 0:
            raise NotSolvedError(
                f"the orbit reached from near={near} has period {lower[0] if lower else p} at step "
                f"{mpmath.nstr(step, 8)}. Start nearer to the one that is meant."
            )
        return sympy.Float(point, places), sympy.Float(step, places)


def _defect(slopes: Any, start: Any, step: Any, period: int, goal: Any) -> tuple[Any, Any]:
    """What is missing from a cycle with this multiplier, and its derivatives by point and step."""
    point, product, by_point, by_step = start, mpmath.mpf(1), mpmath.mpf(1), mpmath.mpf(0)
    product_by_point = product_by_step = mpmath.mpf(0)
    for _ in range(period):
        first, second, third = slopes(point)
        factor, bend = 1 - step * second, -step * third
        product_by_point = product_by_point * factor + product * bend * by_point
        product_by_step = product_by_step * factor + product * (bend * by_step - second)
        product *= factor
        by_point, by_step = factor * by_point, factor * by_step - first
        point -= step * first
    matrix = mpmath.matrix([[by_point - 1, by_step], [product_by_point, product_by_step]])
    return mpmath.matrix([point - start, product - goal]), matrix


def _newton(defect: Any, at: Any, places: int) -> Any:
    """Newton's method, with shorter steps where whole ones lead away."""
    tolerance = mpmath.mpf(10) ** -(2 * places + 5)
    missing, matrix = defect(at)
    for _ in range(4 * places + 60):  # at a double root each step only halves the error
        size = mpmath.norm(missing)
        if size < tolerance:
            return at
        change = mpmath.lu_solve(matrix, -missing)
        missing, matrix = defect(at + change)
        for _ in range(20):
            if mpmath.norm(missing) < size:
                break
            change = change / 2
            missing, matrix = defect(at + change)
        at = at + change
    raise ValueError("Newton's method does not converge")


def _after(slopes: Any, point: Any, step: Any, count: int) -> Any:
    for _ in range(count):
        point -= step * slopes(point)[0]
    return point
