"""The cubic term of the principal flow in the eigenbasis of the Hessian, in closed form."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ..._custom_types import Array, Scalar
from ..eigen import eigen
from .cubic_kernel import Spectrum, cubic_kernel, resonance
from .rounded_alpha import rounded_alpha


def dense_cubic_image(
    branch: str, A: Array, third: Callable[[Array], Array], b: Array
) -> tuple[Array, Array, Scalar]:
    r"""The field with all terms that contain one third derivative, in the eigenbasis.

    .. math:: \dot\theta_i = \alpha(z_i)\, b_i
              - \tfrac12 \sum_{jk} T_{ijk}\, \Phi_i(j, k)\, b_j b_k

    Arguments:
        branch: Of ``log(1 - z)``.
        A: ``h H``, real symmetric or complex symmetric, shape ``(n, n)``.
        third: From a direction ``v`` to the matrix ``h^2 D^3E[v]``; its entries are ``T``.
        b: The gradient, shape ``(n,)``.

    Returns:
        The field, the eigenvalues ``z``, and the resonance distance.
    """
    z, vectors, inverse = eigen(A)
    at = Spectrum(rounded_alpha(branch), z)
    components = inverse @ b
    dtype = at.alpha.dtype
    principal = at.alpha * components.astype(dtype)
    size = jnp.linalg.norm(principal)

    def direction(i: Array) -> tuple[Array, Array]:
        T = vectors.T @ third(inverse[i]) @ vectors
        T = (T * jnp.outer(components, components)).astype(dtype)
        a, mu = at.logarithm[i], at.multiplier[i]
        distance = jnp.abs(jnp.outer(at.multiplier, at.multiplier) - mu)
        x = at.logarithm[:, None] + at.logarithm[None, :] - a
        # No pole is near a zero eigenvalue; where there is none, the quotient is not looked at.
        zero = z == 0
        v = jnp.where(zero, 0, 1 / jnp.where(zero, 1, z))
        weight = jnp.abs(T * jnp.outer(v, v).astype(dtype))
        return -jnp.sum(T * cubic_kernel(at, a, mu)) / 2, resonance(x, distance, weight, size)

    terms, resonances = jax.lax.map(direction, jnp.arange(b.size))
    image = vectors.astype(dtype) @ (principal + terms)
    return image, z, jnp.min(resonances)
