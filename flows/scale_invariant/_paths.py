"""Norms and mean directions over the steps, where the gradient's length on the sphere is known."""

from typing import Any

import jax
import jax.numpy as jnp

from .._checks import one_of, positive_scalar, step_count
from .._custom_types import Array, Float, Scalar
from ..optimizers._schedules import Schedule, rate_schedule, rates_over
from ._equilibrium import MODELS


def norm_path(
    norm: float | Scalar,
    learning_rate: Schedule | float,
    weight_decay: Schedule | float,
    gradient_norm: Schedule | float,
    steps: int,
    *,
    model: str = "discrete",
) -> Float[Array, " points"]:
    r"""Compute ``|w|`` over the steps from the gradient's length on the unit sphere.

    .. math:: |w_{n+1}|^2 = (1 - q)^2 |w_n|^2 + \frac{\eta^2 s^2}{|w_n|^2}, \qquad
        |W_t|^4 = e^{-4 q t} |W_0|^4 + (1 - e^{-4 q t}) \frac{\eta s^2}{2 \lambda}

    The first, ``"discrete"``, is Pythagoras' theorem, exact for every path of a scale-invariant
    loss. The second, ``"sde"``, is the norm of the stochastic differential equation of first order,
    which has no noise of its own; rates that change count as constant during a step.

    Arguments:
        norm: ``|w_0|`` > 0.
        learning_rate: ``eta`` > 0: a number, an array with one a step, or a function of the step.
        weight_decay: ``lambda`` >= 0, of the same kinds.
        gradient_norm: ``s``, of the same kinds: the length of the gradient on the unit sphere, for
            the SDE the root of ``Tr Sigma``, which is ``sigma^2 (d - 1)`` for isotropic noise.
        steps: How many.
        model: ``"discrete"`` or ``"sde"``.

    Returns:
        ``|w_n|``, shape ``(steps + 1,)``.

    Raises:
        InvalidLearningRateError: If `norm`, `learning_rate` or `gradient_norm` is not positive.
        InvalidOptionError: If `weight_decay` is negative, or `model` is neither.
        InvalidStepsError: If `steps` is not an integer >= 0.

    Example:
        >>> import flows
        >>> norms = flows.scale_invariant.norm_path(1.5, 0.2, 0.25, 1.7, steps=1)
        >>> f"{float(norms[1]) ** 2:.5f}"
        '2.08200'

    References:
        Z. Li, K. Lyu, S. Arora (2020), arXiv:2010.02916.
    """
    one_of(model, MODELS, "model")
    start = positive_scalar(norm, "norm")
    eta, decay, count = _rates(learning_rate, weight_decay, steps)
    s = rates_over(rate_schedule(gradient_norm, "gradient_norm"), count)

    def discrete(r: Scalar, at: tuple[Scalar, ...]) -> tuple[Scalar, Scalar]:
        h, lam, length = at
        new = jnp.hypot((1 - h * lam) * r, h * length / r)
        return new, new

    def sde(r: Scalar, at: tuple[Scalar, ...]) -> tuple[Scalar, Scalar]:
        h, lam, length = at
        q4 = 4 * h * lam
        # (1 - e^-x) / x, which is 1 without weight decay.
        decaying = q4 > 0
        mean = jnp.where(decaying, -jnp.expm1(-q4) / jnp.where(decaying, q4, 1), 1)
        new = (jnp.exp(-q4) * r**4 + 2 * h**2 * length**2 * mean) ** 0.25
        return new, new

    _, path = jax.lax.scan(discrete if model == "discrete" else sde, start, (eta, decay, s))
    return jnp.concatenate([start[None], path])


def mean_alignment(
    norm: float | Scalar,
    learning_rate: Schedule | float,
    weight_decay: Schedule | float,
    gradient_norm: Schedule | float,
    steps: int,
    *,
    model: str = "discrete",
) -> Float[Array, " points"]:
    r"""Compute the mean cosine between the first direction and that after n steps, without a loss.

    .. math:: \mathrm E \langle u_n, u_0 \rangle = \frac{|w_0|}{|w_n|} \prod_{m < n} (1 - q_m),
        \qquad \mathrm E \langle u_t, u_0 \rangle = \frac{|W_0|}{|W_t|}\, e^{-q t}

    for tangential steps of known length in random directions. At equilibrium it is ``(1 - q)^n`` or
    ``exp(-q t)``: directions are forgotten within ``1 / q`` steps, whatever the learning rate.

    Arguments:
        norm: As in `norm_path`, and so are the others.
        learning_rate: ``eta``.
        weight_decay: ``lambda``.
        gradient_norm: ``s``.
        steps: How many.
        model: ``"discrete"`` or ``"sde"``.

    Returns:
        The mean cosine, shape ``(steps + 1,)``; 1 at the start.

    Raises:
        InvalidLearningRateError: If `norm`, `learning_rate` or `gradient_norm` is not positive.
        InvalidOptionError: If `weight_decay` is negative, or `model` is neither.
        InvalidStepsError: If `steps` is not an integer >= 0.

    Example:
        >>> import flows
        >>> balance = flows.scale_invariant.equilibrium(0.2, 0.25, 1.7)
        >>> cosines = flows.scale_invariant.mean_alignment(
        ...     balance.norm_fourth**0.25, 0.2, 0.25, 1.7, steps=15
        ... )
        >>> f"{float(cosines[15]):.4f}"
        '0.4633'

    References:
        Z. Li, K. Lyu, S. Arora (2020), arXiv:2010.02916.
    """
    norms = norm_path(norm, learning_rate, weight_decay, gradient_norm, steps, model=model)
    eta, decay, _ = _rates(learning_rate, weight_decay, steps)
    kept = jnp.cumprod(1 - eta * decay if model == "discrete" else jnp.exp(-eta * decay))
    return norms[0] / norms * jnp.concatenate([jnp.ones((1,), kept.dtype), kept])


def _rates(learning_rate: Any, weight_decay: Any, steps: Any) -> tuple[Array, Array, int]:
    count = step_count(steps)
    eta = rates_over(rate_schedule(learning_rate, "learning_rate"), count)
    decay = rates_over(rate_schedule(weight_decay, "weight_decay", zero=True), count)
    return eta, decay, count
