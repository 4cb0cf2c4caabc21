"""Closed forms of the stochastic differential equation of SGD with weight decay."""

from typing import Any

import sympy

from .._checks import read_step
from ._symbols import TIME, eta, lam


def norm_fourth(start: Any, trace: Any, step: Any = eta, weight_decay: Any = lam) -> sympy.Expr:
    r"""Solve the SDE of SGD with weight decay for the norm, at constant noise on the sphere.

    .. math:: |W_t|^4 = e^{-4 \eta \lambda t} |W_0|^4
        + (1 - e^{-4 \eta \lambda t}) \frac{\eta \operatorname{Tr} \Sigma}{2 \lambda}

    The norm has no noise of its own.

    Arguments:
        start: ``|W_0|``.
        trace: ``Tr Sigma`` of the gradient noise on the unit sphere.
        step: ``eta``.
        weight_decay: ``lam`` > 0.

    Returns:
        An expression in the time ``t``, the symbol `TIME`, in steps.

    Example:
        >>> import symbolic
        >>> found = symbolic.scale_invariant.norm_fourth(2, 8.45, 0.1, 0.5)
        >>> round(float(found.subs(symbolic.scale_invariant.TIME, 20)), 4)
        1.1226

    References:
        Z. Li, K. Lyu, S. Arora (2020), arXiv:2010.02916.
    """
    rate, decay = read_step(step), read_step(weight_decay, "weight_decay")
    kept = sympy.exp(-4 * rate * decay * TIME)
    first = kept * read_step(start, "start") ** 4
    return first + (1 - kept) * rate * read_step(trace, "trace") / (2 * decay)
