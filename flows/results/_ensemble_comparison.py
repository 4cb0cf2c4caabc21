"""Paths of a stochastic optimizer beside those of the flows that model it."""

from __future__ import annotations

import math
import pathlib
from typing import TYPE_CHECKING, Any

import equinox as eqx
import numpy as np
from jaxtyping import Float

from ._archive import Record, write
from ._ensemble import Ensemble
from ._ensemble_table import ensemble_table
from ._plain import plain_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STORED = ("steps", "ts", "values", "results")


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
        >>> run = flows.compare_in_law(
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
                numbers[column]["distance"] = plain_number(distances[name][-1, place])
                numbers[column]["distance_floor"] = plain_number(floor[-1, place])
        return {
            "settings": dict(self.settings),
            "iterates": _numbers(self.iterates),
            "flows": flows,
        }

    def __str__(self) -> str:
        return ensemble_table(
            self.summary(),
            names=self.iterates.names,
            steps=int(self.iterates.steps[-1]),
            ending=None if self.successful else self.message,
        )

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
        from ..plotting import plot_ensembles

        return plot_ensembles(self, ax=ax, of=of)

    def save(self, path: str | pathlib.Path) -> pathlib.Path:
        """Write everything to one ``.npz`` file; `flows.load` reads it back.

        Returns:
            The path of the file, with the suffix ``.npz``.
        """
        parts = (self.iterates, *self.flows.values())
        arrays = {
            f"part{place}/{name}": np.asarray(getattr(part, name))
            for place, part in enumerate(parts)
            for name in _STORED
        }
        metadata = {
            "names": self.iterates.names,
            "flows": list(self.flows),
            "settings": dict(self.settings),
        }
        return write(path, Record(type(self).__name__, metadata, arrays))

    @classmethod
    def from_record(cls, record: Record, like: Any) -> EnsembleComparison:
        """What `save` wrote; there are no parameters in it for `like` to give the structure of."""
        del like
        _, metadata, arrays = record
        names = tuple(metadata["names"])

        def part(place: int) -> Ensemble:
            steps, ts, values, results = (arrays[f"part{place}/{name}"] for name in _STORED)
            return Ensemble(steps, ts, values, names, tuple(results.tolist()))

        flows = {name: part(1 + place) for place, name in enumerate(metadata["flows"])}
        return cls(part(0), flows, tuple(metadata["settings"].items()))


def _wasserstein(a: np.ndarray, b: np.ndarray) -> Float[np.ndarray, "k m"]:
    """Between samples along the first axis, of equal numbers or one of them a single point."""
    b = np.broadcast_to(b, a.shape) if len(b) == 1 else b
    with np.errstate(invalid="ignore"):
        return np.mean(np.abs(np.sort(a, axis=0) - np.sort(b, axis=0)), axis=0)


def _numbers(ensemble: Ensemble) -> dict[str, dict[str, float | None]]:
    columns = ("mean", "mean_error", "variance", "variance_error")
    last = {column: getattr(ensemble, column)[-1] for column in columns}
    return {
        name: {column: plain_number(last[column][place]) for column in columns}
        for place, name in enumerate(ensemble.names)
    }
