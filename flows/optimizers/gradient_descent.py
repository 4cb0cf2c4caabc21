"""Gradient descent."""

import equinox as eqx

from .._checks import positive_scalar
from .._custom_types import Integer, Params, Scalar
from .._objective import Objective
from .._vectors import add_scaled
from ._base import AbstractOptimizer
from ._description import Description


class GradientDescent(AbstractOptimizer):
    r"""Gradient descent with a fixed learning rate.

    .. math:: \theta_{n+1} = \theta_n - h \, \nabla E(\theta_n)

    One step takes the flow time ``h``. It costs one gradient.

    Attributes:
        learning_rate: ``h`` > 0, a scalar in units of flow time. An array leaf: another value
            compiles nothing anew, and it can be mapped over and differentiated.

    Raises:
        InvalidLearningRateError: If ``learning_rate`` is not one positive finite number. Its value
            is not checked under a JAX transformation.

    Example:
        On ``E(x) = x^2 / 2`` one step multiplies by ``1 - h``.

        >>> import jax.numpy as jnp
        >>> import flows
        >>> optimizer = flows.GradientDescent(learning_rate=0.25)
        >>> run = flows.iterate(lambda x: x**2 / 2, jnp.array(1.0), optimizer, steps=2)
        >>> float(run.final_params)
        0.5625

    References:
        A.-L. Cauchy, Méthode générale pour la résolution des systèmes d'équations simultanées,
        Comptes rendus 25 (1847), 536-538.
    """

    learning_rate: Scalar = eqx.field(converter=lambda h: positive_scalar(h, "learning_rate"))

    def describe(self, n: Integer) -> Description:
        """Weight ``h``, no memory."""
        del n
        return Description.of_descent(self.learning_rate)

    def time_of_step(self, n: Integer) -> Scalar:
        """The learning rate, as the description says; but at once."""
        del n
        return self.learning_rate

    def init(self, params: Params) -> Params:
        """The parameters themselves are the state."""
        return params

    def step(self, objective: Objective, state: Params, gradient: Params | None = None) -> Params:
        """One step against the gradient."""
        if gradient is None:
            gradient = objective.gradient(state)
        return add_scaled(state, -self.learning_rate, gradient)

    def params(self, state: Params) -> Params:
        """The state itself."""
        return state
