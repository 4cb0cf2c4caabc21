"""What there is to say about descent at one point of a training run: one compiled program."""

import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.tree_util as jtu

from .._custom_types import Array, Params, Scalar
from .._objective import Objective
from .._vectors import real_dtype, select, size
from ..curvature.eigenpairs.block import by_row, inner_products, random_rows
from ..curvature.eigenpairs.tracking import TrackedEigenpairs, follow_eigenpairs, usual_tolerance
from ..optimizers._drift import direction

# Vectors beyond those that are asked for: with them the last of those converges too.
_GUARDS = 2
_MAX_PASSES = 200


def first_pairs(params: Params, k: int) -> TrackedEigenpairs:
    """Random vectors in the place of eigenvectors, for the first measurement to start from."""
    p, zero = min(k + _GUARDS, size(params)), jnp.zeros((), jnp.asarray(0).dtype)
    none, no = jnp.zeros(p, real_dtype(params)), jnp.asarray(False)
    block = random_rows(0, params, p)
    blank = jtu.tree_map(jnp.zeros_like, block)
    return TrackedEigenpairs(block, blank, none, none, zero + p, zero + p, no, no, zero, zero)


@eqx.filter_jit
def measure(
    objective: Objective,
    params: Params,
    before: TrackedEigenpairs,
    k: int,
    rtol: float | Scalar | None = None,
) -> tuple[TrackedEigenpairs, dict[str, Array]]:
    """The largest eigenpairs, from those of the point before, and the numbers of a report's row.

    Where anything is not finite the pairs stay what they were, and the numbers are NaN.
    """
    value = objective.value(params)
    gradient, product = objective.linearised(params)
    if rtol is None:
        rtol = usual_tolerance(objective.examined(params).precision)
    # All pairs are near this threshold, so that all but the guards must converge.
    found = follow_eigenpairs(
        product, before, 1.0, near=-math.inf, rtol=rtol, max_passes=_MAX_PASSES
    )
    unit, length = direction(gradient)
    drift = direction(product(unit))[1]
    there = jnp.arange(len(found.values)) < found.count
    finite = jnp.isfinite(value) & jnp.isfinite(drift) & jnp.all(jnp.isfinite(found.residuals))
    found = eqx.tree_at(
        lambda pairs: pairs.vectors,
        found,
        by_row(_signs(found, before, gradient), found.vectors),
    )
    components = inner_products(found.vectors, _row(gradient))[:, 0]

    def shown(numbers: Array) -> Array:
        return jnp.where(finite & there, numbers, jnp.nan)[:k]

    row = {
        "loss": value,
        "grad_norm": length.astype(value.dtype),
        "drift": jnp.where(finite, drift, jnp.nan).astype(value.dtype),
        "eigenvalues": shown(found.values),
        "gradient_components": shown(components),
        "residuals": shown(found.residuals),
        "converged": found.converged & finite,
        "matvecs": found.matvecs + 1,
    }
    arrays, rest = eqx.partition(found, eqx.is_array)
    old = eqx.filter(before, eqx.is_array)
    return eqx.combine(select(finite, arrays, old), rest), row


def _signs(found: TrackedEigenpairs, before: TrackedEigenpairs, gradient: Params) -> Array:
    """Such that a vector points where its predecessor did; at first, along the gradient."""
    overlaps = inner_products(found.vectors, before.vectors)
    nearest = jnp.argmax(jnp.abs(overlaps), axis=1)
    same = jnp.take_along_axis(overlaps, nearest[:, None], axis=1)[:, 0]
    along = inner_products(found.vectors, _row(gradient))[:, 0]
    return jnp.where(jnp.where(before.steps == 0, along, same) < 0, -1, 1).astype(same.dtype)


def _row(vector: Params) -> Any:
    return jtu.tree_map(lambda leaf: leaf[None], vector)
