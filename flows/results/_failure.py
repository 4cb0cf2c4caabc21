"""A run that stopped early: an exception for whoever wants one."""

from typing import Any

from .._custom_types import PyTree
from .._errors import RESULTS, RunFailedError
from ._comparison import Comparison
from ._trajectory import Trajectory


def raise_if_failed(outcome: Trajectory | Comparison, *, throw: bool, traced: bool) -> Any:
    """Raise what a failed run says, if asked to; under a transformation, when it runs."""
    if not throw:
        return outcome
    if traced:
        return _raise_at_run_time(outcome)
    if not outcome.successful:
        raise RunFailedError(outcome.message, partial=outcome)
    return outcome


def _raise_at_run_time(outcome: PyTree[Any]) -> PyTree[Any]:
    """Tie the error to every array of the outcome, so that using any of them raises it."""
    parts = (
        [outcome.iterates, *outcome.trajectories.values()]
        if isinstance(outcome, Comparison)
        else [outcome]
    )
    for part in parts:
        outcome = part.result.error_if(outcome, part.result != RESULTS.successful)
    return outcome
