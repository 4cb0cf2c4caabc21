"""What the pictures need to know of what they draw.

Results draw themselves (`run.plot()`), so they import the pictures, and not the other way round.
"""

import inspect
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from .._custom_types import Array, Params
from .._errors import InvalidOptionError


class TrajectoryLike(Protocol):
    """A `flows.Trajectory`."""

    @property
    def params(self) -> Params | None: ...
    @property
    def final_params(self) -> Params: ...
    @property
    def loss(self) -> Array: ...
    @property
    def diagnostics(self) -> Mapping[str, Array]: ...
    @property
    def last_step(self) -> Array: ...
    @property
    def steps(self) -> int: ...
    @property
    def own_steps(self) -> np.ndarray: ...
    @property
    def successful(self) -> bool: ...


class ComparisonLike(Protocol):
    """A `flows.Comparison`."""

    @property
    def iterates(self) -> TrajectoryLike: ...
    @property
    def trajectories(self) -> Mapping[str, TrajectoryLike]: ...
    @property
    def errors(self) -> Mapping[str, Array]: ...
    @property
    def relative_errors(self) -> Mapping[str, Array]: ...
    @property
    def mode(self) -> str: ...


class EnsembleLike(Protocol):
    """A `flows.Ensemble`."""

    @property
    def steps(self) -> np.ndarray: ...
    @property
    def values(self) -> np.ndarray: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def mean(self) -> np.ndarray: ...
    def quantiles(self, levels: Any) -> np.ndarray: ...


class EnsembleComparisonLike(Protocol):
    """A `flows.EnsembleComparison`."""

    @property
    def iterates(self) -> EnsembleLike: ...
    @property
    def flows(self) -> Mapping[str, EnsembleLike]: ...
    @property
    def settings(self) -> tuple[tuple[str, str], ...]: ...


class ReportLike(Protocol):
    """A `flows.RegimeReport`."""

    @property
    def steps(self) -> Array: ...
    @property
    def eigenvalues(self) -> Array: ...
    @property
    def thresholds(self) -> Array: ...
    @property
    def drift(self) -> Array: ...


class DiagramLike(Protocol):
    """A `flows.BifurcationDiagram`."""

    @property
    def learning_rates(self) -> np.ndarray: ...
    @property
    def values(self) -> np.ndarray: ...
    @property
    def label(self) -> str: ...
    @property
    def kinds(self) -> np.ndarray: ...
    @property
    def lyapunov(self) -> np.ndarray: ...


_MAKERS = {
    "ComparisonLike": (
        "a flows.Comparison",
        "flows.compare(loss, params, optimizer, flows, steps)",
    ),
    "EnsembleComparisonLike": (
        "a flows.EnsembleComparison",
        "flows.compare_in_law(loss, params, optimizer, flows, steps, key=key)",
    ),
    "ReportLike": ("a flows.RegimeReport", "flows.track(loss, run, learning_rate=0.1)"),
    "DiagramLike": (
        "a flows.BifurcationDiagram",
        "flows.bifurcation_diagram(loss, start, learning_rates)",
    ),
}


def require(value: Any, kind: type, drawn_by: str) -> None:
    """Raise an `InvalidOptionError` unless the value has all that the picture looks at."""
    # Not `isinstance` of the protocol: that would compute every property.
    missing = object()
    names = [name for name in vars(kind) if not name.startswith("_")]
    if any(inspect.getattr_static(value, name, missing) is missing for name in names):
        what, maker = _MAKERS[kind.__name__]
        raise InvalidOptionError(
            f"{drawn_by} draws {what}, got {_described(value)}. Pass what {maker} returned."
        )


def _described(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
