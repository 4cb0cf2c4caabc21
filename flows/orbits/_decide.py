"""What an orbit is, from what was measured of it: kinds and reasons as codes that jit can pass."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from .._custom_types import Array, Flag, Integer, Scalar
from ._follow import BLOCKS, Followed

KINDS = ("converged", "periodic", "chaotic", "diverged", "undecided")
CONVERGED, PERIODIC, CHAOTIC, DIVERGED, UNDECIDED = range(len(KINDS))
REASONS = (
    "",
    "it is still on its way, in one direction: pass a larger transient",
    "neighbouring orbits approach each other, but none of the periods up to max_period repeats "
    "within the tolerance: pass a larger transient or max_period",
    "the Lyapunov exponent cannot be told from zero (quasi-periodic, near a bifurcation, or slow): "
    "pass more steps and a larger transient",
    "the derivative of the step is not finite everywhere on the orbit, so there is no Lyapunov "
    "exponent: the loss has a kink there",
)
_ON_ITS_WAY, _ATTRACTED, _NEAR_ZERO, _NO_EXPONENT = 1, 2, 3, 4

# Distances below this part of the tolerance count as none, if they stay below it.
_ROUNDING = 1e-3
# Displacement over path length, from which on a motion counts as one in one direction.
_STRAIGHT = 0.9
_STANDARD_ERRORS = 4


class Decision(NamedTuple):
    """Kind and reason as codes, the period (0 if there is none), the exponent and its error."""

    kind: Integer
    reason: Integer
    period: Integer
    lyapunov: Scalar
    lyapunov_error: Scalar


def decide(seen: Followed, block: Array, tolerance: Scalar, max_period: int) -> Decision:
    """Name the kind of an orbit."""
    repeats, period = _period(seen, tolerance, max_period)
    mean, error = _mean_and_error(seen.block_means)
    steps = (jnp.maximum(block, 2) * (BLOCKS - 1)).astype(mean.dtype)
    # Tangents that grow like a power of the time, as where orbits only shear, reach log(n) / n.
    noise = jnp.maximum(_STANDARD_ERRORS * error, 3 * jnp.log(steps) / steps)
    straight = seen.distances[-1] >= _STRAIGHT * jnp.sum(seen.lengths)

    kind = jnp.where(mean > noise, CHAOTIC, UNDECIDED)
    reason = jnp.where(mean < -noise, _ATTRACTED, _NEAR_ZERO)
    reason = jnp.where(jnp.isnan(mean) | (mean == jnp.inf), _NO_EXPONENT, reason)
    kind = jnp.where(mean == jnp.inf, UNDECIDED, kind)
    kind, reason = (
        jnp.where(straight, UNDECIDED, kind),
        jnp.where(straight, _ON_ITS_WAY, reason),
    )
    kind = jnp.where(repeats, jnp.where(period == 1, CONVERGED, PERIODIC), kind)
    kind = jnp.where(seen.walker.alive, kind, DIVERGED)

    settled = (kind == CONVERGED) | (kind == PERIODIC)
    over_period, exact = _over_period(seen.growths, period)
    exact &= settled
    nothing = jnp.full_like(mean, jnp.nan)
    gone = kind == DIVERGED
    lyapunov = jnp.where(exact, over_period, mean)
    lyapunov_error = jnp.where(exact, jnp.zeros_like(error), error)
    return Decision(
        kind=kind,
        reason=jnp.where(kind == UNDECIDED, reason, 0),
        period=jnp.where(settled, period, 0),
        lyapunov=jnp.where(gone, nothing, lyapunov),
        lyapunov_error=jnp.where(gone, nothing, lyapunov_error),
    )


def _over_period(growths: Array, period: Integer) -> tuple[Scalar, Flag]:
    """The mean over the second period, and whether the first one had the same.

    It had, unless the largest multipliers are complex: then the tangent turns for ever.
    """
    step = jnp.arange(growths.shape[0])
    length = period.astype(growths.dtype)
    first = jnp.sum(jnp.where(step < period, growths, 0)) / length
    chosen = (step >= period) & (step < 2 * period)
    second = jnp.sum(jnp.where(chosen, growths, 0)) / length
    same = jnp.abs(second - first) <= jnp.finfo(growths.dtype).eps ** 0.25
    return second, same | (second == -jnp.inf)


def _period(seen: Followed, tolerance: Scalar, max_period: int) -> tuple[Flag, Integer]:
    """Whether the orbit comes back to where it was, and after how many steps first.

    If the distance from a cycle shrinks by the factor ``m`` in a period, the orbit is
    ``d_p / |1 - m|`` from it, and ``|1 - m| >= 2 - |1 + m| = 2 - d_2p / d_p``.
    """
    d = seen.distances
    once, twice = d[:max_period], d[1::2]
    reach = tolerance * seen.scale
    close = (2 * once > twice) & (once**2 <= reach * (2 * once - twice))
    # Rounding has no rate: there, every return in sight must be as close.
    steps = np.arange(1, 2 * max_period + 1)
    multiples = steps[None, :] % steps[:max_period, None] == 0
    furthest = jnp.max(jnp.where(multiples, d[None, :], 0), axis=1)
    eps = jnp.finfo(d.dtype).eps
    still = furthest <= jnp.maximum(_ROUNDING * reach, 32 * eps * seen.scale)
    found = close | still
    return jnp.any(found), jnp.argmax(found) + 1


def _mean_and_error(block_means: Array) -> tuple[Scalar, Scalar]:
    means = block_means[1:]
    mean = jnp.mean(means)
    spread = jnp.std(jnp.where(jnp.isfinite(means), means, 0))
    return mean, spread / np.sqrt(len(means) - 1).astype(means.dtype)
