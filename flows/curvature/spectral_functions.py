"""The function of ``z = h * lambda`` that the principal flow applies to the Hessian.

>>> from flows.curvature.spectral_functions import alpha
>>> complex(alpha(0.0))
(-1+0j)
"""

import functools as ft
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from .._checks import one_of
from .._custom_types import Array
from .._errors import InvalidOptionError

BRANCHES = ("continued", "principal", "real")

_DTYPES = (jnp.float32, jnp.float64, jnp.complex64, jnp.complex128)

# How many coefficients of atanh(s)/s in s^2 by the bits of a mantissa. Up to |s| = 1/3 each term
# is at most a ninth of the one before; some more than the value needs, for two derivatives.
_TERMS = {24: 12, 53: 22}


def alpha(z: ArrayLike, branch: str = "continued") -> Array:
    r"""Evaluate the principal flow's spectral function.

    .. math:: \alpha(z) = \frac{\log(1 - z)}{z} = -\int_0^1 \frac{ds}{1 - s z}, \qquad
        \alpha(0) = -1

    The flow is ``alpha(h H) g``: along an eigenvector of the Hessian with eigenvalue ``lambda`` the
    gradient is multiplied by ``alpha(h * lambda)``. What the logarithm means for ``z > 1``, where
    the integral diverges, is the `branch`:

    - ``"continued"``: ``log(z - 1) + i pi`` wherever ``Re z > 1``. It is smooth across the real
      axis, so a flow can move along it; the cut is ``1 + i s`` with ``s > 0``.
    - ``"principal"``: the principal logarithm, whose cut is the real axis from 1 on; on the cut
      the value from below, ``+i pi``.
    - ``"real"``: ``log|1 - z| / z``, the two-step envelope: it matches every second step.

    The first two agree on the real axis. Elementwise; accurate to a few rounding units, near 0, 1
    and 2 too. At the singularity the logarithm is clamped: where ``|1 - z|`` is below the dtype's
    ``eps`` (1 itself and the float just below it) its real part is ``log(eps)``. Works under
    ``jit``, ``vmap`` and differentiation of any order.

    Arguments:
        z: ``h * lambda``, a pure number; a real or complex array of any shape. Anything else
            (integers, half precision) is taken as a float.
        branch: ``"continued"``, ``"principal"`` or ``"real"``.

    Returns:
        An array of the shape and precision of `z`: complex, but real for ``branch="real"``.

    Raises:
        InvalidOptionError: If `branch` is unknown, or is ``"real"`` and `z` is complex.

    Example:
        At 2, the edge of stability, the real part changes its sign.

        >>> import jax.numpy as jnp
        >>> from flows.curvature.spectral_functions import alpha
        >>> [f"{value:.3f}" for value in alpha(jnp.array([0.0, 0.5, 1.5, 2.0, 3.0])).tolist()]
        ['-1.000+0.000j', '-1.386+0.000j', '-0.462+2.094j', '0.000+1.571j', '0.231+1.047j']

    References:
        M. Rosca, Y. Wu, C. Qin, B. Dherin (2023), arXiv:2302.01952.
    """
    return _alpha(_checked(z, branch), branch)


def truncated_alpha(z: ArrayLike, terms: int) -> Array:
    r"""Evaluate the first terms of the series of `alpha`.

    .. math:: \alpha_m(z) = -\sum_{p=0}^{m-1} \frac{z^p}{p+1}

    One term is the gradient flow, two are the modified-loss flow, three the third-order flow as
    far as it is made of the Hessian and the gradient alone. The series converges for ``|z| < 1``.

    Arguments:
        z: ``h * lambda``, a pure number; a real or complex array of any shape.
        terms: ``m``, a Python integer >= 1.

    Returns:
        An array of the shape and dtype of `z`.

    Raises:
        InvalidOptionError: If `terms` is not a positive integer.

    Example:
        >>> from flows.curvature.spectral_functions import truncated_alpha
        >>> [round(float(truncated_alpha(0.5, terms)), 4) for terms in (1, 2, 3)]
        [-1.0, -1.25, -1.3333]

    References:
        M. Rosca, Y. Wu, C. Qin, B. Dherin (2023), arXiv:2302.01952.
    """
    if isinstance(terms, bool) or not isinstance(terms, int) or terms < 1:
        raise InvalidOptionError(
            f"terms must be a Python integer >= 1, got {terms!r}. "
            "Write for example truncated_alpha(z, 2)."
        )
    return -_horner([1 / (p + 1) for p in range(terms)], _inexact(z))


def _checked(z: ArrayLike, branch: str) -> Array:
    one_of(branch, BRANCHES, "branch")
    z = _inexact(z)
    if branch == "real" and jnp.iscomplexobj(z):
        raise InvalidOptionError(
            'branch="real" is the envelope along real z, but z is complex. '
            'Take its real part, or use branch="continued".'
        )
    return z


def _inexact(z: ArrayLike) -> Array:
    array = jnp.asarray(z)
    # An explicit dtype drops JAX' weak type, so that a Python number compiles nothing of its own.
    return array.astype(array.dtype if array.dtype in _DTYPES else float)


@ft.partial(jax.custom_jvp, nondiff_argnums=(1,))
@ft.partial(jax.jit, static_argnums=1)
def _alpha(z: Array, branch: str) -> Array:
    small, near, far = _split(z)
    # log1p and the complex logarithm lose two digits on XLA's CPU; the real logarithm does not,
    # and 1 - z is exact or harmless this far from zero.
    eps = float(jnp.finfo(z.dtype).eps)
    modulus = jnp.log(jnp.maximum(jnp.abs(1 - far), eps))
    if not jnp.iscomplexobj(z):
        real = jnp.where(small, _series(near), modulus / far)
        if branch == "real":
            return real
        return jax.lax.complex(real, jnp.where(z > 1, jnp.pi / far, 0.0))
    logarithm = jax.lax.complex(modulus, _argument(far, branch))
    return jnp.where(small, _series(near), logarithm / far)


@_alpha.defjvp
def _(branch: str, primals: tuple[Any], tangents: tuple[Any]) -> tuple[Array, Array]:
    (z,), (direction,) = primals, tangents
    slope = _derivative(z, branch)
    return _alpha(z, branch), slope * jnp.asarray(direction, slope.dtype)


@ft.partial(jax.jit, static_argnums=1)
def _derivative(z: Array, branch: str) -> Array:
    small, near, far = _split(z)
    slope_near = jax.jvp(_series, (near,), (jnp.ones_like(near),))[1]
    eps = float(jnp.finfo(z.dtype).eps)
    clamped = jnp.abs(jax.lax.stop_gradient(1 - far)) < eps
    inverse = jnp.where(clamped, 0.0, 1 / jnp.where(clamped, 1.0, 1 - far))
    value = _alpha(far, branch)
    far, inverse, slope_near = (x.astype(value.dtype) for x in (far, inverse, slope_near))
    return jnp.where(small, slope_near, -(inverse + value) / far)


def _split(z: Array) -> tuple[Array, Array, Array]:
    """Where the series holds, and `z` with harmless values wherever the other formula is used."""
    at = jax.lax.stop_gradient(z)
    small = 3 * jnp.abs(at) < jnp.abs(2 - at)
    return small, jnp.where(small, z, 0.0), jnp.where(small, -1.0, z)


def _series(z: Array) -> Array:
    """``log(1 - z) / z = -2 atanh(s) / z`` with ``s = z / (2 - z)``, for ``|s| < 1/3``."""
    terms = _TERMS[jnp.finfo(z.dtype).nmant + 1]
    inverse = 1 / (2 - z)
    s = z * inverse
    return -2 * inverse * _horner([1 / (2 * k + 1) for k in range(terms)], s * s)


def _argument(z: Array, branch: str) -> Array:
    """The imaginary part of ``log(1 - z)``; zero at 1."""
    x, y = jnp.real(z), jnp.imag(z)
    principal = jnp.arctan2(-y, 1 - x)
    if branch == "continued":
        turned = jnp.arctan2(y, x - 1) + jnp.pi
        return jnp.where(x > 1, turned, principal)
    return jnp.where((y == 0) & (x > 1), jnp.pi, principal)


def _horner(coefficients: list[float], x: Array) -> Array:
    total = jnp.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total = total * x + coefficient
    return total
