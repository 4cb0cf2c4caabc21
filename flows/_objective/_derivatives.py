"""Derivatives of a field along a direction, three ways, and what is said where there is none."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp

from .._custom_types import Params, Scalar
from .._errors import DerivativeError, FlowsError
from .._vectors import add_scaled, norm, real_dtype, scaled, subtract

PRODUCTS = ("forward-over-reverse", "reverse-over-reverse", "difference")
# What JAX and Equinox say where there is no rule for a derivative.
_OF_DERIVATIVES = re.compile(r"(?i)differentiat|custom_vjp|autodiff|jvp|forward-mode|reverse-mode")


@contextlib.contextmanager
def derivatives_taken(product: str) -> Iterator[None]:
    """A `DerivativeError` with the remedy for what JAX says of a derivative that does not exist."""
    try:
        yield
    except (TypeError, ValueError, NotImplementedError) as error:
        if isinstance(error, FlowsError) or not _OF_DERIVATIVES.search(str(error)):
            raise
        others = " or ".join(repr(other) for other in PRODUCTS if other != product)
        raise DerivativeError(
            f"the gradient of the loss has no derivative by product={product!r}: "
            f"{str(error).splitlines()[0]} Pass flows.Objective(loss, product=...) in place of the "
            f"loss, with {others}."
        ) from error


def along(field: Callable[[Params], Params], direction: Params) -> Callable[[Params], Params]:
    """The derivative of a field in a direction that does not depend on the point.

    Linearised, as `jax.jvp` refuses what has a ``custom_vjp``, even where only its reverse is used.
    """
    return lambda point: jax.linearize(field, point)[1](direction)


def transposed_along(
    field: Callable[[Params], Params], direction: Params
) -> Callable[[Params], Params]:
    """The same for a field with a symmetric derivative, in reverse."""
    return lambda point: jax.vjp(field, point)[1](direction)[0]


def difference(
    field: Callable[[Params], Params], direction: Params, root: int
) -> Callable[[Params], Params]:
    """The same by a central difference, over the `root`-th root of the rounding unit.

    That is a third root where one is taken, a fourth where two are nested: what is lost to rounding
    grows with each. The length is relative to the point, and to 1 near the origin.
    """

    def along(point: Params) -> Params:
        dtype = real_dtype(point)
        length = norm(direction)
        known = length > 0
        step = float(jnp.finfo(dtype).eps) ** (1 / root) * (1 + norm(point))
        step = jax.lax.stop_gradient(step / jnp.where(known, length, 1))
        return central_difference(field, point, step, direction)

    return along


def central_difference(
    field: Callable[[Params], Params], point: Params, step: Scalar, direction: Params
) -> Params:
    """``(f(x + s v) - f(x - s v)) / 2 s``."""
    above = field(add_scaled(point, step, direction))
    below = field(add_scaled(point, -step, direction))
    return scaled(1 / (2 * step), subtract(above, below))
