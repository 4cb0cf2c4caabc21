"""Many paths of an optimizer or a flow, and their statistics."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float, Int

from .._errors import RESULTS


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
        >>> run = flows.compare_in_law(
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
