"""Elementary functions that XLA has in no complex form, or in a poor one.

`sinh` and `cosh` are functions of complex arrays; `cbrt` and `atan2` are the real functions in
terms of primitives that have a rule.

>>> import jax.numpy as jnp
>>> bool(jnp.isclose(cbrt(jnp.array(-8.0)), -2))
True
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

# XLA's complex sinh loses the digits of small arguments. cosh is here to be differentiated by it.


@jax.custom_jvp
def sinh(z: Any) -> Any:
    """The hyperbolic sine, to rounding also of small numbers."""
    small = (jnp.expm1(z) - jnp.expm1(-z)) / 2
    return jnp.where(abs(lax.real(z)) < 1, small, lax.sinh(z))


@jax.custom_jvp
def cosh(z: Any) -> Any:
    """The hyperbolic cosine, whose derivative is the `sinh` of this file."""
    return lax.cosh(z)


sinh.defjvps(lambda tangent, _, z: tangent * cosh(z))
cosh.defjvps(lambda tangent, _, z: tangent * sinh(z))


def cbrt(x: Any, **_: Any) -> Any:
    """The real cube root, of negative numbers too."""
    return jnp.sign(x) * abs(x) ** (1 / 3)


def atan2(y: Any, x: Any, **_: Any) -> Any:
    """The angle of ``(x, y)``, from the arc tangent of what is at most 1."""
    flat = abs(x) >= abs(y)
    turn = jnp.where(y < 0, -jnp.pi, jnp.pi).astype(x.dtype)
    near = jnp.arctan(y / jnp.where(flat & (x != 0), x, 1)) + jnp.where(x < 0, turn, 0)
    return jnp.where(flat, near, turn / 2 - jnp.arctan(x / jnp.where(flat, 1, y)))
