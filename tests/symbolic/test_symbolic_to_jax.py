"""Expressions as JAX functions."""

import sys

import pytest
import sympy

import symbolic

x, y = sympy.symbols("x y", real=True)


def test_without_jax(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(symbolic.MissingPackageError, match="pip install jax"):
        symbolic.to_jax(x**2)


def test_jax_details():
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    constant = symbolic.to_jax(sympy.Integer(7), x)
    assert constant(jnp.float32(2)).dtype == jnp.float32
    big = symbolic.to_jax(sympy.factorial(25) * x)
    assert float(big(jnp.float32(1))) == pytest.approx(1.5511210043330986e25, rel=1e-6)
    turned = symbolic.to_jax(x - 2 * y, [y, x])
    assert float(turned(jnp.array([1.0, 10.0]))) == 8
    batch = jax.vmap(symbolic.to_jax(x * y))(jnp.ones((4, 2), jnp.float32))
    assert batch.shape == (4,)
    assert float(jax.jit(symbolic.to_jax(sympy.erf(x)))(jnp.float32(0.5))) == pytest.approx(
        0.5204999
    )
    with pytest.raises(symbolic.InvalidSymbolsError, match="where y is taken from"):
        symbolic.to_jax(x * y, [x])
    with pytest.raises(symbolic.NotSolvedError, match="no counterpart"):
        symbolic.to_jax(sympy.polylog(2, x))


@pytest.mark.parametrize("number", [-sympy.factorial(25), 1 / sympy.factorial(25)])
def test_large_negative_numbers_and_denominators(number):
    jax = pytest.importorskip("jax")
    value = symbolic.to_jax(number * x)(jax.numpy.float32(1))
    assert float(value) == pytest.approx(float(number), rel=1e-6)
