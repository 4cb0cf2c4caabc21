"""Closed forms of the stochastic differential equation of SGD with weight decay."""

import dataclasses
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


def mean_alignment(start: Any, trace: Any, step: Any = eta, weight_decay: Any = lam) -> sympy.Expr:
    r"""Solve the SDE of SGD with weight decay and no loss for the mean direction.

    .. math:: \mathrm E \langle u_t, u_0 \rangle = e^{-\eta \lambda t} \frac{|W_0|}{|W_t|}

    The noise is isotropic along the sphere. From equilibrium on this is ``exp(-eta lam t)``: one
    over the intrinsic learning rate ``eta lam`` is the time in which directions are forgotten.

    Arguments:
        start: ``|W_0|``.
        trace: ``Tr Sigma`` of the gradient noise on the unit sphere.
        step: ``eta``.
        weight_decay: ``lam`` > 0.

    Returns:
        An expression in the time ``t``, the symbol `TIME`, in steps.

    Example:
        >>> import symbolic
        >>> found = symbolic.scale_invariant.mean_alignment(2, 8.45, 0.1, 0.5)
        >>> round(float(found.subs(symbolic.scale_invariant.TIME, 20)), 4)
        0.7148

    References:
        Z. Li, K. Lyu, S. Arora (2020), arXiv:2010.02916.
    """
    rate, decay = read_step(step), read_step(weight_decay, "weight_decay")
    norm = norm_fourth(start, trace, rate, decay) ** sympy.Rational(1, 4)
    return sympy.exp(-rate * decay * TIME) * read_step(start, "start") / norm


@dataclasses.dataclass(frozen=True)
class CircleEquilibrium:
    r"""The stationary law of the direction on the circle, with the loss ``-mu cos(angle)``.

    .. math:: p(\theta) = \frac{e^{\kappa \cos \theta}}{2 \pi I_0(\kappa)}, \qquad
        \kappa = \frac{2 \mu}{G \sigma^2}, \qquad G = \frac{\sqrt{2 \eta \lambda}}{\sigma}

    `symbolic.scale_invariant.circle_equilibrium` makes one.

    Attributes:
        effective_rate: ``G = eta / |W|^2`` at equilibrium.
        concentration: ``kappa`` of von Mises' law.
        mean_cosine: ``E cos(angle) = I_1(kappa) / I_0(kappa)``.

    Example:
        >>> import symbolic
        >>> found = symbolic.scale_invariant.circle_equilibrium(0.4, 1, 0.1, 0.5)
        >>> found.mean_cosine.n(4)
        0.7682

    References:
        Z. Li, K. Lyu, S. Arora (2020), arXiv:2010.02916.
    """

    effective_rate: sympy.Expr
    concentration: sympy.Expr
    mean_cosine: sympy.Expr


def circle_equilibrium(
    strength: Any, noise: Any, step: Any = eta, weight_decay: Any = lam
) -> CircleEquilibrium:
    r"""Find the stationary law of SGD with weight decay on the loss ``-mu cos(angle)``.

    .. math:: d\theta = -G \mu \sin\theta\, dt + G \sigma\, dB

    Arguments:
        strength: ``mu`` > 0.
        noise: ``sigma``, the standard deviation of the gradient's noise along the circle.
        step: ``eta``.
        weight_decay: ``lam`` > 0.

    Returns:
        Von Mises' law, and the effective rate that it holds at.

    Example:
        >>> import sympy, symbolic
        >>> mu, sigma = sympy.symbols("mu sigma", positive=True)
        >>> symbolic.scale_invariant.circle_equilibrium(mu, sigma).concentration
        sqrt(2)*mu/(sqrt(eta)*sqrt(lam)*sigma)

    References:
        Z. Li, K. Lyu, S. Arora (2020), arXiv:2010.02916.
    """
    mu, sigma = read_step(strength, "strength"), read_step(noise, "noise")
    product = read_step(step) * read_step(weight_decay, "weight_decay")
    rate = sympy.sqrt(2 * product) / sigma
    kappa = sympy.simplify(2 * mu / (rate * sigma**2))
    return CircleEquilibrium(rate, kappa, sympy.besseli(1, kappa) / sympy.besseli(0, kappa))
