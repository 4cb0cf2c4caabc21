"""Functions that bring their own derivative keep it, continued.

It is what makes relu's derivative 0 at 0 and softplus' finite far away, and a loss may mean
something else by it than the derivative.

>>> import jax
>>> import jax.numpy as jnp
>>> from flows._continuation import continued
>>> slope = jax.grad(continued(jax.nn.relu), holomorphic=True)
>>> complex(slope(jnp.array(0j))), complex(slope(jnp.array(1 + 1j)))
(0j, (1+0j))
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from ._continued import continued
from ._dtypes import is_complex, is_floating, to_complex, to_real
from ._evaluate import bind
from ._sub_programs import call


def custom_jvp(equation: Any, *operands: Any) -> list[Any]:
    """A function that brings its derivative along a direction."""

    @jax.custom_jvp
    def function(*xs: Any) -> list[Any]:
        return [to_complex(output) for output in call(equation, *xs)]

    @function.defjvp
    def derivative(xs: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        def real(xs: Any, tangents: Any) -> list[Any]:
            moving, function = _floating_part(equation, xs)
            return jax.jvp(function, [xs[i] for i in moving], tangents)[1]

        outputs = function(*xs)
        tangents = [t for t, x in zip(tangents, xs, strict=True) if is_floating(x)]
        moved = iter(continued(real)(xs, tangents))
        zeros = (np.zeros(y.shape, jax.dtypes.float0) for y in outputs)
        return outputs, [
            next(moved) if is_floating(y) else zero for y, zero in zip(outputs, zeros, strict=True)
        ]

    return function(*operands)


def custom_vjp(equation: Any, *operands: Any) -> list[Any]:
    """A function that brings its transposed derivative."""

    def primal(*xs: Any) -> list[Any]:
        return [to_complex(output) for output in call(equation, *xs)]

    def backward(xs: Any, cotangents: Any) -> tuple[Any, ...]:
        def real(xs: Any, cotangents: Any) -> list[Any]:
            moving, function = _floating_part(equation, xs)
            return list(jax.vjp(function, *(xs[i] for i in moving))[1](cotangents))

        moved = iter(continued(real)(xs, [c for c in cotangents if is_floating(c)]))
        return tuple(
            (to_complex if is_complex(x) else to_real)(next(moved)) if is_floating(x) else None
            for x in xs
        )

    function = jax.custom_vjp(primal)
    function.defvjp(lambda *xs: (primal(*xs), xs), backward)
    return function(*operands)


def _floating_part(equation: Any, operands: Sequence[Any]) -> tuple[list[int], Callable[..., Any]]:
    """The equation as a real function of its floating-point operands, and their positions."""
    moving = [i for i, atom in enumerate(equation.invars) if is_floating(atom.aval)]

    def function(*values: Any) -> list[Any]:
        replaced = iter(values)
        inputs = [next(replaced) if i in moving else x for i, x in enumerate(operands)]
        return [y for y in bind(equation, *inputs) if is_floating(y)]

    return moving, function
