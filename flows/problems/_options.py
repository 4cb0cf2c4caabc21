"""Checks of what the factories are given, and the one place where numbers become arrays."""

from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from .._custom_types import Array
from .._errors import InvalidOptionError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
else:  # checked here, with a better message than a run-time type checker has
    ArrayLike = Any


def to_array(value: ArrayLike) -> Array:
    """An array of JAX' default float dtype, rounded once from float64."""
    return jnp.asarray(np.asarray(value, dtype=np.float64), dtype=jnp.result_type(float))


def finite(value: Any, name: str, example: str) -> np.ndarray:
    """The value in float64, or an `InvalidOptionError`."""
    try:
        array = np.asarray(value)
        # Text would be read as a number, and the imaginary part dropped.
        if array.dtype.kind not in "iuf":
            raise TypeError(f"dtype {array.dtype}")
        array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidOptionError(
            f"{name} must hold real numbers, got {value!r}. Write for example {example}."
        ) from error
    if array.size == 0 or not np.isfinite(array).all():
        raise InvalidOptionError(
            f"{name} must hold finite numbers, at least one, got {value!r}. "
            f"Write for example {example}."
        )
    return array


def finite_number(value: Any, name: str, example: str) -> float:
    """One finite number, or an `InvalidOptionError`."""
    array = finite(value, name, example)
    if array.ndim != 0:
        raise InvalidOptionError(
            f"{name} must be one number, got shape {array.shape}. Write for example {example}."
        )
    return float(array)


def finite_vector(value: Any, length: int, name: str, example: str) -> np.ndarray:
    """So many finite numbers, or an `InvalidOptionError`."""
    array = finite(value, name, example)
    if array.shape != (length,):
        raise InvalidOptionError(
            f"{name} must hold {length} numbers, shape ({length},), got shape {array.shape}. "
            f"Write for example {example}."
        )
    return array


def symmetric_matrix(matrix: Any) -> np.ndarray:
    """The symmetric part of a matrix that is symmetric up to float32 rounding."""
    array = finite(matrix, "matrix", "matrix=[[2.0, 0.0], [0.0, 0.02]]")
    if array.ndim != 2 or array.shape[0] != array.shape[1]:
        raise InvalidOptionError(
            f"matrix must be square, got shape {array.shape}. "
            "For a list of eigenvalues write quadratic(eigenvalues=...)."
        )
    asymmetry = np.max(np.abs(array - array.T))
    if asymmetry > 1e-6 * np.max(np.abs(array)):
        raise InvalidOptionError(
            f"matrix must be symmetric, but differs from its transpose by {asymmetry:.3g}. "
            "The loss only sees the symmetric part: pass (matrix + matrix.T) / 2."
        )
    return (array + array.T) / 2
