"""The gradient flow."""

from typing import Any, ClassVar

from .._custom_types import At, Params
from .._vectors import scaled
from ..optimizers import AbstractOptimizer, Problem
from ..optimizers._references import HAIRER_2006
from ._base import unless_descent
from ._point import AbstractPointFlow


class GradientFlow(AbstractPointFlow):
    r"""The negative gradient flow, the limit of gradient descent for small learning rates.

    .. math:: \dot\theta = -\nabla E(\theta)

    A step of gradient descent differs from this flow over the time ``h`` by ``O(h^2)``, a run over
    a fixed time by ``O(h)``. It never oscillates and converges to every strict minimum, however
    sharp, so it says nothing about stability. Time is flow time: ``t = n h`` after ``n`` steps.
    The state is the parameters. One evaluation costs one gradient.

    Raises:
        IncompatibleFlowError: From the drivers, if the optimizer is not gradient descent, as
            `GradientDescent` is, or one that describes itself so.

    Example:
        On ``E(x) = x^2 / 2`` the flow is ``exp(-t)``, gradient descent ``(1 - h)^n``.

        >>> import jax.numpy as jnp
        >>> import flows
        >>> optimizer = flows.GradientDescent(0.5)
        >>> run = flows.solve(
        ...     lambda x: x**2 / 2, jnp.array(1.0), optimizer, flows.GradientFlow(), steps=2
        ... )
        >>> print(f"{float(run.final_params):.4f}")
        0.3679

    References:
        E. Hairer, C. Lubich, G. Wanner, Geometric Numerical Integration, 2nd ed. (2006), chapter
        IX, for the order; gradient descent is Euler's method for this flow.
    """

    references: ClassVar[tuple[str, ...]] = (HAIRER_2006,)
    variants: ClassVar[dict[str, dict[str, Any]]] = {"gradient": {}}
    looks: ClassVar[dict[str, tuple[str, Any]]] = {
        "GradientFlow": ("#0072B2", "-"),
    }

    @property
    def name(self) -> str:
        """`GradientFlow`."""
        return "GradientFlow"

    @property
    def beyond_gradient(self) -> bool:
        """No."""
        return False

    def refusal(self, optimizer: AbstractOptimizer) -> str | None:
        """Of whatever is not gradient descent."""
        return unless_descent(self, optimizer)

    def velocity(self, problem: Problem, at: At, y: Params) -> Params:
        """``-h g``."""
        return scaled(-problem.description(at.step).gain(1), problem.gradient(y))
