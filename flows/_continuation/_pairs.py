"""Complex numbers of the loss itself, whose imaginary unit is not that of the parameters.

Where a loss computes ``w = u + i v``, the real functions ``u`` and ``v`` of the parameters have
continuations ``U`` and ``V``. What is carried is the continuation of ``w`` and that of its
conjugate, ``U + i V`` and ``U - i V``: two numbers, neither the conjugate of the other once the
parameters are complex.

>>> import jax.numpy as jnp
>>> pair = Pair(jnp.array(1 + 2j), jnp.array(3 - 2j))
>>> complex(pair.real_part()), complex(pair.imaginary_part())
((2+0j), (2+1j))
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from jax import lax

from ._dtypes import is_complex, is_floating, to_complex


class Pair(NamedTuple):
    """The continuations of a complex number and of its conjugate."""

    number: Any
    mirror: Any

    @property
    def dtype(self) -> Any:
        """The complex dtype of both."""
        return self.number.dtype

    def real_part(self) -> Any:
        """The continuation of the real part."""
        return (self.number + self.mirror) / 2

    def imaginary_part(self) -> Any:
        """The continuation of the imaginary part."""
        return (self.number - self.mirror) * _unit(self, -0.5)

    def parts(self) -> tuple[Any, Any]:
        """The number by the parameters' unit, its real and imaginary part; those are complex."""
        mirror = lax.conj(self.mirror)
        return (self.number + mirror) / 2, (self.number - mirror) * _unit(self, -0.5)


def _unit(pair: Pair, factor: float) -> Any:
    return lax.convert_element_type(factor * 1j, pair.dtype)


def as_pair(value: Any, aval: Any) -> Any:
    """A floating-point number of the loss as a pair; anything else as it is."""
    if isinstance(value, Pair) or not is_floating(value):
        return value
    if is_complex(aval):  # the parameters have not reached it
        return Pair(value, lax.conj(value))
    return Pair(to_complex(value), to_complex(value))


def rank(value: Any) -> int:
    """0 for what the parameters have not reached, 1 for continued numbers, 2 for pairs of them."""
    return 2 if isinstance(value, Pair) else int(is_complex(value))


def alike(values: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    """The values, complex where the others are, and pairs where those are."""
    return [
        as_pair(value, value)
        if isinstance(other, Pair)
        else to_complex(value)
        if is_complex(other)
        else value
        for value, other in zip(values, others, strict=True)
    ]
