"""Rates that may change from step to step: a number, one number a step, or a function of the step.

>>> import jax.numpy as jnp
>>> halving = rate_schedule([0.4, 0.2], "learning_rate")
>>> [round(float(rate_at(halving, jnp.asarray(n))), 1) for n in range(3)]
[0.4, 0.2, 0.2]
"""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np

from .._checks import is_traced
from .._custom_types import Array, Float, Integer, Scalar
from .._errors import InvalidLearningRateError, InvalidOptionError

Schedule = Float[Array, "..."] | Callable[[Integer], Scalar]


def rate_schedule(value: Any, name: str, *, zero: bool = False) -> Any:
    """The rate as an array of no or one axis, or as a function that JAX' transformations pass.

    Raises:
        InvalidLearningRateError: If it is none of the three, not finite or not positive.
        InvalidOptionError: The same where zero is allowed (`zero`): for a weight decay.
    """
    wrong = InvalidOptionError if zero else InvalidLearningRateError
    least = "finite and >= 0" if zero else "finite and > 0"
    remedy = f"Write for example {name}=0.1, {name}=jnp.full(100, 0.1) or {name}=lambda step: 0.1."
    if callable(value):
        # So that a bare function, too, is a tree that `vmap` and `grad` accept.
        tree = isinstance(value, eqx.Module | jtu.Partial)
        function: Any = value if tree else jtu.Partial(value)
        shape = jax.eval_shape(lambda step: jnp.asarray(function(step)), jnp.asarray(0)).shape
        if shape != ():
            raise wrong(f"{name}(step) must be one number, got shape {shape}. {remedy}")
        return function
    try:
        array = jnp.asarray(value)
    except (TypeError, ValueError) as error:
        raise wrong(f"{name} must hold numbers, got {value!r}. {remedy}") from error
    if array.ndim > 1 or array.size == 0 or array.dtype == bool or jnp.iscomplexobj(array):
        raise wrong(
            f"{name} must be one real number, one a step, or a function of the step; "
            f"got shape {array.shape} and dtype {array.dtype}. {remedy}"
        )
    if not is_traced(array):
        least_value = float(np.min(array))
        good = math.isfinite(float(np.sum(array))) and (
            least_value >= 0 if zero else least_value > 0
        )
        if not good:
            raise wrong(f"{name} must be {least}, got {value!r}. {remedy}")
    return array.astype(jnp.result_type(float))


def rate_at(schedule: Any, step: Integer) -> Scalar:
    """The rate of a step, from 0; after the end of an array its last value."""
    if callable(schedule):
        return jnp.asarray(schedule(step)).astype(jnp.result_type(float))
    if schedule.ndim == 0:
        return schedule
    return schedule[jnp.clip(step, 0, schedule.shape[0] - 1)]


def rates_over(schedule: Any, steps: int) -> Float[Array, " steps"]:
    """The rates of all steps."""
    return jax.vmap(lambda step: rate_at(schedule, step))(jnp.arange(steps))
