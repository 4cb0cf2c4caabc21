"""One colour and one line for each flow, the same in every picture."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

ITERATES = "#000000"
ERROR_LABEL = {
    "trajectory": "distance from the iterates (parameters)",
    "per_step": "error of one step (parameters)",
}


class Look(NamedTuple):
    """How a flow is drawn: told apart by colour, and in grey print by its dashes."""

    color: str
    linestyle: Any


# The colours of Okabe and Ito, which people with any colour vision can tell apart.
_LOOKS = {
    "GradientFlow": Look("#0072B2", "-"),
    "ModifiedFlow(2)": Look("#E69F00", (0, (6, 1.5))),
    "ModifiedFlow(3)": Look("#D55E00", (0, (2, 1))),
    "ModifiedFlow(4)": Look("#7F5B3A", (0, (8, 2))),
    "ModifiedFlow(5)": Look("#5E3C99", (0, (5, 1, 1, 1, 1, 1))),
    "PrincipalFlow": Look("#009E73", (0, (4, 1.2, 1, 1.2))),
    "PrincipalFlow(principal)": Look("#8DB600", (0, (1, 1.5))),
    "PrincipalFlow(real)": Look("#3B7A57", (0, (3, 3))),
    "PrincipalFlow(third-order)": Look("#999933", (0, (5, 2, 1, 2))),
    "PrincipalFlow(cubic)": Look("#B8860B", "-"),
    "PrincipalFlow(real, cubic)": Look("#8C1C13", "-"),
    "CentralFlow": Look("#CC79A7", (0, (3, 1))),
    "CentralFlow(modified)": Look("#882255", (0, (3, 1, 1, 1))),
    "RodFlow": Look("#56B4E9", (0, (1, 1))),
    "StochasticModifiedFlow(1)": Look("#0072B2", (0, (6, 2))),
    "StochasticModifiedFlow(2)": Look("#E69F00", (0, (2, 1))),
    "StochasticModifiedFlow(principal)": Look("#009E73", (0, (4, 1.2, 1, 1.2))),
    "ReshufflingFlow": Look("#D55E00", "-"),
    "IntrinsicFlow": Look("#5E3C99", "-"),
}
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


def tidy(ax: Axes) -> Axes:
    """What all pictures share."""
    ax.grid(True, which="major", color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    return ax
