"""Gaussian noise of a given covariance."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import jax.tree_util as jtu
import numpy as np

from .._checks import is_traced
from .._custom_types import Array, Params
from .._errors import InvalidOptionError
from .._vectors import ravel, real_dtype, scaled, size, unravel
from ..curvature.eigen import symmetric_eigen

# How negative an eigenvalue may be by rounding, in units of the largest.
_ROUNDING = 1e-8


class GaussianNoise(eqx.Module):
    """Noise that is added to every gradient, made from its covariance.

    That is one variance for all parameters, or the matrix, ``(n, n)`` in the order of the tree's
    leaves; in units of the gradient squared.

    Attributes:
        root: The symmetric square root of the covariance, shape ``()`` or ``(n, n)``.
    """

    root: Array

    def __init__(self, covariance: Any):
        remedy = "Write for example noise=0.1, or noise=A @ A.T with a matrix A."
        try:
            array = jnp.asarray(covariance)
            array = array.astype(jnp.result_type(float, array))
        except (TypeError, ValueError) as error:
            raise InvalidOptionError(
                f"noise must be a variance or a covariance matrix, got {covariance!r}. {remedy}"
            ) from error
        if jnp.iscomplexobj(array) or not (array.ndim == 0 or _square(array)):
            raise InvalidOptionError(
                f"noise must be one variance or a square covariance matrix, got shape "
                f"{array.shape}, {array.dtype}. {remedy}"
            )
        if not is_traced(array):
            _check_covariance(np.asarray(array), remedy)
        self.root = jnp.sqrt(array) if array.ndim == 0 else _square_root(array)

    def check(self, params: Params) -> None:
        """Raise an `InvalidOptionError` unless the matrix is as large as the parameters are."""
        n = size(params)
        if self.root.ndim and self.root.shape != (n, n):
            raise InvalidOptionError(
                f"noise has shape {self.root.shape}, but there are {n} parameters. Pass a "
                f"matrix of shape {(n, n)}, or one variance for all."
            )

    def times(self, vector: Params) -> Params:
        """The square root of the covariance times a vector."""
        if self.root.ndim == 0:
            return scaled(self.root, vector)
        root = self.root.astype(real_dtype(vector))
        return unravel(root @ ravel(vector), vector)

    def covariance(self, params: Params) -> Array:
        """The covariance as a matrix."""
        root = self.root.astype(real_dtype(params))
        return root @ root if root.ndim else root**2 * jnp.eye(size(params), dtype=root.dtype)


def standard_normal(key: Array, like: Params) -> Params:
    """Independent standard normal numbers in a tree like the one given."""
    leaves, structure = jtu.tree_flatten(like)
    return structure.unflatten(
        jr.normal(jr.fold_in(key, place), leaf.shape, leaf.dtype)
        for place, leaf in enumerate(leaves)
    )


def _square_root(covariance: Array) -> Array:
    values, vectors = symmetric_eigen(covariance)
    return (vectors * jnp.sqrt(jnp.maximum(values, 0))[None, :]) @ vectors.T


def _square(array: Array) -> bool:
    return array.ndim == 2 and array.shape[0] == array.shape[1] > 0


def _check_covariance(array: np.ndarray, remedy: str) -> None:
    if not np.all(np.isfinite(array)):
        raise InvalidOptionError(f"noise is not finite: {array}. {remedy}")
    matrix = np.atleast_2d(array)
    scale = np.abs(matrix).max()
    if np.abs(matrix - matrix.T).max() > _ROUNDING * scale:
        raise InvalidOptionError(
            "noise is not symmetric, so it is no covariance. Pass (noise + noise.T) / 2, or "
            "noise=A @ A.T."
        )
    least = np.linalg.eigvalsh(matrix).min()
    if least < -_ROUNDING * scale:
        raise InvalidOptionError(
            f"noise must be positive semidefinite, as covariances are; its smallest eigenvalue is "
            f"{least:.3g}. {remedy}"
        )
