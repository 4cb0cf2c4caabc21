"""Checks of what the functions of this package are given."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np

from .._checks import is_traced, positive_scalar
from .._custom_types import Array, PyTree, Scalar
from .._errors import InvalidLearningRateError, InvalidOptimizerError, InvalidOptionError
from .._vectors import norm
from ..optimizers import AbstractOptimizer

_NUMBERS = (bool, int, float, complex, np.ndarray, np.generic, jax.Array)


def positive(value: Any, default: float | Array, name: str, dtype: Any) -> Scalar:
    """One positive number (infinity is one), the default for None, or an `InvalidOptionError`."""
    if value is None:
        return jnp.asarray(default).astype(dtype)
    array = _number(value)
    if array is None or not (is_traced(array) or float(array) > 0):
        raise InvalidOptionError(
            f"{name} must be one positive number, got {value!r}. Leave it out for the default, or "
            f"write for example {name}=1e-6."
        )
    return array.astype(dtype)


def real_number(value: Any, name: str, dtype: Any) -> Scalar:
    """One finite real number, or an `InvalidOptionError`."""
    array = _number(value)
    if array is None or not (is_traced(array) or bool(jnp.isfinite(array))):
        raise InvalidOptionError(
            f"{name} must be one real number, got {value!r}. Write for example {name}=-1.0."
        )
    return array.astype(dtype)


def observed(value: Any) -> Array | None:
    """What a user's function returned as an array, or None where it is no number."""
    return jnp.asarray(value) if isinstance(value, _NUMBERS) else None


def described(value: Any, array: Array | None) -> str:
    """The same in words, for a message."""
    if array is None:
        return f"a {type(value).__name__}"
    return f"dtype {array.dtype} and shape {array.shape}"


def _number(value: Any) -> Array | None:
    """One real number as an array, or None."""
    if isinstance(value, str):
        return None
    try:
        array = jnp.asarray(value)
    except TypeError:
        return None
    return array if array.ndim == 0 and array.dtype.kind in "iuf" else None


def tolerance_of(value: Any, dtype: Any) -> Scalar:
    """The tolerance as a scalar; by default the square root of the rounding unit."""
    return positive(value, math.sqrt(float(jnp.finfo(dtype).eps)), "tolerance", dtype)


def bound_of(value: Any, params: PyTree[Any], dtype: Any) -> Scalar:
    """How far away counts as diverged; by default 1e8, or 1e8 times the norm of the start."""
    length = norm(params)
    return positive(value, 1e8 * jnp.maximum(length, jnp.ones_like(length)), "bound", dtype)


def rate_list(learning_rates: Any) -> np.ndarray:
    """Positive numbers in a list, or an `InvalidLearningRateError`."""
    shown = "learning_rates must be a list of positive finite numbers"
    remedy = "Write for example learning_rates=jnp.linspace(0.1, 2.0, 1000)."
    if is_traced(learning_rates):
        raise InvalidLearningRateError(
            f"{shown}, known before tracing: the diagram is worked off in chunks on the host. "
            "Call it outside jit, or take jax.vmap of flows.classify_limit."
        )
    try:
        rates = np.asarray(learning_rates)
    except (TypeError, ValueError) as error:
        raise InvalidLearningRateError(f"{shown}, got {learning_rates!r}. {remedy}") from error
    if rates.dtype.kind not in "iuf":
        raise InvalidLearningRateError(f"{shown}, got {learning_rates!r}. {remedy}")
    if rates.ndim != 1 or rates.size == 0:
        raise InvalidLearningRateError(f"{shown}, got shape {rates.shape}. {remedy}")
    wrong = rates[~(np.isfinite(rates) & (rates > 0))]
    if wrong.size:
        raise InvalidLearningRateError(f"{shown}, but {wrong[0]!r} is among them. {remedy}")
    return rates.astype(jnp.result_type(float))


def optimizer_at(optimizer: Any, learning_rate: Any) -> AbstractOptimizer:
    """What the function `optimizer` makes of a learning rate, or an `InvalidOptimizerError`."""
    remedy = (
        "Pass a function from a learning rate to an optimizer, for example flows.GradientDescent, "
        "or lambda h: flows.StepMap(lambda y: ..., step_time=h)."
    )
    if isinstance(optimizer, AbstractOptimizer):
        raise InvalidOptimizerError(
            f"optimizer is one optimizer, with one learning rate: {optimizer!r}. {remedy}"
        )
    if not callable(optimizer):
        raise InvalidOptimizerError(f"optimizer cannot be called, got {optimizer!r}. {remedy}")
    made = optimizer(positive_scalar(learning_rate, "learning_rate"))
    if not isinstance(made, AbstractOptimizer):
        raise InvalidOptimizerError(f"optimizer(learning_rate) returned {made!r}. {remedy}")
    return made


def stateless(optimizer: AbstractOptimizer, params: PyTree[Any]) -> None:
    """Raise an `InvalidOptimizerError` unless the state of the optimizer is the parameters."""
    state = jax.eval_shape(optimizer.init, params)
    same = jtu.tree_structure(state) == jtu.tree_structure(params) and all(
        a.shape == b.shape
        for a, b in zip(jtu.tree_leaves(state), jtu.tree_leaves(params), strict=True)
    )
    if not same:
        raise InvalidOptimizerError(
            f"the state of {type(optimizer).__name__} is more than the parameters. Write its step "
            "as a map of all that moves: lambda h: flows.StepMap(lambda y: ..., step_time=h)."
        )
