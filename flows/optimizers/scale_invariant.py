"""Gradient descent with weight decay on scale-invariant losses, as direction and norm."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from .._checks import non_negative
from .._custom_types import Integer, Params, Scalar
from .._objective import Objective
from .._vectors import add_scaled, norm, real_dtype, scaled, select
from ._base import AbstractOptimizer
from ._drift import direction
from ._invariance import require
from ._references import LI_2020
from ._schedules import Schedule, rate_at, rate_schedule


class ScaleInvariantState(eqx.Module):
    """Direction and norm, kept apart, and what the last step did.

    Attributes:
        unit: ``u``, the parameters over their norm.
        log_norm: ``log r``.
        step: How many steps were made.
        learning_rate: That of the next step.
        slope: The direction of the last gradient that was not lost to rounding, of length 1.
        angle: Between the last two directions, in radians.
        clamped: Whether the last gradient was lost, 1 or 0.
    """

    unit: Params
    log_norm: Scalar
    step: Integer
    learning_rate: Scalar
    slope: Params
    angle: Scalar
    clamped: Scalar


class ScaleInvariantDescent(AbstractOptimizer):
    r"""Gradient descent with weight decay on a scale-invariant loss, in direction and norm.

    .. math:: w_{n+1} = (1 - \eta_n \lambda_n)\, w_n - \eta_n \nabla L(w_n)

    computed as ``w = r u`` with ``|u| = 1``, ``g`` the gradient at ``u`` and
    ``a = 1 - eta lambda``:

    .. math:: u' \propto u - \Phi g, \qquad r'^2 = r^2 a^2 (1 + \Phi^2 |g|^2), \qquad
        \Phi = \frac{\eta}{a r^2}

    The state holds ``u`` and ``log r``, so that neither the square of a norm nor that of a gradient
    is ever formed: nothing under- or overflows under schedules that change the norm by hundreds of
    decades. Near a minimum, descent with weight decay approaches the minimum for about
    ``1 / (eta lambda)`` steps until its effective step is too large, and moves away again. A
    gradient that becomes zero in between, because numbers end, would never come back, and the norm
    would decay to zero. Here a gradient shorter than `floor` counts as one of that length, in the
    direction of the last one that was longer. One step costs one gradient and takes the time 1:
    schedules count steps.

    `flows.iterate` measures first that the loss is scale invariant (not under a JAX
    transformation), and records ``norm``, ``effective_learning_rate`` (``eta_n / |w_n|^2``),
    ``angle`` (of the step that ended there, in radians) and ``clamped`` (1 where that step's
    gradient was below the floor) at every step.

    Attributes:
        learning_rate: ``eta`` > 0: a number, an array with one for each step (afterwards the last
            one holds), or a function of the number of the step, from 0, that JAX can trace.
        weight_decay: ``lambda`` >= 0, coupled (it is multiplied by ``eta``): of the same kinds.
        floor: The length of the gradient at ``u`` below which it counts as lost, a number >= 0.
            None: the smallest normal number over the rounding unit, 1e-292 in float64 and 1e-31 in
            float32, below which a gradient loses digits.

    Raises:
        InvalidLearningRateError: If `learning_rate` is none of these, or not positive.
        InvalidOptionError: If `weight_decay` or `floor` is negative, or none of these.
        NotScaleInvariantError: From the drivers, if the loss is not scale invariant.
        InvalidParametersError: From the drivers, if the parameters are zero.

    Example:
        The exact two-cycle on ``x^2 / (x^2 + y^2)``: the squared norm is ``eta``.

        >>> import jax.numpy as jnp
        >>> import flows
        >>> plane = flows.problems.scale_invariant_plane()
        >>> start = jnp.sqrt(0.1) * jnp.array([0.025**0.5, 0.975**0.5])
        >>> optimizer = flows.ScaleInvariantDescent(learning_rate=0.1, weight_decay=0.5)
        >>> run = flows.iterate(plane.loss, start, optimizer, steps=2)
        >>> bool(jnp.allclose(run.params[1], start * jnp.array([-1.0, 1.0]), rtol=1e-5))
        True
        >>> bool(jnp.allclose(run.diagnostics["effective_learning_rate"], 1.0, rtol=1e-5))
        True

    References:
        Z. Li, K. Lyu, S. Arora (2020), arXiv:2010.02916. The effective step: Z. Li, S. Arora
        (2019), arXiv:1910.07454.
    """

    references: ClassVar[tuple[str, ...]] = (LI_2020,)
    learning_rate: Schedule = eqx.field(converter=lambda h: rate_schedule(h, "learning_rate"))
    weight_decay: Schedule = eqx.field(
        converter=lambda w: rate_schedule(w, "weight_decay", zero=True), default=0.0
    )
    floor: Scalar | None = eqx.field(
        converter=lambda f: None if f is None else non_negative(f, "floor", "floor=1e-30"),
        default=None,
        kw_only=True,
    )

    def check(self, objective: Objective, params: Params) -> None:
        """Raise a `NotScaleInvariantError` unless the loss is scale invariant."""
        require(objective, params)

    def init(self, params: Params) -> ScaleInvariantState:
        """Before the first step."""
        dtype = real_dtype(params)
        unit, length = direction(params)
        zero = jnp.zeros((), dtype)
        rate = rate_at(self.learning_rate, jnp.asarray(0)).astype(dtype)
        return ScaleInvariantState(
            unit, jnp.log(length), jnp.asarray(0), rate, scaled(0.0, params), zero, zero
        )

    def step(
        self, objective: Objective, state: ScaleInvariantState, gradient: Params | None = None
    ) -> ScaleInvariantState:
        """One step: the direction turns towards the descent, the norm follows Pythagoras."""
        if gradient is None:
            gradient = objective.gradient(self.params(state))
        dtype = state.log_norm.dtype
        eta = state.learning_rate
        a = 1 - eta * rate_at(self.weight_decay, state.step).astype(dtype)
        slope, length = direction(gradient)
        # The gradient at w is 1 / r of that at u, the length of a step eta times that.
        log_length, lost = self._log_length(length, state.log_norm)
        slope = select(lost, state.slope, slope)
        log_ratio = jnp.log(eta) + log_length - 2 * state.log_norm
        log_a = _log(jnp.abs(a))
        log_growth = jnp.logaddexp(2 * log_a, 2 * log_ratio) / 2
        along, across = a * jnp.exp(-log_growth), jnp.exp(log_ratio - log_growth)
        moved = add_scaled(scaled(along, state.unit), -across, slope)
        # Orthogonal up to rounding, which must not add up.
        unit = scaled(1 / norm(moved), moved)
        return ScaleInvariantState(
            unit,
            state.log_norm + log_growth,
            state.step + 1,
            rate_at(self.learning_rate, state.step + 1).astype(dtype),
            slope,
            jnp.arctan2(across, along),
            lost.astype(dtype),
        )

    def _log_length(self, length: Scalar, log_norm: Scalar) -> tuple[Scalar, Any]:
        """The logarithm of the gradient's length at ``u``, and whether it is that of the floor."""
        numbers = jnp.finfo(length.dtype)
        floor = float(numbers.tiny / numbers.eps) if self.floor is None else self.floor
        log_floor = _log(jnp.asarray(floor).astype(length.dtype))
        log_length = _log(length) + log_norm
        lost = log_length < log_floor
        return jnp.where(lost, log_floor, log_length), lost

    def params(self, state: ScaleInvariantState) -> Params:
        """``r u``."""
        return scaled(jnp.exp(state.log_norm), state.unit)

    def diagnostics(self, state: ScaleInvariantState) -> dict[str, Scalar]:
        """Norm, effective learning rate, angle, and whether the gradient was lost."""
        return {
            "norm": jnp.exp(state.log_norm),
            "effective_learning_rate": state.learning_rate * jnp.exp(-2 * state.log_norm),
            "angle": state.angle,
            "clamped": state.clamped,
        }


def _log(value: Scalar) -> Scalar:
    """The logarithm, at zero with a derivative that is zero."""
    positive = value > 0
    return jnp.where(positive, jnp.log(jnp.where(positive, value, 1)), -jnp.inf)
