"""The rod flow: the midpoint of two iterates, and half of what lies between them."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import jax.tree_util as jtu

from .._custom_types import Array, At, Params, PyTree, Scalar
from .._errors import InvalidOptionError
from .._vectors import add, add_scaled, norm, scaled, subtract, unit_of
from ..curvature.eigen import symmetric_eigen
from ..curvature.eigenpairs.block import combined, inner_products
from ..optimizers import AbstractOptimizer, Problem
from ._base import unless_descent
from ._stepped import AbstractSteppedFlow

REGIS_2026 = """@misc{regis2026rod,
  author        = {Regis, E. and Chewi, S.},
  title         = {Rod Flow: A Continuous-Time Model for Gradient Descent
                   at the Edge of Stability},
  year          = {2026},
  eprint        = {2602.01480},
  archiveprefix = {arXiv}
}"""


class RodState(eqx.Module):
    """A rod.

    Attributes:
        centre: Its centre.
        half: Half of it: from the centre to one end.
    """

    centre: Params
    half: Params


class RodFlow(AbstractSteppedFlow):
    r"""The rod flow of gradient descent: two successive iterates as the ends of a rod.

    .. math::
        \dot w = -\tfrac h2 (g_+ + g_-) - \tfrac{h^2}{8} (H_+ + H_-)(g_+ + g_-), \qquad
        \dot\Sigma = \tfrac{h^2}{4} (g_+ g_+^T + g_- g_-^T) - 2 \Sigma, \qquad
        \Sigma \approx \delta \delta^T

    per step, with gradient and Hessian at both ends ``w + delta`` and ``w - delta``, from
    ``w = theta_0 - h g / 2`` and ``delta = -h g / 2``. It needs no eigenvalues: below the edge of
    stability ``delta`` is half a step and the centre follows the modified flow of second order; at
    the edge it grows along the direction that has become unstable. It has one direction only, so
    that it is less good where a second one is at the edge.

    It models the average of the iterates: `flows.compare` measures its error against the midpoints
    ``(theta_{n-1} + 2 theta_n + theta_{n+1}) / 4``. Time is flow time.

    It makes its own steps, explicit Euler's, with ``delta`` the leading direction of the covariance
    by a Gram matrix of size 3; solver and step size of the drivers do not apply. A substep costs
    two gradients and two Hessian-vector products.

    Diagnostics at every step: ``predicted_loss``, the mean of both ends; ``amplitude``,
    ``|delta|``, in units of the parameters; in a comparison also ``measured_amplitude``, how far
    the iterate is from the centre along ``delta``.

    Attributes:
        substeps: Euler steps in one optimizer step, at least 2.

    Raises:
        InvalidOptionError: If `substeps` is not such an integer.
        IncompatibleFlowError: From the drivers, if the optimizer is not gradient descent, as
            `GradientDescent` is, or one that describes itself so.

    Example:
        On ``S x^2 / 2 - Q x^4 / 4`` with ``S h > 2`` descent has a two-cycle; the square of its
        amplitude, and of the rod's, is ``(S - 2/h) / Q``.

        >>> import jax.numpy as jnp
        >>> import flows
        >>> run = flows.solve(
        ...     lambda x: 3 * x**2 / 2 - x**4 / 8, jnp.array(0.1), flows.GradientDescent(0.75),
        ...     flows.RodFlow(), steps=60,
        ... )
        >>> print(f"{run.diagnostics['amplitude'][-1] ** 2:.5f}")
        0.66667

    References:
        E. Regis, S. Chewi, Rod flow: a continuous-time model for gradient descent at the edge of
        stability (2026), arXiv:2602.01480.
    """

    references: ClassVar[tuple[str, ...]] = (REGIS_2026,)
    variants: ClassVar[dict[str, dict[str, Any]]] = {"rod": {}}
    looks: ClassVar[dict[str, tuple[str, Any]]] = {
        "RodFlow": ("#56B4E9", (0, (1, 1))),
    }
    reference: ClassVar[str] = "midpoint"
    substeps: int = eqx.field(static=True, default=4)

    def __check_init__(self):
        count = self.substeps
        if not isinstance(count, int) or isinstance(count, bool) or count < 2:
            raise InvalidOptionError(
                f"substeps must be an integer >= 2, got {count!r}: an Euler step of the covariance "
                "may be half an optimizer step at most. Leave it out for the default."
            )

    @property
    def name(self) -> str:
        """`RodFlow`."""
        return "RodFlow"

    def refusal(self, optimizer: AbstractOptimizer) -> str | None:
        """Of whatever is not gradient descent."""
        return unless_descent(self, optimizer)

    def start(self, problem: Problem, state: PyTree[Any], at: At) -> RodState:
        """Between the point and the next iterate."""
        params = problem.optimizer.params(state)
        half = scaled(-problem.description(at.step).gain(1) / 2, problem.gradient(params))
        return RodState(add(params, half), half)

    def advance(self, problem: Problem, at: At, y: RodState) -> RodState:
        """One substep of Euler's."""
        dt, h = 1 / self.substeps, problem.description(at.step).gain(1)
        step, (above, below) = self._step(problem, h, y)
        parts = [scaled((1 - 2 * dt) ** 0.5, y.half)]
        parts += [scaled(h * dt**0.5 / 2, gradient) for gradient in (above, below)]
        rows = jtu.tree_map(lambda *leaves: jnp.stack(leaves), *parts)
        # Sum of their outer products; its leading direction is a combination of them.
        in_units = scaled(1 / unit_of(rows), rows)
        _, vectors = symmetric_eigen(inner_products(in_units, in_units))
        leading = vectors[:, -1]
        leading = jnp.where(leading[0] < 0, -leading, leading)
        half = jtu.tree_map(lambda leaf: leaf[0], combined(leading[None], rows))
        return RodState(add_scaled(y.centre, dt, step), half)

    def velocity(self, problem: Problem, at: At, y: RodState) -> Params:
        """Of the centre, in parameters per step."""
        return self._step(problem, problem.description(at.step).gain(1), y)[0]

    def params(self, problem: Problem, at: At, y: RodState) -> Params:
        """The centre."""
        return y.centre

    def report(
        self, problem: Problem, at: At, y: RodState, iterate: Params | None = None
    ) -> dict[str, Array]:
        """What it predicts; and how far an iterate is from the centre along the rod."""
        ends = add(y.centre, y.half), subtract(y.centre, y.half)
        length = norm(y.half)
        predicted = {
            "predicted_loss": (problem.value(ends[0]) + problem.value(ends[1])) / 2,
            "amplitude": length,
        }
        if iterate is None:
            return predicted
        one, other = (
            jtu.tree_map(lambda leaf: leaf[None], v)
            for v in (
                scaled(1 / jnp.where(length > 0, length, 1), y.half),
                subtract(iterate, y.centre),
            )
        )
        along = jnp.abs(inner_products(one, other)[0, 0])
        return {**predicted, "measured_amplitude": along}

    def _step(
        self, problem: Problem, h: Scalar, y: RodState
    ) -> tuple[Params, tuple[Params, Params]]:
        """How the centre changes in a step, and the gradients at both ends."""
        above, product_above = problem.linearised(add(y.centre, y.half))
        below, product_below = problem.linearised(subtract(y.centre, y.half))
        # As a step before it is multiplied with anything: products of a small loss would underflow.
        both = scaled(h, add(above, below))
        bend = add(product_above(both), product_below(both))
        return add_scaled(scaled(-0.5, both), -h / 8, bend), (above, below)
