"""A function of the Hessian from the whole matrix."""

import jax.numpy as jnp

from ..._custom_types import Array, Params
from ..._vectors import ravel, real_dtype, unravel
from ..hessian import Matvec, matrix_of
from ._base import AbstractCurvature, CubicImage, SpectralFunction, SpectralImage, Third
from .dense_cubic import dense_cubic_image
from .matrix_function import matrix_function


class Dense(AbstractCurvature):
    r"""A function of the Hessian by eigendecomposition of the whole matrix.

    .. math:: f(A)\, b = V f(\Lambda) V^{-1} b, \qquad A V = V \Lambda

    The matrix ``A = h H`` is a pure number. Real points: ``eigh``. Complex points, where the
    Hessian is complex symmetric: ``eig`` and the inverse, since its eigenvectors are not
    orthogonal. With ``n`` parameters one evaluation costs ``n`` Hessian-vector products,
    ``n^2`` numbers and ``O(n^3)`` operations: for problems of up to some hundred parameters.

    Differentiable, also where eigenvalues repeat (by divided differences, not through the
    eigenvectors).

    Example:
        At ``h lambda = 1/2`` the principal flow is ``log(1 - 1/2) / (1/2)`` times the gradient.

        >>> import jax.numpy as jnp
        >>> import flows
        >>> velocity = flows.vector_field(
        ...     lambda x: jnp.sum(x**2) / 2, jnp.ones(3), flows.GradientDescent(0.5),
        ...     flows.PrincipalFlow(curvature=flows.Dense()),
        ... )
        >>> bool(jnp.allclose(velocity, -2 * jnp.log(2)))
        True

    References:
        N. J. Higham, Functions of Matrices (2008), sections 1.2 and 3.2.
    """

    def __str__(self) -> str:
        return "Dense()"

    def apply(self, function: SpectralFunction, matvec: Matvec, vector: Params) -> SpectralImage:
        """``f(A) b`` from the matrix of ``A``."""
        b = ravel(vector)
        image, eigenvalues = matrix_function(function, matrix_of(matvec, vector), b)
        rounding = jnp.asarray(jnp.finfo(b.dtype).eps, real_dtype(vector))
        return SpectralImage(unravel(image, vector), eigenvalues, rounding, jnp.asarray(b.size))

    def apply_cubic(self, branch: str, matvec: Matvec, third: Third, vector: Params) -> CubicImage:
        """The closed form in the eigenbasis; ``n^2`` third derivatives."""
        b = ravel(vector)

        def along(v: Array) -> Array:
            direction = unravel(v, vector)
            return matrix_of(lambda w: third(direction, w), vector)

        A = matrix_of(matvec, vector)
        image, eigenvalues, distance = dense_cubic_image(branch, A, along, b)
        rounding = jnp.asarray(jnp.finfo(b.dtype).eps, real_dtype(vector))
        value = unravel(image, vector)
        return CubicImage(value, eigenvalues, rounding, jnp.asarray(b.size), distance)
