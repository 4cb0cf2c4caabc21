"""The printed table of a comparison in law."""

from ._ensemble import EnsembleComparison

_MOST = 6


def table(run: EnsembleComparison) -> str:
    """For every observed number a block: one row for the iterates and one for each flow."""
    summary = run.summary()
    settings = summary["settings"]
    last = run.iterates.steps[-1]
    title = (
        f"{settings['optimizer']}, step time {settings['step time']}, {last} steps, "
        f"{settings['paths']} paths; {settings['parameters']} parameters, {settings['dtype']}"
    )
    blocks = [_block(name, summary) for name in run.iterates.names[:_MOST]]
    hidden = len(run.iterates.names) - _MOST
    more = [f"and {hidden} numbers more: see summary()"] if hidden > 0 else []
    notes = [] if run.successful else ["", run.message]
    return "\n".join([title, *(line for block in blocks for line in block), *more, *notes])


def _block(name: str, summary: dict) -> list[str]:
    titles = (name, "mean", "variance", "distance", "(equal laws)")
    rows = [titles, ("iterates", *_moments(summary["iterates"][name]), "", "")]
    for flow, columns in summary["flows"].items():
        numbers = columns[name]
        ends = (_number(numbers["distance"]), _number(numbers["distance_floor"]))
        rows.append((flow, *_moments(numbers), *ends))
    widths = [max(len(row[column]) for row in rows) for column in range(len(titles))]
    aligned = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
        for row in rows
    ]
    return ["", *aligned]


def _moments(numbers: dict) -> tuple[str, str]:
    mean = f"{_number(numbers['mean'])} +- {_number(numbers['mean_error'], 1)}"
    variance = f"{_number(numbers['variance'])} +- {_number(numbers['variance_error'], 1)}"
    return mean, variance


def _number(value: float | None, digits: int = 3) -> str:
    return "not finite" if value is None else f"{value:.{digits}e}"
