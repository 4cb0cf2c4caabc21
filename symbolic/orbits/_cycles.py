"""Periodic orbits of gradient descent on the line: where, and at which steps they are stable."""

import dataclasses
import itertools as it
from typing import Any

import mpmath
import sympy

from .._checks import (
    read_count,
    read_expression,
    read_single,
    read_step,
    require_rational_polynomial,
)
from .._errors import InvalidArgumentError, TooMuchWorkError
from ..roots._algebraic import AlgebraicPoint, points_of
from ._dynatomic import dynatomic_factors, multiplier_modulo

QQ = sympy.QQ
_DIGITS = 40


@dataclasses.dataclass(frozen=True)
class Cycle:
    r"""A periodic orbit of ``F(x) = x - h f'(x)``, or a family of them over all steps.

    .. math:: F^p(x) = x, \qquad m = \prod_{k < p} F'(F^k(x)), \qquad |m| < 1 \text{ is stable}

    `symbolic.cycles` makes them.

    Attributes:
        period: ``p``, the least one.
        step: ``h``, a number, or the symbol for a family.
        equation: A polynomial in the variable that vanishes on the family's points; for one orbit,
            on its first point.
        points: The points in the order in which they are visited; empty for a family.
        multiplier: ``m``, over the whole period; None for a family whose orbits differ in it.
        stable_steps: For a family: the open intervals of steps with a stable orbit.
        superstable_steps: For a family: the steps at which ``m = 0`` for some real orbit.
        doubling_steps: For a family: those at which ``m = -1``: orbits of twice the period begin.

    Example:
        >>> import sympy, symbolic
        >>> x = sympy.Symbol("x", real=True)
        >>> h = sympy.Symbol("h", positive=True)
        >>> *_, cycle = symbolic.cycles((x**2 - 1) ** 2 / 4, x, 2, h)
        >>> cycle.stable_steps, sympy.factor(cycle.multiplier - 9 + 2 * (1 + h) ** 2)
        (((1, -1 + sqrt(5)),), 0)

    References:
        X. Chen, K. Balasubramanian, P. Ghosal, B. Agarwalla (2023), arXiv:2310.01687.
    """

    period: int
    step: sympy.Expr
    equation: sympy.Expr
    points: tuple[sympy.Expr, ...]
    multiplier: sympy.Expr | None
    stable_steps: tuple[tuple[sympy.Expr, sympy.Expr], ...]
    superstable_steps: tuple[sympy.Expr, ...]
    doubling_steps: tuple[sympy.Expr, ...]

    @property
    def stable(self) -> bool | None:
        """Whether the orbit attracts; None for a family."""
        if not self.points or self.multiplier is None:
            return None
        return bool(abs(self.multiplier.evalf(_DIGITS)) < 1)


def cycles(
    loss: Any, symbol: Any = None, period: int = 2, step: Any = None, *, max_degree: int = 81
) -> list[Cycle]:
    r"""Find all orbits of one period, of gradient descent on a polynomial in one variable.

    .. math:: \Phi_p(x) = \prod_{d | p} (F^d(x) - x)^{\mu(p/d)}, \qquad F(x) = x - h f'(x)

    Arguments:
        loss: ``f``, a polynomial with rational coefficients.
        symbol: The variable; may be left out where there is only one.
        period: ``p``, 1 or more.
        step: ``h``: a positive rational number, for the orbits at this step; or a symbol, for the
            families of orbits over all steps (each an irreducible factor of the polynomial above)
            with their exact intervals of stability. Default: the symbol ``h``.
        max_degree: The bound on the degree of ``F^p``; a family may have a third of it.

    Returns:
        The orbits from left to right by their first point, or the families. An orbit whose points
        have a lower period is not listed.

    Raises:
        NotSolvedError: If the loss is no polynomial; `symbolic.orbit_step` needs none.
        TooMuchWorkError: If the degree would pass `max_degree`.

    Example:
        >>> import sympy, symbolic
        >>> x = sympy.Symbol("x", real=True)
        >>> (orbit,) = symbolic.cycles(x**2 / 2 + x**4 / 4, x, 2, 1)
        >>> orbit.points, orbit.multiplier, orbit.stable
        ((-1, 1), 9, False)

    References:
        X. Chen, K. Balasubramanian, P. Ghosal, B. Agarwalla (2023), arXiv:2310.01687.
    """
    expression = read_expression(loss)
    x = read_single(expression, symbol)
    p = read_count(period, "period")
    h = read_step(sympy.Symbol("h", positive=True) if step is None else step)
    remedy = "Follow one orbit: symbolic.orbit_step(loss, period, multiplier, near=(x, h))."
    require_rational_polynomial(expression, x, remedy)
    if not (h.is_Rational or h.is_Symbol) or h == x:
        raise InvalidArgumentError(
            f"step must be a rational number or a symbol other than {x}, got {h}. Write for "
            "example step=sympy.Rational(11, 10)."
        )
    degree = max(sympy.degree(expression, x) - 1, 1) ** p
    if degree * (3 if h.is_Symbol else 1) > max_degree:
        least = degree * (3 if h.is_Symbol else 1)
        raise TooMuchWorkError(
            f"orbits of period {p} solve an equation of degree {degree}, too much for "
            f"max_degree={max_degree}. Ask for it: max_degree={least}; or follow one orbit with "
            "symbolic.orbit_step."
        )
    step_map = sympy.Poly(x - h * expression.diff(x), x)
    factors = dynatomic_factors(step_map, x, p)
    if h.is_Symbol:
        return [_family(factor, step_map, p, h) for factor in factors]
    return _orbits(factors, step_map, p, h)


def _orbits(
    factors: list[sympy.Poly], step_map: sympy.Poly, period: int, h: sympy.Expr
) -> list[Cycle]:
    (x,), t = step_map.gens, sympy.Dummy("t")
    # One orbit may have its points on several factors, so all of them are grouped together.
    equation = sympy.prod([factor.as_expr() for factor in factors]).subs(x, t)
    points = points_of(sympy.Poly(equation, t, domain=QQ), {x: sympy.Poly(t, t, domain=QQ)})
    found = []
    for orbit in _visit(points, step_map, x, period):
        own = sympy.Poly(orbit[0].minimal.as_expr().subs(t, x), x)
        multiplier = orbit[0].evaluate(multiplier_modulo(own, step_map, period).as_expr())
        locations = tuple(point.location[x] for point in orbit)
        found.append(Cycle(period, h, own.as_expr(), locations, multiplier, (), (), ()))
    return found


def _visit(
    points: list[AlgebraicPoint], step_map: sympy.Poly, x: sympy.Symbol, period: int
) -> list[list[AlgebraicPoint]]:
    """Group the points into orbits; each begins with its leftmost point."""
    digits = {id(p): p.location[x].evalf(_DIGITS) for p in points}
    left = sorted(points, key=lambda p: digits[id(p)])
    orbits = []
    while left:
        orbit = [left.pop(0)]
        for _ in range(period - 1):
            image = step_map.eval(digits[id(orbit[-1])])
            following = min(left, key=lambda p: abs(digits[id(p)] - image), default=None)
            if following is None:  # the factor holds orbits of a lower period at this step
                return orbits
            left.remove(following)
            orbit.append(following)
        orbits.append(orbit)
    return orbits


def _family(factor: sympy.Poly, step_map: sympy.Poly, period: int, h: sympy.Expr) -> Cycle:
    reduced = multiplier_modulo(factor, step_map, period)
    special = {c: _steps_with(factor, reduced, c, h) for c in (-1, 0, 1)}
    ends = sorted({*special[-1], *special[1]}, key=sympy.N)
    stable = []
    for lower, upper in it.pairwise([sympy.S.Zero, *ends, sympy.oo]):
        sample = _between(lower, upper)
        if any(abs(m) < 1 for m in _real_multipliers(factor, reduced, h, sample)):
            stable.append((lower, upper))
    own = sympy.factor(reduced.as_expr()) if reduced.degree() <= 0 else None
    real = {
        c: tuple(
            s
            for s in special[c]
            if any(abs(m - c) < 1e-9 for m in _real_multipliers(factor, reduced, h, s))
        )
        for c in (-1, 0)
    }
    return Cycle(period, h, factor.as_expr(), (), own, tuple(stable), real[0], real[-1])


def _steps_with(
    factor: sympy.Poly, reduced: sympy.Poly, value: int, h: sympy.Expr
) -> list[sympy.Expr]:
    """Positive steps at which some orbit of the family, real or not, has this multiplier."""
    x = factor.gen
    numerator = sympy.fraction(sympy.together(reduced.as_expr() - value))[0]
    condition = numerator
    if numerator.has(x):
        condition = sympy.resultant(factor.as_expr(), numerator, x)
    t = sympy.Dummy("t")
    polynomial = sympy.Poly(condition.subs(h, t), t, domain=QQ)
    if polynomial.is_zero or polynomial.degree() == 0:
        return []
    return sorted({r for r in polynomial.sqf_part().real_roots() if r.is_positive}, key=sympy.N)


def _between(lower: sympy.Expr, upper: sympy.Expr) -> sympy.Rational:
    if upper is sympy.oo:
        return sympy.Rational(lower.evalf(20)) + 1
    return sympy.Rational((lower + upper).evalf(25) / 2)


def _real_multipliers(
    factor: sympy.Poly, reduced: sympy.Poly, h: sympy.Expr, step: sympy.Expr
) -> list[Any]:
    """Multipliers of the real orbits at one step, as numbers."""
    with mpmath.workdps(_DIGITS):
        value = step.evalf(_DIGITS)
        coefficients = [mpmath.mpf(c.subs(h, value)) for c in factor.all_coeffs()]
        roots = mpmath.polyroots(coefficients, maxsteps=500, extraprec=400, error=False)
        slopes = [mpmath.mpf(c.subs(h, value)) for c in reduced.all_coeffs()]
        real = [r.real for r in roots if abs(mpmath.im(r)) < mpmath.mpf(10) ** -12]
        return [mpmath.polyval(slopes, r) for r in real]
