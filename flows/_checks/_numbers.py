"""Options that are numbers, one of some choices, or a random key."""

import math
import operator
from typing import Any

import jax
import jax.numpy as jnp

from .._custom_types import Array, Scalar
from .._errors import (
    InvalidLearningRateError,
    InvalidOptionError,
    InvalidStepsError,
)
from ._tracing import is_traced


def positive_scalar(value: Any, name: str, *, zero: bool = False) -> Scalar:
    """One positive finite number (or 0: `zero`) as a float array, or `InvalidLearningRateError`."""
    wanted = "finite number >= 0" if zero else "positive finite number"
    shown = f"{name} must be one {wanted}, got {value!r}"
    if isinstance(value, bool | str) or value is None:
        raise InvalidLearningRateError(f"{shown}. Write for example {name}=0.1.")
    try:
        array = jnp.asarray(value)
    except TypeError as error:
        raise InvalidLearningRateError(f"{shown}. Write for example {name}=0.1.") from error
    if array.ndim != 0:
        raise InvalidLearningRateError(
            f"{name} must be one number, got an array of shape {array.shape}. "
            f"For several at once: jax.vmap(lambda h: ...({name}=h))({name}s)."
        )
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise InvalidLearningRateError(f"{shown}: it is complex. Take its real part.")
    if not is_traced(array):
        number = float(array)
        if not (math.isfinite(number) and (number > 0 or (zero and number == 0))):
            raise InvalidLearningRateError(f"{shown}. Write for example {name}=0.1.")
    # An explicit dtype drops JAX' weak type: Python floats, NumPy scalars and arrays compile once.
    return array.astype(jnp.result_type(float))


def fraction(value: Any, name: str, example: str) -> Scalar:
    """A number between 0 and 1 as a float array, or an `InvalidOptionError`."""
    remedy = f"Write for example {example}."
    try:
        array = jnp.asarray(value)
    except TypeError as error:
        raise InvalidOptionError(f"{name} must be a number, got {value!r}. {remedy}") from error
    if array.ndim != 0 or isinstance(value, bool) or jnp.iscomplexobj(array):
        raise InvalidOptionError(f"{name} must be one real number, got {value!r}. {remedy}")
    if not is_traced(array) and not 0 < float(array) < 1:
        raise InvalidOptionError(f"{name} must lie between 0 and 1, got {value!r}. {remedy}")
    return array.astype(jnp.result_type(float))


def step_count(steps: Any) -> int:
    """A non-negative integer, or an `InvalidStepsError`."""
    if is_traced(steps):
        raise InvalidStepsError(
            "steps is traced, but it sets the shapes of the results. Pass it as a Python integer, "
            "under jit through static_argnames=('steps',)."
        )
    try:
        count = operator.index(steps)
    except TypeError as error:
        raise InvalidStepsError(
            f"steps must be an integer, got {steps!r} of type {type(steps).__name__}. "
            "Write for example steps=100."
        ) from error
    if count < 0 or isinstance(steps, bool):
        raise InvalidStepsError(f"steps must be 0 or more, got {steps!r}.")
    return count


def non_negative(value: Any, name: str, example: str) -> Scalar:
    """One finite number >= 0 as a float array, or an `InvalidOptionError`."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    array = jnp.asarray(value if number or hasattr(value, "dtype") else jnp.nan)
    fits = array.ndim == 0 and not jnp.iscomplexobj(array)
    if not fits or not (is_traced(array) or 0 <= float(array) < math.inf):
        raise InvalidOptionError(
            f"{name} must be one finite number >= 0, got {value!r}. Write for example {example}."
        )
    return array.astype(jnp.result_type(float))


def integer(value: Any, least: int, name: str, example: str, most: int | None = None) -> int:
    """An integer within these bounds, or an `InvalidOptionError`."""
    try:
        number = None if is_traced(value) else operator.index(value)
    except TypeError:
        number = None
    wrong = number is None or isinstance(value, bool) or number < least
    if number is None or wrong or (most is not None and number > most):
        bounds = f">= {least}" if most is None else f"from {least} to {most}"
        raise InvalidOptionError(
            f"{name} must be an integer {bounds}, got {value!r}. Write for example {example}."
        )
    return number


def random_key(key: Any, wanted_by: str) -> Array:
    """One random key, or an `InvalidOptionError`."""
    remedy = "Pass key=jax.random.key(0); another number gives other noise."
    if key is None:
        raise InvalidOptionError(f"{wanted_by} draws random numbers, so it needs a key. {remedy}")
    dtype = getattr(key, "dtype", None)
    if dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key):
        if key.shape == ():
            return key
        raise InvalidOptionError(
            f"key is an array of keys of shape {key.shape}. For one run each: "
            "jax.vmap(lambda key: ...(key=key))(keys)."
        )
    if dtype == jnp.uint32 and getattr(key, "shape", None) == (2,):
        return jax.random.wrap_key_data(jnp.asarray(key))
    raise InvalidOptionError(f"key must be a random key of JAX, got {key!r}. {remedy}")


def one_of(value: Any, allowed: tuple[Any, ...], name: str) -> None:
    """Raise an `InvalidOptionError` unless the value is one of those allowed."""
    if not any(value is choice or value == choice for choice in allowed):
        listed = ", ".join(repr(choice) for choice in allowed)
        raise InvalidOptionError(f"{name} must be one of {listed}; got {value!r}.")
