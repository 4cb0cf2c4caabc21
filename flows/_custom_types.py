"""The names that signatures use for arrays and trees of arrays."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Array, Bool, Float, Int, PyTree

# One real number; `h` and `t` are times, a loss has the loss's own units.
Scalar = Float[Array, ""]
Integer = Int[Array, ""]
Flag = Bool[Array, ""]


class At(NamedTuple):
    """A place on the clock: so many whole steps, and a part of the next one.

    Both are exact in float32, however long a run is. Within one step of an optimizer what changes
    from step to step does not: it is that of `step`, up to and including ``part = 1``.

    Attributes:
        step: How many steps were made.
        part: Of the step after them, from 0 to 1.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> place = flows.At(jnp.asarray(3), jnp.asarray(0.25))
        >>> float(place.number)
        3.25

    References:
        Flows and methods are told it: see `flows.AbstractFlow`.
    """

    step: Integer
    part: Scalar

    @property
    def number(self) -> Scalar:
        """Both together, in the part's dtype: exact as long as float32 can tell its steps apart."""
        return self.step.astype(self.part.dtype) + self.part


# Parameters: any pytree. Its floating-point leaves are what an optimizer moves.
Params = PyTree[Any]

# What a loss is given beside the parameters: any pytree.
Data = PyTree[Any]

# A vector field in diffrax' form, `f(t, y, args)`: parameters per flow time.
VectorField = Callable[[Any, PyTree[Any], Any], PyTree[Any]]

# A loss: `loss(params)`, or `loss(params, args)` where `args` is given.
Loss = Callable[..., Any]

__all__ = [
    "Array",
    "At",
    "Data",
    "Flag",
    "Float",
    "Integer",
    "Loss",
    "Params",
    "PyTree",
    "Scalar",
    "VectorField",
]
