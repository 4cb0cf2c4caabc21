"""Running and sliding windows: cumulative functions, pooling and its gradient.

>>> import jax.numpy as jnp
>>> from jax import lax
>>> cumulative(lax.max)(jnp.array([1.0, 3.0, 2.0]), axis=0, reverse=False).tolist()
[1.0, 3.0, 3.0]
"""

import itertools as it
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from ._dtypes import to_complex, to_real
from ._evaluate import bind
from ._kinds import per_part


def cumulative(function: Callable[..., Any]) -> Callable[..., Any]:
    """An associative function of two, of all numbers up to each."""
    return lambda x, *, axis, reverse: lax.associative_scan(function, x, axis=axis, reverse=reverse)


def pool(choose: Callable[..., Any], loses: float) -> Callable[..., Any]:
    """The number that `choose` points at, of each window; `loses` stands around the array."""

    def function(
        x: Any,
        *,
        window_dimensions: Sequence[int],
        window_strides: Sequence[int],
        padding: Sequence[tuple[int, int]],
        base_dilation: Sequence[int],
        window_dilation: Sequence[int],
    ) -> Any:
        edges = [(*edge, gap - 1) for edge, gap in zip(padding, base_dilation, strict=True)]
        x = lax.pad(x, jnp.asarray(loses, x.dtype), edges)
        reach = [(n - 1) * d for n, d in zip(window_dimensions, window_dilation, strict=True)]
        shifted = [
            lax.slice(
                x,
                [i * d for i, d in zip(offset, window_dilation, strict=True)],
                [
                    n - r + i * d
                    for n, r, i, d in zip(x.shape, reach, offset, window_dilation, strict=True)
                ],
                window_strides,
            )
            for offset in it.product(*map(range, window_dimensions))
        ]
        stacked = jnp.stack(shifted)
        return jnp.take_along_axis(stacked, choose(stacked, axis=0, keepdims=True), axis=0)[0]

    return function


def pooling_gradient(equation: Any, moving: Any, operand: Any) -> Any:
    """Linear in the first operand; the second one only chooses."""
    chosen = lax.stop_gradient(to_real(operand))
    return per_part(lambda x, y: bind(equation, x, y), to_complex(moving), chosen)
