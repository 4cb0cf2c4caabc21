"""The logarithm of the gamma function and its derivatives against mpmath."""

import functools as ft

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from jax import lax
from test_continuation import assert_holomorphic, assert_same_on_real_input

from flows._continuation import continued
from flows._continuation._gamma import digamma, lgamma

mpmath.mp.dps = 30

# Both dtypes hold them exactly; none is closer to a pole than 0.1.
X = np.concatenate([np.arange(-10.5, 10.5, 0.375), [1, 2, 0.5, 0.25, 20, 50, 100]])
X = X[np.abs(X - np.where(X > 0.5, 0, np.round(X))) > 0.1]
POINTS = (X[:, None] + 1j * np.array([0, 2**-10, -0.25, 1, -3, 10])).ravel()


def logarithm(z):
    """Of gamma to the right, of its absolute value on the real axis to the left."""
    if z.real >= 0.5:
        return complex(mpmath.loggamma(z))
    exact = mpmath.mpc(z)
    sine = mpmath.sin(mpmath.pi * exact) * mpmath.sign(mpmath.sin(mpmath.pi * z.real))
    reflected = mpmath.loggamma(1 - exact)
    return complex(mpmath.log(mpmath.pi) - mpmath.log(sine) - reflected)


def second_derivative(z):
    return jax.vmap(jax.grad(digamma, holomorphic=True))(z)


@pytest.mark.parametrize("dtype", [np.complex128, np.complex64])
@pytest.mark.parametrize(
    ("ours", "reference"),
    [
        (lgamma, logarithm),
        (digamma, mpmath.digamma),
        (second_derivative, ft.partial(mpmath.polygamma, 1)),
    ],
)
def test_accuracy(ours, reference, dtype):
    """1e-13 of what is computed, and in complex64 what the pole, ten units away, leaves."""
    expected = np.array([complex(reference(complex(z))) for z in POINTS])
    error = np.abs(np.asarray(jax.jit(ours)(jnp.asarray(POINTS, dtype))) - expected)
    bound = 1e-13 if dtype == np.complex128 else 3e-5
    assert np.all(error <= bound * (1 + np.abs(expected)))


def test_derivatives_and_real_input():
    x = jnp.array([0.7, 3.2, -0.6, -2.3, 12.0, 1.9])

    def loss(x):
        return jnp.sum(lax.lgamma(x) ** 2) + jnp.sum(lax.digamma(x) * x)

    assert_holomorphic(assert_same_on_real_input(loss, x, rtol=1e-11), x)


def test_edges():
    values = continued(lax.lgamma)(jnp.array([0, -1, jnp.inf]).astype(complex))
    np.testing.assert_array_equal(values.real, jnp.inf)
