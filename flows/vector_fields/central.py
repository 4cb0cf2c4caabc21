"""The central flow: where an optimizer goes on average while it oscillates at the edge."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import jax.tree_util as jtu

from .._checks import integer, one_of
from .._custom_types import Array, At, Integer, Params, PyTree, Scalar
from .._errors import RESULTS
from .._vectors import add, add_scaled, norm, ravel, subtract
from ..curvature.eigen import symmetric_eigen
from ..curvature.eigenpairs.block import inner_products
from ..curvature.eigenpairs.tracking import (
    TrackedEigenpairs,
    follow_eigenpairs,
    start_tracking,
    usual_tolerance,
)
from ..optimizers import AbstractOptimizer, GradientDescent, Problem, RMSProp, ScalarRMSProp
from ..optimizers._description import AbstractMetric, IdentityMetric
from ..optimizers._references import COHEN_2025
from ._base import unless_plain_descent
from ._oscillation import Metric, Oscillation, mean_squares, oscillation, root_mean_square_length
from ._stepped import AbstractSteppedFlow

_DRIFTS = ("gradient", "modified")
# By which part of the edge the largest eigenvalue of P^{-1} H may be beyond it before something
# must have been missed.
_OVERSHOOT = 0.025
# Of the oscillation's variances, relative to the largest: what is less is rounding.
_NEGLIGIBLE = 1e-5


class CentralState(eqx.Module):
    """A point of the central flow, and all that its next substep needs.

    Attributes:
        params: The centre.
        moment: ``nu``.
        gradient: Of the loss at the centre.
        edge: Up to there the eigenvalues of ``P^{-1} H`` are stable: 2 for descent in a metric.
        tracked: The eigenpairs of ``P^{-1/2} H P^{-1/2}`` near the edge, eigenvalues in decreasing
            order.
        oscillation: About the centre.
        status: What went wrong on the way here, if anything did.
    """

    params: Params
    moment: PyTree[Any]
    gradient: Params
    edge: Scalar
    tracked: TrackedEigenpairs
    oscillation: Oscillation
    status: RESULTS


class CentralFlow(AbstractSteppedFlow):
    r"""The central flow: the path of the oscillation's centre at the edge of stability.

    .. math::
        \dot\theta = -P^{-1} \left[ \nabla E + \tfrac12 \nabla \langle H, \Sigma \rangle \right],
        \qquad 0 \le \Sigma \perp 2P - H \ge 0

    per step, with the preconditioner ``P`` (``1/h`` for gradient descent). While the largest
    eigenvalue of ``P^{-1} H`` is below 2 it is gradient flow. At 2, the edge of stability, the
    optimizer oscillates with a covariance ``Sigma`` in the critical directions; it is as large as
    it must be for the eigenvalues not to pass 2, which is a complementarity problem. RMSProp's
    ``P`` follows the squared gradients, those of the oscillation included,

    .. math:: \dot\nu = \frac{1 - \beta}{\beta}
              \left[ g^2 + \operatorname{diag}(H \Sigma H) - \nu \right]

    It models the time average of the iterates: `flows.compare` measures its error against the
    midpoints ``(theta_{n-1} + 2 theta_n + theta_{n+1}) / 4``. Time is flow time. It makes its own
    steps, explicit Euler's, with the complementarity problem posed one substep ahead; solver and
    step size of the drivers do not apply. One substep costs a gradient, the tracking of the
    eigenpairs near 2 (about ten Hessian-vector products) and one third derivative for each pair of
    critical directions; with ``drift="modified"`` one product more.

    Diagnostics at every step: ``predicted_loss``, the time average ``E + <H, Sigma> / 2``;
    ``predicted_grad_norm``, the root of the mean squared gradient norm; ``sharpness``, the largest
    eigenvalue of ``P^{-1} H`` (``h`` times the sharpness for gradient descent), and the ``edge``
    that it may reach, 2 for all of these optimizers; ``critical``, how many directions oscillate;
    ``predicted_variances``, shape ``(size,)``, of the critical directions in decreasing order of
    eigenvalues, and in a comparison ``measured_squares``, the squares of the iterate's deviations
    along them, both in units of loss; ``eigenpair_residual`` and ``complementarity_residual``,
    relative.

    Attributes:
        drift: ``"gradient"``, or ``"modified"`` to add the second-order drift
            ``-(h^2 / 2) H g`` of gradient descent in the directions that are not critical. Only
            for `GradientDescent`.
        substeps: Euler steps in one optimizer step. At the edge its error falls with their number.
        size: For how many eigenpairs there is room: two more than directions may become critical.
        squares: Also record ``predicted_squared_gradient``, the mean square of the gradient's
            every entry, shape ``(n,)`` in the order of the leaves.

    Raises:
        InvalidOptionError: If an attribute is out of range.
        IncompatibleFlowError: From the drivers, for other optimizers; for the modified drift
            with another than `GradientDescent`.

    Example:
        On ``(2/h + y) x^2 / 2 - c y`` the edge is ``y = 0``; there the variance of ``x`` is
        ``2 c``, and the mean loss exceeds that of the centre by ``2 c / h``.

        >>> import jax.numpy as jnp
        >>> import flows
        >>> h, c = 0.1, 0.3
        >>> run = flows.solve(
        ...     lambda p: (2 / h + p[1]) * p[0] ** 2 / 2 - c * p[1], jnp.array([0.0, -0.5]),
        ...     flows.GradientDescent(h), flows.CentralFlow(), steps=40,
        ... )
        >>> print(f"{run.diagnostics['predicted_loss'][-1] - run.loss[-1]:.4f}")
        6.0000

    References:
        J. Cohen, A. Damian, A. Talwalkar, J. Z. Kolter, J. D. Lee, Understanding optimization in
        deep learning with central flows (2025), arXiv:2410.24206. The modified drift is this
        library's.
    """

    references: ClassVar[tuple[str, ...]] = (COHEN_2025,)
    variants: ClassVar[dict[str, dict[str, Any]]] = {"central": {}}
    looks: ClassVar[dict[str, tuple[str, Any]]] = {
        "CentralFlow": ("#CC79A7", (0, (3, 1))),
        "CentralFlow(modified)": ("#882255", (0, (3, 1, 1, 1))),
    }
    reference: ClassVar[str] = "midpoint"
    drift: str = eqx.field(static=True, default="gradient")
    substeps: int = eqx.field(static=True, default=4)
    size: int = eqx.field(static=True, default=8)
    squares: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        one_of(self.drift, _DRIFTS, "drift")
        integer(self.size, 3, "size", "size=8")
        one_of(self.squares, (True, False), "squares")

    @property
    def name(self) -> str:
        """`CentralFlow`, and the drift where it is modified."""
        return "CentralFlow" if self.drift == "gradient" else "CentralFlow(modified)"

    def refusal(self, optimizer: AbstractOptimizer) -> str | None:
        """Other optimizers; and the modified drift for one whose drift it is not."""
        kinds = GradientDescent, RMSProp, ScalarRMSProp
        refused = unless_plain_descent(self, optimizer, (AbstractMetric,), *kinds)
        if refused:
            return refused
        described = optimizer.described()
        assert described is not None
        if self.drift == "modified" and not isinstance(described.metric, IdentityMetric):
            return (
                'drift="modified" is the second-order drift of gradient descent, not of '
                f"{type(optimizer).__name__}. Leave it out, or use flows.GradientDescent."
            )
        return None

    def start(self, problem: Problem, state: PyTree[Any], at: At) -> CentralState:
        """The point, with eigenpairs from random vectors."""
        params = problem.optimizer.params(state)
        squares = jtu.tree_map(jnp.square, problem.gradient(params))
        described = problem.description(at.step)
        metric = Metric(problem, described, params, described.metric.start(squares))
        tracked = start_tracking(
            metric.matvec, params, self.size, metric.edge, rtol=_tolerance(problem, params)
        )
        return self._state(problem, metric, tracked)

    def advance(self, problem: Problem, at: At, y: CentralState) -> CentralState:
        """One substep of Euler's."""
        dt = 1 / self.substeps
        squares = mean_squares(y.gradient, y.oscillation)
        described = problem.description(at.step)
        rate = described.metric.rate(y.moment, squares)
        params = add_scaled(y.params, dt, self.velocity(problem, at, y))
        moment = jtu.tree_map(lambda nu, r: nu + dt * r, y.moment, rate)
        metric = Metric(problem, described, params, moment)
        tracked = follow_eigenpairs(
            metric.matvec, y.tracked, metric.edge, rtol=_tolerance(problem, params)
        )
        return self._state(problem, metric, tracked)

    def velocity(self, problem: Problem, at: At, y: CentralState) -> Params:
        """Of the centre, in parameters per step."""
        metric = Metric(problem, problem.description(at.step), y.params, y.moment)
        drift = self._drift(metric, y.gradient, y.oscillation.directions)
        push = add(drift, y.oscillation.force)
        return jtu.tree_map(lambda d, p: -d / p, push, metric.P)

    def params(self, problem: Problem, at: At, y: CentralState) -> Params:
        """The centre."""
        return y.params

    def status(self, problem: Problem, at: At, y: CentralState) -> RESULTS:
        """What went wrong on the way to this state."""
        return y.status

    def products(self, y: CentralState) -> Integer:
        """Those that following the eigenpairs took."""
        return y.tracked.matvecs

    def report(
        self, problem: Problem, at: At, y: CentralState, iterate: Params | None = None
    ) -> dict[str, Array]:
        """The predictions, and what they rest on; and what an iterate has of them.

        That is ``(u_i^T P (theta_n - theta))^2`` along the critical directions.
        """
        z, X = y.tracked.values, y.oscillation.covariance
        variances, (sizes, _) = jnp.diagonal(X), symmetric_eigen(X)
        mean = mean_squares(y.gradient, y.oscillation)
        numbers = {
            **({"predicted_squared_gradient": ravel(mean)} if self.squares else {}),
            "predicted_loss": problem.value(y.params) + jnp.sum(z * variances) / 2,
            "predicted_grad_norm": root_mean_square_length(y.gradient, y.oscillation),
            "sharpness": z[0],
            "critical": jnp.sum(sizes > _NEGLIGIBLE * sizes[-1]).astype(z.dtype),
            "predicted_variances": variances,
            "edge": y.edge,
            "eigenpair_residual": _eigenpair_residual(y.tracked, y.edge),
            "complementarity_residual": y.oscillation.residual,
        }
        if iterate is None:
            return numbers
        metric = Metric(problem, problem.description(at.step), y.params, y.moment)
        deviation = jtu.tree_map(lambda p, a, b: (p * (a - b))[None], metric.P, iterate, y.params)
        along = inner_products(y.oscillation.directions, deviation)
        return {**numbers, "measured_squares": along[:, 0] ** 2}

    def _drift(self, metric: Metric, gradient: Params, directions: Params) -> Params:
        """What drives the centre apart from the oscillation, in units of the gradient."""
        if self.drift == "gradient":
            return gradient
        # U U^T P projects on the critical directions, where the complementarity rules.
        weights = inner_products(directions, jtu.tree_map(lambda g: g[None], gradient))[:, 0]
        critical = jtu.tree_map(
            lambda rows, p: p * jnp.tensordot(weights, rows, axes=1), directions, metric.P
        )
        step = jtu.tree_map(lambda g, p: g / p, subtract(gradient, critical), metric.P)
        return add_scaled(gradient, 0.5, metric.hessian(step))

    def _state(self, problem: Problem, metric: Metric, tracked: TrackedEigenpairs) -> CentralState:
        """The state at a point: find the oscillation, and look whether all is well."""

        def drift(directions: Params) -> Params:
            return self._drift(metric, metric.gradient, directions)

        found = oscillation(problem, metric, tracked, drift, 1 / self.substeps)
        # A loss that is not a number is for the driver to report; far out its gradient may be one.
        finite = jnp.isfinite(norm(metric.gradient)) & jnp.isfinite(norm(metric.params))
        status = RESULTS.successful
        for wrong, why in (  # the last one that holds counts
            (~found.solved, RESULTS.complementarity_not_solved),
            (tracked.values[0] > (1 + _OVERSHOOT) * metric.edge, RESULTS.sharpness_overshoot),
            (~tracked.complete, RESULTS.too_many_critical_directions),
            (~tracked.converged, RESULTS.eigenpairs_not_converged),
        ):
            status = RESULTS.where(wrong & finite, why, status)
        return CentralState(
            metric.params, metric.moment, metric.gradient, metric.edge, tracked, found, status
        )


def _eigenpair_residual(tracked: TrackedEigenpairs, edge: Scalar) -> Scalar:
    """The largest residual of the pairs near the edge, in units of the edge."""
    near = tracked.above(0.9 * edge)
    return jnp.max(jnp.where(near, tracked.residuals, 0)) / edge


def _tolerance(problem: Problem, params: Params) -> float:
    """Of the eigenpairs that are followed."""
    return usual_tolerance(problem.objective.examined(params).precision)
