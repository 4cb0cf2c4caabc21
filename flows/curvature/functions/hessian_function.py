"""A function of the Hessian applied to a vector by a short Krylov space of its own."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

from ..._custom_types import Array, Integer, Params, Scalar
from ..._vectors import norm
from ..hessian import Matvec
from .krylov_space import krylov_space, ritz

# Whether the space is large enough is looked up after so many products.
_LOOK = 2


class Image(eqx.Module):
    """``f(A) v``.

    Attributes:
        value: The vector, complex where ``f`` is.
        error: An estimate of the error's norm (Saad's): the next direction's share.
        matvecs: How often ``A`` was applied.
        eigenvalues: The Ritz values of the space.
        components: Of ``v`` along its Ritz vectors.
    """

    value: Params
    error: Scalar
    matvecs: Integer
    eigenvalues: Array
    components: Array


class HessianFunction(eqx.Module):
    """``f(A) v`` for functions that may depend on traced numbers. Not for reverse mode.

    Attributes:
        matvec: ``A``.
        num_matvecs: The most products for one vector.
        rtol: The relative error at which the space stops growing.
    """

    matvec: Matvec = eqx.field(static=True)
    num_matvecs: int = eqx.field(static=True)
    rtol: Scalar

    def __call__(self, v: Params, function: Callable[[Array], Array], size: Scalar) -> Image:
        """``f(A) v``.

        Arguments:
            v: The vector: real where ``A`` is.
            function: ``f``, elementwise on arrays of eigenvalues.
            size: The norm of what the result is to be added to, if that is the larger one.
        """
        length = norm(v)

        def enough(T: Array, residual: Scalar, count: Integer) -> Array:
            def look() -> Array:
                coefficients, *_ = _coefficients(T, count, function)
                error = residual * jnp.abs(coefficients[count - 1])
                whole = jnp.linalg.norm(coefficients)
                return length * error <= self.rtol * jnp.maximum(length * whole, size)

            return jax.lax.cond(count % _LOOK == 0, look, lambda: False)

        space = krylov_space(self.matvec, v, self.num_matvecs, enough)
        coefficients, eigenvalues, first = _coefficients(space.projected, space.count, function)
        error = space.length * space.residual * jnp.abs(coefficients[space.count - 1])
        return Image(
            space.basis.combine(space.length.astype(coefficients.dtype) * coefficients),
            error,
            space.count,
            eigenvalues,
            space.length.astype(first.dtype) * first,
        )


def _coefficients(
    T: Array, count: Integer, function: Callable[[Array], Array]
) -> tuple[Array, Array, Array]:
    """``f(T) e_1``, the eigenvalues of ``T``, and the components of ``e_1`` along its vectors."""
    eigenvalues, vectors, first = ritz(T, count)
    image = function(eigenvalues)
    return vectors.astype(image.dtype) @ (image * first.astype(image.dtype)), eigenvalues, first
