"""The printed table of a comparison."""

from typing import Any

from ._text_table import text_table

_COLUMNS = (
    ("final_error", "final error"),
    ("max_error", "largest error"),
    ("median_relative_error", "median relative"),
    ("integration_error", "integration"),
    ("final_loss", "final loss"),
)


def comparison_table(
    summary: dict[str, Any],
    *,
    steps: int,
    step_time: float,
    models: dict[str, tuple[int, str]],
    ending: str | None,
) -> str:
    """One row for the iterates and one for each flow, below a line that says what was run.

    Arguments:
        summary: The numbers, as `Comparison.summary` gives them.
        steps: How many there were.
        step_time: The flow time of one.
        models: `stride` and `reference` of each flow.
        ending: What stopped early, in a sentence; None if nothing did.
    """
    settings, flows = summary["settings"], summary["flows"]
    rows: list[tuple[str, ...]] = [("", *(title for _, title in _COLUMNS), "result")]
    rows.append(_row("iterates", summary["iterates"]))
    rows += [_row(name, numbers) for name, numbers in flows.items()]
    title = (
        f"{settings['optimizer']}, step time {step_time:.4g}, {steps} steps, "
        f"mode {summary['mode']}; {settings['parameters']} parameters, {settings['dtype']}"
    )
    notes = _notes(flows, models) + ([ending] if ending else [])
    table = text_table(rows, left=(0, len(rows[0]) - 1))
    return "\n".join([title, "", *table, *(["", *notes] if notes else [])])


def _row(name: str, numbers: dict) -> tuple[str, ...]:
    cells = [_number(numbers[key]) if key in numbers else "" for key, _ in _COLUMNS]
    if _integration_matters(numbers):
        cells[3] += " *"
    result = numbers["result"]
    ended = result if result == "successful" else f"stopped after step {numbers['last_step']}"
    return (name, *cells, ended)


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.3e}"


def _integration_matters(numbers: dict) -> bool:
    """Whether the solver's error may be more than a tenth of the largest model error."""
    bound, error = numbers.get("integration_error"), numbers.get("max_error")
    return bound is not None and error is not None and 10 * bound > error > 0


def _notes(flows: dict[str, dict], models: dict[str, tuple[int, str]]) -> list[str]:
    notes = []
    if any(_integration_matters(numbers) for numbers in flows.values()):
        notes += [
            "* the solver's own error may be more than a tenth of the largest error: for a closer "
            "look pass a tighter stepsize_controller."
        ]
    notes += [
        f"{name} models every second step; the others are one optimizer step from it."
        for name, (stride, _) in models.items()
        if stride == 2
    ]
    notes += [
        f"{name} models the iterates' average: its error is the distance from their midpoints."
        for name, (_, reference) in models.items()
        if reference == "midpoint"
    ]
    return notes
