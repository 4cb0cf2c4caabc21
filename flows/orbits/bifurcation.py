"""What becomes of the iterates, learning rate by learning rate."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from .._checks import being_traced, integer, step_count
from .._custom_types import Array, Data, Loss, Params
from .._errors import InvalidOptionError
from .._vectors import ravel, real_dtype, size
from ..drivers._chunks import chunk_length, in_chunks, require_host
from ..optimizers import AbstractOptimizer, GradientDescent, Problem, make_problem
from ..results import short_repr
from ._decide import DIVERGED, KINDS
from ._follow import follow
from ._options import bound_of, described, observed, optimizer_at, rate_list, tolerance_of
from .limit import Limit, as_limit, block_length

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class BifurcationDiagram(eqx.Module):
    r"""The attractor that one start leads to, at each of many learning rates.

    .. math:: h \mapsto \{\, o(\theta_n(h)) : N < n \le N + \mathtt{keep} \,\}

    `flows.bifurcation_diagram` makes one.

    Attributes:
        learning_rates: Shape ``(rates,)``, in units of flow time, as they were given.
        values: The observable at the last `keep` steps, shape ``(rates, keep)``; NaN where the
            orbit diverged.
        limits: A `flows.Limit` with the leading axis ``rates``: kinds, periods, exponents, and
            where each orbit stood last.
        label: What was observed, in a word.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> diagram = flows.bifurcation_diagram(
        ...     lambda x: (x**2 - 1) ** 2 / 4, jnp.array(0.5), jnp.array([0.8, 1.15, 2.1]), keep=4
        ... )
        >>> print(diagram)
        3 learning rates from 0.8 to 2.1: 1 converged, 1 periodic, 1 diverged
        >>> diagram.values.shape
        (3, 4)
        >>> [(before, after) for *_, before, after in diagram.changes()]
        [('converged', 'period 2'), ('period 2', 'diverged')]

    References:
        R. M. May, Nature 261 (1976), 459-467.
    """

    learning_rates: Float[np.ndarray, " rates"]
    values: Float[np.ndarray, "rates keep"]
    limits: Limit
    label: str = eqx.field(static=True)

    @property
    def kinds(self) -> np.ndarray:
        """The kind of each, in words."""
        return self.limits.kinds

    @property
    def periods(self) -> Int[np.ndarray, " rates"]:
        """The least period of each, 0 where there is none."""
        return np.asarray(self.limits.periods)

    @property
    def lyapunov(self) -> Float[np.ndarray, " rates"]:
        """The largest Lyapunov exponent of each, per step; NaN where the orbit diverged."""
        return np.asarray(self.limits.lyapunov)

    def changes(self) -> list[tuple[float, float, str, str]]:
        """Where kind or period change: two neighbouring learning rates, before and after."""
        order = np.argsort(self.learning_rates)
        rates, names = self.learning_rates[order], self._names()[order]
        where = np.flatnonzero(names[1:] != names[:-1])
        return [
            (float(rates[i]), float(rates[i + 1]), str(names[i]), str(names[i + 1])) for i in where
        ]

    def plot(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Draw it; see `flows.plotting.plot_bifurcation`."""
        from ..plotting import plot_bifurcation

        return plot_bifurcation(self, ax, **options)

    def _names(self) -> np.ndarray:
        periodic = self.kinds == "periodic"
        return np.where(periodic, np.strings.add("period ", self.periods.astype(str)), self.kinds)

    def __repr__(self) -> str:
        return short_repr(self)

    def __str__(self) -> str:
        rates = self.learning_rates
        title = f"{rates.size} learning rates from {rates.min():.6g} to {rates.max():.6g}"
        parts = [f"{np.sum(self.kinds == kind)} {kind}" for kind in KINDS if kind in self.kinds]
        return f"{title}: {', '.join(parts)}"


def bifurcation_diagram(
    loss: Loss,
    start: Params,
    learning_rates: Any,
    *,
    optimizer: Callable[..., AbstractOptimizer] = GradientDescent,
    args: Data = None,
    observe: Callable[[Params], Any] | None = None,
    transient: int = 1000,
    steps: int = 1000,
    keep: int = 200,
    max_period: int = 64,
    tolerance: float | None = None,
    bound: float | None = None,
    chunk: int | None = None,
    progress: bool = False,
) -> BifurcationDiagram:
    r"""Run the optimizer at many learning rates and keep where each orbit ends up.

    .. math:: h \mapsto \{\, o(\theta_n(h)) : N < n \le N + \mathtt{keep} \,\}

    At every learning rate the orbit of the same start makes `transient` steps, then `steps` over
    which its Lyapunov exponent is measured, then those that are kept (at least twice `max_period`),
    and is classified as by `flows.classify_limit`. All rates of a chunk run at once; memory grows
    with the chunk and with what is kept, not with the number of steps.

    Chaotic orbits double any difference in rounding within a few steps: after another chunk size
    or on another machine their points are others of the same attractor.

    Arguments:
        loss: As in `flows.iterate`.
        start: Where every orbit starts, any pytree.
        learning_rates: A list of positive numbers, in any order.
        optimizer: A function from a learning rate to an optimizer. Define it once: a new function
            object compiles anew.
        args: Data for the loss.
        observe: What to keep of the parameters: a JAX function to one real number. By default
            the parameter where there is only one, and the loss otherwise.
        transient: Steps before anything is measured or kept.
        steps: Steps over which the exponent is measured, a multiple of 16 (rounded up).
        keep: How many points are kept for each learning rate.
        max_period: The longest period that is looked for.
        tolerance: As in `flows.classify_limit`.
        bound: As in `flows.classify_limit`.
        chunk: How many learning rates run at once; by default as many as fit into 64 MiB.
        progress: Show a bar over the learning rates.

    Returns:
        A `BifurcationDiagram`.

    Raises:
        InvalidLossError: If the loss cannot be called, or does not return one real number.
        InvalidParametersError: If a leaf of `start` cannot be moved.
        InvalidLearningRateError: If the learning rates are not positive numbers in a list.
        InvalidOptimizerError: If `optimizer` is no function from a learning rate to an optimizer.
        InvalidStepsError: If `transient` or `steps` is not a non-negative integer.
        InvalidOptionError: If another option is out of range, or it is called under ``jit``.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> well = lambda x: (x**2 - 1) ** 2 / 4
        >>> diagram = flows.bifurcation_diagram(
        ...     well, jnp.array(0.5), jnp.array([0.8, 1.15, 1.24, 1.8, 2.1])
        ... )
        >>> diagram.kinds.tolist()
        ['converged', 'periodic', 'periodic', 'chaotic', 'diverged']
        >>> diagram.periods.tolist()
        [1, 2, 4, 0, 0]

    References:
        R. M. May, Nature 261 (1976), 459-467. For gradient descent: X. Chen, K. Balasubramanian,
        P. Ghosal, B. Agarwalla, From stability to chaos (2023), arXiv:2310.01687.
    """
    rates = rate_list(learning_rates)
    made = optimizer_at(optimizer, rates[0])
    problem, moving = make_problem(loss, start, made, args)
    made.check(problem.objective, moving)
    require_host(being_traced(problem, moving), "bifurcation_diagram", "flows.classify_limit")
    single = size(moving) == 1
    if observe is not None and not callable(observe):
        raise InvalidOptionError(
            f"observe must be a function of the parameters, got {observe!r}. "
            "Write for example observe=lambda params: params[0]."
        )
    dtype = real_dtype(moving)
    kept = integer(keep, 1, "keep", "keep=200")
    longest = integer(max_period, 1, "max_period", "max_period=64")
    numbers = 8 * size(moving) + 4 * max(kept, 2 * longest)
    length = chunk_length(chunk, rates.size, numbers, dtype.itemsize)
    settings = (
        np.asarray(step_count(transient)),
        block_length(steps),
        tolerance_of(tolerance, dtype),
        bound_of(bound, moving, dtype),
    )
    values, limits = in_chunks(
        lambda some: _run(
            some, problem, moving, settings, optimizer, observe, kept, longest, single
        ),
        rates,
        length,
        progress=progress,
        label="learning rates",
        unit="rate",
    )
    gone = limits.kind_codes == DIVERGED
    values = np.where(gone[:, None], np.nan, values)
    default = "parameter" if single else "loss"
    name = getattr(observe, "__name__", "observable")
    label = default if observe is None else "observable" if name == "<lambda>" else name
    return BifurcationDiagram(rates, values, limits, label)


@eqx.filter_jit
def _run(rates, problem, params, settings, optimizer, observe, keep, max_period, single):
    transient, block, tolerance, bound = settings

    def one(rate):
        here = Problem(problem.objective, optimizer(rate))

        def kept(params):
            if observe is not None:
                return _one_number(observe(problem.whole(params)))
            return ravel(params)[0] if single else here.value(params)

        seen = follow(
            here,
            params,
            transient,
            block,
            bound,
            max_period=max_period,
            keep=keep,
            observe=kept,
        )
        return seen.observed, as_limit(here, seen, block, tolerance, max_period)

    return eqx.filter_vmap(one)(rates)


def _one_number(value: Any) -> Array:
    array = observed(value)
    if array is None or array.shape != () or not jnp.issubdtype(array.dtype, jnp.floating):
        raise InvalidOptionError(
            f"observe must return one real number, got {described(value, array)}. "
            "Write for example observe=lambda params: params[0]."
        )
    return array
