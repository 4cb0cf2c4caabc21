"""What multiplies a third derivative: against mpmath, where differences cancel too."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.curvature.functions.cubic_kernel import Spectrum, cubic_kernel, resonance
from flows.curvature.functions.rounded_alpha import rounded_alpha

TINY = mp.mpf(10) ** -40


def logarithm(z, branch):
    if branch == "real":
        return mp.log(abs(1 - z))
    value = mp.log(1 - z)
    if mp.re(z) > 1:
        value = mp.log(z - 1) + 1j * mp.pi
    return value


def exact(z_i, z_j, z_k, branch="continued"):
    """The quotient itself, with 200 digits; a zero is moved to 1e-40."""
    with mp.workdps(200):
        # Apart from each other, so that no two numbers agree in the quotients.
        z = [mp.mpmathify(x) + n * TINY for n, x in enumerate((z_i, z_j, z_k), start=3)]
        a = [logarithm(x, branch) for x in z]
        mu = [1 - x for x in z]

        def G(value, log):
            return (log - a[0]) / (value - mu[0])

        total = G(mu[1] * mu[2], a[1] + a[2]) - G(mu[1], a[1]) - G(mu[2], a[2]) + G(1, mp.mpf(0))
        return complex(total / (z[1] * z[2]))


@jax.jit
def continued(z):
    at = Spectrum(rounded_alpha("continued"), z)
    return jax.vmap(lambda a, mu: cubic_kernel(at, a, mu))(at.logarithm, at.multiplier)


@jax.jit
def real(z):
    at = Spectrum(rounded_alpha("real"), z)
    return jax.vmap(lambda a, mu: cubic_kernel(at, a, mu))(at.logarithm, at.multiplier)


# Zero, nearly zero, repeated, next to 1, past it, on both sides of where the formula changes.
POINTS = [0.0, 1e-9, -1e-4, 0.15, 0.1812, -0.2214, 0.6, 0.6, 0.999, 1.3, 1.3, 2.2, -3.0, 1e-3]


@pytest.mark.parametrize(("function", "branch"), [(continued, "continued"), (real, "real")])
def test_every_triple(function, branch):
    value = np.asarray(function(jnp.array(POINTS)))
    expected = np.array(
        [[[exact(i, j, k, branch) for k in POINTS] for j in POINTS] for i in POINTS]
    )
    assert np.abs(value - expected).max() < 1e-12 * np.abs(expected).max()
    assert np.median(np.abs(value - expected) / np.abs(expected)) < 1e-14
    assert np.max(np.abs(value - expected) / np.abs(expected)) < 1e-10
    assert np.abs(value - np.swapaxes(value, 1, 2)).max() < 1e-12 * np.abs(expected).max()


def test_complex_triples():
    random = np.random.default_rng(0)
    z = random.normal(0.6, 0.8, 7) + 1j * random.normal(0, 0.3, 7)
    z[0] = 0.02 - 0.01j
    value = np.asarray(continued(jnp.asarray(z)))
    for i, j, k in np.ndindex(value.shape):
        assert value[i, j, k] == pytest.approx(exact(z[i], z[j], z[k]), rel=1e-10)


near_zero = st.one_of(st.floats(-0.4, 0.4), st.just(0.0), st.floats(-1e-6, 1e-6))


@settings(max_examples=40, deadline=None)
@given(st.tuples(near_zero, near_zero, st.floats(-3, 0.95)))
def test_near_zero(z):
    value = np.asarray(continued(jnp.array(z)))
    scale = abs(exact(z[2], 0, 0))
    for place in ((2, 0, 1), (0, 1, 2), (0, 2, 2), (1, 1, 0), (2, 2, 2)):
        assert abs(value[place] - exact(*(z[n] for n in place))) < 1e-12 * max(scale, 1)


def test_small_eigenvalues_leave_the_first_terms_of_the_modified_equation():
    # -(h^2/12) T[g, g] - (h^3/12) (H T[g, g] + T[g, H g]) is -(h^2/2) times this.
    z = 1e-4 * np.array([1.0, -2.0, 3.0])
    expected = (2 + 2 * z[:, None, None] + z[:, None] + z) / 12
    assert np.abs(np.asarray(continued(jnp.asarray(z))) - expected).max() < 1e-7


def test_single_precision():
    z = np.array([0.0, 1e-5, 0.15, 0.6, 0.6, 1.3, 2.2, -3.0])
    single = np.asarray(continued(jnp.asarray(z, jnp.float32)))
    assert single.dtype == np.complex64
    double = np.asarray(continued(jnp.asarray(z)))
    assert np.abs(single - double).max() < 1e-5 * np.abs(double).max()


def test_an_eigenvalue_of_one_is_finite():
    value = np.asarray(continued(jnp.array([1.0, 1 - 1e-15, 0.0, 0.5, 1.7])))
    assert np.isfinite(value).all()


def test_a_pole_stands_where_the_logarithms_do_not_meet():
    # mu_j = mu_k = -1 and mu_i = 1: the product is mu_i, its logarithm is 2 pi i.
    gap = 1e-6
    z = jnp.array([0.0, 2 + gap])
    assert complex(continued(z)[0, 1, 1]) == pytest.approx(2j * np.pi / (2 * gap) / 4, rel=1e-4)
    # The real branch has none: (log(mu_j mu_k) - 0) / (mu_j mu_k - 1) is 1 there.
    assert float(real(z)[0, 1, 1]) == pytest.approx(exact(0, 2 + gap, 2 + gap, "real").real)


def test_the_distance_of_a_resonance_by_hand():
    """At 1 the pole's own term, 2 pi / distance times half of the weight, is as long as the field.

    One triple is farther off, another one has no pole, and over the last one stands nothing.
    """
    turn = 2j * jnp.pi
    x = jnp.array([turn + 0.1, turn, 0.5 + 0j, -turn])
    distance, weight = jnp.array([0.4, 3.0, 1e-3, 1e-3]), jnp.array([2.0, 2.0, 2.0, 0.0])
    found = resonance(x, distance, weight, jnp.asarray(5.0))
    assert float(found) == pytest.approx(5 / (2 * np.pi / 0.4 * 2.0 / 2), rel=1e-14)
    assert np.isinf(resonance(x[2:], distance[2:], weight[2:], jnp.asarray(5.0)))
