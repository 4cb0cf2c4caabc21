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

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from ._continued import continued
from ._dtypes import is_complex, is_floating, to_complex, to_real
from ._evaluate import bind, enclosing, within
from ._sub_programs import call


def custom_jvp(equation: Any, *operands: Any) -> list[Any]:
    """A function that brings its derivative along a direction."""
    place = enclosing()

    @jax.custom_jvp
    def function(*xs: Any) -> list[Any]:
        with within(place):
            return [to_complex(output) for output in call(equation, *xs)]

    def derivative(xs: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        outputs = function(*xs)
        with within(place):
            return outputs, tangents_of(equation, xs, tangents, outputs)

    # What does not move is told apart: there may be no derivative by it.
    function.defjvp(derivative, symbolic_zeros=True)
    return function(*operands)


def tangents_of(equation: Any, xs: Any, tangents: Any, outputs: Sequence[Any]) -> list[Any]:
    """The derivative that JAX has for the equation, continued, for `outputs` of it."""
    moving = [i for i, t in enumerate(tangents) if not isinstance(t, SymbolicZero)]

    def real(xs: Any, tangents: Any) -> list[Any]:
        function = _floating_results(equation, xs, moving)
        return jax.jvp(function, [xs[i] for i in moving], tangents)[1]

    moved = iter(continued(real)(list(xs), [tangents[i] for i in moving]))
    zeros = (np.zeros(y.shape, jax.dtypes.float0) for y in outputs)
    return [next(moved) if is_floating(y) else zero for y, zero in zip(outputs, zeros, strict=True)]


def custom_vjp(equation: Any, *operands: Any) -> list[Any]:
    """A function that brings its transposed derivative."""
    place = enclosing()

    def primal(*xs: Any) -> list[Any]:
        with within(place):
            return [to_complex(output) for output in call(equation, *xs)]

    def forward(*xs: Any) -> tuple[list[Any], _Saved]:
        values = tuple(x.value for x in xs)
        moving = [i for i, x in enumerate(xs) if x.perturbed and is_floating(x.value)]
        return primal(*values), _Saved(values, tuple(moving))

    def backward(saved: _Saved, cotangents: Any) -> tuple[Any, ...]:
        def real(xs: Any, cotangents: Any) -> list[Any]:
            function = _floating_results(equation, xs, saved.moving)
            return list(jax.vjp(function, *(xs[i] for i in saved.moving))[1](cotangents))

        cotangents = [_array(c) for c in cotangents]
        with within(place):
            moved = continued(real)(saved.operands, [c for c in cotangents if is_floating(c)])
        result: list[Any] = [None] * len(operands)
        for i, change in zip(saved.moving, moved, strict=True):
            result[i] = (to_complex if is_complex(saved.operands[i]) else to_real)(change)
        return tuple(result)

    function = jax.custom_vjp(primal)
    # What does not move is told apart: the function's own rule may be told, and refuse.
    function.defvjp(forward, backward, symbolic_zeros=True)
    return function(*operands)


def _array(cotangent: Any) -> Any:
    aval: Any = cotangent.aval if isinstance(cotangent, SymbolicZero) else None
    return jnp.zeros(aval.shape, aval.dtype) if aval else cotangent


class _Saved(eqx.Module):
    """The operands of a function, and the places of those by which it is differentiated."""

    operands: tuple[Any, ...]
    moving: tuple[int, ...] = eqx.field(static=True)


def _floating_results(
    equation: Any, operands: Sequence[Any], moving: Sequence[int]
) -> Callable[..., Any]:
    """The equation as a real function of some of its operands, those at the places `moving`."""

    def function(*values: Any) -> list[Any]:
        replaced = iter(values)
        inputs = [next(replaced) if i in moving else x for i, x in enumerate(operands)]
        outputs = bind(equation, *inputs)
        outputs = outputs if equation.primitive.multiple_results else [outputs]
        return [y for y in outputs if is_floating(y)]

    return function
