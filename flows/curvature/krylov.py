"""A function of the Hessian from the Krylov space of the vector it is applied to."""

import equinox as eqx
import jax
import jax.numpy as jnp

from .._checks import is_traced
from .._custom_types import Array, Integer, Params, Scalar
from .._errors import InvalidOptionError
from .._vectors import real_dtype
from ._base import AbstractCurvature, SpectralFunction, SpectralImage
from .hessian import Matvec
from .krylov_space import krylov_space
from .matrix_function import matrix_function

# Whether the space is large enough is looked up after so many products: it costs two small
# eigendecompositions.
_LOOK = 4
# The default `rtol`. Where a flow is integrated, the places at which the space stops growing must
# not be seen by the integrator, whose own tolerance is 1e-11 (float64) and 1e-5 (float32).
_RTOL = {jnp.dtype("float64"): 1e-12, jnp.dtype("float32"): 1e-6}


class Krylov(AbstractCurvature):
    r"""A function of the Hessian, matrix-free, from the Krylov space of the gradient.

    .. math:: f(A)\, b \approx |b|\, V f(T)\, e_1, \qquad A V = V T + \beta\, q\, e_m^T

    with an orthonormal basis ``V`` of ``b, A b, ..., A^{m-1} b`` and ``T = V^* A V``. The matrix
    ``A = h H`` is a pure number. Real points: Lanczos, ``T`` tridiagonal. Complex points, where the
    Hessian is complex symmetric: Arnoldi. Exact where ``b`` has components in no more than
    `num_matvecs` eigenspaces. Otherwise the error falls fast with ``m`` where the spectrum ends
    well below 1 and slowly where eigenvalues lie around 1, the singularity of the logarithm.

    Costs `num_matvecs` Hessian-vector products (fewer where the error estimate allows) and as many
    vectors of memory. Works leaf by leaf: a sharded tree stays sharded. Differentiable through the
    iteration; but where ``b`` lies in an invariant subspace smaller than the whole, derivatives in
    directions that leave it are missed, and `Dense` is needed.

    Attributes:
        num_matvecs: The most Hessian-vector products, and the memory in vectors.
        rtol: Stop early at this estimated relative error; by default 1e-12 (float64) or 1e-6
            (float32). An array leaf.

    Raises:
        InvalidOptionError: If `num_matvecs` is not a positive integer, or `rtol` is negative.

    Example:
        On ``E = 3/2 |x|^2`` the space has one dimension, whatever the number of parameters.

        >>> import jax.numpy as jnp
        >>> import flows
        >>> velocity = flows.vector_field(
        ...     lambda x: 1.5 * jnp.sum(x**2), jnp.ones(1000), flows.GradientDescent(0.1),
        ...     flows.PrincipalFlow(curvature=flows.Krylov(num_matvecs=8)),
        ... )
        >>> bool(jnp.allclose(velocity, 10 * jnp.log(0.7)))
        True

    References:
        N. J. Higham, Functions of Matrices (2008), section 13.2; Y. Saad, SIAM J. Numer. Anal. 29
        (1992), 209-228, for the error.
    """

    num_matvecs: int = eqx.field(static=True, default=24)
    rtol: Scalar | None = eqx.field(
        default=None, converter=lambda rtol: None if rtol is None else jnp.asarray(rtol, float)
    )

    def __check_init__(self):
        count, rtol = self.num_matvecs, self.rtol
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise InvalidOptionError(
                f"num_matvecs must be a positive integer, got {count!r}. Write for example "
                "flows.Krylov(num_matvecs=24)."
            )
        if rtol is not None and not is_traced(rtol) and not (rtol.ndim == 0 and rtol >= 0):
            raise InvalidOptionError(
                f"rtol must be one number >= 0, got {rtol}. Write for example "
                "flows.Krylov(rtol=1e-8), or leave it out."
            )

    def __str__(self) -> str:
        return f"Krylov(num_matvecs={self.num_matvecs})"

    def apply(self, function: SpectralFunction, matvec: Matvec, vector: Params) -> SpectralImage:
        """``f(A) b`` from the Krylov space of ``b``."""
        real = real_dtype(vector)
        rtol = jnp.asarray(_RTOL[real] if self.rtol is None else self.rtol, real)

        def enough(T: Array, residual: Scalar, count: Integer) -> Array:
            return jax.lax.cond(
                count % _LOOK == 0,
                lambda: _relative_change(function, T, residual, count) <= rtol,
                lambda: False,
            )

        space = krylov_space(matvec, vector, self.num_matvecs, enough)
        coefficients, eigenvalues = _small(function, space.projected, space.count)
        change = _relative_change(function, space.projected, space.residual, space.count)
        rounding = float(jnp.finfo(real).eps) * space.count.astype(real)
        value = space.basis.combine(space.length.astype(coefficients.dtype) * coefficients)
        return SpectralImage(value, eigenvalues, change + rounding, space.count)


def _small(function: SpectralFunction, T: Array, count: Integer) -> tuple[Array, Array]:
    """``f(T) e_1`` and the eigenvalues of ``T``, of which only `count` rows are there.

    The rest of the diagonal is filled with a number that is no eigenvalue, so that what belongs to
    it can be told from the spectrum; in the result an eigenvalue stands there again.
    """
    k = T.shape[0]
    if not jnp.iscomplexobj(T):  # symmetric, but for rounding: what is above the diagonal
        below = jnp.diagonal(T, -1)
        T = jnp.diag(jnp.diagonal(T)) + jnp.diag(below, -1) + jnp.diag(below, 1)
    filling = jax.lax.stop_gradient(1 + 2 * jnp.max(jnp.sum(jnp.abs(T), axis=1)))
    filled = jnp.where(jnp.arange(k) < count, jnp.zeros_like(filling), filling)
    first = jnp.zeros(k, T.dtype).at[0].set(1)
    coefficients, eigenvalues = matrix_function(
        function, T + jnp.diag(filled.astype(T.dtype)), first
    )
    of_filling = jnp.abs(eigenvalues - filling.astype(T.dtype)) < filling / 4
    return coefficients, jnp.where(of_filling, eigenvalues[jnp.argmin(of_filling)], eigenvalues)


def _relative_change(
    function: SpectralFunction, T: Array, residual: Scalar, count: Integer
) -> Scalar:
    """How much the coefficients change if the space grows once more, by a guess.

    The next diagonal entry is not known without another product; the mean of those that are will
    do, for what matters is the coupling ``beta``. Not differentiated: at no change it is a cusp.
    """
    T, residual = jax.lax.stop_gradient((T, residual))
    mean = jnp.trace(T) / jnp.maximum(count, 1).astype(T.dtype)
    coupling = residual.astype(T.dtype)
    larger = jnp.pad(T, ((0, 1), (0, 1)))
    larger = larger.at[count, count - 1].set(coupling).at[count - 1, count].set(coupling)
    larger = larger.at[count, count].set(mean)
    coefficients, _ = _small(function, jnp.pad(T, ((0, 1), (0, 1))), count)
    continued, _ = _small(function, larger, count + 1)
    size = jnp.linalg.norm(continued)
    return jnp.linalg.norm(continued - coefficients) / jnp.where(size > 0, size, 1)
