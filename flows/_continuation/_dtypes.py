"""Real arrays as complex ones, and back: the precision stays, except that 16 bits become 32.

>>> import jax.numpy as jnp
>>> to_complex(jnp.ones(2, jnp.bfloat16)).dtype
dtype('complex64')
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax


def is_complex(value: Any) -> bool:
    """Whether an array, or the type of one, is complex."""
    return jnp.issubdtype(value.dtype, jnp.complexfloating)


def is_floating(value: Any) -> bool:
    """Whether an array, or the type of one, is real or complex, not of integers or keys."""
    return jnp.issubdtype(value.dtype, jnp.inexact)


def real_dtype(dtype: Any) -> Any:
    """The dtype of the real part; any other dtype as it is."""
    return jnp.finfo(dtype).dtype if jnp.issubdtype(dtype, jnp.complexfloating) else dtype


def complex_dtype(dtype: Any) -> Any:
    """The complex dtype for floating-point numbers of this one."""
    return jnp.complex128 if dtype in (jnp.float64, jnp.complex128) else jnp.complex64


def to_complex(value: Any) -> Any:
    """A floating-point array as a complex one; anything else as it is."""
    if not is_floating(value) or is_complex(value):
        return value
    return lax.convert_element_type(value, complex_dtype(value.dtype))


def to_real(value: Any, dtype: Any = None) -> Any:
    """The real part of a complex array; anything else as it is."""
    if not is_complex(value):
        return value
    return lax.convert_element_type(lax.real(value), dtype or real_dtype(value.dtype))


def matched(operands: Sequence[Any]) -> list[Any]:
    """All floating-point operands in the complex dtype of those that are complex."""
    dtype = jnp.result_type(*(value.dtype for value in operands if is_complex(value)))
    return [
        lax.convert_element_type(value, dtype) if is_floating(value) else value
        for value in operands
    ]
