"""Many functions of a matrix by few, against each of them by eigenvectors."""

import jax.numpy as jnp
import numpy as np
import pytest

from flows.curvature.functions.shared_functions import SharedFunctions

RANDOM = np.random.default_rng(0)
SPECTRUM = np.linspace(-1, 0.9, 12)
POINTS = np.linspace(-1.1, 1.0, 60)


def functions(z, complex_ones):
    """Nine smooth functions of different sizes, and one that is to be left out."""
    exponents = np.linspace(-2, 2, 9)[:, None] * (1j if complex_ones else 1)
    values = np.geomspace(1e-6, 1, 9)[:, None] * np.exp(exponents * z[None])
    return np.concatenate([values, 0 * values[:1]])


@pytest.mark.parametrize("complex_ones", [False, True])
def test_the_sum_is_the_sum(complex_ones):
    shared = SharedFunctions(jnp.asarray(functions(POINTS, complex_ones)), 9, jnp.asarray(1e-9))
    assert 4 <= int(shared.number) < 9
    dtype = complex if complex_ones else float
    vectors = RANDOM.normal(size=(10, 12))  # in the eigenbasis
    sums = shared.nothing({"a": jnp.zeros(12, dtype)})
    for p, vector in enumerate(vectors):
        sums = shared.with_vector(sums, jnp.asarray(p), {"a": jnp.asarray(vector, dtype)})
    values, total = functions(SPECTRUM, complex_ones), np.zeros(12, dtype)
    for r in range(int(shared.number)):
        phi = np.conj(shared.mixing[:, r]) @ values
        total += phi * np.asarray(shared.vector(sums, jnp.asarray(r))["a"])
    exact = np.sum(values * vectors, axis=0)
    assert np.abs(total - exact).max() < 1e-8
    assert float(shared.rest) < 1e-9


def test_no_more_than_asked_for_and_what_is_left_is_said():
    values = np.diag([4.0, 2.0, 1.0, 0.5])
    shared = SharedFunctions(jnp.asarray(values), 2, jnp.asarray(0.0))
    assert int(shared.number) == 2
    assert float(shared.rest) == pytest.approx(1)


def test_what_is_zero_is_not_mixed_in():
    values = functions(POINTS, complex_ones=False)
    shared = SharedFunctions(jnp.asarray(values), 9, jnp.asarray(0.0))
    assert np.all(np.asarray(shared.mixing[9]) == 0)
