"""What an optimizer is: a map from one state to the next."""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from .._custom_types import Integer, Params, PyTree, Scalar
from .._objective import Objective
from ._description import Description


class AbstractOptimizer(eqx.Module):
    r"""A one-step map on a state, the thing that a flow is a model of.

    .. math:: s_{n+1} = \Phi(s_n), \qquad \theta_n = \mathtt{params}(s_n)

    Everything inside this library counts steps. Flow time is reported beside them: step ``n`` takes
    `time_of_step` of it: the gain of a slow gradient, which is the learning rate for gradient
    descent, over ``1 - momentum`` with momentum; 1 for optimizers of which that is not known.

    A subclass is final: it holds hyper-parameters as array fields, and implements all of the
    abstract methods below. `flows.GradientDescent` is the shortest example.

    Attributes:
        stochastic: Whether it draws random numbers, so that a run needs a key and has a law.
        references: The papers behind it, as BibTeX; none, where it is in every textbook.
    """

    stochastic: ClassVar[bool] = False
    references: ClassVar[tuple[str, ...]] = ()

    def describe(self, n: Integer) -> Description | None:
        """What step ``n`` is, as flows see it; None where nothing is known but the step itself."""
        del n
        return None

    def described(self) -> Description | None:
        """What every step is: of one that varies with the number, that is traced. For refusals."""
        if not self.varies:
            return self.describe(jnp.asarray(0))
        seen: list[Description | None] = []

        def look(n: Integer) -> Integer:
            seen.append(self.describe(n))
            return n

        jax.eval_shape(look, jnp.asarray(0))
        return seen[0]

    def time_of_step(self, n: Integer) -> Scalar:
        """The flow time that step ``n`` takes, from 0 on (a scalar >= 0): its gain, or 1."""
        described = self.describe(n)
        return jnp.asarray(1.0) if described is None else described.gain(1)

    @property
    def varies(self) -> bool:
        """Whether the rule of a step depends on its number, as under a schedule."""
        return False

    @abc.abstractmethod
    def init(self, params: Params) -> PyTree[Any]:
        """The state before the first step, from the starting parameters."""

    @abc.abstractmethod
    def step(
        self, objective: Objective, state: PyTree[Any], gradient: PyTree[Any] | None = None
    ) -> PyTree[Any]:
        """The state one step later.

        Arguments:
            objective: The loss and its data.
            state: The state before the step.
            gradient: The gradient of the loss at the `gradient_point`, if the caller has it already
                (the drivers do: where that is the parameters, they record its norm). Computed here
                otherwise.
        """

    @abc.abstractmethod
    def params(self, state: PyTree[Any]) -> Params:
        """The parameters of a state: where the loss is reported and flows are compared."""

    def gradient_point(self, state: PyTree[Any], params: Params) -> Params:
        """Where the next step takes the gradient: for most, at the parameters of the state.

        An optimizer that looks ahead says so here. What is returned must be `params` itself where
        it is the same point: its gradient is then evaluated once.
        """
        del state
        return params

    def check(self, objective: Objective, params: Params) -> None:
        """Raise a typed error if this is no optimizer for that loss; most take any.

        Called once in every run, before anything of it is traced.
        """
        del objective, params

    def diagnostics(self, state: PyTree[Any]) -> dict[str, Scalar]:
        """Numbers worth recording at every step, by name; none, for most."""
        del state
        return {}
