"""Where a gradient of constant length balances weight decay."""

import dataclasses
from typing import Any

import sympy

from .._checks import read_step
from .._errors import InvalidArgumentError
from ._symbols import eta, lam, s


@dataclasses.dataclass(frozen=True)
class Equilibrium:
    r"""The norm at which a tangential gradient of constant length balances weight decay.

    .. math:: |w'|^2 = (1 - q)^2 |w|^2 + \frac{\eta^2 s^2}{|w|^2}

    Attributes:
        norm_fourth: ``|w|^4`` at equilibrium.
        sde_norm_fourth: The same for the stochastic differential equation of first order.
        slope: Of the map of ``|w|^2`` there: stable where its modulus is below 1.
        cosine: Of the angle between successive directions. Where these turn at random, its k-th
            power is the mean alignment of two directions k steps apart.
        effective_rate: ``eta / |w|^2``.

    Example:
        >>> import symbolic
        >>> symbolic.scale_invariant.equilibrium().cosine
        -eta*lam + 1

    References:
        Z. Li, K. Lyu, S. Arora (2020), arXiv:2010.02916.
    """

    norm_fourth: sympy.Expr
    sde_norm_fourth: sympy.Expr
    slope: sympy.Expr
    cosine: sympy.Expr
    effective_rate: sympy.Expr


def equilibrium(step: Any = eta, weight_decay: Any = lam, gradient: Any = s) -> Equilibrium:
    r"""Solve for the equilibrium of norm and weight decay.

    .. math:: |w|^4 = \frac{\eta s^2}{\lambda (2 - q)}, \qquad q = \eta \lambda

    Arguments:
        step: ``eta``.
        weight_decay: ``lam`` > 0.
        gradient: ``s``, the length of the gradient on the unit sphere (for isotropic noise of
            variance ``sigma^2`` in ``d`` dimensions ``s^2 = sigma^2 (d - 1)``).

    Returns:
        The equilibrium of the discrete dynamics, beside that of the SDE.

    Raises:
        InvalidStepError: If a value is not positive.
        InvalidArgumentError: If step times weight decay is 2 or more.

    Example:
        >>> import symbolic
        >>> round(float(symbolic.scale_invariant.equilibrium(0.2, 0.25, 1.7).norm_fourth), 5)
        1.18564

    References:
        Z. Li, K. Lyu, S. Arora (2020), arXiv:2010.02916.
    """
    rate, length = read_step(step), read_step(gradient, "gradient")
    decay = read_step(weight_decay, "weight_decay")
    product = rate * decay
    if (2 - product).is_positive is False:
        raise InvalidArgumentError(
            f"there is an equilibrium for step times weight decay below 2, got {product}. Take a "
            "smaller step."
        )
    v = sympy.Symbol("v", positive=True)
    image = (1 - product) ** 2 * v + rate**2 * length**2 / v
    square = rate * length**2 / (decay * (2 - product))  # v^2 with image(v) = v
    slope = sympy.simplify(sympy.diff(image, v).subs(v, sympy.sqrt(square)))
    return Equilibrium(
        square,
        rate * length**2 / (2 * decay),
        slope,
        1 - product,
        rate / sympy.sqrt(square),
    )
