"""Logarithms of steps: the slow rate of momentum, and the weights of the log-map flow."""

from typing import Any

import sympy

from .._checks import read_count, read_value
from .._errors import InvalidArgumentError


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

    Raises:
        InvalidArgumentError: If the momentum is not in [0, 1).

    Example:
        >>> import symbolic
        >>> symbolic.momentum_series(2, lookahead=0)
        [1/(momentum - 1), (momentum + 1)/(2*(momentum - 1)**3)]

    References:
        N. Kovachki, A. Stuart (2021), JMLR 22.
    """
    n = read_count(order, "order")
    b = sympy.Symbol("momentum") if momentum is None else read_value(momentum, "momentum")
    a = sympy.Symbol("lookahead") if lookahead is None else read_value(lookahead, "lookahead")
    if b.is_number and not 0 <= b < 1:
        raise InvalidArgumentError(
            f"momentum must be in [0, 1), got {momentum}. Write momentum=0.9."
        )
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
