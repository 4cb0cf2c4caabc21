"""Where random starts end: at which minimum, trapped, on a cycle, at infinity."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np

from .._checks import being_traced, integer, step_count
from .._custom_types import Array, Data, Loss, Params
from .._errors import InvalidOptionError, InvalidParametersError
from .._vectors import real_dtype, size
from ..drivers._chunks import chunk_length, in_chunks, require_host
from ..drivers._compatible import check_optimizer
from ..optimizers import AbstractOptimizer, make_problem
from ..results import short_repr
from ._decide import CHAOTIC, CONVERGED, DIVERGED, PERIODIC, UNDECIDED
from ._follow import follow
from ._options import bound_of, described, observed, positive, tolerance_of
from ._places import flat_points, name_points, read_minima, read_regions
from .limit import Limit, as_limit, block_length

_ORDER = ("to ", "in ", "trapped in ", "period ", "chaotic", "undecided", "diverged")


@dataclasses.dataclass(frozen=True)
class BasinShares:
    r"""Where many starts ended, and the share of each outcome.

    .. math:: \hat p = \frac{k}{n}, \qquad
        \sigma = \frac{1}{1 + 1/n} \sqrt{\frac{\hat p (1 - \hat p)}{n} + \frac{1}{4 n^2}}

    `flows.basin_shares` makes one. The error is one standard error of the binomial share, in
    Wilson's form: it is not zero where all starts, or none, had the outcome.

    Attributes:
        outcomes: The outcomes in words: ``"to NAME"`` for a minimum, ``"in NAME"`` for a point in
            a region, ``"trapped in NAME"``, ``"period p"``, ``"chaotic"``, ``"undecided"``,
            ``"diverged"``.
        counts: How many starts had each.
        outcome_of: For each start, where its outcome stands in `outcomes`.
        limits: A `flows.Limit` with the leading axis of the starts: kinds, periods, exponents, and
            where each orbit stood last.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> shares = flows.basin_shares(
        ...     lambda x: (x**2 - 1) ** 2 / 4, jnp.linspace(-0.9, 0.9, 10),
        ...     flows.GradientDescent(0.5),
        ... )
        >>> print(shares)
        10 starts
        <BLANKLINE>
        outcome  starts   share  standard error
        to -1         5  0.5000          0.1508
        to 1          5  0.5000          0.1508

    References:
        The error: E. B. Wilson, Journal of the American Statistical Association 22 (1927), 209-212.
    """

    outcomes: tuple[str, ...]
    counts: np.ndarray
    outcome_of: np.ndarray
    limits: Limit

    @property
    def starts(self) -> int:
        """How many starts there were."""
        return len(self.outcome_of)

    @property
    def shares(self) -> dict[str, float]:
        """The share of each outcome; they add up to 1."""
        return {name: self.share(name) for name in self.outcomes}

    @property
    def errors(self) -> dict[str, float]:
        """One standard error of each share."""
        return {name: self.error(name) for name in self.outcomes}

    def share(self, outcome: str) -> float:
        """The share of an outcome, 0 if no start had it."""
        return self._count(outcome) / self.starts

    def error(self, outcome: str) -> float:
        """One standard error of the share of an outcome."""
        n, p = self.starts, self.share(outcome)
        return float(np.sqrt(p * (1 - p) / n + 0.25 / n**2) / (1 + 1 / n))

    def _count(self, outcome: str) -> int:
        return int(self.counts[self.outcomes.index(outcome)]) if outcome in self.outcomes else 0

    def __repr__(self) -> str:
        return short_repr(self)

    def __str__(self) -> str:
        rows = [("outcome", "starts", "share", "standard error")]
        rows += [
            (name, str(self._count(name)), f"{self.share(name):.4f}", f"{self.error(name):.4f}")
            for name in self.outcomes
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
            for row in rows
        ]
        return "\n".join([f"{self.starts} starts", "", *lines])


def basin_shares(
    loss: Loss,
    starts: Params,
    optimizer: AbstractOptimizer,
    *,
    args: Data = None,
    minima: Mapping[str, Params] | None = None,
    regions: Mapping[str, Callable[[Params], Any]] | None = None,
    radius: float | None = None,
    transient: int = 2000,
    steps: int = 1000,
    max_period: int = 64,
    tolerance: float | None = None,
    bound: float | None = None,
    chunk: int | None = None,
    progress: bool = False,
) -> BasinShares:
    r"""Run the optimizer from many starts and count where they end.

    .. math:: \hat p_i = \frac{1}{n}\, \#\{\, j : \omega(\theta^{(j)}) = \text{outcome } i \,\}

    Every orbit is classified as by `flows.classify_limit`. One that converged is named after the
    minimum nearby, or the region that it is in, or else the point itself, which other orbits share
    within the radius. One that did not converge, but stayed in a region over the last ``2 *
    max_period`` steps at least, is *trapped* there. All others are periodic, chaotic, undecided or
    diverged. A limit may be a maximum or a saddle: nothing is assumed of it.

    Arguments:
        loss: As in `flows.iterate`.
        starts: The starts, a tree like the parameters whose arrays all have one more leading axis:
            for example ``jax.random.uniform(key, (1000,), minval=-1, maxval=1)``.
        optimizer: Any optimizer of this library whose step does not depend on the time.
        args: Data for the loss.
        minima: Points by name; others are found.
        regions: Functions from the parameters to True or False, by name.
        radius: How close to a point counts as at it, in units of the parameters. By default 100
            times the tolerance; and 32 times the rounding unit times the norm of the point where
            that is more.
        transient: Steps before anything is measured.
        steps: Steps over which the Lyapunov exponent is measured, a multiple of 16 (rounded up).
        max_period: The longest period that is looked for.
        tolerance: As in `flows.classify_limit`.
        bound: The norm of the parameters beyond which an orbit counts as diverged. By default
            1e8 times the norm of its start, or 1e8 if that is less than 1.
        chunk: How many orbits run at once; by default as many as fit into 64 MiB.
        progress: Show a bar over the starts.

    Returns:
        A `BasinShares`; ``print`` shows it as a table.

    Raises:
        InvalidLossError: If the loss cannot be called, or does not return one real number.
        InvalidParametersError: If a leaf of `starts` cannot be moved, or has no axis of starts.
        InvalidOptimizerError: If the optimizer is none.
        InvalidStepsError: If `transient` or `steps` is not a non-negative integer.
        InvalidOptionError: If another option is out of range, or it is called under ``jit``.

    Example:
        A large step leaves the sharp minimum of the rational landscape, a small one does not.

        >>> import jax.numpy as jnp
        >>> import flows
        >>> land = flows.problems.rational_landscape()
        >>> starts = jnp.linspace(-11.9, 11.9, 20)
        >>> for h in (0.05, 0.3):
        ...     shares = flows.basin_shares(
        ...         land.loss, starts, flows.GradientDescent(h), minima={"flat": 0.0, "sharp": 5.0}
        ...     )
        ...     print(h, shares.shares)
        0.05 {'to flat': 0.7, 'to sharp': 0.3}
        0.3 {'to flat': 1.0}

    References:
        A. Mohtashami, M. Jaggi, S. Stich (2023), arXiv:2205.15142.
    """
    check_optimizer(optimizer)
    problem, moving = make_problem(loss, starts, optimizer, args)
    require_host(being_traced(problem, moving), "basin_shares", "flows.classify_limit")
    total = _number_of_starts(moving)
    one = jtu.tree_map(lambda leaf: leaf[0], moving)
    optimizer.check(problem.objective, one)
    dtype = real_dtype(one)
    known, places = read_minima(minima, one), read_regions(regions)
    reach = tolerance_of(tolerance, dtype)
    longest = integer(max_period, 1, "max_period", "max_period=64")
    numbers = 8 * size(one) + 4 * (2 + len(places)) * longest
    settings = (np.asarray(step_count(transient)), block_length(steps), reach)
    edge = None if bound is None else bound_of(bound, one, dtype)
    near = float(positive(radius, 100 * reach, "radius", dtype))
    limits, stayed, inside = in_chunks(
        lambda some: _run(some, problem, settings, edge, places, longest),
        moving,
        chunk_length(chunk, total, numbers, dtype.itemsize),
        progress=progress,
        label="starts",
        unit="start",
    )
    names = _name(limits, stayed, inside, list(places), known, near)
    outcomes, outcome_of, counts = np.unique(names, return_inverse=True, return_counts=True)
    order = np.array(sorted(range(len(outcomes)), key=lambda i: _rank(outcomes[i], -counts[i])))
    return BasinShares(
        tuple(str(outcomes[i]) for i in order),
        counts[order],
        np.argsort(order)[outcome_of],
        limits,
    )


def _number_of_starts(starts: Params) -> int:
    lengths = {leaf.shape[0] if leaf.ndim else 0 for leaf in jtu.tree_leaves(starts)}
    if len(lengths) != 1 or 0 in lengths:
        shapes = [leaf.shape for leaf in jtu.tree_leaves(starts)]
        raise InvalidParametersError(
            f"starts must have one leading axis for the starts, in all arrays the same; got shapes "
            f"{shapes}. For a single start write jax.tree.map(lambda x: x[None], start)."
        )
    return lengths.pop()


@eqx.filter_jit
def _run(starts, problem, settings, bound, places, max_period):
    transient, block, tolerance = settings

    def one(params):
        edge = bound_of(None, params, real_dtype(params)) if bound is None else bound

        def observe(params):
            whole = problem.whole(params)
            return [_one_flag(name, inside(whole)) for name, inside in places.items()]

        seen = follow(
            problem,
            params,
            transient,
            block,
            edge,
            max_period=max_period,
            keep=2 * max_period,
            observe=observe,
        )
        limit = as_limit(problem, seen, block, tolerance, max_period)
        stayed = [jnp.all(flags) for flags in seen.observed]
        return limit, stayed, [flags[-1] for flags in seen.observed]

    return eqx.filter_vmap(one)(starts)


def _one_flag(name: str, value: Any) -> Array:
    array = observed(value)
    if array is None or array.shape != () or array.dtype != bool:
        raise InvalidOptionError(
            f"region {name!r} must return one True or False, got {described(value, array)}. "
            "Write for example lambda x: jnp.all(x > 4.4)."
        )
    return array


def _name(limits: Limit, stayed, inside, places, known, radius) -> np.ndarray:
    """The outcome of every orbit in words."""
    codes = limits.kind_codes
    names = np.full(codes.shape, "", dtype=object)
    converged = codes == CONVERGED
    names[converged] = name_points(flat_points(limits.params)[converged], known, radius)
    # A given minimum comes before a region, and a region before a point that nobody named.
    unnamed = converged & ~np.isin(names, list(known))
    for place, flags in zip(places, inside, strict=True):
        names[unnamed & flags] = f"in {place}"
        unnamed &= ~flags
    for code, word in ((CHAOTIC, "chaotic"), (UNDECIDED, "undecided"), (DIVERGED, "diverged")):
        names[codes == code] = word
    periodic = codes == PERIODIC
    names[periodic] = [f"period {p}" for p in limits.periods[periodic]]
    moving = periodic | (codes == CHAOTIC) | (codes == UNDECIDED)
    for place, flags in zip(places, stayed, strict=True):
        names[moving & flags] = f"trapped in {place}"
        moving &= ~flags
    return names.astype(str)


def _rank(name: str, count: int) -> tuple[int, int, str]:
    return next(i for i, first in enumerate(_ORDER) if name.startswith(first)), count, name
