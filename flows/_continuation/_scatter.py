"""The largest, the smallest or the product of what is scattered to one place.

>>> import jax
>>> import jax.numpy as jnp
>>> from flows._continuation import continued
>>> largest = continued(lambda x: jax.ops.segment_max(x, jnp.array([0, 0, 1]), 2))
>>> largest(jnp.array([1 + 5j, 2 - 1j, -3j])).tolist()
[(2-1j), -3j]
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ._dtypes import matched
from ._evaluate import bind
from ._kinds import per_part

_SETTINGS = ("dimension_numbers", "indices_are_sorted", "unique_indices", "mode")


def scatter_product(equation: Any, operand: Any, indices: Any, updates: Any) -> Any:
    """The product with what stood there before; its own program in the equation is of real ones."""
    operand, updates = matched([operand, updates])
    return lax.scatter_mul(operand, indices, updates, **_settings(equation))


def scatter_extremum(equation: Any, operand: Any, indices: Any, updates: Any) -> Any:
    """Equals share the derivative, what stood there before among them, as they do in JAX."""
    operand, updates = matched([operand, updates])
    settings = _settings(equation)
    loses = -jnp.inf if equation.primitive.name == "scatter-max" else jnp.inf

    def added(old: Any, new: Any) -> Any:
        return lax.scatter_add(old, indices, new, **settings)

    def winners(old: Any, new: Any) -> tuple[Any, Any]:
        best = bind(equation, old, indices, new)
        # The gather that belongs to this scatter: what now stands where each update went.
        gathered = jax.linear_transpose(lambda new: added(jnp.zeros_like(old), new), new)
        return old == best, new == gathered(best)[0]

    tied = winners(*(lax.stop_gradient(lax.real(z)) for z in (operand, updates)))
    imaginary = (lax.stop_gradient(lax.imag(z)) for z in (operand, updates))
    rest = winners(*(jnp.where(tie, y, loses) for tie, y in zip(tied, imaginary, strict=True)))
    old_wins, new_wins = (a & b for a, b in zip(tied, rest, strict=True))
    total = _added_by_part(added, jnp.where(old_wins, operand, 0), jnp.where(new_wins, updates, 0))
    count = added(old_wins.astype(jnp.int32), new_wins.astype(jnp.int32))
    return per_part(lax.div, total, count)  # no winner, NaN


def _settings(equation: Any) -> dict[str, Any]:
    return {name: equation.params[name] for name in _SETTINGS}


def _added_by_part(added: Any, old: Any, new: Any) -> Any:
    real, imaginary = (added(part(old), part(new)) for part in (lax.real, lax.imag))
    return lax.complex(real, imaginary)
