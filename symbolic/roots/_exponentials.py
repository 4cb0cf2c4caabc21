"""Equations that are rational in an exponential: solved by the roots of a polynomial."""

import sympy

from ._algebraic import points_of


def solve_in_exponential(function: sympy.Expr, symbol: sympy.Symbol) -> list[sympy.Expr] | None:
    """All real zeros of a rational function of ``exp(c x)``; None where it is none.

    With ``u = exp(c x)`` they are the logarithms of the positive roots of its numerator.
    """
    form = function.rewrite([sympy.sinh, sympy.cosh, sympy.tanh], sympy.exp)
    form = sympy.powsimp(sympy.expand(form, deep=True))
    powers = [e for e in form.atoms(sympy.exp) if e.has(symbol)]
    rates = [e.args[0].diff(symbol) for e in powers]
    if not rates or not all(r.is_Rational and r != 0 for r in rates):
        return None
    unit = sympy.Rational(
        sympy.igcd(0, *(r.p for r in rates)), sympy.ilcm(1, *(r.q for r in rates))
    )
    u = sympy.Dummy("u", positive=True)
    constants = [sympy.exp(e.args[0] - r * symbol) for e, r in zip(powers, rates, strict=True)]
    in_u = form.xreplace(
        {e: c * u ** (r / unit) for e, c, r in zip(powers, constants, rates, strict=True)}
    )
    if in_u.has(symbol):
        return None
    numerator, denominator = sympy.fraction(sympy.cancel(sympy.together(in_u)))
    if not numerator.is_polynomial(u) or not denominator.is_polynomial(u):
        return None
    polynomial = sympy.Poly(numerator, u)
    if not all(c.is_Rational for c in polynomial.coeffs()):
        return None
    found = points_of(polynomial.set_domain(sympy.QQ), {})
    return [sympy.log(p.root) / unit for p in found if p.root.is_positive]
