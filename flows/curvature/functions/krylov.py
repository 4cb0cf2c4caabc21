"""A function of the Hessian from the Krylov space of the vector it is applied to."""

import equinox as eqx
import jax
import jax.numpy as jnp

from ..._checks import is_traced
from ..._custom_types import Array, Integer, Params, Scalar
from ..._errors import InvalidOptionError
from ..._vectors import add, norm, real_dtype
from ..hessian import Matvec
from ._base import AbstractCurvature, CubicImage, SpectralFunction, SpectralImage, Third
from .krylov_cubic import CubicTerm
from .krylov_space import KrylovSpace, filled, krylov_space, without
from .matrix_function import matrix_function
from .rounded_alpha import rounded_alpha

# Nodes, directions and relative error of the cubic term: for `nodes="auto"`, and the most
# directions otherwise.
_AUTO = (24, 16, 1e-5)
_DIRECTIONS = 24
# With "auto" the cubic term is no better than so much of the principal part's error, to which it
# is added: small, so that a varying number of terms does not make the field rough.
_OF_ERROR = 0.01
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
        nodes: How many nodes the quadrature of ``PrincipalFlow(correction="cubic")`` has, an even
            number. They cost next to nothing: third derivatives are taken along pairs of at most
            24 directions that all nodes share. ``"auto"`` takes 24 nodes and 16 directions, and
            is content with an error of 1e-5 of its largest parts, or of a hundredth of the
            principal part's estimated error.

    Raises:
        InvalidOptionError: If `num_matvecs` is not a positive integer, `rtol` is negative, or
            `nodes` is not an even integer.

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
    nodes: int | str = eqx.field(static=True, default="auto")

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

        if self.nodes != "auto" and not (
            isinstance(self.nodes, int) and self.nodes > 0 and self.nodes % 2 == 0
        ):
            raise InvalidOptionError(
                f'nodes must be "auto" or an even integer >= 2, got {self.nodes!r}. Write for '
                "example flows.Krylov(nodes=12)."
            )

    def __str__(self) -> str:
        return f"Krylov(num_matvecs={self.num_matvecs})"

    def apply(self, function: SpectralFunction, matvec: Matvec, vector: Params) -> SpectralImage:
        """``f(A) b`` from the Krylov space of ``b``."""
        return self._image(function, matvec, vector)[0]

    def _image(
        self, function: SpectralFunction, matvec: Matvec, vector: Params
    ) -> tuple[SpectralImage, KrylovSpace]:
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
        return SpectralImage(value, eigenvalues, change + rounding, space.count), space

    def apply_cubic(self, branch: str, matvec: Matvec, third: Third, vector: Params) -> CubicImage:
        """The principal part, and the cubic term by quadrature; see `nodes`."""
        image, space = self._image(rounded_alpha(branch), matvec, vector)
        nodes, directions, content = _AUTO
        size, rtol = norm(image.value), jnp.maximum(content, _OF_ERROR * image.error)
        if not isinstance(self.nodes, str):
            nodes, directions = self.nodes, _DIRECTIONS
            rtol = jnp.asarray(_RTOL[real_dtype(vector)], size.dtype)
        term = CubicTerm(branch, space, nodes, directions)
        cubic = term.sum(matvec, third, self.num_matvecs, rtol, size)
        error = image.error + cubic.error / jnp.where(size > 0, size, 1)
        return CubicImage(
            add(image.value, cubic.total),
            image.eigenvalues,
            error,
            image.matvecs + cubic.matvecs,
            cubic.distance,
        )


def _small(function: SpectralFunction, T: Array, count: Integer) -> tuple[Array, Array]:
    """``f(T) e_1`` and the eigenvalues of ``T``, of which only `count` rows are there."""
    first = jnp.zeros(T.shape[0], T.dtype).at[0].set(1)
    T, filling = filled(T, count)
    coefficients, eigenvalues = matrix_function(function, T, first)
    return coefficients, without(filling, eigenvalues)


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
