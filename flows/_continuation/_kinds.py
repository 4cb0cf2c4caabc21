"""The kinds of rules. Each rule takes an equation and its operands.

>>> import jax.numpy as jnp
>>> complex(formula(jnp.square)(None, jnp.array(2j)))
(-4+0j)
"""

import functools as ft
from collections.abc import Callable
from typing import Any

from jax import lax

from ._continued import continued
from ._dtypes import is_complex, matched, real_dtype, to_real
from ._evaluate import Rule, bind


def as_it_is(equation: Any, *operands: Any) -> Any:
    """The same primitive of complex numbers."""
    return bind(equation, *matched(operands))


def by_real_part(equation: Any, *operands: Any) -> Any:
    """The same primitive of the real parts."""
    avals = [atom.aval for atom in equation.invars]
    return bind(
        equation, *(to_real(value, aval.dtype) for value, aval in zip(operands, avals, strict=True))
    )


def by_parts(equation: Any, *operands: Any) -> Any:
    """Linear in all floating-point operands together."""
    operands = tuple(matched(operands))
    real, imaginary = (
        bind(equation, *(part(value) if is_complex(value) else value for value in operands))
        for part in (lax.real, lax.imag)
    )
    return lax.complex(real, imaginary)


def formula(function: Callable[..., Any]) -> Rule:
    """A function of complex arrays."""
    return lambda _, *operands: function(*matched(operands))


def rewritten(function: Callable[..., Any]) -> Rule:
    """The same real function in terms of other primitives, which are then continued."""

    def rule(equation: Any, *operands: Any) -> Any:
        return continued(ft.partial(function, **equation.params))(*matched(operands))

    return rule


def per_part(function: Callable[..., Any], x: Any, y: Any) -> Any:
    """A function that is linear in the complex one of its two operands; not a rule but a part."""
    real = real_dtype(matched([x, y])[0].dtype)
    if is_complex(x):
        y = lax.convert_element_type(y, real)
        return lax.complex(function(lax.real(x), y), function(lax.imag(x), y))
    x = lax.convert_element_type(x, real)
    return lax.complex(function(x, lax.real(y)), function(x, lax.imag(y)))
