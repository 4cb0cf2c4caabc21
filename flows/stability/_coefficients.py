"""The stability of gradient descent, one eigenvector of the Hessian at a time."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Complex, Int

from .._checks import integer, is_traced
from .._custom_types import Array, Data, Float, Loss, Params, PyTree, Scalar
from .._errors import IncompatibleFlowError, InvalidOptimizerError, InvalidOptionError
from .._objective import Objective, make_objective, require_derivative
from .._vectors import ravel, real_dtype, size, unravel
from ..curvature.eigenpairs.top import DENSE_LIMIT, top
from ..curvature.spectral_functions import alpha, truncated_alpha
from ..optimizers import AbstractOptimizer, Description, GradientDescent

# In the order of h * lambda; the last is where the Hessian has no eigenvalues.
REGIMES = (
    "negative curvature",
    "flat",
    "real stable",
    "annihilated in one step",
    "complex stable",
    "edge of stability",
    "unstable complex",
    "not finite",
)
# Eigenvalues of a float matrix are known to a few rounding units of the largest of them.
_TOLERANCE = 16
_ROWS = 12


class StabilityCoefficients(eqx.Module):
    r"""How gradient descent moves along the eigenvectors of the Hessian, at one point.

    .. math:: c_i = \alpha(h \lambda_i) \, (g \cdot u_i), \qquad
        r_i = \alpha(h \lambda_i) \, (g \cdot u_i)^2, \qquad \alpha(z) = \frac{\log(1 - z)}{z}

    The velocity of the principal flow is the sum of ``c_i u_i``, and ``dE/dt`` along it the sum of
    ``r_i``. The real part of ``r_i`` is positive, so that the direction raises the loss, exactly
    where ``h lambda_i > 2``; an imaginary part says that the sign flips at every step.

    `flows.stability_coefficients` makes one. The `k` directions have decreasing eigenvalues. An
    eigenvector's sign is such that the first of its largest entries is positive; within an
    eigenspace of several dimensions the basis is arbitrary.

    Attributes:
        learning_rate: ``h``, in units of flow time.
        eigenvalues: ``lambda_i``, shape ``(k,)``, in loss per parameter squared.
        eigenvectors: ``u_i``: a tree like the parameters that move, with a leading axis ``k``.
        alpha: ``alpha(h lambda_i)``, complex, on the branch ``"continued"``; a pure number.
        gradient_components: ``g . u_i``, in loss per parameter.
        coefficients: ``c_i``, complex, in parameters per flow time.
        loss_rates: ``r_i``, complex, in loss per flow time.
        regime_codes: Where in `flows.stability.REGIMES` each direction stands. ``h lambda`` counts
            as 0, 1 or 2 within 16 ``eps`` of the dtype times the largest ``|h lambda|``.
        residuals: ``|H u_i - lambda_i u_i|``: an eigenvalue is at most so far from a true one.

    Example:
        The loss rises, for its first direction is beyond ``2 / h`` and has most of the gradient.

        >>> import jax.numpy as jnp
        >>> import flows
        >>> at = flows.stability_coefficients(
        ...     lambda x: x[0] ** 2 + 0.01 * x[1] ** 2,
        ...     jnp.array([-0.35, -0.2]),
        ...     flows.GradientDescent(1.05),
        ... )
        >>> at.regimes
        ('unstable complex', 'real stable')
        >>> f"{float(at.loss_rate):.4f}"
        '0.0222'

    References:
        M. Rosca, Y. Wu, C. Qin, B. Dherin (2023), arXiv:2302.01952.
    """

    learning_rate: Float[Array, "*batch"]
    eigenvalues: Float[Array, "*batch k"]
    eigenvectors: PyTree[Array]
    alpha: Complex[Array, "*batch k"]
    gradient_components: Float[Array, "*batch k"]
    coefficients: Complex[Array, "*batch k"]
    loss_rates: Complex[Array, "*batch k"]
    regime_codes: Int[Array, "*batch k"]
    residuals: Float[Array, "*batch k"]

    @property
    def edge(self) -> Scalar:
        """``2 / h``: where gradient descent becomes unstable."""
        return Description.of_descent(self.learning_rate).edge

    @property
    def regimes(self) -> tuple[str, ...]:
        """The regime of each direction in words; not under a JAX transformation, see the codes."""
        self.require_single()
        return tuple(REGIMES[code] for code in self.regime_codes.tolist())

    @property
    def loss_rate(self) -> Float[Array, "*batch"]:
        """The sum of the real parts of the loss rates: ``dE/dt``, as far as the `k` go."""
        return jnp.sum(jnp.real(self.loss_rates), axis=-1)

    @property
    def predicted_components(self) -> dict[str, Float[Array, "*batch k"]]:
        """``g . u_i`` after one step by flow, as if Hessian and eigenvectors stayed what they are.

        The principal flow's ``(1 - h lambda_i) (g . u_i)`` is what gradient descent itself does on
        a quadratic.
        """
        z = self.learning_rate[..., None] * self.eigenvalues
        factors = {
            "PrincipalFlow": 1 - z,
            "GradientFlow": jnp.exp(z * truncated_alpha(z, 1)),
            "ModifiedFlow(2)": jnp.exp(z * truncated_alpha(z, 2)),
        }
        return {name: factor * self.gradient_components for name, factor in factors.items()}

    def require_single(self) -> None:
        """Raise an `InvalidOptionError` for a batch, or under a JAX transformation."""
        if is_traced(self.regime_codes):
            raise InvalidOptionError(
                "words and tables need numbers, but these are traced. "
                "Take them outside jit and vmap, or use regime_codes."
            )
        if self.eigenvalues.ndim > 1:
            raise InvalidOptionError(
                f"this is a batch of points of shape {self.eigenvalues.shape[:-1]}, as vmap "
                "returns. Take one of them: jax.tree.map(lambda x: x[0], coefficients)."
            )

    def __str__(self) -> str:
        self.require_single()
        k = self.eigenvalues.shape[0]
        rows = [("eigenvalue", "h * eigenvalue", "alpha", "g.u", "loss rate", "regime")]
        for i, regime in enumerate(self.regimes[:_ROWS]):
            eigenvalue = float(self.eigenvalues[i])
            factor = complex(self.alpha[i])
            rows.append(
                (
                    f"{eigenvalue:.4e}",
                    f"{float(self.learning_rate) * eigenvalue:.4f}",
                    f"{factor.real:.4f}{factor.imag:+.4f}i"
                    if factor.imag
                    else f"{factor.real:.4f}",
                    f"{float(self.gradient_components[i]):.3e}",
                    f"{float(self.loss_rates[i].real):.3e}",
                    regime,
                )
            )
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join([*map(str.rjust, row[:-1], widths), row[-1]])  # the regime from the left
            for row in rows
        ]
        n = size(self.eigenvectors) // k
        title = (
            f"{k} of {n} directions at learning rate {float(self.learning_rate):.4g}; "
            f"loss rate {float(self.loss_rate):.4e}"
        )
        more = [f"and {k - _ROWS} more"] if k > _ROWS else []
        return "\n".join([title, "", *lines, *more, *self._notes()])

    def _notes(self) -> list[str]:
        worst, scale = float(jnp.max(self.residuals)), float(jnp.max(jnp.abs(self.eigenvalues)))
        # Below this an eigenvalue is right to half of its digits at least.
        if not worst > float(jnp.finfo(self.residuals.dtype).eps) ** 0.5 * scale:
            return []
        return [
            "",
            f"the largest residual is {worst:.1e}: not all eigenpairs have converged. "
            "Pass another k: a larger one converges faster.",
        ]


def stability_coefficients(
    loss: Loss,
    params: Params,
    optimizer: AbstractOptimizer,
    k: int | None = None,
    *,
    args: Data = None,
) -> StabilityCoefficients:
    r"""Measure how stable gradient descent is along the eigenvectors of the Hessian at a point.

    .. math:: H u_i = \lambda_i u_i, \qquad c_i = \alpha(h \lambda_i) \, (g \cdot u_i)

    Up to 1024 parameters the Hessian is formed (as many Hessian-vector products) and diagonalised.
    Beyond, the `k` largest are iterated as in `flows.top_eigenpairs`, which costs products in
    proportion to `k`, and cannot be differentiated. Works under ``jit`` and ``vmap``.

    Arguments:
        loss: As in `flows.iterate`.
        params: The point, any pytree with ``n`` numbers in all.
        optimizer: A `flows.GradientDescent`; its learning rate is ``h``.
        k: How many directions, from the largest eigenvalue down; by default all. Beyond 1024
            parameters it must be given.
        args: Data for the loss.

    Returns:
        A `StabilityCoefficients`. Where the loss is not finite, neither are its numbers; where the
        iteration has not converged, `residuals` say so.

    Raises:
        InvalidLossError: As in `flows.iterate`.
        InvalidParametersError: If a leaf cannot be moved.
        InvalidOptimizerError: If the optimizer is none.
        IncompatibleFlowError: If the optimizer is not gradient descent.
        InvalidOptionError: If `k` is out of range, or missing where it is needed.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> at = flows.stability_coefficients(
        ...     lambda x: (x[0] ** 2 + 3 * x[1] ** 2) / 2,
        ...     jnp.array([1.0, 1.0]),
        ...     flows.GradientDescent(0.5),
        ... )
        >>> at.regimes
        ('complex stable', 'real stable')
        >>> print(at)
        2 of 2 directions at learning rate 0.5; loss rate -5.5452e+00
        <BLANKLINE>
        eigenvalue  h * eigenvalue           alpha        g.u   loss rate  regime
        3.0000e+00          1.5000  -0.4621+2.0944i  3.000e+00  -4.159e+00  complex stable
        1.0000e+00          0.5000          -1.3863  1.000e+00  -1.386e+00  real stable

    References:
        M. Rosca, Y. Wu, C. Qin, B. Dherin (2023), arXiv:2302.01952. The block iteration: K. Wu,
        H. Simon, SIAM J. Matrix Anal. Appl. 22 (2000), 602-616.
    """
    rate = _checked(optimizer).learning_rate
    objective, moving = make_objective(loss, params, args)
    require_derivative(objective, moving, "what is asked of the Hessian")
    return _coefficients(objective, rate, moving, _number_of_directions(k, size(moving)))


def _checked(optimizer: Any) -> GradientDescent:
    """The optimizer, or a typed error."""
    if not isinstance(optimizer, AbstractOptimizer):
        raise InvalidOptimizerError(
            f"optimizer must be flows.GradientDescent(...), got {optimizer!r}. "
            "Write for example flows.GradientDescent(0.1)."
        )
    if not isinstance(optimizer, GradientDescent):
        raise IncompatibleFlowError(
            f"stability coefficients model GradientDescent, not {type(optimizer).__name__}. "
            "Pass flows.GradientDescent(learning_rate) with a learning rate of your choice."
        )
    return optimizer


def _number_of_directions(k: Any, n: int) -> int:
    """`k`, all of the ``n`` where it is None, or an `InvalidOptionError`."""
    if k is None:
        if n > DENSE_LIMIT:
            raise InvalidOptionError(
                f"k must be given for {n} parameters, more than {DENSE_LIMIT}: all eigenvectors "
                "would take too much time and memory. Pass for example k=5."
            )
        return n
    return integer(k, 1, f"k for {n} parameters", f"k={min(5, n)}", n)


@eqx.filter_jit
def _coefficients(
    objective: Objective, learning_rate: Scalar, params: Params, k: int
) -> StabilityCoefficients:
    h = learning_rate.astype(real_dtype(params))
    gradient, product = objective.linearised(params)
    eigenvalues, vectors, residuals, largest = top(
        product, params, k, objective.examined(params).precision
    )
    components = vectors.T @ ravel(gradient)
    factors = alpha(h * eigenvalues)
    coefficients = factors * components.astype(factors.dtype)
    return StabilityCoefficients(
        learning_rate=h,
        eigenvalues=eigenvalues,
        eigenvectors=jax.vmap(lambda row: unravel(row, params))(vectors.T),
        alpha=factors,
        gradient_components=components,
        coefficients=coefficients,
        loss_rates=coefficients * components.astype(factors.dtype),
        regime_codes=regime_codes(
            h * eigenvalues, _TOLERANCE * jnp.finfo(h.dtype).eps * h * largest
        ),
        residuals=residuals,
    )


def regime_codes(z: Array, tolerance: Array) -> Array:
    """Twice the thresholds 0, 1, 2 that are exceeded, and one for the threshold that is met."""
    edge = Description.of_descent(jnp.ones((), z.dtype)).edge
    beyond = z[:, None] - jnp.stack([jnp.zeros_like(edge), jnp.ones_like(edge), edge])[None, :]
    met = jnp.abs(beyond) <= jnp.broadcast_to(tolerance, z.shape)[:, None]
    exceeded = (beyond > 0) & ~met
    codes = jnp.sum(2 * exceeded.astype(int) + met.astype(int), axis=1)
    return jnp.where(jnp.isfinite(z), codes, len(REGIMES) - 1)
