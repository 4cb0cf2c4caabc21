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


def test_whole_numbers_and_booleans_are_read_as_floats():
    jnp = pytest.importorskip("jax").numpy
    assert float(symbolic.to_jax(x**2 / 2)(3)) == 4.5
    assert float(symbolic.to_jax(1 / x)(jnp.int32(2))) == 0.5
    assert float(symbolic.to_jax(x * y / 2)([1, 3])) == 1.5
    value = symbolic.to_jax(x / 2 + y)(jnp.array([True, False]))
    assert (float(value), value.dtype) == (0.5, jnp.asarray(0.5).dtype)


def test_derivatives_of_cases_are_those_of_the_case_that_holds():
    """sqrt has an infinite slope at 0, where the other case holds; the two meet with slope 1/2."""
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    loss = symbolic.to_jax(sympy.Piecewise((sympy.sqrt(x), x > 1), ((x + 1) / 2, True)))
    points = jnp.array([-2.0, 0.0, 1.0, 4.0])
    assert jnp.allclose(jax.vmap(loss)(points), jnp.array([-0.5, 0.5, 1.0, 2.0]))
    slopes = jax.jit(jax.vmap(jax.grad(loss)))(points)
    assert jnp.allclose(slopes, jnp.array([0.5, 0.5, 0.5, 0.25]))
    assert jnp.allclose(jax.vmap(jax.grad(jax.grad(loss)))(points), jnp.array([0, 0, 0, -1 / 32]))


def test_cases_in_cases_of_several_variables():
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    inner = sympy.Piecewise((0, x < -3), (x - 1, True))
    loss = symbolic.to_jax(y * sympy.Piecewise((sympy.log(x * y), x > 1), (inner, x < 5)))
    for point, expected in [
        ((0.0, 1.0), (1.0, -1.0)),  # y (x - 1)
        ((-4.0, 1.0), (0.0, 0.0)),  # 0
        ((2.0, 3.0), (1.5, 1.0 + sympy.log(6))),  # y log(x y): y/x and log(x y) + 1
    ]:
        gradient = jax.grad(loss)(jnp.array(point))
        assert jnp.allclose(gradient, jnp.array([float(e) for e in expected]))
    nowhere = symbolic.to_jax(sympy.Piecewise((x, x > 0)))
    assert bool(jnp.isnan(nowhere(-1.0)))
