"""The printed table of a comparison."""

from ._results import Comparison

_COLUMNS = (
    ("final_error", "final error"),
    ("max_error", "largest error"),
    ("median_relative_error", "median relative"),
    ("integration_error", "integration"),
    ("final_loss", "final loss"),
)


def table(run: Comparison) -> str:
    """One row for the iterates and one for each flow, below a line that says what was run."""
    summary = run.summary()
    settings = summary["settings"]
    rows: list[tuple[str, ...]] = [("", *(title for _, title in _COLUMNS), "result")]
    rows.append(_row("iterates", summary["iterates"]))
    rows += [_row(name, numbers) for name, numbers in summary["flows"].items()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    aligned = [
        "  ".join(
            cell.ljust(width) if column in (0, len(row) - 1) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    title = (
        f"{settings['optimizer']}, step time {_step_time(run):.4g}, {run.iterates.steps} steps, "
        f"mode {run.mode}; {settings['parameters']} parameters, {settings['dtype']}"
    )
    return "\n".join([title, "", *aligned, *_notes(run)])


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


def _notes(run: Comparison) -> list[str]:
    notes = []
    if any(_integration_matters(numbers) for numbers in run.summary()["flows"].values()):
        notes += [
            "* the solver's own error may be more than a tenth of the largest error: for a closer "
            "look pass a tighter stepsize_controller."
        ]
    notes += [
        f"{name} models every second step; the others are one optimizer step from it."
        for name, flow in run.trajectories.items()
        if flow.stride == 2
    ]
    notes += [
        f"{name} models the iterates' average: its error is the distance from their midpoints."
        for name, flow in run.trajectories.items()
        if flow.reference == "midpoint"
    ]
    if not run.successful:
        notes.append(run.message)
    return ["", *notes] if notes else []


def _step_time(run: Comparison) -> float:
    return float(run.iterates.ts[1]) if run.iterates.steps else float("nan")
