"""The gradient flow of the Rayleigh quotient with weight decay, in closed form."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import sympy

from .._checks import read_step, read_values
from .._errors import InvalidArgumentError
from ._symbols import TIME, eta, lam


@dataclasses.dataclass(frozen=True)
class RayleighFlow:
    r"""The flow ``w' = -eta lam w - eta grad L(w)`` of ``L = w^T A w / w^T w``, in steps.

    .. math:: |w_t|^2 = e^{-2 \eta \lambda t} |w_0|^2, \qquad u_t \propto e^{-2 A \tau} u_0, \qquad
        \tau = \frac{e^{2 \eta \lambda t} - 1}{2 \lambda |w_0|^2}

    `symbolic.scale_invariant.rayleigh_flow` makes one.

    Attributes:
        inner_time: ``tau``, which grows exponentially: the direction converges faster than any
            exponential, where descent with the same decay never converges at all.
        weights: ``w_t`` in the eigenbasis of ``A``.

    Example:
        >>> import symbolic
        >>> flow = symbolic.scale_invariant.rayleigh_flow([1, 0], [1, 1], 0.1, 0.5)
        >>> flow.inner_time
        exp(t/10)/2 - 1/2

    References:
        Z. Li, K. Lyu, S. Arora (2020), arXiv:2010.02916.
    """

    inner_time: sympy.Expr
    weights: tuple[sympy.Expr, ...]


def rayleigh_flow(
    eigenvalues: Sequence[Any], start: Sequence[Any], step: Any = eta, weight_decay: Any = lam
) -> RayleighFlow:
    r"""Solve the gradient flow of the Rayleigh quotient with weight decay.

    .. math:: w' = -\eta \lambda w - \eta \nabla \frac{w^T A w}{w^T w}

    Arguments:
        eigenvalues: Of ``A``, real.
        start: ``w_0`` in the eigenbasis, as many numbers, not all zero.
        step: ``eta``.
        weight_decay: ``lam`` > 0.

    Returns:
        Expressions in the time ``t``, the symbol `TIME`, in steps.

    Raises:
        InvalidArgumentError: If eigenvalues and start differ in number, or the start is zero.

    Example:
        >>> import symbolic
        >>> flow = symbolic.scale_invariant.rayleigh_flow([3, 1, 0.2], [1, 0.7, -0.4], 0.3, 0.2)
        >>> [round(float(w.subs(symbolic.scale_invariant.TIME, 5)), 4) for w in flow.weights]
        [0.0022, 0.2208, -0.9256]

    References:
        Z. Li, K. Lyu, S. Arora (2020), arXiv:2010.02916.
    """
    values = read_values(eigenvalues, "an eigenvalue")
    first = read_values(start, "a coordinate")
    square = sum((w**2 for w in first), sympy.S.Zero)
    if len(values) != len(first) or square == 0:
        raise InvalidArgumentError(
            f"{len(values)} eigenvalues do not go with the start {list(start)}: give as many "
            "numbers, not all 0."
        )
    rate, decay = read_step(step), read_step(weight_decay, "weight_decay")
    inner = sympy.expand((sympy.exp(2 * rate * decay * TIME) - 1) / (2 * decay * square))
    turned = [w * sympy.exp(-2 * a * inner) for w, a in zip(first, values, strict=True)]
    length = sympy.sqrt(sum((w**2 for w in turned), sympy.S.Zero) / square)
    shrunk = sympy.exp(-rate * decay * TIME) / length
    return RayleighFlow(inner, tuple(shrunk * w for w in turned))
