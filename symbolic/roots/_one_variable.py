"""One equation that is not rational with rational numbers: sympy's solver, and its check."""

import sympy

from .._errors import NotSolvedError, TooMuchWorkError
from ._closed_form import tidy
from ._completed import completed
from ._exponentials import solve_in_exponential
from ._periods import N, needs_no_solver, zeros_of_one_period

MAX_OPERATIONS = 150  # of an equation that is solved without being asked for an interval


def solve_for_one(
    slope: sympy.Expr, symbol: sympy.Symbol, max_work: int
) -> tuple[list[sympy.Expr], str]:
    """Closed forms by sympy, with what it missed; and what may be missing still, in words."""
    # A factor without the variable moves no zero, and may hold the only parameters.
    factor = sympy.factor_terms(slope).as_independent(symbol, as_Add=False)[1]
    function = factor if factor.has(symbol) else slope
    whole = None
    long = sympy.count_ops(function) > MAX_OPERATIONS
    if function.free_symbols == {symbol} and not long:
        exact = solve_in_exponential(function, symbol)
        if exact is not None:
            return exact, ""
        whole = zeros_of_one_period(function, symbol, max_work)
        if whole is not None and needs_no_solver(function, symbol, whole):
            return [*whole], ""
    try:
        found = _by_solver(function, symbol)
    except (NotSolvedError, TooMuchWorkError):
        if whole is None:
            raise
        return [*whole], ""
    return completed(function, symbol, found, max_work)


def _by_solver(slope: sympy.Expr, symbol: sympy.Symbol) -> list[sympy.Expr]:
    if slope.is_polynomial(symbol):
        _require_radicals(slope, symbol)
    if sympy.count_ops(slope) > MAX_OPERATIONS:
        raise TooMuchWorkError(
            f"the derivative has more than {MAX_OPERATIONS} operations, which sympy's solver may "
            "not finish. Search an interval instead: between=(-10, 10)."
        )
    remedy = (
        "Search an interval: between=(-10, 10), with numbers for all parameters; or test a point "
        "you know with symbolic.threshold(loss, at)."
    )
    try:
        solutions = sympy.solveset(slope, symbol, sympy.S.Reals)
        located = _enumerate(solutions)
    except (NotImplementedError, ValueError, TypeError) as error:
        raise NotSolvedError(f"sympy cannot solve {slope} = 0. {remedy}") from error
    if located is None:
        raise NotSolvedError(f"sympy cannot solve {slope} = 0 in closed form. {remedy}")
    return located


def _require_radicals(slope: sympy.Expr, symbol: sympy.Symbol) -> None:
    """Cardano's formulas with parameters in them do not say which roots are real."""
    for factor, _ in sympy.factor_list(slope, symbol)[1]:
        polynomial = sympy.Poly(factor, symbol)
        if polynomial.degree() > 2 and len(polynomial.terms()) > 2:
            raise NotSolvedError(
                f"{factor} = 0 has degree {polynomial.degree()} with parameters or irrational "
                "numbers in it. Put rational numbers for the parameters, or test a point you know "
                "with symbolic.threshold(loss, at); numbers only: between=(-10, 10)."
            )


def _enumerate(solutions: sympy.Set) -> list[sympy.Expr] | None:
    """The elements of a set: finite, or in families with an integer symbol; None if not so."""
    if isinstance(solutions, sympy.Complement):  # minus the points where a denominator vanishes
        return _enumerate(solutions.args[0])
    if isinstance(solutions, sympy.Intersection):  # with the reals: a condition on parameters
        inner = [part for part in solutions.args if part != sympy.S.Reals]
        return _enumerate(inner[0]) if len(inner) == 1 else None
    if solutions is sympy.S.EmptySet:
        return []
    if isinstance(solutions, sympy.FiniteSet):
        return [tidy(value) for value in solutions]
    if isinstance(solutions, sympy.Union):
        parts = [_enumerate(part) for part in solutions.args]
        return None if None in parts else [value for part in parts for value in part or ()]
    if isinstance(solutions, sympy.ImageSet) and solutions.base_sets == (sympy.S.Integers,):
        return [tidy(solutions.lamda(N))]
    return None
