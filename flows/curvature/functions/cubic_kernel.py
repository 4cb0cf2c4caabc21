r"""What multiplies a third derivative in the cubic term of the principal flow.

.. math:: \Phi_i(j, k) = \frac{G_i(\mu_j \mu_k) - G_i(\mu_j) - G_i(\mu_k) + G_i(1)}{z_j z_k}, \qquad
          G_i(x) = \frac{\log x - a_i}{x - \mu_i}

with ``mu = 1 - z`` and its logarithm ``a`` on the branch in use; ``log(mu_j mu_k)`` is read as
``a_j + a_k``. The numerator vanishes with ``z_j`` and with ``z_k``: there, the difference is the
mean of a derivative.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import scipy.special

from ..._custom_types import Array, Scalar
from ._base import SpectralFunction
from .rounded_alpha import ROUNDING

# The factor of a direction whose logarithm is smaller is a mean of derivatives. The kernel's poles
# are at a distance of pi at least, so that four nodes give all digits; and a quotient by so much
# loses a factor of 1 / _SMALL^2 of them.
_SMALL = 0.2
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(4)
_NODES, _WEIGHTS = (1 + _NODES) / 2, _WEIGHTS / 2

# The even part of x / (e^x - 1) = sum_n B_n x^n / n!, and its derivatives; used for |x| < 1.
_EVEN = scipy.special.bernoulli(24) / scipy.special.factorial(np.arange(25))
_EVEN[1] = 0
_SERIES = [np.polynomial.Polynomial(_EVEN).deriv(order).coef for order in range(3)]

# An imaginary part from which on a pole is within reach: nearer to 2 pi than to pi, where sums of
# two logarithms lie of which one is beyond 1.
_TURNED = 1.5 * np.pi


class Spectrum(eqx.Module):
    """Eigenvalues of ``h H`` and what the kernel needs of them, each of shape ``(n,)``.

    Attributes:
        function: ``alpha``.
        z: The eigenvalues.
        alpha: ``log(1 - z) / z``.
        logarithm: ``a = log(1 - z)``, on the branch in use.
        multiplier: ``mu = 1 - z``, which is not zero where `z` is 1, as its logarithm is finite.
    """

    function: SpectralFunction = eqx.field(static=True)
    z: Array
    alpha: Array
    logarithm: Array
    multiplier: Array

    def __init__(self, function: SpectralFunction, z: Array):
        self.function, self.z = function, z
        self.alpha = function(z)
        self.logarithm = self.alpha * z.astype(self.alpha.dtype)
        eps = float(jnp.finfo(z.dtype).eps)
        multiplier = 1 - z
        self.multiplier = jnp.where(jnp.abs(multiplier) < ROUNDING * eps, eps, multiplier)


def cubic_kernel(at: Spectrum, a: Scalar, mu: Scalar) -> Array:
    """``Phi_i(j, k)``, shape ``(n, n)``, for one direction's logarithm `a` and multiplier `mu`."""
    dtype = at.alpha.dtype
    small = (jnp.abs(at.logarithm) < _SMALL) & (at.multiplier.real > 0)
    z = jnp.where(small, 1, at.z).astype(dtype)  # where it divides, it is not zero
    mu = mu.astype(dtype)
    # Of the first direction in a column, of the second one in a row.
    alpha, a_j, mu_j, z_j, small_j = (
        x[:, None] for x in (at.alpha, at.logarithm, at.multiplier.astype(dtype), z, small)
    )
    a_k, mu_k, z_k, small_k = a_j.T, mu_j.T, z_j.T, small_j.T

    def f(order: int, logarithm: Array, multiplier: Array) -> Array:
        return _derivative(order, logarithm - a, multiplier / mu)

    neither, alone = f(0, jnp.zeros((), dtype), jnp.ones((), dtype)), f(0, a_j, mu_j)
    quotient = (f(0, a_j + a_k, mu_j * mu_k) - alone - alone.T + neither) / (z_j * z_k)

    # Some of the way along each direction: its logarithm and its multiplier, shape (4, n, 1).
    nodes, weights = (jnp.asarray(x, dtype)[:, None, None] for x in (_NODES, _WEIGHTS))
    b = nodes * a_j[None]
    nu = jnp.exp(b)
    half = jnp.sum(weights * (f(1, b + a_k[None], nu * mu_k[None]) - f(1, b, nu)), axis=0)
    half *= alpha / z_k
    b, nu, weights = b[:, None], nu[:, None], weights[:, None]
    c, xi, others = (jnp.moveaxis(x, (0, 1, 2, 3), (1, 0, 3, 2)) for x in (b, nu, weights))
    mean = jnp.sum(weights * others * f(2, b + c, nu * xi), axis=(0, 1)) * alpha * alpha.T
    value = jnp.where(small_j, jnp.where(small_k, mean, half), jnp.where(small_k, half.T, quotient))
    return value / mu


def pair_kernel(at: Spectrum, one: Spectrum, other: Spectrum) -> Array:
    """``Phi_i(j, k)`` for one pair of directions beyond ``z = 1``, where no difference cancels.

    Arguments:
        at: The directions ``i``, arrays of any shape.
        one: The direction ``j``, scalars.
        other: The direction ``k``.
    """
    dtype = at.alpha.dtype

    def f(logarithm: Scalar, multiplier: Scalar) -> Array:
        mu = at.multiplier.astype(dtype)
        return _derivative(0, logarithm - at.logarithm, multiplier.astype(dtype) / mu) / mu

    alone = [f(x.logarithm, x.multiplier) for x in (one, other)]
    neither = f(jnp.zeros((), dtype), jnp.ones((), dtype))
    both = f(one.logarithm + other.logarithm, one.multiplier * other.multiplier)
    return (both - alone[0] - alone[1] + neither) / (one.z * other.z).astype(dtype)


def resonance(x: Array, distance: Array, weight: Array, size: Scalar) -> Scalar:
    """How far the nearest pole is, in units of what stands over it, relative to the field's size.

    A pole is where ``mu_j mu_k = mu_i``, but not so the logarithms: they differ by ``2 pi i``.

    Arguments:
        x: ``a_j + a_k - a_i`` for some triples, any shape.
        distance: ``|mu_j mu_k - mu_i|``.
        weight: ``|T_ijk v_j v_k|``, of the same units as `size`.
        size: ``|alpha(A) b|``.
    """
    there = (jnp.abs(x.imag) > _TURNED) & (weight > 0)
    over = jnp.where(there, jnp.pi * weight, 1)
    return jnp.min(jnp.where(there, distance * size / over, jnp.inf))


def _derivative(order: int, x: Array, factor: Array) -> Array:
    """A derivative with respect to `x` of ``x / (factor - 1)``, where ``factor`` is ``+-e^x``."""
    near = (jnp.abs(x) < 1) & (factor.real > 0)
    inside = jnp.where(near, x, 0)
    square = inside * inside
    total = jnp.zeros_like(inside)
    # Every second coefficient is there; the odd part is -x / 2.
    for coefficient in _SERIES[order][order % 2 :: 2][::-1].tolist():
        total = total * square + coefficient
    total = [total - inside / 2, total * inside - 0.5, total][order]
    u = 1 / jnp.where(near, 2, factor - 1)
    v = u + u * u
    far = [x * u, u - x * v, x * v * (1 + 2 * u) - 2 * v][order]
    return jnp.where(near, total, far)
