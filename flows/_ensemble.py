"""Many paths of an optimizer or a flow, and their comparison in law."""

from __future__ import annotations

import math
import pathlib
from typing import TYPE_CHECKING, Any

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float, Int

from ._results import RESULTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Ensemble(eqx.Module):
    r"""What was observed along many independent paths.

    .. math:: \bar x = \frac 1N \sum_i x_i, \qquad
        s^2 = \frac{1}{N - 1} \sum_i (x_i - \bar x)^2

    Arrays are NumPy's. A path that stopped is not a number from there on; statistics are of the
    paths that are left, and `alive` says which part that is. The flow of a mean has one path.

    Attributes:
        steps: The steps that were looked at, shape ``(k,)``.
        ts: Their flow times, shape ``(k,)``.
        values: What was observed, shape ``(paths, k, m)``.
        names: What the ``m`` numbers are.
        results: How each path ended, a code of `flows.RESULTS` by its name, shape ``(paths,)``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import flows
        >>> run = flows.compare(
        ...     lambda x: x**2 / 2, jnp.array(0.0), flows.SGD(0.5, noise=1.0),
        ...     [flows.StochasticModifiedFlow(1)], steps=8, key=jax.random.key(0), paths=500,
        ... )
        >>> run.iterates.values.shape, run.iterates.names
        ((500, 9, 2), ('loss', 'params'))

    References:
        Variance of a variance: H. Cramer, Mathematical Methods of Statistics (1946), chapter 27.
    """

    steps: Int[np.ndarray, " k"]
    ts: Float[np.ndarray, " k"]
    values: Float[np.ndarray, "paths k m"]
    names: tuple[str, ...] = eqx.field(static=True)
    results: tuple[str, ...] = eqx.field(static=True)

    @property
    def alive(self) -> Float[np.ndarray, " k"]:
        """Which part of the paths is still finite."""
        return np.mean(self._finite, axis=0)

    @property
    def mean(self) -> Float[np.ndarray, "k m"]:
        """The mean over the paths."""
        return self._average(self.values)

    @property
    def mean_error(self) -> Float[np.ndarray, "k m"]:
        """The standard error of the mean."""
        return np.sqrt(self.variance / self._count)

    @property
    def variance(self) -> Float[np.ndarray, "k m"]:
        """The variance over the paths, unbiased."""
        squares = self._central_moment(2)
        return squares * self._count / np.maximum(self._count - 1, 1)

    @property
    def variance_error(self) -> Float[np.ndarray, "k m"]:
        """The standard error of the variance, from the fourth moment."""
        with np.errstate(over="ignore", invalid="ignore"):
            spread = self._central_moment(4) - self.variance**2
        return np.sqrt(np.maximum(spread, 0) / self._count)

    def quantiles(self, levels: Any) -> Float[np.ndarray, "q k m"]:
        """The quantiles at some levels between 0 and 1."""
        finite = np.where(self._finite[..., None], self.values, np.nan)
        with np.errstate(invalid="ignore"):
            return np.nanquantile(finite, np.asarray(levels, float), axis=0)

    @property
    def successful(self) -> bool:
        """Whether all paths made all steps."""
        return all(result == "successful" for result in self.results)

    @property
    def message(self) -> str:
        """How the paths ended, in a sentence."""
        paths = len(self.results)
        if self.successful:
            return f"All {paths} paths made all {self.steps[-1]} steps."
        counts = {name: self.results.count(name) for name in self.results if name != "successful"}
        parts = [
            f"{count} of {paths} paths stopped early: {RESULTS[getattr(RESULTS, name)]}"
            for name, count in counts.items()
        ]
        return " ".join(parts)

    @property
    def _finite(self) -> Bool[np.ndarray, "paths k"]:
        return np.all(np.isfinite(self.values), axis=-1)

    @property
    def _count(self) -> Float[np.ndarray, "k 1"]:
        return np.sum(self._finite, axis=0)[:, None].astype(float)

    def _central_moment(self, power: int) -> Float[np.ndarray, "k m"]:
        with np.errstate(over="ignore", invalid="ignore"):
            return self._average((self.values - self.mean) ** power)

    def _average(self, values: np.ndarray) -> Float[np.ndarray, "k m"]:
        """The mean over the finite paths; not a number where none is left."""
        total = np.sum(np.where(self._finite[..., None], values, 0.0), axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return total / self._count


class EnsembleComparison(eqx.Module):
    r"""Paths of a stochastic optimizer beside those of the flows that model it.

    .. math:: W_1 = \int_0^1 |F^{-1}(q) - G^{-1}(q)|\, dq

    Attributes:
        iterates: What the optimizer does.
        flows: What each flow says, by its name.
        settings: What was run, by name.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import flows
        >>> run = flows.compare(
        ...     lambda x: x**2 / 2, jnp.array(1.0), flows.SGD(0.5, noise=1.0),
        ...     [flows.StochasticModifiedFlow(1)], steps=8, key=jax.random.key(0), paths=2000,
        ... )
        >>> gap = run.iterates.mean - run.flows["StochasticModifiedFlow(1)"].mean
        >>> abs(float(gap[1, 1] - (0.5 - 0.6065))) < 4 * float(run.iterates.mean_error[1, 1])
        True

    References:
        The distance: L. N. Vaserstein (1969); on the line it is that of sorted samples.
    """

    iterates: Ensemble
    flows: dict[str, Ensemble]
    settings: tuple[tuple[str, str], ...] = eqx.field(static=True)

    @property
    def distances(self) -> dict[str, Float[np.ndarray, "k m"]]:
        """The Wasserstein distance of each flow's numbers from the iterates', by its name.

        Not a number from where a path of either has stopped.
        """
        return {
            name: _wasserstein(self.iterates.values, ensemble.values)
            for name, ensemble in self.flows.items()
        }

    @property
    def distance_floor(self) -> Float[np.ndarray, "k m"]:
        """What the distance would be about, were the laws equal: it is not zero for finite samples.

        From the two halves of the iterates' paths.
        """
        half = len(self.iterates.values) // 2
        values = self.iterates.values
        # Of samples of half the size, whose distance is larger by the root of two.
        return _wasserstein(values[:half], values[half : 2 * half]) / math.sqrt(2)

    @property
    def successful(self) -> bool:
        """Whether all paths made all steps."""
        return all(part.successful for part in (self.iterates, *self.flows.values()))

    @property
    def message(self) -> str:
        """How the run ended: a sentence for each part that stopped early."""
        parts = {"Iterates": self.iterates, **self.flows}
        stopped = [f"{name}: {p.message}" for name, p in parts.items() if not p.successful]
        return " ".join(stopped) or self.iterates.message

    def summary(self) -> dict[str, Any]:
        """The numbers of the table, those of the last step, as plain Python: JSON can hold them.

        Returns:
            ``settings``, ``iterates`` and ``flows`` (by name). Of each, by what was observed:
            ``mean``, ``mean_error``, ``variance``, ``variance_error``; of each flow also
            ``distance`` and ``distance_floor``. What is not finite is None.
        """
        floor, distances = self.distance_floor, self.distances
        flows = {name: _numbers(ensemble) for name, ensemble in self.flows.items()}
        for name, numbers in flows.items():
            for place, column in enumerate(self.iterates.names):
                numbers[column]["distance"] = _plain(distances[name][-1, place])
                numbers[column]["distance_floor"] = _plain(floor[-1, place])
        return {
            "settings": dict(self.settings),
            "iterates": _numbers(self.iterates),
            "flows": flows,
        }

    def __str__(self) -> str:
        from ._ensemble_table import table

        return table(self)

    def __repr__(self) -> str:
        names = ", ".join(self.flows)
        return f"<EnsembleComparison of {names} over {len(self.iterates.values)} paths>"

    def plot(self, ax: Axes | None = None, *, of: str | None = None) -> Axes:
        """Draw mean and middle 80 % of one observed number against the step.

        Arguments:
            ax: Where to draw; a new figure if None.
            of: The name of the number; the last one if None.

        Returns:
            The Axes. Nothing is shown or saved.
        """
        from .plotting import plot_ensembles

        return plot_ensembles(self, ax=ax, of=of)

    def save(self, path: str | pathlib.Path) -> pathlib.Path:
        """Write everything to one ``.npz`` file; `flows.load` reads it back.

        Returns:
            The path of the file, with the suffix ``.npz``.
        """
        from ._storage import save_ensembles

        return save_ensembles(self, path)


def _wasserstein(a: np.ndarray, b: np.ndarray) -> Float[np.ndarray, "k m"]:
    """Between samples along the first axis, of equal numbers or one of them a single point."""
    b = np.broadcast_to(b, a.shape) if len(b) == 1 else b
    with np.errstate(invalid="ignore"):
        return np.mean(np.abs(np.sort(a, axis=0) - np.sort(b, axis=0)), axis=0)


def _numbers(ensemble: Ensemble) -> dict[str, dict[str, float | None]]:
    columns = ("mean", "mean_error", "variance", "variance_error")
    last = {column: getattr(ensemble, column)[-1] for column in columns}
    return {
        name: {column: _plain(last[column][place]) for column in columns}
        for place, name in enumerate(ensemble.names)
    }


def _plain(number: Any) -> float | None:
    value = float(number)
    return value if math.isfinite(value) else None
