"""Polynomials whose roots return after a given number of steps and not before."""

import sympy

from .._errors import InvalidStepError


def dynatomic_factors(step_map: sympy.Poly, x: sympy.Symbol, period: int) -> list[sympy.Poly]:
    """Irreducible factors of the polynomial whose roots have exactly this period, generically."""
    iterates = [sympy.Poly(x, x)]
    for _ in range(period):
        iterates.append(step_map.compose(iterates[-1]))
    remaining = iterates[period] - iterates[0]
    if remaining.is_zero:
        raise InvalidStepError(
            f"at this step every point returns after {period} steps, so there are no single orbits "
            "to list. Take another step."
        )
    for divisor in sympy.divisors(period)[:-1]:
        for factor in dynatomic_factors(step_map, x, divisor):
            while (division := sympy.div(remaining, factor))[1].is_zero:
                remaining = division[0]
    numerator = sympy.fraction(sympy.together(remaining.as_expr()))[0]
    return [sympy.Poly(factor, x) for factor, _ in sympy.factor_list(numerator)[1] if factor.has(x)]


def multiplier_modulo(factor: sympy.Poly, step_map: sympy.Poly, period: int) -> sympy.Poly:
    """The multiplier as a polynomial in the point, reduced modulo the orbit's equation."""
    (x,) = step_map.gens
    point, product = sympy.Poly(x, x), sympy.Poly(1, x)
    slope = step_map.diff(x)
    for _ in range(period):
        product = (product * slope.compose(point)).rem(factor)
        point = step_map.compose(point).rem(factor)
    return product
