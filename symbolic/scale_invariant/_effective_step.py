"""What the direction sees of step, weight decay and norm: the effective step."""

from typing import Any

import sympy

from .._checks import read_count, read_expression, read_step
from .._errors import InvalidArgumentError


def effective_step(
    step: Any,
    weight_decay: Any,
    norm_squared: Any,
    next_step: Any = None,
    next_decay: Any = None,
    *,
    power: int = 1,
) -> tuple[sympy.Expr, sympy.Expr]:
    r"""Give the effective step of descent with weight decay, and the factor of its schedule.

    .. math:: \Phi = \frac{\eta}{a r^{1 + \nu}}, \quad a = 1 - \eta \lambda, \qquad
        \Phi' = \frac{B\, \Phi}{|u - \Phi g|^{1 + \nu}}, \quad
        B = \frac{\eta'}{\eta\, a^\nu a'}, \qquad u' \propto u - \Phi g

    The direction ``u`` sees step and norm only through ``Phi``; ``g`` is the update at ``u``. For
    descent that is the gradient, orthogonal to ``u``, so ``|u - Phi g|^2 = 1 + Phi^2 |g|^2``.

    Arguments:
        step: ``eta``.
        weight_decay: ``lam``.
        norm_squared: ``r^2``.
        next_step: ``eta'`` of the next step; default: the same.
        next_decay: ``lam'`` of the next step; default: the same.
        power: ``nu``: the update is ``r^-nu`` times that at ``u``. 1 for descent, also with
            momentum; 0 for normalised updates such as Adam's without its ``eps``.

    Returns:
        ``Phi`` and ``B``. With ``B <= 1`` the effective step never grows.

    Example:
        >>> import sympy, symbolic
        >>> half = sympy.Rational(1, 2)
        >>> symbolic.scale_invariant.effective_step(half, half, 1)
        (2/3, 16/9)

    References:
        Z. Li, S. Arora (2019), arXiv:1910.07454.
    """
    first, decay = read_step(step), _decay(weight_decay)
    second = first if next_step is None else read_step(next_step, "next_step")
    following = decay if next_decay is None else _decay(next_decay)
    nu = read_count(power, "power", 0)
    a, after = _shrinking(first, decay), _shrinking(second, following)
    norm = read_step(norm_squared, "norm_squared") ** sympy.Rational(1 + nu, 2)
    return first / (a * norm), second / (first * a**nu * after)


def _decay(value: Any) -> sympy.Expr:
    expression = read_expression(value, "weight decay")
    if expression.is_negative:
        raise InvalidArgumentError(f"the weight decay must be 0 or more, got {value}. Write 0.")
    return expression


def _shrinking(rate: sympy.Expr, decay: sympy.Expr) -> sympy.Expr:
    """The factor ``a`` that weight decay multiplies the parameters by."""
    factor = 1 - rate * decay
    if factor.is_positive is False:
        raise InvalidArgumentError(
            f"step times weight decay must be below 1, got {rate * decay}. Take a smaller step."
        )
    return factor


def exponential_schedule(step: Any, weight_decay: Any, time: Any) -> sympy.Expr:
    r"""Give the learning rates without decay that lead the same way as a constant one with decay.

    .. math:: \eta_t = \eta\, (1 - \eta \lambda)^{-2t - 1}

    Arguments:
        step: ``eta``.
        weight_decay: ``lam``.
        time: ``t``, the number of the step, from 0.

    Returns:
        ``eta_t``: from the same start the directions agree at every step.

    Raises:
        InvalidStepError: If the step is not positive.
        InvalidArgumentError: If the decay is negative, or step times decay is not below 1.

    Example:
        >>> import sympy, symbolic
        >>> half = sympy.Rational(1, 2)
        >>> symbolic.scale_invariant.exponential_schedule(half, 1, 2)
        16

    References:
        Z. Li, S. Arora (2019), arXiv:1910.07454.
    """
    rate = read_step(step)
    t = read_expression(time, "time")
    return rate * _shrinking(rate, _decay(weight_decay)) ** (-2 * t - 1)
