"""Eigendecompositions that are safe under vmap.

jaxlib's LAPACK kernels share the members of a batch out among the threads that run them, and wait
(0.10 at least): two batched decompositions at a time, on two threads, wait for each other for ever.
So under vmap they run one after the other, which on a CPU costs nothing.
"""

import jax
import jax.numpy as jnp

from .._custom_types import Array


@jax.custom_batching.sequential_vmap
def symmetric_eigen(A: Array) -> tuple[Array, Array]:
    """Eigenvalues in increasing order and orthonormal eigenvectors (columns), of a real matrix."""
    return tuple(jnp.linalg.eigh(A))


@jax.custom_batching.sequential_vmap
def general_eigen(A: Array) -> tuple[Array, Array, Array]:
    """Eigenvalues, eigenvectors (columns) and the inverse of their matrix, of a complex matrix."""
    values, vectors = jnp.linalg.eig(A)
    return values, vectors, jnp.linalg.inv(vectors)


def eigen(A: Array) -> tuple[Array, Array, Array]:
    """Eigenvalues, eigenvectors (columns) and the inverse of their matrix.

    A real matrix is taken as symmetric; a complex one is general.
    """
    if jnp.iscomplexobj(A):
        return general_eigen(A)
    values, vectors = symmetric_eigen(A)
    return values, vectors, vectors.T


@jax.custom_batching.sequential_vmap
def left_singular(A: Array) -> tuple[Array, Array]:
    """Left singular vectors (columns) and singular values, in decreasing order."""
    vectors, values, _ = jnp.linalg.svd(A, full_matrices=False)
    return vectors, values
