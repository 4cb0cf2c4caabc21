"""Modified equations: the flows that gradient descent follows to a higher order."""

import itertools as it
from collections.abc import Sequence
from typing import Any

import sympy

from ._checks import exact, read_count, read_expression, read_symbols
from ._errors import InvalidArgumentError, NonSmoothPointError, TooMuchWorkError
from ._recursion import modified_fields

Field = tuple[sympy.Expr, ...]
MAX_TERMS = 5000


def modified_equation(
    loss: Any, symbols: Any = None, order: int = 3, *, max_terms: int = MAX_TERMS
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

    Returns:
        ``f_1, ..., f_n``, each with one expanded expression for every variable; ``f_j`` is in units
        of parameters per flow time to the power ``j``.

    Raises:
        TooMuchWorkError: If a component passes `max_terms`.

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
    return modified_field(gradient, chosen, order, max_terms=max_terms)


def modified_field(
    field: Sequence[Any],
    symbols: Sequence[sympy.Symbol],
    order: int = 3,
    *,
    max_terms: int = MAX_TERMS,
) -> list[Field]:
    r"""Expand the field that Euler's method follows on any equation ``y' = f(y)``.

    .. math:: y + h f(y) = \text{flow over } h \text{ of } \sum_j h^{j-1} f_j

    Arguments:
        field: ``f``, one expression for every symbol; games have one that is no gradient.
        symbols: The variables.
        order: The number of terms.
        max_terms: As in `symbolic.modified_equation`.

    Returns:
        As in `symbolic.modified_equation`.

    Raises:
        TooMuchWorkError: If a component passes `max_terms`.
        InvalidArgumentError: If field and symbols differ in number.
        NonSmoothPointError: If the field has kinks.

    Example:
        >>> import sympy, symbolic
        >>> y = sympy.Symbol("y", real=True)
        >>> symbolic.modified_field([y**2], [y], 4)
        [(y**2,), (-y**3,), (3*y**4/2,), (-8*y**5/3,)]

    References:
        E. Hairer, C. Lubich, G. Wanner (2006), Geometric Numerical Integration, chapter IX.
    """
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
    n = read_count(order, "order")
    return modified_fields(n, components, _Calculus(tuple(symbols), max_terms))


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


def curl(field: Sequence[Any], symbols: Sequence[sympy.Symbol]) -> tuple[sympy.Expr, ...]:
    r"""Tell whether a field is a gradient: all its components vanish exactly then.

    .. math:: \partial_i f_j - \partial_j f_i, \qquad i < j

    From order three on the terms of a modified equation have a curl in general, so that there is
    no modified loss beyond order two.

    Arguments:
        field: One expression for every symbol.
        symbols: The variables.

    Returns:
        The components for all pairs of symbols, expanded.

    Example:
        >>> import sympy, symbolic
        >>> x, y = sympy.symbols("x y", real=True)
        >>> first, second, third = symbolic.modified_equation(x**2 * y**2 / 2, order=3)
        >>> symbolic.curl(second, (x, y)), symbolic.curl(third, (x, y))
        ((0,), (-x**5*y/3 + x*y**5/3,))

    References:
        D. Barrett, B. Dherin (2021), arXiv:2009.11162.
    """
    pairs = it.combinations(range(len(symbols)), 2)
    return tuple(
        sympy.expand(sympy.diff(field[j], symbols[i]) - sympy.diff(field[i], symbols[j]))
        for i, j in pairs
    )


def modified_loss(loss: Any, symbols: Any = None, momentum: Any = 0) -> sympy.Expr:
    r"""Give the loss whose gradient flow descent follows to second order.

    .. math:: \tilde E = E + \frac{h}{4} \frac{1 + \beta}{(1 - \beta)^2} \|\nabla E\|^2

    With heavy-ball momentum ``b`` the flow is ``(1 - b) x' = -grad E~``. There is no such loss for
    order three in general: see `symbolic.curl`.

    Arguments:
        loss: ``E``.
        symbols: The variables; default: all symbols.
        momentum: ``b``, in [0, 1) or a symbol; 0 is gradient descent.

    Returns:
        An expression in the symbols and in ``h``, the positive symbol of that name.

    Example:
        >>> import sympy, symbolic
        >>> x = sympy.Symbol("x", real=True)
        >>> symbolic.modified_loss(x**2 / 2)
        h*x**2/4 + x**2/2

    References:
        D. Barrett, B. Dherin (2021), arXiv:2009.11162.
    """
    expression = read_expression(loss)
    chosen = read_symbols(expression, symbols)
    b = exact(sympy.sympify(momentum))
    if b.is_number and not 0 <= b < 1:
        raise InvalidArgumentError(
            f"momentum must be in [0, 1), got {momentum}. Write momentum=0.9."
        )
    h = sympy.Symbol("h", positive=True)
    square = sympy.Add(*(sympy.diff(expression, s) ** 2 for s in chosen))
    return expression + h * (1 + b) / (4 * (1 - b) ** 2) * square


def momentum_series(
    order: int = 3, lookahead: Any = None, momentum: Any = None
) -> list[sympy.Expr]:
    r"""Expand the slow rate of an optimizer with momentum on a quadratic.

    .. math:: \ln \mu = \sum_{j=1}^{n} c_j (h\lambda)^j, \qquad
        \mu^2 - (1 + \beta - h\lambda (1 + a)) \mu + \beta - h\lambda a = 0

    Arguments:
        order: ``n``.
        lookahead: ``a``: 0 is heavy ball, the momentum itself Nesterov's method; default: a symbol.
        momentum: ``b``; default: a symbol.

    Returns:
        ``c_1, ..., c_n``, per step, exact.

    Example:
        >>> import symbolic
        >>> symbolic.momentum_series(2, lookahead=0)
        [1/(momentum - 1), (momentum + 1)/(2*(momentum - 1)**3)]

    References:
        N. Kovachki, A. Stuart (2021), JMLR 22.
    """
    n = read_count(order, "order")
    b = exact(sympy.sympify(sympy.Symbol("momentum") if momentum is None else momentum))
    a = exact(sympy.sympify(sympy.Symbol("lookahead") if lookahead is None else lookahead))
    # With mu = 1 + u:  u (1 - b) = -u^2 - q (1 + (1 + a) u),  solved power by power.
    u: list[sympy.Expr] = [sympy.S.Zero]
    for k in range(1, n + 1):
        square = sum((u[i] * u[k - i] for i in range(1, k)), sympy.S.Zero)
        linear = (1 if k == 1 else 0) + (1 + a) * u[k - 1]
        u.append(sympy.factor(-(square + linear) / (1 - b)))
    # k ln_k = k u_k - sum_{i<k} i ln_i u_{k-i}
    log: list[sympy.Expr] = [sympy.S.Zero]
    for k in range(1, n + 1):
        earlier = sum((i * log[i] * u[k - i] for i in range(1, k)), sympy.S.Zero)
        log.append(sympy.factor(u[k] - earlier / k))
    return log[1:]


def log_map_weights(order: int) -> list[sympy.Expr]:
    r"""Give the weights with which ``n`` steps of any optimizer make its modified field.

    .. math:: h \tilde f = \sum_{k=1}^{n} \frac{(-1)^{k-1}}{k} \Delta^k y_0 + O(h^{n+1})

    Arguments:
        order: ``n``.

    Returns:
        The weights of ``y_0, ..., y_n``, exact; they add up to 0.

    Example:
        >>> import symbolic
        >>> symbolic.log_map_weights(3)
        [-11/6, 3, -3/2, 1/3]

    References:
        E. Hairer, C. Lubich, G. Wanner (2006), Geometric Numerical Integration, chapter IX.
    """
    n = read_count(order, "order")
    weights = [sympy.S.Zero] * (n + 1)
    for k in range(1, n + 1):
        for i in range(k + 1):
            sign = (-1) ** (k - 1) * (-1) ** (k - i)
            weights[i] += sympy.Rational(sign * sympy.binomial(k, i), k)
    return weights
