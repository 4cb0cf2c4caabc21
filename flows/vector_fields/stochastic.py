"""Stochastic modified equations: diffusions that model stochastic gradient descent."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from .._checks import one_of
from .._custom_types import Array, At, Params, PyTree
from .._errors import RESULTS, IncompatibleFlowError
from .._vectors import add_scaled, ravel, real_dtype, scaled, size, unravel
from ..curvature.eigen import symmetric_eigen
from ..curvature.hessian import matrix_of
from ..curvature.spectral_functions import alpha
from ..optimizers import AbstractOptimizer, Problem
from ..optimizers._gaussian_noise import standard_normal
from ._gradient_noise import covariance, draw, force, noise, sgd, unless_plain
from ._point import AbstractPointFlow
from ._stochastic import AbstractStochasticFlow

_ORDERS = (1, 2, "principal")
# Up to here the Hessian and the covariance are formed.
_DENSE_LIMIT = 512
# How negative an eigenvalue of the diffusion may be by rounding, in units of the largest.
_ROUNDING = 1e3

LI_2017 = """@inproceedings{li2017stochastic,
  author        = {Li, Qianxiao and Tai, Cheng and E, Weinan},
  title         = {Stochastic Modified Equations and Adaptive Stochastic Gradient Algorithms},
  booktitle     = {International Conference on Machine Learning},
  year          = {2017},
  eprint        = {1511.06251},
  archiveprefix = {arXiv}
}"""

LI_2024 = """@misc{li2024hessian,
  author        = {Li, X. and Shen, Z. and Zhang, L. and He, N.},
  title         = {A {Hessian}-Aware Stochastic Differential Equation for Modelling {SGD}},
  year          = {2024},
  eprint        = {2405.18373},
  archiveprefix = {arXiv}
}"""


class StochasticModifiedFlow(AbstractPointFlow, AbstractStochasticFlow):
    r"""A stochastic differential equation for stochastic gradient descent.

    .. math::
        \text{order 1:}&\quad d\theta = -g\, dt + \sqrt h\, \Sigma^{1/2} dW \\
        \text{order 2:}&\quad d\theta = -(g + \tfrac h2 H g)\, dt + \sqrt h\, \Sigma^{1/2} dW \\
        \text{principal:}&\quad d\theta = \frac{\log(1 - hH)}{hH} g\, dt + D\, dW, \qquad
        (D D^T)_{ij} = h\, \frac{\log(a_i a_j)}{a_i a_j - 1}\, \Sigma_{ij}

    with the gradient ``g``, the Hessian ``H`` and the covariance ``Sigma`` of one step's gradient,
    in the last line in the eigenbasis of ``H``, where ``a_i = 1 - h lambda_i``. Expectations of
    smooth functions at a fixed time differ from those of the iterates by ``O(h)`` for order 1 and
    ``O(h^2)`` for order 2. Order 2 improves the mean, but its stationary variance is worse than
    that of order 1: ``h s^2 / (2 lambda (1 + h lambda / 2))``, where SGD has ``h s^2 / (lambda (2 -
    h lambda))``. The principal one has the law of SGD at every step where the loss is quadratic and
    the noise normal and additive. It needs ``h lambda < 1``, and a covariance for which ``D D^T``
    has no negative eigenvalue: so it is where ``Sigma`` and ``H`` commute. Otherwise the run ends
    in a named result.

    Time is flow time: ``t = n h`` after ``n`` steps. The noise of minibatches comes from the
    gradients of single examples, without forming ``Sigma``: one substep costs two gradients of
    all examples for the noise and the drift at each of the solver's stages. The principal flow
    forms ``H`` and ``Sigma``, for up to 512 parameters.

    Attributes:
        order: 1, 2 or ``"principal"``.
        substeps: Equal parts of one optimizer step in which the equation is integrated.

    Raises:
        InvalidOptionError: If an attribute is out of range.
        IncompatibleFlowError: From the drivers, if the optimizer is not `SGD`, or has momentum,
            repeated batches or batches that depend on each other (`ReshufflingFlow` is for them).

    Example:
        On ``E(x) = x^2 / 2`` the variance of SGD with noise of variance 1 tends to
        ``h / (2 - h)``.

        >>> import jax, jax.numpy as jnp
        >>> import flows
        >>> end = lambda key: flows.solve(
        ...     lambda x: x**2 / 2, jnp.array(0.0), flows.SGD(0.5, noise=1.0),
        ...     flows.StochasticModifiedFlow("principal"), steps=10, key=key,
        ... ).final_params
        >>> variance = jnp.var(jax.vmap(end)(jax.random.split(jax.random.key(0), 4000)))
        >>> bool(abs(variance - 1 / 3) < 0.03)
        True

    References:
        Q. Li, C. Tai, W. E (2017), arXiv:1511.06251, and (2019), arXiv:1811.01558. The principal
        one: X. Li, Z. Shen, L. Zhang, N. He (2024), arXiv:2405.18373.
    """

    references: ClassVar[tuple[str, ...]] = (
        LI_2017,
        LI_2024,
    )
    looks: ClassVar[dict[str, tuple[str, Any]]] = {
        "StochasticModifiedFlow(1)": ("#0072B2", (0, (6, 2))),
        "StochasticModifiedFlow(2)": ("#E69F00", (0, (2, 1))),
        "StochasticModifiedFlow(principal)": ("#009E73", (0, (4, 1.2, 1, 1.2))),
    }
    order: int | str = eqx.field(static=True, default=1)
    substeps: int = eqx.field(static=True, default=8)

    def __check_init__(self):
        one_of(self.order, _ORDERS, "order")

    @property
    def name(self) -> str:
        """`StochasticModifiedFlow(1)`, and so on."""
        return f"StochasticModifiedFlow({self.order})"

    @property
    def beyond_gradient(self) -> bool:
        """But for the first order."""
        return self.order != 1

    def refusal(self, optimizer: AbstractOptimizer) -> str | None:
        """Unless steps are independent and without momentum."""
        refused = unless_plain(self, optimizer)
        if refused is None and not optimizer.independent:  # pyright: ignore[reportAttributeAccessIssue]
            return (
                f"{self.name} models independent batches, but those of an epoch are not. Use "
                'flows.ReshufflingFlow, or SGD(..., sampling="no replacement").'
            )
        return refused

    def check(self, problem: Problem, params: Params) -> None:
        """Raise an `IncompatibleFlowError` where there are too many parameters."""
        if self.order == "principal" and size(params) > _DENSE_LIMIT:
            raise IncompatibleFlowError(
                f"{self.name} forms the Hessian, for up to {_DENSE_LIMIT} parameters; here are "
                f"{size(params)}. Use flows.StochasticModifiedFlow(2)."
            )

    def velocity(self, problem: Problem, at: At, y: Params) -> Params:
        """The drift."""
        h = sgd(problem).learning_rate
        if self.order == 1:
            return scaled(-h, force(problem)(y))
        g, product = problem.linearised(y, force(problem))
        if self.order == 2:
            return scaled(-h, add_scaled(g, h / 2, product(g)))
        values, vectors = symmetric_eigen(matrix_of(product, y))
        h = h.astype(values.dtype)
        factors = h * alpha(_below_one(h * values), "real")
        return unravel(vectors @ (factors * (vectors.T @ ravel(g))), y)

    def draw(self, problem: Problem, at: At, y: Params, key: Array) -> PyTree[Array]:
        """One number for each example and parameter; for the principal flow, each parameter."""
        return standard_normal(key, y) if self.order == "principal" else draw(problem, y, key)

    def diffusion(self, problem: Problem, at: At, y: Params, draws: PyTree[Array]) -> Params:
        """``h Sigma^(1/2)``, or ``sqrt(h) D``, times the draws."""
        h = sgd(problem).learning_rate
        if self.order != "principal":
            return scaled(h, noise(problem, y, draws))
        vectors, variances, axes = _principal_diffusion(problem, y)
        largest = jnp.max(jnp.abs(variances))
        rounding = _ROUNDING * float(jnp.finfo(variances.dtype).eps)
        real = variances >= -rounding * largest
        roots = jnp.sqrt(h.astype(variances.dtype)) * jnp.sqrt(
            jnp.where(real, jnp.maximum(variances, 0), jnp.nan)
        )
        return unravel(vectors @ (axes @ (roots * ravel(draws))), y)

    def status(self, problem: Problem, at: At, y: Params) -> RESULTS:
        """For the principal one: beyond ``h lambda = 1``, or where no real matrix is ``D``."""
        if self.order != "principal":
            return RESULTS.successful
        _, product = problem.linearised(y, force(problem))
        values, _ = symmetric_eigen(matrix_of(product, y))
        beyond = sgd(problem).learning_rate.astype(values.dtype) * values[-1] >= 1
        _, variances, _ = _principal_diffusion(problem, y)
        unreal = ~beyond & (variances[0] < 0)
        status = RESULTS.where(unreal, RESULTS.no_real_diffusion, RESULTS.successful)
        return RESULTS.where(beyond, RESULTS.sharpness_beyond_one, status)

    @property
    def without_drift(self) -> RESULTS | None:
        """Of the principal one, that ``h lambda`` passed 1."""
        return RESULTS.sharpness_beyond_one if self.order == "principal" else None


def _below_one(z: Array) -> Array:
    """Not a number where the logarithm of ``1 - z`` is not real."""
    return jnp.where(z < 1, z, jnp.nan)


def _principal_diffusion(problem: Problem, y: Params) -> tuple[Array, Array, Array]:
    """The eigenvectors of ``H``, and in their basis eigenvalues and eigenvectors of ``D D^T``."""
    h = sgd(problem).learning_rate.astype(real_dtype(y))
    _, product = problem.linearised(y, force(problem))
    values, vectors = symmetric_eigen(matrix_of(product, y))
    a = 1 - _below_one(h * values)
    less = a[:, None] * a[None, :] - 1
    near = jnp.abs(less) < float(jnp.finfo(a.dtype).eps)
    kernel = jnp.where(near, 1.0, jnp.log1p(less) / jnp.where(near, 1.0, less))
    matrix = h * kernel * (vectors.T @ covariance(problem, y) @ vectors)
    variances, axes = symmetric_eigen(matrix)
    return vectors, variances, axes
