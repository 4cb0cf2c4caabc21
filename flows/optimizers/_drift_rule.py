"""Drift-adjusted learning, whoever makes the step: how the drift is measured, and when."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu

from .._checks import integer, one_of, positive_scalar
from .._custom_types import Params, Scalar
from .._errors import InvalidOptionError
from .._vectors import add_scaled, select, subtract
from ._drift import (
    DriftAverage,
    direction,
    maximum_scalar,
    power_scalar,
)

FORMS = ("product", "difference", "successive")


class DriftState(eqx.Module):
    """What the rule remembers.

    Attributes:
        average: The drifts of the last steps.
        step: How many steps were made.
        drift: The last drift that was measured, 0 before the first.
        learning_rate: The rate of the last step, 0 before the first.
        previous: Parameters and gradient of the last step, where the form needs them.
    """

    average: DriftAverage
    step: Any
    drift: Scalar
    learning_rate: Scalar
    previous: tuple[Params, Params] | None


class DriftRule(eqx.Module):
    """From gradients to learning rates; see `flows.drift_adjusted` for what the fields mean."""

    power: Scalar = eqx.field(converter=power_scalar)
    maximum: Scalar = eqx.field(converter=maximum_scalar)
    learning_rate: Scalar = eqx.field(converter=lambda h: positive_scalar(h, "learning_rate"))
    factor: Scalar = eqx.field(converter=lambda c: positive_scalar(c, "factor"))
    form: str = eqx.field(static=True)
    window: int = eqx.field(static=True)
    active: tuple[int, int | None] = eqx.field(static=True)

    def __check_init__(self):
        one_of(self.form, FORMS, "form")
        integer(self.window, 1, "window", "window=1")
        _check_active(self.active)

    def init(self, params: Params) -> DriftState:
        """Before the first step."""
        dtype = _dtype(params)
        zero = jnp.zeros((), dtype)
        previous = None
        if self.form == "successive":
            # Copies, as one of two arrays that are the same could not be donated.
            previous = (jtu.tree_map(jnp.array, params), jtu.tree_map(jnp.zeros_like, params))
        average = DriftAverage.empty(self.window, dtype)
        return DriftState(average, jnp.zeros((), jnp.int32), zero, zero, previous)

    def next(
        self,
        state: DriftState,
        params: Params,
        gradient: Params,
        field: Callable[[Params], Params] | None,
    ) -> DriftState:
        """The state with the learning rate of the step from `params` along `gradient`."""
        start, stop = self.active
        due = state.step >= start
        if stop is not None:
            due = due & (state.step < stop)

        def measured() -> Scalar:
            return self._measure(state, params, gradient, field).astype(state.drift.dtype)

        always = (start, stop) == (0, None)
        drift = measured() if always else jax.lax.cond(due, measured, lambda: state.drift)
        if self.form == "successive":
            average = state.average.with_drift(drift, due & (state.step > 0))
        else:
            average = state.average.with_drift(drift, due)
        first = self.learning_rate
        rate = average.learning_rate(self.power, self.maximum, first, self.factor)
        rate = jnp.where(due, rate, jnp.minimum(first, self.maximum).astype(rate.dtype))
        known = average.count > state.average.count
        previous = None if state.previous is None else (params, gradient)
        return DriftState(
            average, state.step + 1, select(known, drift, state.drift), rate, previous
        )

    def _measure(self, state: DriftState, params: Params, gradient: Params, field: Any) -> Scalar:
        if self.form == "successive":
            before, gradient_before = state.previous  # pyright: ignore[reportGeneralTypeIssues]
            change = direction(subtract(gradient, gradient_before))[1]
            moved = direction(subtract(params, before))[1]
            # Where nothing moved, nothing was learned of the curvature.
            return jnp.where(moved > 0, change / jnp.where(moved > 0, moved, 1), jnp.nan)
        if field is None:
            raise InvalidOptionError(
                f"form={self.form!r} needs the loss. Pass it to every update: "
                "transformation.update(grads, state, params, value_fn=loss), or use "
                "form='successive', which needs none."
            )
        unit = _like(direction(gradient)[0], params)
        if self.form == "product":
            return direction(jax.jvp(field, (params,), (unit,))[1])[1]
        # Half of the digits for the step, as for any forward difference.
        length = float(jnp.finfo(_dtype(params)).eps) ** 0.5 * (1 + direction(params)[1])
        moved = add_scaled(params, length, unit)
        # What was moved by, after rounding.
        length = direction(subtract(moved, params))[1]
        change = direction(subtract(field(moved), gradient))[1]
        return jnp.where(length > 0, change / jnp.where(length > 0, length, 1), 0)


def _check_active(active: Any) -> None:
    def counts(n: Any) -> bool:
        return isinstance(n, int) and not isinstance(n, bool) and n >= 0

    fits = isinstance(active, tuple) and len(active) == 2 and counts(active[0])
    if not fits or not (active[1] is None or (counts(active[1]) and active[1] > active[0])):
        raise InvalidOptionError(
            "active must be a pair of the first step whose rate is adjusted and the first whose "
            f"rate is not any more, or None for no end; got {active!r}. "
            "Write for example active=(100, None)."
        )


def _dtype(params: Params) -> Any:
    wide = any(leaf.dtype == jnp.float64 for leaf in jtu.tree_leaves(params))
    return jnp.float64 if wide else jnp.float32


def _like(vector: Params, params: Params) -> Params:
    return jtu.tree_map(lambda v, p: v.astype(p.dtype), vector, params)
