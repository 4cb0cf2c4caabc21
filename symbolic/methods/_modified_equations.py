"""Modified equations: the flows that gradient descent follows to a higher order."""

from collections.abc import Sequence
from typing import Any

import sympy

from .._checks import read_count, read_expression, read_symbols
from .._errors import InvalidArgumentError, NonSmoothPointError, TooMuchWorkError
from ._recursion import modified_fields

Field = tuple[sympy.Expr, ...]
MAX_TERMS = 5000
MAX_ORDER = 24


def modified_equation(
    loss: Any,
    symbols: Any = None,
    order: int = 3,
    *,
    max_terms: int = MAX_TERMS,
    max_order: int = MAX_ORDER,
) -> list[Field]:
    r"""Expand the field that gradient descent follows, in powers of the step.

    .. math:: \dot x = \sum_{j=1}^{n} h^{j-1} f_j(x), \qquad f_1 = -\nabla E, \qquad
        f_j = -\sum_{i=2}^{j} \frac{1}{i!} \sum_{k_1 + \dots + k_i = j}
        D_{k_1} \cdots D_{k_{i-1}} f_{k_i}

    One step of gradient descent differs from the flow of ``n`` terms over the time ``h`` by
    ``O(h^(n+1))``. The series is asymptotic: beyond ``h lambda`` of about 1 more terms do not help.

    Arguments:
        loss: ``E``, as often differentiable as the order.
        symbols: The variables; default: all symbols. The others are parameters.
        order: ``n``, the number of terms.
        max_terms: The bound on the number of terms of any one component.
        max_order: The bound on the order.

    Returns:
        ``f_1, ..., f_n``, each with one expanded expression for every variable; ``f_j`` is in units
        of parameters per flow time to the power ``j``.

    Raises:
        TooMuchWorkError: If a component passes `max_terms`, or the order `max_order`.

    Example:
        >>> import sympy, symbolic
        >>> x = sympy.Symbol("x", real=True)
        >>> symbolic.modified_equation(x**4 / 4, order=4)
        [(-x**3,), (-3*x**5/2,), (-7*x**7/2,), (-39*x**9/4,)]

    References:
        E. Hairer, C. Lubich, G. Wanner (2006), Geometric Numerical Integration, chapter IX;
        D. Barrett, B. Dherin (2021), arXiv:2009.11162.
    """
    expression = read_expression(loss)
    chosen = read_symbols(expression, symbols)
    gradient = tuple(sympy.expand(-sympy.diff(expression, s)) for s in chosen)
    return modified_field(gradient, chosen, order, max_terms=max_terms, max_order=max_order)


def modified_field(
    field: Sequence[Any],
    symbols: Sequence[sympy.Symbol],
    order: int = 3,
    *,
    further: Sequence[Sequence[Any]] = (),
    max_terms: int = MAX_TERMS,
    max_order: int = MAX_ORDER,
) -> list[Field]:
    r"""Expand the field that a one-step method follows on any equation ``y' = f(y)``.

    .. math:: y + h f(y) + h^2 d_2(y) + \dots = \text{flow over } h \text{ of } \sum_j h^{j-1} f_j

    Euler's method has no further terms. Steps that are made of several, such as those of two
    players in turn or a pass over batches, have.

    Arguments:
        field: ``f``, one expression for every symbol; games have one that is no gradient.
        symbols: The variables.
        order: The number of terms.
        further: ``d_2, d_3, ...``, each like the field: what the step adds in powers of ``h``.
        max_terms: As in `symbolic.modified_equation`.
        max_order: As in `symbolic.modified_equation`.

    Returns:
        As in `symbolic.modified_equation`.

    Raises:
        TooMuchWorkError: If a component passes `max_terms`.
        InvalidArgumentError: If a field and the symbols differ in number.
        NonSmoothPointError: If the field has kinks.

    Example:
        >>> import sympy, symbolic
        >>> y = sympy.Symbol("y", real=True)
        >>> symbolic.modified_field([y**2], [y], 4)
        [(y**2,), (-y**3,), (3*y**4/2,), (-8*y**5/3,)]

    References:
        E. Hairer, C. Lubich, G. Wanner (2006), Geometric Numerical Integration, chapter IX.
    """
    n = read_count(order, "order")
    if n > max_order:
        raise TooMuchWorkError(
            f"order={n} is beyond max_order={max_order}, and the series diverges long before. Ask "
            f"for it: max_order={n}."
        )
    first, *others = (_read_field(part, symbols) for part in (field, *further))
    return modified_fields(n, first, _Calculus(tuple(symbols), max_terms), others)


def _read_field(field: Sequence[Any], symbols: Sequence[sympy.Symbol]) -> Field:
    components = tuple(sympy.expand(read_expression(f, "field")) for f in field)
    if len(components) != len(symbols):
        raise InvalidArgumentError(
            f"the field has {len(components)} components for {len(symbols)} symbols. Give one "
            "expression for every symbol."
        )
    kinks = (sympy.Abs, sympy.sign, sympy.Heaviside, sympy.Max, sympy.Min, sympy.Piecewise)
    if any(component.has(*kinks) for component in components):
        raise NonSmoothPointError(
            "the field has kinks, across which no modified equation holds. Give one smooth piece "
            "of the loss."
        )
    return components


class _Calculus:
    """Vector fields written out in sums of products."""

    def __init__(self, symbols: tuple[sympy.Symbol, ...], max_terms: int):
        self.symbols = symbols
        self.max_terms = max_terms

    def combine(self, terms: list[tuple[sympy.Expr, Field]]) -> Field:
        sums = [
            sympy.Add(*(factor * field[i] for factor, field in terms))
            for i in range(len(self.symbols))
        ]
        return tuple(self._written_out(component) for component in sums)

    def along(self, series: Field, field: Field) -> Field:
        return tuple(
            self._written_out(
                sympy.Add(*(g.diff(s) * f for s, f in zip(self.symbols, field, strict=True)))
            )
            for g in series
        )

    def _written_out(self, component: sympy.Expr) -> sympy.Expr:
        expanded = sympy.expand(component)
        if len(sympy.Add.make_args(expanded)) > self.max_terms:
            raise TooMuchWorkError(
                f"a component has more than max_terms={self.max_terms} terms. Ask for a lower "
                f"order, or for more: max_terms={4 * self.max_terms}."
            )
        return expanded
