"""What computes a function of the Hessian."""

import abc
from collections.abc import Callable

import equinox as eqx

from ..._custom_types import Array, Integer, Params, Scalar
from ..hessian import Matvec

# An elementwise function on the spectrum, analytic except at 1. Hashable, as `jit` needs it.
SpectralFunction = Callable[[Array], Array]
# The third derivative along two directions, a vector.
Third = Callable[[Params, Params], Params]


class SpectralImage(eqx.Module):
    """A function of a linear map applied to a vector, ``f(A) b``, and what was learnt on the way.

    Attributes:
        value: ``f(A) b``, a tree like ``b``; complex where ``f`` is.
        eigenvalues: Eigenvalues of ``A`` (dense), or their approximations from the space of ``b``
            (Krylov; repeated in places that were not needed).
        error: An estimate of the relative error of `value`, in units of ``|f(A) b|``.
        matvecs: How often ``A`` was applied.
    """

    value: Params
    eigenvalues: Array
    error: Scalar
    matvecs: Integer


class CubicImage(SpectralImage):
    """The same for the field with the cubic term, whose sum of poles is a matter of its own.

    Attributes:
        value: The field ``alpha(A) b`` and the cubic term.
        resonance_distance: How far the nearest pole is, in units of what stands over it: at 1 a
            single triple of directions contributes as much as ``alpha(A) b``. Infinite without
            poles.
    """

    resonance_distance: Scalar


class AbstractCurvature(eqx.Module):
    r"""A way to compute a function of the Hessian applied to a vector.

    .. math:: f(A)\, b = \sum_i f(z_i)\, (b \cdot u_i)\, u_i, \qquad A u_i = z_i u_i

    for a real symmetric ``A``, and its continuation for a complex symmetric one. Subclasses are
    final and hold settings only.
    """

    @abc.abstractmethod
    def apply(self, function: SpectralFunction, matvec: Matvec, vector: Params) -> SpectralImage:
        """``f(A) b``.

        Arguments:
            function: ``f``, elementwise on arrays of eigenvalues.
            matvec: ``A``, symmetric: real on real vectors, complex (not conjugated) on complex.
            vector: ``b``, a tree of arrays of one dtype.
        """

    @abc.abstractmethod
    def apply_cubic(self, branch: str, matvec: Matvec, third: Third, vector: Params) -> CubicImage:
        """``alpha(A) b`` and all terms with one third derivative.

        Arguments:
            branch: Of ``log(1 - z)``, see `PrincipalFlow`.
            matvec: ``A = h H``.
            third: ``h^2 D^3E[v, w]``, bilinear.
            vector: ``b``, the gradient.
        """
