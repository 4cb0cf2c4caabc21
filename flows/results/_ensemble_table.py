"""The printed table of a comparison in law."""

from typing import Any

from ._text_table import text_table

_MOST = 6


def ensemble_table(
    summary: dict[str, Any], *, names: tuple[str, ...], steps: int, ending: str | None
) -> str:
    """For every observed number a block: one row for the iterates and one for each flow.

    Arguments:
        summary: The numbers, as `EnsembleComparison.summary` gives them.
        names: What was observed.
        steps: How many there were.
        ending: What stopped early, in a sentence; None if nothing did.
    """
    settings = summary["settings"]
    title = (
        f"{settings['optimizer']}, step time {settings['step time']}, {steps} steps, "
        f"{settings['paths']} paths; {settings['parameters']} parameters, {settings['dtype']}"
    )
    blocks = [_block(name, summary) for name in names[:_MOST]]
    hidden = len(names) - _MOST
    more = [f"and {hidden} numbers more: see summary()"] if hidden > 0 else []
    notes = ["", ending] if ending else []
    return "\n".join([title, *(line for block in blocks for line in block), *more, *notes])


def _block(name: str, summary: dict) -> list[str]:
    rows = [(name, "mean", "variance", "distance", "(equal laws)")]
    rows.append(("iterates", *_moments(summary["iterates"][name]), "", ""))
    for flow, columns in summary["flows"].items():
        numbers = columns[name]
        ends = (_number(numbers["distance"]), _number(numbers["distance_floor"]))
        rows.append((flow, *_moments(numbers), *ends))
    return ["", *text_table(rows)]


def _moments(numbers: dict) -> tuple[str, str]:
    mean = f"{_number(numbers['mean'])} +- {_number(numbers['mean_error'], 1)}"
    variance = f"{_number(numbers['variance'])} +- {_number(numbers['variance_error'], 1)}"
    return mean, variance


def _number(value: float | None, digits: int = 3) -> str:
    return "not finite" if value is None else f"{value:.{digits}e}"
