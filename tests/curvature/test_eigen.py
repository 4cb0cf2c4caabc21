"""Decompositions under vmap run one at a time: batched ones can wait for each other for ever."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flows.curvature.eigen import general_eigen, symmetric_eigen


def operands(program, names):
    """The shapes of what the named primitives are applied to, in a program and those within it."""
    for equation in program.eqns:
        if equation.primitive.name in names:
            yield equation.invars[0].aval.shape
        for value in equation.params.values():
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from operands(inner, names)


@pytest.mark.parametrize("eigen", [symmetric_eigen, general_eigen])
def test_a_batch_is_decomposed_one_by_one(eigen):
    A = np.random.default_rng(0).standard_normal((4, 3, 3))
    A = jnp.asarray(A + A.transpose(0, 2, 1))
    if eigen is general_eigen:
        A = jax.lax.complex(A, jnp.sin(A))
    program = jax.make_jaxpr(jax.vmap(eigen))(A)
    shapes = list(operands(program.jaxpr, ("eigh", "eig", "lu")))
    assert shapes
    assert all(shape == (3, 3) for shape in shapes)
    values, vectors, *inverse = jax.vmap(eigen)(A)
    assert A @ vectors == pytest.approx(np.asarray(vectors * values[:, None, :]), abs=1e-13)
    left = inverse[0] if inverse else jnp.swapaxes(vectors, 1, 2)
    assert left @ vectors == pytest.approx(np.broadcast_to(np.eye(3), (4, 3, 3)), abs=1e-13)
