"""Gradient descent whose learning rate follows the drift."""

from typing import ClassVar

import equinox as eqx

from .._checks import positive_scalar
from .._custom_types import Params, Scalar
from .._objective import Objective
from .._vectors import add_scaled
from ._base import AbstractOptimizer
from ._drift import MAXIMUM, maximum_scalar, power_scalar
from ._drift_rule import DriftRule, DriftState
from ._references import ROSCA_2023


class DriftAdjustedState(eqx.Module):
    """The parameters, and what is known of the drift.

    Attributes:
        params: The parameters.
        rule: Drift, learning rate and average; its `drift` and `learning_rate` are of the step
            that led here.
    """

    params: Params
    rule: DriftState


class DriftAdjustedDescent(AbstractOptimizer):
    r"""Gradient descent with drift-adjusted learning rates, DAL-p.

    .. math:: \theta_{n+1} = \theta_n - h_n g_n, \qquad
        h_n = \min\left(\frac{c}{\bar v_n^{\,p}}, h_{\max}\right), \qquad
        v_n = \frac{\lVert H_n g_n \rVert}{\lVert g_n \rVert}

    with the mean of the last `window` drifts. One step takes the time 1, as there is no fixed
    learning rate. It costs a gradient and, by form, a Hessian-vector product, another gradient, or
    nothing more; the forms are those of `flows.drift_adjusted`. Drifts that are not finite are left
    out.

    With ``p = 1`` and the factor ``c = 2`` the rate is at least ``2`` over the sharpness, so that
    descent works at the edge of stability from the first step: on a quadratic, where nothing
    becomes flatter, it ends in a cycle along the sharpest direction and not in the minimum. With a
    smaller factor it goes further down; the form ``"successive"``, a step late, needs one, say 1.

    Attributes:
        power: ``p``, a finite number >= 0; an array leaf, as all numbers but `window` are.
        maximum: ``h_max`` > 0.
        factor: ``c`` > 0; 2 is the published rule.
        form: ``"product"``, ``"difference"`` or ``"successive"``.
        window: How many drifts are averaged.
        learning_rate: The rate as long as no drift is known: with ``"successive"`` in the first
            step, and after drifts that were not finite.

    Raises:
        InvalidOptionError: If `power`, `form` or `window` is none of these.
        InvalidLearningRateError: If `maximum`, `factor` or `learning_rate` is not one positive
            finite number.

    Example:
        The first rate on ``3/2 x^2`` is ``2/3``, and ``x`` becomes ``x - 2/3 3 x``.

        >>> import jax.numpy as jnp
        >>> import flows
        >>> run = flows.iterate(
        ...     lambda x: 1.5 * x**2, jnp.array(1.0), flows.DriftAdjustedDescent(), steps=1
        ... )
        >>> f"{float(run.final_params):.4f}"
        '-1.0000'

    References:
        M. Rosca, Y. Wu, C. Qin, B. Dherin (2023), arXiv:2302.01952.
    """

    references: ClassVar[tuple[str, ...]] = (ROSCA_2023,)
    power: Scalar = eqx.field(converter=power_scalar, default=1.0)
    maximum: Scalar = eqx.field(converter=maximum_scalar, default=MAXIMUM)
    factor: Scalar = eqx.field(
        converter=lambda c: positive_scalar(c, "factor"), default=2.0, kw_only=True
    )
    form: str = eqx.field(static=True, default="product", kw_only=True)
    window: int = eqx.field(static=True, default=1, kw_only=True)
    learning_rate: Scalar = eqx.field(
        converter=lambda h: positive_scalar(h, "learning_rate"), default=1e-3, kw_only=True
    )

    def __check_init__(self):
        _ = self._rule

    @property
    def _rule(self) -> DriftRule:
        return DriftRule(
            self.power,
            self.maximum,
            self.learning_rate,
            self.factor,
            self.form,
            self.window,
            (0, None),
        )

    def init(self, params: Params) -> DriftAdjustedState:
        """Before the first step."""
        return DriftAdjustedState(params, self._rule.init(params))

    def step(
        self, objective: Objective, state: DriftAdjustedState, gradient: Params | None = None
    ) -> DriftAdjustedState:
        """One step against the gradient."""
        params = state.params
        if gradient is None:
            gradient = objective.gradient(params)
        rule = self._rule.next(state.rule, params, gradient, objective.gradient)
        return DriftAdjustedState(add_scaled(params, -rule.learning_rate, gradient), rule)

    def params(self, state: DriftAdjustedState) -> Params:
        """Those of the state."""
        return state.params
