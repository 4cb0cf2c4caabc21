"""The principal flow's spectral function, rounded off where an integrator could not get on."""

import functools as ft

import jax
import jax.numpy as jnp

from ..._custom_types import Array
from ..spectral_functions import alpha
from ._base import SpectralFunction

# How far from 1, in units of rounding, an eigenvalue is taken for 1.
ROUNDING = 128
# Half the angle, in radians, of the wedge in which the cut is rounded off. Where a path slides
# along the cut, it is off by about a third of that; half of it would take twice the solver steps.
_WEDGE = 2e-3


@ft.cache
def rounded_alpha(branch: str) -> SpectralFunction:
    r"""`alpha`, but for two places of which an integrator would make noise or a standstill.

    An eigenvalue that is 1 comes out of an eigensolver as 1 and some rounding, on this side of the
    singularity now and on that side then: so close to it, it is taken for 1.

    The continued branch jumps by ``2 pi i`` across its cut ``1 + i s``. Where both sides push a
    path on to the cut it slides along it (in Filippov's sense), which takes a solver infinitely
    many steps. So the sheets are joined smoothly within a wedge about the cut, of a few thousandths
    of a radian. It has no width at the real axis.

    One function object for each branch, since JAX compiles a new one anew.
    """

    def function(z: Array) -> Array:
        rounding = ROUNDING * float(jnp.finfo(z.dtype).eps)
        z = jnp.where(jnp.abs(1 - z) < rounding, jnp.ones_like(z), z)
        value = alpha(z, branch)
        if branch == "continued" and jnp.iscomplexobj(z):
            value = value + _across_the_cut(z)
        return value

    return function


def _across_the_cut(z: Array) -> Array:
    """What joins the two sheets, to be added to `alpha`; zero outside the wedge."""
    turned = jnp.arctan2(1 - z.real, z.imag) / _WEDGE  # from -1 on its right to 1 on its left
    inside = (jnp.abs(turned) < 1) & (z.imag > 0)
    s = jnp.where(inside, (turned + 1) / 2, 0.0)
    step = s**3 * (10 - 15 * s + 6 * s**2)  # from 0 to 1, twice continuously differentiable
    turns = jnp.where(z.real > 1, -step, 1 - step)
    jump = jax.lax.complex(jnp.zeros_like(turns), 2 * jnp.pi * turns)
    return jnp.where(inside, jump / jnp.where(inside, z, jnp.ones_like(z)), 0.0)
