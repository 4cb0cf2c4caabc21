"""Steps of a loss through complex numbers, of which `_pairs` says how they are carried.

An analytic function acts on the number, and its mirror image on the mirror, so that on real input
one stays the conjugate of the other. Conjugation exchanges them.

>>> import jax.numpy as jnp
>>> from flows._continuation import continued
>>> power = continued(lambda x: jnp.sum(jnp.abs(jnp.fft.fft(x)) ** 2))
>>> bool(jnp.isclose(power(jnp.array([1 + 1j, 2j])), 2 * ((1 + 1j) ** 2 + (2j) ** 2)))
True
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import jax.tree_util as jtu
from jax import lax

from ._dtypes import complex_dtype, is_complex, matched, to_complex
from ._evaluate import bind
from ._pairs import Pair, as_pair


def _pairs(equation: Any, operands: tuple[Any, ...]) -> list[Any]:
    return [as_pair(x, atom.aval) for x, atom in zip(operands, equation.invars, strict=True)]


def holomorphic(equation: Any, *operands: Any) -> Any:
    """An analytic function of complex numbers."""
    return _mirrored(lambda *xs: bind(equation, *matched(xs)), *_pairs(equation, operands))


def _mirrored(function: Callable[..., Any], *operands: Any) -> Any:
    numbers = function(*(x.number if isinstance(x, Pair) else x for x in operands))
    mirrors = function(*(lax.conj(x.mirror) if isinstance(x, Pair) else x for x in operands))
    return jtu.tree_map(lambda a, b: Pair(a, lax.conj(b)), numbers, mirrors)


def by_sheet(split: Callable[..., tuple[Any, Any, Callable[..., Any]]]) -> Callable[..., Any]:
    """A function with a cut: real parameters say on which sheet, so that the mirrors agree.

    `split` gives, of a number and one near to it, the near one as the function takes it, what then
    remains, which is close to where the function is analytic, and how the two values are joined.
    """

    def rule(equation: Any, *operands: Any) -> Any:
        pair, *rest = _pairs(equation, operands)
        real, _ = pair.parts()
        centre = Pair(lax.stop_gradient(real), lax.stop_gradient(lax.conj(real)))

        def function(x: Any, near: Any, *rest: Any) -> Any:
            near, remainder, join = split(x, near)
            return join(*(bind(equation, *matched([z, *rest])) for z in (near, remainder)))

        return _mirrored(function, pair, centre, *rest)

    return rule


def ratio(x: Any, near: Any) -> tuple[Any, Any, Callable[..., Any]]:
    """``f(x) = f(near) f(x / near)``, as of powers."""
    near = jnp.where(near == 0, 1, near)
    return near, x / near, lax.mul


def ratio_of_logarithms(x: Any, near: Any) -> tuple[Any, Any, Callable[..., Any]]:
    """``f(x) = f(near) + f(x / near)``."""
    return (*ratio(x, near)[:2], lax.add)


def ratio_from_one(x: Any, near: Any) -> tuple[Any, Any, Callable[..., Any]]:
    """The same where the argument is counted from 1."""
    near = jnp.where(near == -1, 0, near)
    return near, (x - near) / (1 + near), lax.add


def fourier(equation: Any, operand: Any) -> Any:
    """Linear over the real numbers, whichever of its ends are real."""
    [atom], [out] = equation.invars, equation.outvars
    parts = operand.parts() if is_complex(atom.aval) else (lax.real(operand), lax.imag(operand))
    real, imaginary = (bind(equation, part) for part in parts)
    if not is_complex(out.aval):
        return lax.complex(real, imaginary)
    unit = lax.convert_element_type(1j, real.dtype)
    return Pair(real + unit * imaginary, lax.conj(real) + unit * lax.conj(imaginary))


# --- Between real and complex numbers -------------------------------------------------------------


def convert(equation: Any, operand: Any) -> Any:
    """To another dtype; a complex number loses its imaginary part if that is a real one."""
    new, [pair] = equation.params["new_dtype"], _pairs(equation, (operand,))
    if jnp.issubdtype(new, jnp.complexfloating):
        return Pair(*(lax.convert_element_type(z, new) for z in pair))
    real = pair.real_part()
    if jnp.issubdtype(new, jnp.floating):
        return lax.convert_element_type(real, complex_dtype(new))
    return lax.convert_element_type(lax.real(real), new)


def from_parts(equation: Any, real: Any, imaginary: Any) -> Pair:
    """``u + i v``."""
    del equation
    real, imaginary = to_complex(real), to_complex(imaginary)
    turned = imaginary * lax.convert_element_type(1j, imaginary.dtype)
    return Pair(real + turned, real - turned)


def conjugate(equation: Any, operand: Any) -> Pair:
    """The mirror."""
    [pair] = _pairs(equation, (operand,))
    return Pair(pair.mirror, pair.number)


def absolute(equation: Any, pair: Pair) -> Any:
    """``sqrt(u^2 + v^2)``; at 0 the derivative is 0, as in JAX."""
    del equation
    size = lax.stop_gradient(jnp.maximum(abs(pair.number), abs(pair.mirror)))
    unit = jnp.where(size == 0, 1, size).astype(pair.dtype)
    square = (pair.number / unit) * (pair.mirror / unit)
    zero = square == 0
    return jnp.where(zero, 0, unit * jnp.sqrt(jnp.where(zero, 1, square)))


def sign(equation: Any, pair: Pair) -> Pair:
    """``w / |w|``, and 0 at 0; a constant to derivatives, as it is in JAX."""
    size = absolute(equation, pair)
    unit = jnp.where(size == 0, 1, size)
    return Pair(*(lax.stop_gradient(jnp.where(size == 0, 0, z / unit)) for z in pair))


def equal(equation: Any, *operands: Any) -> Any:
    """Both parts are."""
    x, y = _pairs(equation, operands)
    return (x.number == y.number) & (x.mirror == y.mirror)


def unequal(equation: Any, *operands: Any) -> Any:
    """One of the parts is."""
    return ~equal(equation, *operands)
