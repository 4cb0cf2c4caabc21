"""The drift of a step and the learning rate that it gives: what the drift-adjusted rules share.

Nothing here underflows or overflows where the drift itself does not: gradients are normalised by
their largest entry before they are squared.

>>> import jax.numpy as jnp
>>> unit, length = direction({"a": jnp.array([3e-30]), "b": jnp.array(4e-30)})
>>> [f"{float(x):.1f}" for x in (unit["a"][0], unit["b"], length * 1e30)]
['0.6', '0.8', '5.0']
"""

import functools as ft
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu

from .._checks import non_negative, positive_scalar
from .._custom_types import Array, Flag, Float, Integer, Params, Scalar
from .._vectors import norm, scaled, select

# The published code's.
MAXIMUM = 5.0


def direction(gradient: Params) -> tuple[Params, Scalar]:
    """The gradient as a unit vector and its length; where it is zero, both are."""
    leaves = jtu.tree_leaves(gradient)
    wide = jnp.float64 if any(leaf.dtype == jnp.float64 for leaf in leaves) else jnp.float32
    gradient = jtu.tree_map(lambda leaf: leaf.astype(wide), gradient)
    largest = ft.reduce(
        jnp.maximum,
        [jnp.max(jnp.abs(leaf), initial=0) for leaf in jtu.tree_leaves(gradient)],
    )
    # It cancels, so that its derivative does not matter.
    unit = jax.lax.stop_gradient(jnp.where(largest > 0, largest, 1))
    gradient = jtu.tree_map(lambda leaf: leaf / unit, gradient)
    length = norm(gradient)
    divisor = jnp.where(length > 0, length, 1)
    return scaled(1 / divisor, gradient), unit * length


def learning_rate(
    drift: Scalar, power: Scalar, maximum: Scalar | None, factor: float | Scalar = 2.0
) -> Scalar:
    """``factor / drift**power``, at most the maximum, if any; infinite at zero drift otherwise."""
    power = power.astype(drift.dtype)
    factor = jnp.asarray(factor).astype(drift.dtype)
    there = drift > 0
    positive = jnp.where(there, drift, 1)
    at_zero = jnp.where(power > 0, jnp.asarray(jnp.inf, drift.dtype), factor)
    rate = jnp.where(there, factor / positive**power, at_zero)
    # A drift that is not a number is none of the above.
    rate = jnp.where(jnp.isnan(drift), drift, rate)
    return rate if maximum is None else jnp.minimum(rate, maximum.astype(drift.dtype))


class DriftAverage(eqx.Module):
    """The drifts of the last steps, of which the rate is made.

    Attributes:
        drifts: The last ones, shape ``(window,)``, in no order.
        count: How many have come, those that were not finite left out.
        skipped: How many were not finite, and were left out.
    """

    drifts: Float[Array, " window"]
    count: Integer
    skipped: Integer

    @classmethod
    def empty(cls, window: int, dtype: Any) -> "DriftAverage":
        """Before the first step."""
        none = jnp.zeros((), jnp.int32)
        return cls(jnp.zeros(window, dtype), none, none)

    def with_drift(self, drift: Scalar, due: Flag | bool = True) -> "DriftAverage":
        """With one more drift, if it is finite."""
        due = jnp.asarray(due)
        good = due & jnp.isfinite(drift)
        place = self.count % len(self.drifts)
        drifts = self.drifts.at[place].set(drift.astype(self.drifts.dtype))
        return DriftAverage(
            select(good, drifts, self.drifts),
            self.count + good.astype(jnp.int32),
            self.skipped + (due & ~good).astype(jnp.int32),
        )

    @property
    def mean(self) -> Scalar:
        """Of those in the window; 0 if there are none."""
        there = jnp.clip(self.count, 1, len(self.drifts))
        return jnp.sum(self.drifts) / there.astype(self.drifts.dtype)

    def learning_rate(
        self, power: Scalar, maximum: Scalar, first: Scalar, factor: Scalar
    ) -> Scalar:
        """The rate that the mean gives; `first`, as long as there is no drift."""
        first = jnp.minimum(first, maximum).astype(self.drifts.dtype)
        return jnp.where(self.count > 0, learning_rate(self.mean, power, maximum, factor), first)


def power_scalar(power: Any) -> Scalar:
    """A finite number >= 0 as an array, or an `InvalidOptionError`."""
    return non_negative(power, "power", "power=1.0, which bounds the drift")


def maximum_scalar(maximum: Any) -> Scalar:
    """The largest learning rate that is allowed, or an `InvalidLearningRateError`."""
    return positive_scalar(maximum, "maximum")
