"""Modified flows: the gradient flow corrected by backward error analysis."""

from typing import Any, ClassVar

import equinox as eqx
import jax

from .._checks import one_of
from .._custom_types import Params, Scalar, VectorField
from .._problem import Problem
from .._vectors import add_scaled, scaled
from ..optimizers import AbstractOptimizer, GradientDescent
from ._base import AbstractFlow


class ModifiedFlow(AbstractFlow):
    r"""The modified-loss flow: gradient flow on a loss that penalises the gradient's length.

    .. math:: \dot\theta = -\nabla\Bigl(E + \tfrac h4 \lVert\nabla E\rVert^2\Bigr)
                         = -g - \tfrac h2 H g

    with the gradient ``g`` and the Hessian ``H``. It matches gradient descent to one order more
    than the gradient flow: a step differs by ``O(h^3)``, a run over a fixed time by ``O(h^2)``.
    The correction (implicit gradient regularisation) explains why large learning rates prefer flat
    regions; it does not oscillate, and beyond ``h * lambda = 1`` it is a poor model. Time is flow
    time: ``t = n h`` after ``n`` steps. The state is the parameters. One evaluation costs one
    gradient and one Hessian-vector product; no Hessian is formed.

    Attributes:
        order: The order over a fixed time. Only 2 is available.

    Raises:
        InvalidOptionError: If ``order`` is not available.
        IncompatibleFlowError: From the drivers, if the optimizer is not `GradientDescent`.

    Example:
        On ``E(x) = x^2 / 2`` the flow is ``exp(-t (1 + h / 2))``.

        >>> import jax.numpy as jnp
        >>> import flows
        >>> optimizer = flows.GradientDescent(0.5)
        >>> run = flows.solve(
        ...     lambda x: x**2 / 2, jnp.array(1.0), optimizer, flows.ModifiedFlow(order=2), steps=2
        ... )
        >>> print(f"{float(run.final_params):.4f}")
        0.2865

    References:
        D. G. T. Barrett, B. Dherin, Implicit Gradient Regularization (2021), arXiv:2009.11162.
    """

    models: ClassVar[tuple[type[AbstractOptimizer], ...]] = (GradientDescent,)
    order: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        one_of(self.order, (2,), "order")

    @property
    def name(self) -> str:
        """`ModifiedFlow(2)`."""
        return f"ModifiedFlow({self.order})"

    @property
    def stride(self) -> int:
        """Every iterate is modelled."""
        return 1

    def init(self, problem: Problem, params: Params) -> Params:
        """The parameters themselves."""
        del problem
        return params

    def vector_field(self, problem: Problem) -> VectorField:
        """``-(g + (h/2) H g)``."""
        h = problem.optimizer.step_time

        def field(t: Any, y: Params, args: Any) -> Params:
            del t, args
            # The gradient is its own direction, so one linearisation gives both g and H g.
            g, hessian_vector_product = jax.linearize(problem.gradient, y)
            return scaled(-1.0, add_scaled(g, h / 2, hessian_vector_product(g)))

        return field

    def params(self, y: Params) -> Params:
        """The state itself."""
        return y

    def diagnostics(self, problem: Problem, y: Params) -> dict[str, Scalar]:
        """None: the loss and the gradient norm are recorded for every flow."""
        del problem, y
        return {}
