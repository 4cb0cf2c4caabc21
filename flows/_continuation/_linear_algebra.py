"""Linear algebra without conjugation.

>>> import jax.numpy as jnp
>>> bool(jnp.isclose(cholesky(jnp.array([[-4 + 0j]])), 2j)[0, 0])
True
"""

import functools as ft
import itertools as it
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from ._dtypes import matched, to_complex
from ._evaluate import bind, evaluate


def cholesky(matrix: Any, **_: Any) -> Any:
    """Column by column; the complex factorisation of XLA conjugates."""
    rows = jnp.arange(matrix.shape[-1])

    def add_column(j: Any, factor: Any) -> Any:
        column = matrix[..., :, j] - jnp.einsum("...ik,...k->...i", factor, factor[..., j, :])
        column = jnp.where(rows < j, 0, column / jnp.sqrt(column[..., j, None]))
        return factor.at[..., :, j].set(column)

    return lax.fori_loop(0, matrix.shape[-1], add_column, jnp.zeros_like(matrix))


def triangular_solve(equation: Any, *operands: Any) -> Any:
    """Real losses may ask for the conjugate, and mean nothing by it."""
    return bind(equation, *matched(operands), conjugate_a=False)


def linear_solve(equation: Any, *operands: Any) -> list[Any]:
    """The linear maps and their solvers, each a sub-program, at complex numbers."""
    lengths, programs = equation.params["const_lengths"], equation.params["jaxprs"]
    stops = np.cumsum([0, *lengths])
    parts = [operands[a:b] for a, b in it.pairwise(stops)]
    matvec, vecmat, solve, transpose_solve = (
        program and ft.partial(evaluate, program, *part)
        for program, part in zip(programs, parts, strict=True)
    )
    del vecmat  # JAX transposes matvec itself
    return lax.custom_linear_solve(
        lambda x: matvec(*x),
        [to_complex(value) for value in operands[stops[-1] :]],
        lambda _, b: solve(*b),
        transpose_solve and (lambda _, b: transpose_solve(*b)),
    )
