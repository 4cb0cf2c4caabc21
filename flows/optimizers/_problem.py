"""The problem of a flow: an objective, and the optimizer that descends it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx

from .._custom_types import Data, Integer, Loss, Params, PyTree, Scalar
from .._objective import Objective, make_objective
from ._base import AbstractOptimizer
from ._description import Description


class Problem(eqx.Module):
    r"""What a flow is given: the objective ``E``, and the optimizer that it models.

    Every derivative of the `Objective` can be asked for here.

    Attributes:
        objective: The loss, its data, and how it is differentiated.
        optimizer: The optimizer.
    """

    objective: Objective = eqx.field(
        converter=lambda loss: loss if isinstance(loss, Objective) else Objective(loss)
    )
    optimizer: AbstractOptimizer

    @property
    def args(self) -> PyTree[Any]:
        """The data."""
        return self.objective.args

    def whole(self, params: Params) -> Params:
        """The parameters as the user gave them, from their moving part."""
        return self.objective.whole(params)

    def value(self, params: Params) -> Scalar:
        """``E``, in units of loss."""
        return self.objective.value(params)

    def gradient(self, params: Params) -> Params:
        """``g``, in loss per parameter."""
        return self.objective.gradient(params)

    def value_and_gradient(self, params: Params) -> tuple[Scalar, Params]:
        """``E`` and ``g`` for the price of ``g``."""
        return self.objective.value_and_gradient(params)

    def linearised(
        self, params: Params, field: Callable[[Params], Params] | None = None
    ) -> tuple[Params, Callable[[Params], Params]]:
        """``g``, and the map ``v -> H v`` at the same point; of another symmetric field too."""
        return self.objective.linearised(params, field)

    def hessian_vector_product(self, params: Params, vector: Params) -> Params:
        """``H v``."""
        return self.objective.hessian_vector_product(params, vector)

    def third_derivative(self, params: Params, a: Params, b: Params) -> Params:
        """``D^3E[a, b]``, a vector."""
        return self.objective.third_derivative(params, a, b)

    def directional_derivative(self, params: Params, *directions: Params) -> Params:
        """``D^(k+1)E[v_1, ..., v_k]``, a vector."""
        return self.objective.directional_derivative(params, *directions)

    def description(self, n: Integer) -> Description:
        """Of the optimizer's step ``n``; for flows that model optimizers that have one."""
        described = self.optimizer.describe(n)
        assert described is not None  # the flow's `refusal` has seen to it
        return described

    def step(self, state: PyTree[Any], gradient: Params | None = None) -> PyTree[Any]:
        """The optimizer's state one step later."""
        return self.optimizer.step(self.objective, state, gradient)


def make_problem(
    loss: Loss | Objective, params: Params, optimizer: AbstractOptimizer, args: Data = None
) -> tuple[Problem, Params]:
    """Check loss, parameters and data; return the problem and the moving part of the parameters.

    Arguments:
        loss: A function, or an `Objective`.
        params: The parameters as the user gave them.
        optimizer: The optimizer.
        args: The data.

    Raises:
        InvalidLossError: If the loss cannot be called as it should.
        InvalidParametersError: If the parameters cannot be moved.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> problem, moving = make_problem(
        ...     lambda p: p["x"] ** 2, {"x": jnp.array(3.0), "it": "x"}, flows.GradientDescent(0.1)
        ... )
        >>> float(problem.gradient(moving)["x"]), moving["it"]
        (6.0, None)

    References:
        Parts that move and parts that rest are told apart as Equinox does: P. Kidger, C. Garcia
        (2021), arXiv:2111.00254.
    """
    objective, moving = make_objective(loss, params, args)
    return Problem(objective, optimizer), moving
