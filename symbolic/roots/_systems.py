r"""All real solutions of a polynomial system with rational coefficients.

The system is split along the factors of its Groebner basis. A part with finitely many complex
solutions is made radical and put in the shape ``x_i = g_i(t)``, ``q(t) = 0`` for a linear form
``t`` that separates the solutions: a solution is real exactly where ``t`` is. What is left are the
parts of positive dimension, which are returned as their equations.
"""

import itertools as it
from collections.abc import Sequence

import sympy

from .._errors import TooMuchWorkError
from ._algebraic import AlgebraicPoint, points_of
from ._closed_form import ClosedPoint, sign_of, tidy

QQ = sympy.QQ
MAX_CLOSED_FORMS = 12
# What one solution costs of `max_work`: linear algebra in as many dimensions as there are.
WORK_OF_A_SOLUTION = 5
Point = AlgebraicPoint | ClosedPoint


def solve_system(
    equations: Sequence[sympy.Expr],
    symbols: Sequence[sympy.Symbol],
    max_work: int,
) -> tuple[list[Point], list[list[sympy.Expr]]]:
    """Isolated real solutions, and the equations of each set of solutions that is not isolated.

    Symbols of the equations beside the variables are parameters; the solutions are then closed
    forms, valid for generic values of the parameters.
    """
    parameters = sorted(set().union(*(e.free_symbols for e in equations)) - set(symbols), key=str)
    domain = QQ.frac_field(*parameters) if parameters else QQ
    degrees = sorted(max(sympy.Poly(e, *symbols).total_degree(), 1) for e in equations if e != 0)
    # Bezout's bound; of more equations than unknowns, generic combinations count.
    work = degrees[0] * sympy.prod(degrees[1:][::-1][: len(symbols) - 1])
    if work > max_work:
        raise TooMuchWorkError(
            f"the system may have {work} solutions (Bezout's bound), more than "
            f"max_work={max_work}. Ask for it: max_work={work}."
        )
    points: list[Point] = []
    sets: list[list[sympy.Expr]] = []
    pending = [[e for e in equations if e != 0]]
    while pending:
        system = pending.pop()
        basis = sympy.groebner(system, *symbols, order="grevlex", domain=domain)
        if basis.exprs == [1]:
            continue
        if basis.is_zero_dimensional:
            count = _quotient_dimension(basis, symbols)
            if count > max_work // WORK_OF_A_SOLUTION:
                raise TooMuchWorkError(
                    f"the system has {count} complex solutions, more than max_work={max_work} pays "
                    f"for. Ask for it: max_work={count * WORK_OF_A_SOLUTION}."
                )
            solve = _in_closed_form if parameters else _isolated
            points += solve(basis, symbols)
            continue
        split = next((f for e in basis.exprs if len(f := _factors(e, symbols)) > 1), None)
        if split:
            pending += [[*basis.exprs, factor] for factor in split]
        elif (empty := _real_part(basis.exprs, symbols, max_work)) is not None:
            pending += empty
        else:
            reduced = [_factors(e, symbols)[0] for e in basis.exprs]
            basis = sympy.groebner(reduced, *symbols, order="grevlex", domain=domain)
            sets.append([sympy.fraction(sympy.together(e))[0] for e in basis.exprs])
    sets = _maximal(sets, symbols, domain)
    points = _distinct(points)
    return [p for p in points if not any(_lies_on(p, e) for e in sets)], sets


def _factors(expression: sympy.Expr, symbols: Sequence[sympy.Symbol]) -> list[sympy.Expr]:
    numerator = sympy.fraction(sympy.together(expression))[0]
    factors = [factor for factor, _ in sympy.factor_list(numerator)[1]]
    return [factor for factor in factors if factor.has(*symbols)]


def _in_closed_form(
    basis: sympy.GroebnerBasis, symbols: Sequence[sympy.Symbol]
) -> list[ClosedPoint]:
    if _quotient_dimension(basis, symbols) > MAX_CLOSED_FORMS:
        raise TooMuchWorkError(
            f"more than {MAX_CLOSED_FORMS} solutions with parameters in them are not written out. "
            "Put numbers for the parameters."
        )
    triangular = basis.fglm("lex").exprs
    found = []
    for solution in sympy.solve(triangular, symbols, dict=True):
        location = {s: tidy(solution[s]) for s in symbols}
        if all(value.is_real is not False for value in location.values()):
            found.append(ClosedPoint(location))
    return found


def _real_part(
    equations: Sequence[sympy.Expr], symbols: Sequence[sympy.Symbol], max_work: int
) -> list[list[sympy.Expr]] | None:
    """What to solve instead of an equation whose real solutions are fewer than its complex ones.

    None where the set is as large as it looks, or where that is not decided: several equations,
    parameters, or more work than allowed.
    """
    if any(sign_of(equation) in {1, -1} for equation in equations):
        return []
    if len(equations) != 1 or equations[0].free_symbols - set(symbols):
        return None
    (g,) = equations
    normal = [sympy.diff(g, s) for s in symbols]
    # A real set has a point nearest to any given one, where the normal points to that one.
    away = [s - sympy.Rational(1, 3 + 2 * i) for i, s in enumerate(symbols)]
    pairs = it.combinations(range(len(symbols)), 2)
    minors = [normal[i] * away[j] - normal[j] * away[i] for i, j in pairs]
    try:
        nearest, others = solve_system([g, *minors], symbols, max_work)
    except TooMuchWorkError:
        return None
    if others or any(p.evaluate(n) != 0 for p in nearest for n in normal):
        return None
    return [[g, *normal]] if nearest else []


def _lies_on(point: Point, equations: Sequence[sympy.Expr]) -> bool:
    return all(point.evaluate(equation) == 0 for equation in equations)


def _distinct(points: list[Point]) -> list[Point]:
    found: dict[tuple, Point] = {}
    for point in points:
        digits = tuple(str(v.evalf(40)) if v.is_number else str(v) for v in point.location.values())
        found.setdefault(digits, point)
    return list(found.values())


def _maximal(
    sets: list[list[sympy.Expr]],
    symbols: Sequence[sympy.Symbol],
    domain: sympy.polys.domains.Domain,
) -> list[list[sympy.Expr]]:
    """Only the sets that lie in no other one."""
    kept: list[list[sympy.Expr]] = []
    # Few equations cut out large sets: these first, then what they contain is seen.
    for candidate in sorted(sets, key=len):
        basis = sympy.groebner(candidate, *symbols, order="grevlex", domain=domain)
        if not any(all(basis.contains(e) for e in larger) for larger in kept):
            kept.append(candidate)
    return kept


def _isolated(basis: sympy.GroebnerBasis, symbols: Sequence[sympy.Symbol]) -> list[AlgebraicPoint]:
    # Adding the square-free polynomial of every coordinate makes the ideal radical (Seidenberg).
    extra = [_minimal_polynomial(s, basis, symbols)[0].sqf_part().as_expr() for s in symbols]
    # Each holds a dummy variable in the place of its symbol.
    radical = sympy.groebner(
        [*basis.exprs, *(e.subs(_T, s) for e, s in zip(extra, symbols, strict=True))],
        *symbols,
        order="grevlex",
        domain=QQ,
    )
    count = _quotient_dimension(radical, symbols)
    # Among these linear forms one separates any finite set: a polynomial in k has few zeros.
    k = 0
    polynomial, powers = _minimal_polynomial(symbols[0], radical, symbols)
    while polynomial.degree() < count:
        k += 1
        form = sum((k**i * s for i, s in enumerate(symbols)), sympy.Integer(0))
        polynomial, powers = _minimal_polynomial(form, radical, symbols)
    parametrisation = {s: _in_powers(s, powers, radical, symbols) for s in symbols}
    return points_of(polynomial, parametrisation)


_T = sympy.Dummy("t")


def _minimal_polynomial(
    element: sympy.Expr, basis: sympy.GroebnerBasis, symbols: Sequence[sympy.Symbol]
) -> tuple[sympy.Poly, list[dict]]:
    """The monic polynomial of least degree that vanishes on an element modulo the ideal."""
    powers = [_normal_form(sympy.Integer(1), basis, symbols)]
    current = sympy.Integer(1)
    while True:
        current = basis.reduce(sympy.expand(current * element))[1]
        form = _normal_form(current, basis, symbols, reduced=True)
        solution = _combine(powers, form)
        if solution is not None:
            degree = len(powers)
            tail = sum((c * _T**i for i, c in enumerate(solution)), sympy.Integer(0))
            return sympy.Poly(_T**degree - tail, _T, domain=QQ), powers
        powers.append(form)


def _normal_form(
    element: sympy.Expr,
    basis: sympy.GroebnerBasis,
    symbols: Sequence[sympy.Symbol],
    reduced: bool = False,
) -> dict:
    remainder = element if reduced else basis.reduce(element)[1]
    return sympy.Poly(remainder, *symbols, domain=QQ).as_dict()


def _combine(vectors: list[dict], target: dict) -> list[sympy.Rational] | None:
    """Coefficients of a vector in terms of linearly independent ones, if there are such."""
    rows = sorted(set(target).union(*vectors))
    columns = [*vectors, target]
    matrix = sympy.Matrix(len(rows), len(columns), lambda i, j: columns[j].get(rows[i], 0))
    reduced, pivots = sympy.polys.matrices.DomainMatrix.from_Matrix(matrix).to_field().rref()
    if len(vectors) in pivots:
        return None
    return [reduced.to_Matrix()[i, len(vectors)] for i in range(len(vectors))]


def _in_powers(
    symbol: sympy.Symbol,
    powers: list[dict],
    basis: sympy.GroebnerBasis,
    symbols: Sequence[sympy.Symbol],
) -> sympy.Poly:
    solution = _combine(powers, _normal_form(symbol, basis, symbols))
    assert solution is not None
    return sympy.Poly(sum(c * _T**i for i, c in enumerate(solution)), _T, domain=QQ)


def _quotient_dimension(basis: sympy.GroebnerBasis, symbols: Sequence[sympy.Symbol]) -> int:
    """The number of monomials that no leading monomial divides."""
    leading = [p.monoms(order="grevlex")[0] for p in basis.polys]
    bounds = [
        min(m[i] for m in leading if all(e == 0 for j, e in enumerate(m) if j != i))
        for i in range(len(symbols))
    ]
    return sum(
        not any(all(a >= b for a, b in zip(monomial, m, strict=True)) for m in leading)
        for monomial in it.product(*(range(bound) for bound in bounds))
    )
