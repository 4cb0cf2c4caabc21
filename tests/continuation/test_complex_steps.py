"""Losses that go through complex numbers: against closed forms, JAX, and Cauchy and Riemann."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from test_continuation import X, Z, assert_holomorphic, assert_same_on_real_input

from flows._continuation import continued

C = np.exp(1j * np.arange(6.0))


def turned(x):
    """Complex numbers of all directions, from real ones."""
    return x.astype(complex) * C


def exchanged(x):
    """A loop whose state is real at first, then complex, and conjugated on the way."""

    def step(state, y):
        a, b = state
        return (b, jnp.conj(a) * y + 1j), jnp.conj(a)

    start = (jnp.asarray(1 + 0j), jnp.asarray(2 + 0j))
    return jnp.abs(lax.scan(step, start, turned(x))[1][5]) ** 2


def filtered(x):
    spectrum = jnp.fft.rfft(x) * jnp.fft.rfft(jnp.cos(x))
    return jnp.sum(jnp.fft.irfft(spectrum, 6) ** 2)


LOSSES = {
    "spectrum": lambda x: jnp.sum(jnp.abs(jnp.fft.fft(x)) ** 3),
    "filtered": filtered,
    "angle": lambda x: jnp.sum(jnp.angle(jnp.fft.rfft(x))[1:3] ** 2),
    "planes": lambda x: jnp.sum(jnp.real(jnp.fft.ifft2(turned(x).reshape(2, 3) ** 2)) ** 2),
    "conjugate": lambda x: jnp.sum(jnp.real(jnp.fft.fft(x) * jnp.conj(turned(x))) ** 2),
    "logarithm": lambda x: jnp.imag(jnp.log(lax.complex(x, x**2))) @ jnp.real(jnp.sqrt(turned(x))),
    "powers": lambda x: jnp.sum(jnp.abs(turned(x) ** 1.5 + turned(x) ** 2 + lax.rsqrt(turned(x)))),
    "entire": lambda x: jnp.imag(jnp.log1p(turned(x))) @ jnp.real(jnp.sinh(turned(x))),
    "vdot": lambda x: jnp.real(jnp.vdot(turned(x), jnp.outer(C, C) @ jnp.sin(turned(x)))),
    "scan": exchanged,
    "cond": lambda x: (
        jnp.abs(lax.cond(x[0] > 0, turned, lambda x: jnp.asarray(C), x)[3]) * x[1] ** 2
    ),
    "checkpoint": lambda x: jnp.imag(jax.checkpoint(lambda w: jnp.sum(w**3))(turned(x))),
    "scatter": lambda x: (
        jnp.abs(jnp.zeros(8, complex).at[jnp.array([1, 3, 1, 0, 2, 1])].add(turned(x))[1]) ** 3
    ),
    "gradient": lambda x: jnp.sum(
        jax.grad(lambda y: jnp.sum(jnp.abs(jnp.fft.rfft(y)) ** 4))(x) ** 2
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_real_input_and_cauchy_riemann(name):
    continuation = assert_same_on_real_input(LOSSES[name], jnp.asarray(X))
    assert_holomorphic(continuation, jnp.asarray(X))


def energy(x):
    return jnp.sum(jnp.abs(jnp.fft.fft(x)) ** 2) / 6


def grown(x):
    """The real part of what the loop has by its real part, a power of 1 + i."""
    start = lax.complex(x[0], 0.5 * x[0])
    return lax.while_loop(lambda w: jnp.abs(w) < 5, lambda w: w * (1 + 1j), start).real


@pytest.mark.parametrize(
    ("function", "formula"),
    [
        (energy, lambda z: np.sum(z**2)),  # Parseval's equation, which has no conjugate
        (lambda x: jnp.abs(turned(x)), lambda z: np.sign(X) * z),
        (lambda x: jnp.sign(turned(x)).real, lambda z: np.sign(X) * C.real),
        (lambda x: jnp.conj(turned(x)), lambda z: z * C.conj()),
        (jnp.fft.fft, np.fft.fft),
        (lambda x: jnp.fft.rfft(x), lambda z: np.fft.fft(z)[:4]),
        (lambda x: jnp.fft.irfft(turned(x)[:4], 6), lambda z: half_inverse(z)),
        (lambda x: jnp.angle(lax.complex(x, x + 2)), lambda z: np.pi / 2 - np.arctan(z / (z + 2))),
        (lambda x: jnp.exp(lax.complex(x, x)).imag, lambda z: np.exp(z) * np.sin(z)),
        (lambda x: jnp.real(jnp.log(lax.complex(x, -x))), lambda z: np.log(2 * z**2) / 2),
        (lambda x: (turned(x) == turned(x)).astype(float), lambda z: np.ones(6)),
        (lambda x: turned(x).astype(jnp.complex64).real, lambda z: z * C.real),
        (grown, lambda z: z[0] * ((1 + 0.5j) * (1 + 1j) ** 6).real),
    ],
)
def test_closed_form(function, formula):
    actual, expected = jax.jit(continued(function))(jnp.asarray(Z)), formula(Z)
    rtol = 1e-13 if actual.dtype in (complex, float) else 1e-6
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=rtol)


def half_inverse(z):
    """Linear in the real and the imaginary parts, which are both analytic."""
    return sum(
        unit * np.fft.irfft(part * C[:4], 6) for unit, part in ((1, z[:4].real), (1j, z[:4].imag))
    )


@pytest.mark.parametrize("function", [jnp.log, jnp.sqrt, jnp.log1p, lambda w: w**0.5])
def test_real_parameters_choose_the_sheet(function):
    """On both sides of a cut the mirrors keep to one sheet, so that the real part stays small."""
    shift = 1.0 if function is jnp.log1p else 0.0

    def loss(x):
        return function(lax.complex(-x - shift, jnp.asarray(1e-3))).real

    z = 3 + 0.5j * np.linspace(0, 1, 100)
    radius = np.sqrt(z**2 + 1e-6)
    root = 1e-3 / np.sqrt(2 * (radius + z))
    expected = np.log(radius) if function in (jnp.log, jnp.log1p) else root
    actual = jax.jit(jax.vmap(continued(loss)))(jnp.asarray(z))
    np.testing.assert_allclose(actual, expected, rtol=1e-11)


def test_at_zero():
    """Values and derivatives of JAX, which are finite."""

    def loss(x):
        w = lax.complex(x[:2], 2 * x[1:3])
        return jnp.sum(jnp.abs(w)) + jnp.sum(jnp.sign(w).real) + jnp.sum((w**2.0).real)

    x = jnp.zeros(3)
    gradient = jax.jit(jax.grad(continued(loss), holomorphic=True))(x.astype(complex))
    np.testing.assert_array_equal(gradient, jax.grad(loss)(x))


def test_complex64():
    function, z = LOSSES["spectrum"], jnp.asarray(Z)
    actual = jax.jit(continued(function))(z.astype(jnp.complex64))
    assert actual.dtype == jnp.complex64
    np.testing.assert_allclose(actual, jax.jit(continued(function))(z), rtol=2e-5)
