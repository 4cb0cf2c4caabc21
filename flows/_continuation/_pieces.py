"""Functions that are analytic in pieces: the real part says which, its ties the imaginary part.

>>> import jax.numpy as jnp
>>> complex(absolute(jnp.array(-1 + 2j))), complex(sign(jnp.array(-2j)))
((1-2j), (-1+0j))
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import lax

from ._dtypes import is_complex, matched
from ._evaluate import bind
from ._kinds import by_real_part, per_part

# --- Functions of complex arrays ------------------------------------------------------------------


def sign(z: Any) -> Any:
    """1, -1, or 0 at 0."""
    of_real = lax.sign(lax.real(z))
    return lax.select(of_real == 0, lax.sign(lax.imag(z)), of_real)


def absolute(z: Any) -> Any:
    """``z`` or ``-z``."""
    return jnp.where(z >= 0, z, -z)  # at 0 the derivative is 1, as in JAX


def extremum(wins: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """The larger or smaller of two; equals share the derivative, as they do in JAX."""

    def function(x: Any, y: Any) -> Any:
        x, y = jnp.broadcast_arrays(x, y)
        first, second = wins(x, y), wins(y, x)
        total = jnp.where(first, x, 0) + jnp.where(second, y, 0)
        count = first.astype(jnp.int32) + second.astype(jnp.int32)
        return per_part(lax.div, total, count)  # no winner, NaN

    return function


# --- A real function in terms of comparisons ------------------------------------------------------


def clamp(low: Any, x: Any, high: Any, **_: Any) -> Any:
    """``x`` between two bounds, and constant where it is at one of them."""
    outside = jnp.where(x < low, low, jnp.where(x > high, high, lax.stop_gradient(x)))
    return jnp.where((low < x) & (x < high), x, outside)


# --- Rules ----------------------------------------------------------------------------------------


def reduce_extremum(equation: Any, z: Any) -> Any:
    """The largest or smallest along some axes; equals share the derivative, as they do in JAX."""
    axes = equation.params["axes"]
    loses = -jnp.inf if equation.primitive.name == "reduce_max" else jnp.inf
    real, imaginary = lax.real(z), lax.imag(z)
    tied = real == jnp.expand_dims(bind(equation, real), axes)
    imaginary = jnp.where(tied, imaginary, loses)
    wins = tied & (imaginary == jnp.expand_dims(bind(equation, imaginary), axes))
    return per_part(lax.div, jnp.sum(jnp.where(wins, z, 0), axes), jnp.sum(wins, axes))


def remainder(equation: Any, x: Any, y: Any) -> Any:
    """``x - q y`` with the whole number ``q`` that the real parts have."""
    x, y = matched([x, y])
    quotient = lax.round((lax.real(x) - by_real_part(equation, x, y)) / lax.real(y))
    return x - per_part(lax.mul, lax.stop_gradient(quotient), y)


def sort(equation: Any, *operands: Any) -> list[Any]:
    """The keys decide, real part first; the numbers themselves are carried along."""
    keys = []
    for key in operands[: equation.params["num_keys"]]:
        keys += [lax.real(key), lax.imag(key)] if is_complex(key) else [key]
    keys = [lax.stop_gradient(key) for key in keys]
    everything = bind(equation, *keys, *operands, num_keys=len(keys))
    return list(everything)[len(keys) :]


def top_k(equation: Any, z: Any) -> list[Any]:
    """The largest, and their places."""
    _, places = bind(equation, lax.stop_gradient(lax.real(z)))
    return [jnp.take_along_axis(z, places, equation.params.get("axis", -1)), places]
