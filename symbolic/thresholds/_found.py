"""A list of critical points that knows whether it may lack some."""

import warnings
from collections.abc import Iterable

from .._errors import IncompleteWarning
from ._critical_point import CriticalPoint
from ._manifolds import CriticalManifold


class CriticalPoints(list[CriticalPoint | CriticalManifold]):
    """Critical points; `incomplete` says what may be missing, and is empty where nothing is."""

    def __init__(
        self, found: Iterable[CriticalPoint | CriticalManifold], incomplete: str = ""
    ) -> None:
        super().__init__(found)
        self.incomplete = incomplete
        if incomplete:
            remedy = "Put numbers for all parameters, and search an interval: between=(-10, 10)."
            warnings.warn(
                f"critical points may be missing: {incomplete}. {remedy}",
                IncompleteWarning,
                stacklevel=3,
            )
