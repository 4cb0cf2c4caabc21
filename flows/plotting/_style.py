"""One colour and one line for each flow, the same in every picture."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from .._checks import single_run
from ..vector_fields import FLOWS
from ._protocols import ComparisonLike, require

ITERATES = "#000000"
ERROR_LABEL = {
    "trajectory": "distance from the iterates (parameters)",
    "per_step": "error of one step (parameters)",
}


class Look(NamedTuple):
    """How a flow is drawn: told apart by colour, and in grey print by its dashes."""

    color: str
    linestyle: Any


# Each flow brings its own, after Okabe and Ito, so that people with any colour vision can tell them
# apart.
_LOOKS = {name: Look(*look) for flow in FLOWS for name, look in flow.looks.items()}
_SPARE = (
    Look("#666666", (0, (1, 2))),
    Look("#6B4C9A", (0, (7, 1, 1, 1))),
    Look("#2F4F4F", (0, (3, 3))),
)


def looks(names: Iterable[str]) -> dict[str, Look]:
    """A look for each flow; a name without one of its own takes the next spare look."""
    spare = 0
    chosen = {}
    for name in names:
        if name in _LOOKS:
            chosen[name] = _LOOKS[name]
        else:
            chosen[name] = _SPARE[spare % len(_SPARE)]
            spare += 1
    return chosen


def color_of(name: str) -> str:
    """The colour that a flow has in every picture of this library.

    Arguments:
        name: A flow's name as in the keys of a comparison, or ``"iterates"``.

    Returns:
        A hexadecimal colour; the same spare colour for every name that is not known.

    Example:
        >>> from flows.plotting import color_of
        >>> color_of("GradientFlow")
        '#0072B2'

    References:
        M. Okabe, K. Ito, Color Universal Design (2008).
    """
    return ITERATES if name == "iterates" else looks([name])[name].color


def axes_or_new(ax: Axes | None) -> Axes:
    """The Axes given, or those of a new figure of column width."""
    if ax is not None:
        return ax
    return plt.figure(figsize=(6.0, 3.8), layout="constrained").add_subplot()


def axes_for(run: ComparisonLike, ax: Axes | None, drawn_by: str) -> Axes:
    """The Axes for a picture of a run; raises an `InvalidOptionError` unless it is a single one."""
    require_single(run, drawn_by)
    return axes_or_new(ax)


def require_single(run: ComparisonLike, drawn_by: str) -> None:
    """Raise an `InvalidOptionError` for what is no comparison, and for a batch of them."""
    require(run, ComparisonLike, drawn_by)
    single_run(run.iterates.last_step)


def tidy(ax: Axes) -> Axes:
    """What all pictures share."""
    ax.grid(True, which="major", color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    return ax
