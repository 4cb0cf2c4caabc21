"""Where the growth of the norm, by gradients that are tangential, balances weight decay."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from .._checks import is_traced, non_negative, one_of, positive_scalar
from .._custom_types import Array, Float, Scalar
from .._errors import InvalidOptionError

MODELS = ("discrete", "sde")


class Equilibrium(eqx.Module):
    r"""The equilibrium of norm and weight decay; `flows.scale_invariant.equilibrium` makes one.

    .. math:: |w'|^2 = (1 - q)^2 |w|^2 + \frac{\eta^2 s^2}{|w|^2}

    Attributes:
        norm_fourth: ``|w|^4``, in units of the parameters to the fourth.
        effective_learning_rate: ``eta / |w|^2``, in units of one over ``s``.
        cosine: Of the angle between one direction and the next. Where these turn at random, its
            k-th power is the mean cosine over k steps.
        angle: That angle, in radians: about ``sqrt(2 q)``.
        slope: The factor by which a small deviation of ``|w|^2`` shrinks in a step; negative from
            ``q = 1 - 1 / sqrt(2)`` on, and -1 at ``q = 1``, where the norm goes back and forth.
        relaxation_time: In how many steps it shrinks by ``e``: about ``1 / (4 q)``.

    Example:
        >>> import flows
        >>> balance = flows.scale_invariant.equilibrium(0.1, 0.05, 1.0)
        >>> f"{float(balance.effective_learning_rate):.4f} {float(balance.relaxation_time):.1f}"
        '0.0999 49.6'

    References:
        Z. Li, K. Lyu, S. Arora (2020), arXiv:2010.02916.
    """

    norm_fourth: Float[Array, "*batch"]
    effective_learning_rate: Float[Array, "*batch"]
    cosine: Float[Array, "*batch"]
    angle: Float[Array, "*batch"]
    slope: Float[Array, "*batch"]
    relaxation_time: Float[Array, "*batch"]

    def time_from(self, norm: float | Array, rtol: float | Array = 0.05) -> Float[Array, "*batch"]:
        """How many steps until the effective learning rate is within `rtol` of its equilibrium.

        From the law of the SDE, ``|w|^4`` relaxing exponentially; 0 if it is there already.

        Arguments:
            norm: ``|w|`` at the start.
            rtol: The relative distance, between 0 and 1.
        """
        ratio = jnp.asarray(norm).astype(self.norm_fourth.dtype) ** 4 / self.norm_fourth
        # The rate goes with the root of |w|^4; the two ends of the interval lie differently.
        within = jnp.where(ratio > 1, (1 - rtol) ** -2 - 1, 1 - (1 + rtol) ** -2)
        return jnp.maximum(self.relaxation_time * jnp.log(jnp.abs(ratio - 1) / within), 0)


def equilibrium(
    learning_rate: float | Scalar,
    weight_decay: float | Scalar,
    gradient_norm: float | Scalar,
    *,
    model: str = "discrete",
) -> Equilibrium:
    r"""Predict norm, effective learning rate, angle and relaxation at equilibrium.

    .. math:: q = \eta \lambda, \qquad |w|^4 = \frac{\eta s^2}{\lambda (2 - q)}, \qquad
        \frac{\eta}{|w|^2} = \frac{\sqrt{q (2 - q)}}{s}, \qquad \cos = 1 - q

    for the steps; for the SDE, ``2`` in place of ``2 - q``, and ``exp(-q)`` for the cosine. The
    effective learning rate depends on ``q`` alone: the intrinsic learning rate.

    Arguments:
        learning_rate: ``eta`` > 0.
        weight_decay: ``lambda`` > 0, coupled, with ``eta lambda < 2``.
        gradient_norm: ``s`` > 0, the root of the mean of ``|g|^2`` on the unit sphere, ``g`` the
            gradient that is stepped along, with its noise: ``s^2 = Tr Sigma + |grad L|^2``. It is
            ``|w|`` times the length measured at ``w``.
        model: ``"discrete"`` or ``"sde"``, which differ by a relative ``q / 4`` in the rate.

    Returns:
        The `Equilibrium`.

    Raises:
        InvalidLearningRateError: If `learning_rate` or `gradient_norm` is not positive.
        InvalidOptionError: If `weight_decay` is not positive or too large, or `model` is neither.

    Example:
        Ten times the weight decay at a tenth of the learning rate: the same effective rate.

        >>> import flows
        >>> for eta, decay in ((0.1, 0.05), (0.01, 0.5)):
        ...     balance = flows.scale_invariant.equilibrium(eta, decay, 1.0, model="sde")
        ...     print(f"{float(balance.effective_learning_rate):.3f}")
        0.100
        0.100

    References:
        Z. Li, K. Lyu, S. Arora (2020), arXiv:2010.02916.
    """
    one_of(model, MODELS, "model")
    eta = positive_scalar(learning_rate, "learning_rate")
    s = positive_scalar(gradient_norm, "gradient_norm")
    decay = non_negative(weight_decay, "weight_decay", "weight_decay=5e-4")
    q = eta * decay
    if not is_traced(q) and not 0 < float(q) < 2:
        raise InvalidOptionError(
            f"there is an equilibrium for learning_rate * weight_decay above 0 and below 2, got "
            f"{float(q):.4g}. Write for example weight_decay={0.01 / float(eta):.2g}."
        )
    effective = jnp.sqrt(q * (2 - q if model == "discrete" else 2.0)) / s
    # cos(angle) = 1 - q is 2 sin(angle / 2)^2 = q, and that is exact for small q too.
    lost = q if model == "discrete" else -jnp.expm1(-q)
    slope = 2 * (1 - q) ** 2 - 1 if model == "discrete" else jnp.exp(-4 * q)
    return Equilibrium(
        norm_fourth=(eta / effective) ** 2,
        effective_learning_rate=effective,
        cosine=1 - lost,
        angle=2 * jnp.arcsin(jnp.sqrt(lost / 2)),
        slope=slope,
        relaxation_time=-1 / _log_modulus(slope, q, model),
    )


def _log_modulus(slope: Scalar, q: Scalar, model: str) -> Any:
    """``log |slope|``, right for small ``q``."""
    if model == "sde":
        return -4 * q
    small = -2 * q * (2 - q)
    near = slope > 0
    return jnp.where(near, jnp.log1p(jnp.where(near, small, 0)), jnp.log(jnp.abs(slope)))
