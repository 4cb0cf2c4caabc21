"""The gradient flow."""

from typing import Any, ClassVar

from .._custom_types import Params, Scalar, VectorField
from .._problem import Problem
from .._vectors import scaled
from ..optimizers import AbstractOptimizer, GradientDescent
from ._base import AbstractFlow


class GradientFlow(AbstractFlow):
    r"""The negative gradient flow, the limit of gradient descent for small learning rates.

    .. math:: \dot\theta = -\nabla E(\theta)

    A step of gradient descent differs from this flow over the time ``h`` by ``O(h^2)``, a run over
    a fixed time by ``O(h)``. It never oscillates and converges to every strict minimum, however
    sharp, so it says nothing about stability. Time is flow time: ``t = n h`` after ``n`` steps.
    The state is the parameters. One evaluation costs one gradient.

    Raises:
        IncompatibleFlowError: From the drivers, if the optimizer is not `GradientDescent`.

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

    models: ClassVar[tuple[type[AbstractOptimizer], ...]] = (GradientDescent,)

    @property
    def name(self) -> str:
        """`GradientFlow`."""
        return "GradientFlow"

    @property
    def stride(self) -> int:
        """Every iterate is modelled."""
        return 1

    def init(self, problem: Problem, params: Params) -> Params:
        """The parameters themselves."""
        del problem
        return params

    def vector_field(self, problem: Problem) -> VectorField:
        """``-g``."""

        def field(t: Any, y: Params, args: Any) -> Params:
            del t, args
            return scaled(-1.0, problem.gradient(y))

        return field

    def params(self, y: Params) -> Params:
        """The state itself."""
        return y

    def diagnostics(self, problem: Problem, y: Params) -> dict[str, Scalar]:
        """None: the loss and the gradient norm are recorded for every flow."""
        del problem, y
        return {}
