"""Whether JAX' derivative of the gradient is that of the map that is descended."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu

from .._checks import being_traced
from .._custom_types import Array, Params, Scalar
from .._errors import DerivativeError
from .._vectors import norm, subtract
from ._derivatives import central_difference, derivatives_taken
from ._objective import Objective

# By how much the two may differ, of the larger, where neither rounding nor a kink explains it.
_APART = {jnp.dtype("float64"): 0.05}
_APART_COARSELY = 0.3
# Their rounding errors may be so many times what one rounding of the gradient makes of them.
_ROUNDINGS = 30


def require_derivative(objective: Objective, params: Params, wanted_by: str) -> None:
    """Raise a `DerivativeError` unless a Hessian product is the derivative of the gradient.

    Compared with differences, only where something in the loss is hidden from differentiation, and
    outside of transformations.
    """
    if objective.product == "difference" or being_traced(objective, params):
        return
    hidden = objective.examined(params).hidden
    if not hidden:
        return
    with derivatives_taken(objective.product):  # JAX may find only here that there is none
        apart, tolerated = map(float, _apart(objective, params))
    if apart > tolerated:
        raise DerivativeError(
            f"the loss has {hidden[0]}, and the derivative that JAX takes of its gradient is not "
            f"that of the map that is descended: they differ by {100 * apart:.0f} % along a random "
            f"direction. So {wanted_by} would be that of another loss. Pass flows.Objective(loss, "
            'product="difference") in place of the loss, or choose flows.GradientFlow().'
        )


@eqx.filter_jit
def _apart(objective: Objective, params: Params) -> tuple[Scalar, Scalar]:
    """How far products and differences are apart, of the larger, and how far they may be.

    The least of two directions and two lengths: a kink in the way is in the way of one.
    """
    precision = objective.examined(params).precision
    unit = float(jnp.finfo(precision).eps)
    gradient, product = objective.linearised(params)

    def along(key: Array, root: float) -> tuple[Scalar, Scalar]:
        direction = _random(key, params)
        step = unit**root * (1 + norm(params)) / norm(direction)
        difference = central_difference(objective.gradient, params, step, direction)
        exact = product(direction)
        larger = jnp.maximum(norm(exact), norm(difference))
        there = larger > 0
        larger = jnp.where(there, larger, 1)
        apart = jnp.where(there, norm(subtract(exact, difference)) / larger, 0)
        return apart, _ROUNDINGS * unit * norm(gradient) / (step * larger)

    cases = [
        along(key, root) for key in jax.random.split(jax.random.key(0)) for root in (0.33, 0.4)
    ]
    apart, rounding = (jnp.stack(numbers) for numbers in zip(*cases, strict=True))
    best = jnp.argmin(apart - rounding)
    return apart[best], _APART.get(precision, _APART_COARSELY) + rounding[best]


def _random(key: Array, like: Params) -> Params:
    leaves, structure = jtu.tree_flatten(like)
    keys = jax.random.split(key, len(leaves))
    return structure.unflatten(
        jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves, strict=True)
    )
