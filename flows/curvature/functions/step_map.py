"""The principal flow's velocity for any one-step map, from the whole matrix of its derivative."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ..._custom_types import Array, Params
from ..._vectors import ravel, real_dtype, subtract, unravel
from ..eigen import general_eigen
from ..hessian import columns_of
from ._base import SpectralImage
from .matrix_logarithm import logarithm_ratio
from .rounded_alpha import ROUNDING


def step_map_velocity(
    branch: str, step: Callable[[Params], Params], params: Params
) -> SpectralImage:
    r"""How far the principal flow of a map ``Phi`` moves in a step; the spectrum of ``I - D Phi``.

    .. math:: \frac{dy}{dn} = \log(D\Phi)\, (D\Phi - I)^{-1} (\Phi(y) - y)

    For gradient descent ``D Phi = I - h H``: the same field.

    Arguments:
        branch: Of the logarithm, see `logarithm_ratio`.
        step: ``Phi``.
        params: The point, real or complex.
    """
    after, derivative = jax.linearize(step, params)
    multipliers = columns_of(derivative, params)
    moved = ravel(subtract(after, params))
    ratio = logarithm_ratio(branch, multipliers)
    velocity = ratio @ moved.astype(ratio.dtype)
    if not jnp.iscomplexobj(moved):
        velocity = _without_rounding(velocity)
        if branch == "real":
            # An imaginary multiplier has no real logarithm of its square.
            velocity = jnp.where(jnp.any(velocity.imag != 0), jnp.nan, velocity.real)
    identity = jnp.eye(moved.size, dtype=ratio.dtype)
    eigenvalues, *_ = general_eigen(identity - multipliers.astype(ratio.dtype))
    return SpectralImage(
        unravel(velocity, params),
        eigenvalues,
        jnp.asarray(jnp.finfo(ratio.dtype).eps, real_dtype(params)),
        jnp.asarray(moved.size),
    )


def _without_rounding(velocity: Array) -> Array:
    """Without an imaginary part that is rounding, so that a real path stays real."""
    rounding = ROUNDING * float(jnp.finfo(velocity.dtype).eps) * jnp.max(jnp.abs(velocity))
    is_real = jnp.all(jnp.abs(velocity.imag) <= rounding)
    return jnp.where(is_real, velocity.real.astype(velocity.dtype), velocity)
