"""Where the iterates end up, against the learning rate."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection

from .._errors import InvalidOptionError
from ._protocols import DiagramLike, require
from ._style import axes_or_new, tidy

# Okabe and Ito's colours: order is blue, chaos vermilion, what is not known grey.
_COLOURS = {
    "converged": "#0072B2",
    "periodic": "#009E73",
    "chaotic": "#D55E00",
    "undecided": "#999999",
}
# A cycle is a few dots drawn many times over, which those of chaos would drown.
_LARGER = 4
_DIVERGED = "#F2F2F2"


def plot_bifurcation(
    diagram: DiagramLike,
    ax: Axes | None = None,
    *,
    show: str = "attractor",
    size: float | None = None,
) -> Axes:
    r"""Draw the attractor, or the Lyapunov exponent, against the learning rate.

    .. math:: h \mapsto \{o(\theta_n)\}, \qquad h \mapsto \Lambda(h)

    Every kept point is one dot, coloured by the kind of its orbit. Learning rates at which the
    orbit diverged are shaded.

    Arguments:
        diagram: What `flows.bifurcation_diagram` returned.
        ax: Where to draw; a new figure if None.
        show: ``"attractor"`` or ``"lyapunov"``.
        size: The area of a dot of chaos in square points (of others, four times that); by default
            the smaller, the more there are.

    Returns:
        The Axes: learning rates in flow time, against the observable in its own units, or against
        the exponent per step.

    Raises:
        InvalidOptionError: If `diagram` is none, `show` is neither, or every orbit diverged.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows, flows.plotting
        >>> diagram = flows.bifurcation_diagram(
        ...     lambda x: (x**2 - 1) ** 2 / 4, jnp.array(0.5), jnp.linspace(0.8, 1.9, 20)
        ... )
        >>> flows.plotting.plot_bifurcation(diagram).get_xlabel()
        'learning rate $h$ (flow time)'

    References:
        R. M. May, Nature 261 (1976), 459-467.
    """
    require(diagram, DiagramLike, "plot_bifurcation")
    if show not in ("attractor", "lyapunov"):
        raise InvalidOptionError(f"show must be one of 'attractor', 'lyapunov'; got {show!r}.")
    rates, kinds = diagram.learning_rates, diagram.kinds
    if np.all(kinds == "diverged"):
        raise InvalidOptionError(
            "every orbit diverged, so there is nothing to draw. Use smaller learning rates, or "
            "another start."
        )
    values = diagram.values if show == "attractor" else diagram.lyapunov[:, None]
    ax = axes_or_new(ax)
    dot = float(np.clip(2e4 / values.size, 0.05, 3.0)) if size is None else size
    for kind, colour in _COLOURS.items():
        chosen = kinds == kind
        if chosen.any():
            x = np.repeat(rates[chosen], values.shape[1])
            y = values[chosen].ravel()
            # A superstable orbit has the exponent -inf, which has no place on the axis.
            shown = np.isfinite(y)
            s = dot if kind == "chaotic" else _LARGER * dot
            ax.scatter(
                x[shown], y[shown], s=s, color=colour, linewidths=0, label=kind, rasterized=True
            )
    _shade(ax, rates, kinds == "diverged")
    ax.set_xlabel("learning rate $h$ (flow time)")
    if show == "lyapunov":
        ax.axhline(0.0, color="#555555", linewidth=0.8, zorder=1)
        ax.set_ylabel(r"Lyapunov exponent $\Lambda$ (per step)")
    else:
        ax.set_ylabel(diagram.label)
    legend = ax.legend(frameon=False, loc="best")
    for handle in legend.legend_handles:
        if isinstance(handle, PathCollection):
            handle.set_sizes([20.0])  # dots of the drawing would not be seen
    return tidy(ax)


def _shade(ax: Axes, rates: np.ndarray, gone: np.ndarray) -> None:
    """Shade the stretches of neighbouring learning rates at which the orbit diverged."""
    if not gone.any():
        return
    order = np.argsort(rates)
    rates, gone = rates[order], gone[order]
    edges = np.concatenate([rates[:1], (rates[1:] + rates[:-1]) / 2, rates[-1:]])
    turns = np.flatnonzero(np.diff(np.concatenate([[0], gone.astype(int), [0]])))
    for i, (first, last) in enumerate(turns.reshape(-1, 2)):
        label = "diverged" if i == 0 else None
        ax.axvspan(float(edges[first]), float(edges[last]), color=_DIVERGED, zorder=0, label=label)
