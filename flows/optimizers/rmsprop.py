"""RMSProp, with a second moment for each parameter or a single one."""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import jax.tree_util as jtu

from .._checks import fraction, non_negative, positive_scalar
from .._custom_types import Array, Integer, Params, PyTree, Scalar
from .._objective import Objective
from ._base import AbstractOptimizer
from ._description import Description, SquaresMetric
from ._references import COHEN_2025


class RMSPropState(eqx.Module):
    """Parameters, and the mean of squared gradients: a tree like them, or one number.

    Attributes:
        params: The parameters.
        moment: ``nu``, zero before the first step.
    """

    params: Params
    moment: PyTree[Any]


class _AbstractRMSProp(AbstractOptimizer):
    """What both have in common: all but what ``nu`` is the mean of."""

    references: ClassVar[tuple[str, ...]] = (COHEN_2025,)
    learning_rate: eqx.AbstractVar[Scalar]
    decay: eqx.AbstractVar[Scalar]
    eps: eqx.AbstractVar[Scalar]

    @property
    @abc.abstractmethod
    def metric(self) -> SquaresMetric:
        """``sqrt(nu) + eps``."""

    def describe(self, n: Integer) -> Description:
        """Weight ``eta``, no memory of gradients, the metric of their squares."""
        del n
        return Description.of_descent(self.learning_rate, self.metric)

    def time_of_step(self, n: Integer) -> Scalar:
        """The learning rate, as the description says; but at once."""
        del n
        return self.learning_rate

    def init(self, params: Params) -> RMSPropState:
        """The parameters and a second moment of zero."""
        zero = self.metric.averaged(jtu.tree_map(jnp.zeros_like, params))
        return RMSPropState(params, zero)

    def step(
        self, objective: Objective, state: RMSPropState, gradient: Params | None = None
    ) -> RMSPropState:
        """One step: first the moment, then the parameters."""
        if gradient is None:
            gradient = objective.gradient(state.params)
        nu = self.metric.next(state.moment, jtu.tree_map(jnp.square, gradient))
        M = self.metric.diagonal(nu, gradient)

        def moved(w: Array, g: Array, m: Array) -> Array:
            return w - g / (m / self.learning_rate.astype(m.dtype))

        return RMSPropState(jtu.tree_map(moved, state.params, gradient, M), nu)

    def params(self, state: RMSPropState) -> Params:
        """The parameters of a state."""
        return state.params


class RMSProp(_AbstractRMSProp):
    r"""RMSProp: each parameter has a step size of its own.

    .. math:: \nu_{n+1} = \beta \nu_n + (1 - \beta)\, g_n^2, \qquad
              \theta_{n+1} = \theta_n - \frac{\eta\, g_n}{\sqrt{\nu_{n+1}} + \epsilon}, \qquad
              \nu_0 = 0

    elementwise. ``eps`` stands beside the root, as in ``optax.rmsprop(eps_in_sqrt=False)``, to
    whose iterates these are equal. One step takes the flow time ``eta`` and costs one gradient.

    Attributes:
        learning_rate: ``eta`` > 0, in units of parameters: about the length of a step in each.
        decay: ``beta``, between 0 and 1 (both excluded).
        eps: ``epsilon`` >= 0, in units of the gradient.

    Raises:
        InvalidLearningRateError: If `learning_rate` is not one positive finite number.
        InvalidOptionError: If `decay` or `eps` is out of range.

    Example:
        The first step is ``eta / sqrt(1 - beta)`` against the sign of the gradient.

        >>> import jax.numpy as jnp
        >>> import flows
        >>> optimizer = flows.RMSProp(learning_rate=0.1, decay=0.75, eps=0.0)
        >>> run = flows.iterate(lambda x: jnp.sum(x**2), jnp.array([1.0, -3.0]), optimizer, steps=1)
        >>> [f"{x:.2f}" for x in run.final_params.tolist()]
        ['0.80', '-2.80']

    References:
        T. Tieleman, G. Hinton, Lecture 6.5: RMSProp, Neural Networks for Machine Learning (2012).
    """

    learning_rate: Scalar = eqx.field(converter=lambda h: positive_scalar(h, "learning_rate"))
    decay: Scalar = eqx.field(converter=lambda b: fraction(b, "decay", "decay=0.99"), default=0.99)
    eps: Scalar = eqx.field(converter=lambda e: non_negative(e, "eps", "eps=1e-8"), default=1e-8)

    @property
    def metric(self) -> SquaresMetric:
        """One for each parameter."""
        return SquaresMetric(self.decay, self.eps)


class ScalarRMSProp(_AbstractRMSProp):
    r"""RMSProp with one second moment for all parameters: descent with a normalised gradient.

    .. math:: \nu_{n+1} = \beta \nu_n + (1 - \beta)\, |g_n|^2, \qquad
              \theta_{n+1} = \theta_n - \frac{\eta\, g_n}{\sqrt{\nu_{n+1}} + \epsilon}, \qquad
              \nu_0 = 0

    One step takes the flow time ``eta`` and costs one gradient.

    Attributes:
        learning_rate: ``eta`` > 0, in units of parameters: about the length of a step.
        decay: ``beta``, between 0 and 1 (both excluded).
        eps: ``epsilon`` >= 0, in units of the gradient.

    Raises:
        InvalidLearningRateError: If `learning_rate` is not one positive finite number.
        InvalidOptionError: If `decay` or `eps` is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> optimizer = flows.ScalarRMSProp(learning_rate=0.1, decay=0.75, eps=0.0)
        >>> run = flows.iterate(lambda x: jnp.sum(x**2), jnp.array([3.0, -4.0]), optimizer, steps=1)
        >>> [f"{x:.2f}" for x in run.final_params.tolist()]
        ['2.88', '-3.84']

    References:
        J. Cohen, A. Damian, A. Talwalkar, J. Z. Kolter, J. D. Lee (2025), arXiv:2410.24206.
    """

    learning_rate: Scalar = eqx.field(converter=lambda h: positive_scalar(h, "learning_rate"))
    decay: Scalar = eqx.field(converter=lambda b: fraction(b, "decay", "decay=0.99"), default=0.99)
    eps: Scalar = eqx.field(converter=lambda e: non_negative(e, "eps", "eps=1e-8"), default=1e-8)

    @property
    def metric(self) -> SquaresMetric:
        """One for all parameters."""
        return SquaresMetric(self.decay, self.eps, one=True)
