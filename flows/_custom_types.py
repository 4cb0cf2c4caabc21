"""The names that signatures use for arrays and trees of arrays."""

from collections.abc import Callable
from typing import Any

from jaxtyping import Array, Bool, Float, Int, PyTree

# One real number; `h` and `t` are times, a loss has the loss's own units.
Scalar = Float[Array, ""]
Integer = Int[Array, ""]
Flag = Bool[Array, ""]

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
