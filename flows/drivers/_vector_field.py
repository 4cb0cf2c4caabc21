"""A flow's velocity at one point."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from .._checks import is_traced
from .._custom_types import Data, Loss, Params, PyTree
from .._errors import InvalidLearningRateError
from .._vectors import scaled
from ..optimizers import AbstractOptimizer, Problem, make_problem
from ..vector_fields import AbstractFlow
from ._advance_flow import start_of
from ._compatible import check_flow, check_loss
from ._flow_records import whole_step


def vector_field(
    loss: Loss,
    params: Params,
    optimizer: AbstractOptimizer,
    flow: AbstractFlow,
    *,
    args: Data = None,
) -> Params:
    r"""Evaluate the velocity of the parameters that a flow gives to one point.

    .. math:: \dot\theta = \frac1h\, D\,\mathtt{params}(y)\, \mathtt{velocity}(0, y), \qquad
              y = \mathtt{start}(\mathtt{init}(\theta))

    with ``h`` the flow time of the first step.

    Works under ``jit``, ``vmap`` and ``grad``. For a field to integrate yourself, see
    `flows.AbstractFlow.vector_field`.

    Arguments:
        loss: As in `flows.iterate`.
        params: The point ``theta``, any pytree.
        optimizer: The optimizer that the flow models.
        flow: For example ``flows.ModifiedFlow(order=2)``.
        args: Data for the loss.

    Returns:
        The velocity, a tree like `params`, in parameters per flow time; complex where the flow is.
        What does not move is None in it.

    Raises:
        InvalidLossError: As in `flows.iterate`.
        InvalidParametersError: If a leaf cannot be moved.
        InvalidOptimizerError: If the optimizer is none.
        IncompatibleFlowError: If the flow does not model the optimizer.
        InvalidLearningRateError: If the optimizer's first step takes no time.

    Example:
        On ``E(x) = x^2 / 2`` at 1 with ``h = 1/2`` the modified flow moves at ``-(1 + h / 2)``.

        >>> import jax.numpy as jnp
        >>> import flows
        >>> velocity = flows.vector_field(
        ...     lambda x: x**2 / 2, jnp.array(1.0), flows.GradientDescent(0.5), flows.ModifiedFlow()
        ... )
        >>> float(velocity)
        -1.25

    References:
        Each flow names its own; see for example `flows.ModifiedFlow`.
    """
    check_flow(flow, optimizer)
    problem, moving = make_problem(loss, params, optimizer, args)
    check_loss(problem, moving, flow)
    time = optimizer.time_of_step(jnp.asarray(0))
    if not is_traced(time) and float(time) == 0:
        raise InvalidLearningRateError(
            "the first step takes no time, so there is no velocity per flow time: its learning "
            "rate is 0, as where a warm-up begins. Ask for another step's: flow.velocity(...)."
        )
    return _velocity(problem, flow, moving)


@eqx.filter_jit
def _velocity(problem: Problem, flow: AbstractFlow, params: Params) -> PyTree[Any]:
    at = whole_step(jnp.asarray(0), params)
    velocity = flow.method.point_velocity(flow, problem, at, start_of(problem, flow, params))
    return scaled(1 / problem.optimizer.time_of_step(at.step), velocity)
