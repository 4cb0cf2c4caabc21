"""What has no rule: right at real points, refused at complex ones, and the user's line is named."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close
from jax import lax
from test_continuation import X, Z, assert_same_on_real_input

import flows
from flows._continuation import continued


def spectral(x):
    return jnp.sum(jnp.linalg.eigvalsh(jnp.outer(x, x) + jnp.diag(x))[:3] ** 2)


REAL_ONLY = {
    "eigh": spectral,
    "igamma": lambda x: jnp.sum(jax.scipy.special.gammainc(2.0, x**2)),  # no derivative by the 2
    "bessel_i0e": lambda x: lax.scan(lambda c, y: (c + lax.bessel_i0e(y), None), 0.0, x)[0],
}


@pytest.mark.parametrize("name", REAL_ONLY)
def test_real_points(name):
    assert_same_on_real_input(REAL_ONLY[name], jnp.asarray(X))


@pytest.mark.parametrize("name", REAL_ONLY)
def test_complex_points(name):
    """Where the derivative needs no value, too."""
    continuation = continued(REAL_ONLY[name])
    for function in (continuation, jax.grad(continuation, holomorphic=True)):
        with pytest.raises(Exception, match=rf"(?s)`{name}` in the loss \(.*test_refusal\.py:\d+"):
            eqx.filter_jit(function)(jnp.asarray(Z))


def test_concrete_numbers_are_refused_at_once():
    with pytest.raises(flows.ContinuationError, match="erf_inv"):
        continued(lax.erf_inv)(jnp.asarray(Z))


@pytest.mark.parametrize("name", ["eigh", "bessel_i0e"])
def test_one_of_a_batch(name):
    continuation = eqx.filter_jit(jax.vmap(continued(REAL_ONLY[name])))
    real = jnp.asarray(np.stack([X, X + 0.1]))
    expected = jax.vmap(REAL_ONLY[name])(real)
    assert_close(continuation(real.astype(complex)), expected.astype(complex), rtol=1e-12)
    with pytest.raises(Exception, match=name):
        continuation(jnp.asarray(np.stack([X + 0j, Z])))


def test_the_line_of_a_function_that_jax_compiles_for_itself():
    """Its equations know no caller; that of the call does."""
    with pytest.raises(flows.ContinuationError, match=r"test_refusal\.py:\d+ \(spectral\)"):
        continued(spectral)(jnp.asarray(Z))


def test_the_line_of_a_library():
    """The loss is in a library as it were; the line is that which uses it."""

    def loss(x):
        return eqx.filter_jit(jax.scipy.special.i0e)(x).sum()

    with pytest.raises(Exception, match=r"test_refusal\.py:\d+ \(.*loss\)"):
        eqx.filter_jit(continued(loss))(jnp.asarray(Z))


def test_the_principal_flow_below_one_and_beyond():
    def loss(x):
        return 5 * jnp.sum(lax.bessel_i0e(x)) - jnp.sum(jnp.log1p(x**2))

    start = jnp.array([0.4, 0.2])
    flow = flows.PrincipalFlow()
    assert flows.solve(loss, start, flows.GradientDescent(0.05), flow, 2).successful
    with pytest.raises(Exception, match="`bessel_i0e` in the loss"):
        flows.solve(loss, start, flows.GradientDescent(0.7), flow, 2)
