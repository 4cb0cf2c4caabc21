"""What has no rule is right at real points, and refused at others when one of them is met.

A flow that turns complex only past ``h lambda = 1`` may never get there.

>>> import jax.numpy as jnp
>>> from jax import lax
>>> from flows._continuation import continued
>>> complex(continued(lax.erf_inv)(jnp.array(0j)))
0j
"""

import contextlib
import contextvars
from collections.abc import Iterator, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.core import Tracer

from .._errors import ContinuationError
from ._custom_derivatives import tangents_of
from ._dtypes import is_complex, to_complex, to_real
from ._evaluate import bind, enclosing, message_of, within
from ._kinds import per_part

# In every message of `message_of`.
_REFUSAL = "has no analytic"
# Within the derivative at a point that has been seen to be real. What depends linearly on the
# tangents must not be asked again: the question cannot be transposed.
_known = contextvars.ContextVar("known", default=False)


def only_real(equation: Any, *operands: Any) -> Any:
    """The primitive, and its own derivatives, of operands without imaginary parts."""
    message, place = message_of(equation), enclosing()
    known = _known.get()
    numbers = [x for x in operands if is_complex(x)]
    concrete = not any(isinstance(x, Tracer) for x in numbers)
    if not known and concrete and _imaginary(numbers):
        raise ContinuationError(message)

    def one(xs: Sequence[Any]) -> Any:
        number = jnp.ones(())
        return number if known else eqx.error_if(number, _imaginary(xs), message)

    @jax.custom_jvp
    def function(*xs: Any) -> list[Any]:
        avals = [atom.aval for atom in equation.invars]
        real = [to_real(x, aval.dtype) for x, aval in zip(xs, avals, strict=True)]
        outputs = bind(equation, *real)
        outputs = outputs if equation.primitive.multiple_results else [outputs]
        return _times([to_complex(output) for output in outputs], one(xs))

    def derivative(xs: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        outputs = function(*xs)
        token = _known.set(True)
        try:
            with within(place):
                moved = tangents_of(equation, xs, tangents, outputs)
        finally:
            _known.reset(token)
        # By itself: a derivative may need no value.
        return outputs, _times(moved, one(xs))

    function.defjvp(derivative, symbolic_zeros=True)
    outputs = function(*operands)
    return outputs if equation.primitive.multiple_results else outputs[0]


@contextlib.contextmanager
def refusals_named() -> Iterator[None]:
    """A `ContinuationError` for what a running program says of a point that it cannot do."""
    try:
        yield
    except RuntimeError as error:
        said = [line for line in str(error).splitlines() if _REFUSAL in line]
        if not said:
            raise
        raise ContinuationError(said[0][said[0].index("The primitive") :]) from error


def refused_unless_real(numbers: Sequence[Any], message: str) -> list[Any]:
    """The real numbers that these are; an error once it runs with an imaginary part."""
    real = [to_real(x) for x in numbers]
    return real if _known.get() else eqx.error_if(real, _imaginary(numbers), message)


def _times(values: list[Any], one: Any) -> list[Any]:
    return [per_part(lax.mul, x, one) if is_complex(x) else x for x in values]


def _imaginary(numbers: Sequence[Any]) -> Any:
    parts = [jnp.any(lax.imag(x) != 0) for x in numbers if is_complex(x)]
    return jnp.any(jnp.stack(parts)) if parts else jnp.array(False)
