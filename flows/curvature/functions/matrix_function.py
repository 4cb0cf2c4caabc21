"""A function of a small matrix applied to a vector, with its derivative by divided differences."""

import functools as ft

import jax
import jax.numpy as jnp
import numpy as np

from ..._custom_types import Array
from ..eigen import eigen
from ._base import SpectralFunction

# Nodes and weights on [0, 1]: exact to rounding for what `divided_differences` asks of them.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)
_NODES, _WEIGHTS = (1 + _NODES) / 2, _WEIGHTS / 2


@ft.partial(jax.custom_jvp, nondiff_argnums=(0,))
def matrix_function(function: SpectralFunction, A: Array, b: Array) -> tuple[Array, Array]:
    r"""``f(A) b`` and the eigenvalues of ``A``, dense.

    .. math:: f(A)\, b = V f(\Lambda) V^{-1} b, \qquad A V = V \Lambda

    A real ``A`` is taken as symmetric, so that ``V`` is orthogonal. A complex one is general: its
    eigenvectors are not orthogonal (nor is a complex symmetric matrix's ``V^T V`` the identity),
    and ``V`` is inverted. Next to a matrix without a full set of eigenvectors half of the digits
    are lost, and at one all may be.

    Differentiated by the formula of Daleckii and Krein, with ``f[z_i, z_j]`` the divided
    difference of ``f``: the eigenvectors, which have no derivative where eigenvalues meet, are not
    differentiated.

    .. math:: V^{-1}\, \mathrm{d}(f(A))\, V = f[z_i, z_j] \circ (V^{-1}\, \mathrm{d}A\, V)
    """
    values, vectors, inverse = eigen(A)
    components = inverse @ b
    coefficients = function(values) * components.astype(_result_dtype(function, values))
    return vectors.astype(coefficients.dtype) @ coefficients, values


@matrix_function.defjvp
def _matrix_function_jvp(function, primals, tangents):
    (A, b), (dA, db) = primals, tangents
    values, vectors, inverse = eigen(A)
    components = inverse @ b
    dtype = _result_dtype(function, values)
    image = function(values)
    rotated = inverse @ dA @ vectors
    differences = divided_differences(function, values)
    moved = (differences * rotated.astype(dtype)) @ components.astype(dtype)
    carried = image * (inverse @ db).astype(dtype)
    vectors = vectors.astype(dtype)
    return (
        (vectors @ (image * components.astype(dtype)), values),
        (vectors @ (moved + carried), jnp.diagonal(rotated)),
    )


def divided_differences(function: SpectralFunction, z: Array) -> Array:
    r"""``f[z_i, z_j] = (f(z_i) - f(z_j)) / (z_i - z_j)``, and ``f'(z_i)`` where they are equal.

    Neighbours are few compared with their distance from the singularity at 1; for them the mean of
    ``f'`` between the two is computed, by Gauss' rule, in place of a quotient that cancels.
    """
    a, b = z[:, None], z[None, :]
    a, b = jnp.broadcast_arrays(a, b)
    gap, middle = a - b, (a + b) / 2
    close = 4 * jnp.abs(gap) <= jnp.abs(1 - middle)
    mean = jnp.zeros(a.shape, _result_dtype(function, z))
    for node, weight in zip(_NODES.tolist(), _WEIGHTS.tolist(), strict=True):
        # Where the quotient is taken, any point does that is not the singularity itself.
        point = jnp.where(close, b + node * gap, jnp.zeros_like(b))
        mean += weight * jax.jvp(function, (point,), (jnp.ones_like(point),))[1]
    image = function(z)
    change = image[:, None] - image[None, :]
    # Neighbours on two sides of a branch cut are far apart in f: between them there is no mean.
    sizes = jnp.abs(image[:, None]) + jnp.abs(image[None, :])
    close &= jnp.abs(change - gap.astype(mean.dtype) * mean) <= sizes / 128
    safe = jnp.where(close, jnp.ones_like(gap), gap).astype(image.dtype)
    return jnp.where(close, mean, change / safe)


def _result_dtype(function: SpectralFunction, z: Array) -> jnp.dtype:
    return jax.eval_shape(function, z).dtype
