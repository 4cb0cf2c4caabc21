"""What was run, in words."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._checks import is_traced
from .._custom_types import PyTree


class Ran(eqx.Module):
    """What was run, as a part of a result: its numbers are leaves, so that results can be stacked.

    Attributes:
        numbers: The arrays of it.
        rest: All else, functions say.
    """

    numbers: PyTree[Any]
    rest: Any = eqx.field(static=True)

    @classmethod
    def of(cls, module: Any) -> "Ran":
        """An optimizer, a flow or a method."""
        return cls(*eqx.partition(module, lambda leaf: isinstance(leaf, jax.Array | np.ndarray)))

    def __str__(self) -> str:
        return described(eqx.combine(self.numbers, self.rest))


def described(value: Any) -> str:
    """What was given, as it would be written, without what is at its default; numbers as numbers.

    Of arrays the shape, of what a transformation traces only that it does.
    """
    if is_traced(value):
        return "traced"
    if isinstance(value, jax.Array | np.ndarray):
        number = value.ndim == 0 and jnp.issubdtype(value.dtype, jnp.number)
        return f"{value.item():.12g}" if number else f"array of shape {value.shape}"
    if isinstance(value, eqx.Module) and dataclasses.is_dataclass(value):
        shown = []
        for field in dataclasses.fields(value):
            given = getattr(value, field.name, None)
            if field.init and not _is_default(field, given):
                shown.append(f"{field.name}={described(given)}")
        return f"{type(value).__name__}({', '.join(shown)})"
    if isinstance(value, list | tuple):
        inside = ", ".join(map(described, value))
        return f"[{inside}]" if isinstance(value, list) else f"({inside})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {described(of)}' for key, of in value.items())}}}"
    if isinstance(value, str | int | float | complex | None):
        return repr(value)
    return getattr(value, "__name__", type(value).__name__)


def _is_default(field: Any, given: Any) -> bool:
    default = field.default
    if default is dataclasses.MISSING or is_traced(given):
        return False
    if isinstance(given, jax.Array | np.ndarray):
        number = given.ndim == 0 and jnp.issubdtype(given.dtype, jnp.number)
        return number and isinstance(default, int | float) and given.item() == default
    return given is default or (isinstance(given, str | int | float) and given == default)
