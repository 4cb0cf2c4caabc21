"""Whether a loss depends on the direction of its parameters only: measured, not taken on trust."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import jax.tree_util as jtu

from .._checks import being_traced
from .._custom_types import Params, Scalar
from .._errors import InvalidParametersError, NotScaleInvariantError
from .._objective import Objective
from .._vectors import add_scaled, norm, real_dtype, scaled, size
from ..curvature.basis import inner_product

# How many points near the given one are looked at besides it: near a minimum, where loss and
# gradient are rounding errors, the point itself says nothing.
_NEARBY = 2
_FACTORS = (0.5, 2.0)


def require(objective: Objective, params: Params) -> None:
    """Raise a `NotScaleInvariantError` unless the loss is; nothing under a JAX transformation."""
    if being_traced(objective, params):
        return
    if not float(norm(params)) > 0:
        raise InvalidParametersError(
            "params are all zero, where a scale-invariant loss has no value. "
            "Start at another point, for example a random one."
        )
    measured, allowed = float(violation(objective, params)), tolerance(params)
    if not measured <= allowed:
        raise NotScaleInvariantError(
            f"the loss is not scale invariant: relative to its size it changes by {measured:.3g} "
            f"along a ray or when the parameters are halved or doubled, of which {allowed:.2g} "
            "could be rounding. Leave regularisation out of the loss (weight decay is the "
            "optimizer's), normalise every layer with eps=0 and without affine parameters, and "
            "fix the last layer; flows.scale_invariant.scale_violation measures it.",
            violation=measured,
        )


def tolerance(params: Params) -> float:
    """Ten square roots of the rounding unit, as for any formula that is computed in two ways."""
    return 10 * float(jnp.finfo(real_dtype(params)).eps) ** 0.5


@eqx.filter_jit
def violation(objective: Objective, params: Params) -> Scalar:
    """The largest relative change along the ray, of the loss and to first order."""
    length = norm(params) / size(params) ** 0.5
    leaves, structure = jtu.tree_flatten(params)

    def probe(point: Params) -> tuple[Scalar, Scalar, Scalar, Scalar]:
        value, gradient = objective.value_and_gradient(point)
        changes = [jnp.abs(objective.value(scaled(c, point)) - value) for c in _FACTORS]
        slope = jnp.abs(inner_product(point, gradient)).astype(value.dtype)
        steepest = (norm(point) * norm(gradient)).astype(value.dtype)
        return jnp.maximum(*changes), jnp.abs(value), slope, steepest

    def nearby(key: jax.Array) -> Params:
        keys = jr.split(key, len(leaves))
        noise = [jr.normal(k, x.shape, x.dtype) for k, x in zip(keys, leaves, strict=True)]
        return add_scaled(params, length, structure.unflatten(noise))

    points = [params, *(nearby(key) for key in jr.split(jr.key(0), _NEARBY))]
    change, value, slope, steepest = (
        jnp.max(jnp.stack(parts)) for parts in zip(*(probe(point) for point in points), strict=True)
    )
    return jnp.maximum(_ratio(change, value), _ratio(slope, steepest))


def _ratio(part: Scalar, whole: Scalar) -> Scalar:
    return jnp.where(part == 0, part, part / jnp.where(whole == 0, jnp.ones_like(whole), whole))
