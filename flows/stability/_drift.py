"""How far descent drifts from the gradient flow, and the learning rate that allows for it."""

import equinox as eqx
import jax.numpy as jnp

from .._checks import is_traced
from .._custom_types import Data, Loss, Params, Scalar
from .._errors import RunFailedError
from .._objective import Objective, make_objective, require_derivative
from .._vectors import real_dtype
from ..optimizers._drift import direction, learning_rate, maximum_scalar, power_scalar

_NOT_FINITE = (
    "the gradient or the Hessian is not finite here, so there is no drift. Look at the loss at "
    "these parameters, or ask for its drift where it is finite."
)


def drift(loss: Loss, params: Params, *, args: Data = None) -> Scalar:
    r"""The curvature along the gradient: what drives descent away from the gradient flow.

    .. math:: v = \frac{\lVert H g \rVert}{\lVert g \rVert} \le \max_i |\lambda_i|, \qquad
        \theta(h) - (\theta - h g) \approx \tfrac{h^2}{2} H g

    It costs a gradient and a Hessian-vector product. Works under ``jit`` and ``vmap``, and can be
    differentiated.

    Arguments:
        loss: As in `flows.iterate`.
        params: The point, any pytree.
        args: Data for the loss.

    Returns:
        ``v``, in loss per parameter squared (one over a flow time). Where the gradient is zero no
        step is made, and ``v`` is 0.

    Raises:
        InvalidLossError: As in `flows.iterate`.
        InvalidParametersError: If a leaf cannot be moved.
        RunFailedError: If gradient or Hessian are not finite. Under a JAX transformation an error
            at run time.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> v = flows.drift(lambda x: x[0] ** 2 + 0.01 * x[1] ** 2, jnp.array([-0.35, -20.0]))
        >>> f"{float(v):.4f}"
        '1.7365'

    References:
        M. Rosca, Y. Wu, C. Qin, B. Dherin (2023), arXiv:2302.01952.
    """
    objective, moving = make_objective(loss, params, args)
    require_derivative(objective, moving, "the drift")
    return _finite(_drift(objective, moving))


def drift_adjusted_learning_rate(
    loss: Loss,
    params: Params,
    power: float | Scalar = 1.0,
    *,
    maximum: float | Scalar | None = None,
    args: Data = None,
) -> Scalar:
    r"""The learning rate of drift-adjusted learning, DAL-p, at a point.

    .. math:: h = \min\left(\frac{2}{v^p}, h_{\max}\right), \qquad
        v = \frac{\lVert H g \rVert}{\lVert g \rVert}

    With ``p = 1`` it is at least ``2 / max |lambda_i|``: at the edge of stability or beyond, as far
    beyond as the gradient lies in flat directions. A smaller power takes larger steps where
    ``v > 1`` and smaller ones where ``v < 1``. `flows.drift_adjusted` and
    `flows.DriftAdjustedDescent` train with it.

    Arguments:
        loss: As in `flows.iterate`.
        params: The point, any pytree.
        power: ``p``, a finite number >= 0.
        maximum: ``h_max`` > 0, in units of flow time; by default there is none.
        args: Data for the loss.

    Returns:
        ``h``. In flow time for ``p = 1``; for another power the formula mixes units, so that its
        number depends on those of the loss. Where the drift is zero (and ``p > 0``) it is
        `maximum`, or infinite if there is none.

    Raises:
        InvalidOptionError: If `power` is no finite number >= 0.
        InvalidLearningRateError: If `maximum` is not positive.
        InvalidLossError: As in `flows.iterate`.
        InvalidParametersError: If a leaf cannot be moved.
        RunFailedError: As in `flows.drift`.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> def banana(x):
        ...     return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
        >>> h = flows.drift_adjusted_learning_rate(banana, jnp.array([-0.5, 0.5]))
        >>> f"{float(h):.7f}"
        '0.0056254'

    References:
        M. Rosca, Y. Wu, C. Qin, B. Dherin (2023), arXiv:2302.01952.
    """
    p = power_scalar(power)
    limit = None if maximum is None else maximum_scalar(maximum)
    return learning_rate(drift(loss, params, args=args), p, limit)


@eqx.filter_jit
def _drift(objective: Objective, params: Params) -> Scalar:
    gradient, product = objective.linearised(params)
    unit, _ = direction(gradient)
    return direction(product(unit))[1].astype(real_dtype(params))


def _finite(value: Scalar) -> Scalar:
    if is_traced(value):
        return eqx.error_if(value, ~jnp.isfinite(value), _NOT_FINITE)
    if not bool(jnp.isfinite(value)):
        raise RunFailedError(_NOT_FINITE, value)
    return value
