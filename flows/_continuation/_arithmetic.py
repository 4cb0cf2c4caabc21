"""Products, quotients and conversions.

Real factors act on both parts, so that infinity times ``1 + 0i`` is not NaN.

>>> import jax.numpy as jnp
>>> from flows._continuation import continued
>>> complex(continued(lambda x: x / 0)(jnp.array(1 + 1j)))
(inf+infj)
"""

from typing import Any

import jax.numpy as jnp
from jax import lax

from ._dtypes import complex_dtype, is_complex, matched, real_dtype
from ._evaluate import bind
from ._kinds import as_it_is, per_part


def bilinear(equation: Any, x: Any, y: Any) -> Any:
    """Products, also those of matrices and convolutions."""
    changes: dict[str, Any] = {}
    if equation.params.get("preferred_element_type") is not None:
        changes["preferred_element_type"] = matched([x, y])[0].dtype
    if is_complex(x) and is_complex(y):
        return bind(equation, *matched([x, y]), **changes)
    if changes:
        changes["preferred_element_type"] = real_dtype(changes["preferred_element_type"])
    return per_part(lambda x, y: bind(equation, x, y, **changes), x, y)


def divide(equation: Any, x: Any, y: Any) -> Any:
    """A quotient."""
    return as_it_is(equation, x, y) if is_complex(y) else per_part(lax.div, x, y)


def convert(equation: Any, x: Any) -> Any:
    """Another dtype: the complex one of the same precision, or the real part as an integer."""
    new = equation.params["new_dtype"]
    if jnp.issubdtype(new, jnp.floating):
        return lax.convert_element_type(x, complex_dtype(new))
    return lax.convert_element_type(lax.real(x), new)
