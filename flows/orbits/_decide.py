"""What an orbit is, from what was measured of it: kinds and reasons as codes that jit can pass."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from .._custom_types import Array, Flag, Integer, Scalar
from ._follow import BLOCKS, Followed
from ._newton import ROUNDINGS, rounding_at

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
    "the numbers are too coarse there: so far from the origin rounding is more than the tolerance, "
    "and may close an orbit that is open, or keep one open that closes. Measure the parameters "
    "from a point nearby, or use float64",
    "it repeats, though neighbouring orbits separate from it: it stands on an unstable cycle, or "
    "rounding has closed a chaotic orbit. Start elsewhere, or use float64",
)
_ON_ITS_WAY, _ATTRACTED, _NEAR_ZERO, _NO_EXPONENT, _TOO_COARSE, _UNSTABLE = 1, 2, 3, 4, 5, 6

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
    rounding = rounding_at(seen.scale)
    too_coarse = rounding > tolerance
    repeats, period, furthest = _period(seen, tolerance, max_period)
    mean, error = _mean_and_error(seen.block_means)
    steps = (jnp.maximum(block, 2) * (BLOCKS - 1)).astype(mean.dtype)
    # Tangents that grow like a power of the time, as where orbits only shear, reach log(n) / n.
    noise = jnp.maximum(_STANDARD_ERRORS * error, 3 * jnp.log(steps) / steps)
    straight = seen.distances[-1] >= _STRAIGHT * jnp.sum(seen.lengths)
    apart = (mean > noise) & (mean < jnp.inf)

    kind = jnp.where(apart, CHAOTIC, UNDECIDED)
    attracted = jnp.where(too_coarse, _TOO_COARSE, _ATTRACTED)
    reason = jnp.where(mean < -noise, attracted, _NEAR_ZERO)
    reason = jnp.where(jnp.isnan(mean) | (mean == jnp.inf), _NO_EXPONENT, reason)
    kind, reason = (
        jnp.where(straight, UNDECIDED, kind),
        jnp.where(straight, _ON_ITS_WAY, reason),
    )

    # Chaos comes close to where it was, but not again and again, unless rounding closes it. At an
    # unstable point, though, an orbit may well arrive: on the line that leads to it, or at once.
    firmly = furthest <= jnp.maximum(tolerance, rounding)
    at_rest = (period == 1) & (straight | (furthest <= _still(seen, tolerance)))
    once_only = apart & (~firmly | ((period == 1) & ~at_rest))
    by_rounding = furthest <= _jitter(seen, mean)
    doubtful = jnp.where(apart, (period > 1) | too_coarse, too_coarse & ~by_rounding)
    named = jnp.where(period == 1, CONVERGED, PERIODIC)
    named = jnp.where(once_only, CHAOTIC, jnp.where(doubtful, UNDECIDED, named))
    kind = jnp.where(repeats, named, kind)
    reason = jnp.where(repeats, jnp.where(too_coarse, _TOO_COARSE, _UNSTABLE), reason)
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


def _period(seen: Followed, tolerance: Scalar, max_period: int) -> tuple[Flag, Integer, Scalar]:
    """Whether and after how many steps it first comes back, and the furthest of all such returns.

    If the distance from a cycle shrinks by the factor ``m`` in a period, the orbit is
    ``d_p / |1 - m|`` from it, and ``|1 - m| >= 2 - |1 + m| = 2 - d_2p / d_p``.
    """
    d = seen.distances
    once, twice = d[:max_period], d[1::2]
    reach = jnp.maximum(tolerance, rounding_at(seen.scale))
    close = (2 * once > twice) & (once**2 <= reach * (2 * once - twice))
    # Rounding has no rate: there, every return in sight must be as close.
    steps = np.arange(1, 2 * max_period + 1)
    multiples = steps[None, :] % steps[:max_period, None] == 0
    furthest = jnp.max(jnp.where(multiples, d[None, :], 0), axis=1)
    found = close | (furthest <= _still(seen, tolerance))
    first = jnp.argmax(found)
    return jnp.any(found), first + 1, furthest[first]


def _jitter(seen: Followed, exponent: Scalar) -> Scalar:
    """How far apart rounding alone keeps returns: half a unit a step, which the steps contract."""
    contraction = jnp.minimum(jnp.exp(exponent), 1 - 1 / ROUNDINGS)
    return jnp.finfo(seen.scale.dtype).eps * seen.scale / (1 - contraction)


def _still(seen: Followed, tolerance: Scalar) -> Scalar:
    """The distance below which an orbit counts as held by rounding."""
    return jnp.maximum(_ROUNDING * tolerance, rounding_at(seen.scale))


def _mean_and_error(block_means: Array) -> tuple[Scalar, Scalar]:
    means = block_means[1:]
    mean = jnp.mean(means)
    spread = jnp.std(jnp.where(jnp.isfinite(means), means, 0))
    return mean, spread / np.sqrt(len(means) - 1).astype(means.dtype)
