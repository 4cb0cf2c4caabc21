"""Schedules of learning rate and weight decay that lead the same way."""

import jax
import jax.numpy as jnp

from .._checks import is_traced, positive_scalar, step_count
from .._custom_types import Array, Float, Scalar
from .._errors import InvalidOptionError
from ..optimizers._schedules import Schedule, rate_schedule, rates_over


def equivalent_schedule(
    learning_rate: Schedule | float,
    weight_decay: Schedule | float,
    steps: int,
    *,
    new_weight_decay: Schedule | float = 0.0,
    scale: float | Scalar = 1.0,
) -> Float[Array, " steps"]:
    r"""Find the learning rates that lead the same way with another weight decay, or another norm.

    .. math:: \tilde\eta_n = \frac{\Phi_n \tilde P_n^2}{1 + \tilde\lambda_n \Phi_n \tilde P_n^2},
        \qquad \Phi_n = \frac{c^2 \eta_n}{a_n P_n^2}, \quad a_n = 1 - \eta_n \lambda_n, \quad
        P_n = \prod_{m < n} a_m

    with ``P~`` the same product for the new rates. On every scale-invariant loss, descent from
    ``w_0`` with ``eta`` and ``lambda`` has the same directions at every step as descent from
    ``c w_0`` with the new rates. Without the new weight decay that is an exponentially growing
    schedule, ``eta (1 - eta lambda)^(-2n - 1)`` for constant rates; with ``lambda / c^2`` and the
    scale ``c`` it is ``c^2 eta``.

    Arguments:
        learning_rate: ``eta`` > 0: a number, an array with one a step, or a function of the step.
        weight_decay: ``lambda`` >= 0, of the same kinds, with ``eta lambda < 1``.
        steps: For how many steps.
        new_weight_decay: The weight decay of the new run, of the same kinds.
        scale: ``c`` > 0, by which the new start is longer.

    Returns:
        The new learning rates, shape ``(steps,)``; not finite where numbers end, under a JAX
        transformation.

    Raises:
        InvalidLearningRateError: If `learning_rate` or `scale` is not positive.
        InvalidOptionError: If a weight decay is negative, ``eta lambda`` is not below 1, or the new
            rates overflow.
        InvalidStepsError: If `steps` is not an integer >= 0.

    Example:
        >>> import flows
        >>> [round(float(h), 4) for h in flows.scale_invariant.equivalent_schedule(0.5, 1.0, 3)]
        [1.0, 4.0, 16.0]

    References:
        Z. Li, S. Arora, An exponential learning rate schedule for deep learning (2019),
        arXiv:1910.07454.
    """
    count = step_count(steps)
    c = positive_scalar(scale, "scale")
    eta = rates_over(rate_schedule(learning_rate, "learning_rate"), count)
    decay = rates_over(rate_schedule(weight_decay, "weight_decay", zero=True), count)
    new_decay = rates_over(rate_schedule(new_weight_decay, "new_weight_decay", zero=True), count)
    largest = jnp.max(eta * decay, initial=0)
    if not is_traced(largest) and float(largest) >= 1:
        raise InvalidOptionError(
            f"learning_rate * weight_decay must be below 1, got {float(largest):.4g}: a step would "
            "reverse the direction. Take a smaller learning rate or weight decay."
        )

    def step(log_ratio: Scalar, at: tuple[Scalar, ...]) -> tuple[Scalar, Scalar]:
        """``log_ratio`` is that of ``c P~ / P``, so that long products do not overflow."""
        h, lam, new_lam = at
        log_a = jnp.log1p(-h * lam)
        log_step = jnp.log(h) - log_a + 2 * log_ratio
        effective = jnp.exp(log_step)
        # x / (1 + lam x), also where x overflows; 1 - that times lam is 1 / (1 + lam x).
        new = jnp.where(
            effective < 1, effective / (1 + new_lam * effective), 1 / (jnp.exp(-log_step) + new_lam)
        )
        log_new_a = -_log1p_exp(new_lam, log_step)
        return log_ratio + log_new_a - log_a, new

    _, rates = jax.lax.scan(step, jnp.log(c), (eta, decay, new_decay))
    if not is_traced(rates) and not bool(jnp.all(jnp.isfinite(rates))):
        good = int(jnp.argmin(jnp.isfinite(rates)))
        raise InvalidOptionError(
            f"the equivalent learning rates overflow {rates.dtype} at step {good} of {count}. Ask "
            f"for steps={good}, or keep some of the decay: new_weight_decay=..."
        )
    return rates


def _log1p_exp(factor: Scalar, exponent: Scalar) -> Scalar:
    """``log(1 + factor e^exponent)``."""
    there = factor > 0
    log_factor = jnp.log(jnp.where(there, factor, 1))
    return jnp.where(there, jnp.logaddexp(0.0, log_factor + exponent), 0)
