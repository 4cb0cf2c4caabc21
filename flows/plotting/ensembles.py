"""Many paths of an optimizer beside those of flows."""

from matplotlib.axes import Axes

from .._errors import InvalidOptionError
from ._protocols import EnsembleComparisonLike, require
from ._style import ITERATES, axes_or_new, looks, tidy

# The middle of the paths that is drawn: four fifths of them.
_LEVELS = (0.1, 0.9)


def plot_ensembles(
    run: EnsembleComparisonLike, ax: Axes | None = None, *, of: str | None = None
) -> Axes:
    r"""Draw mean and middle 80 % of one observed number against the step.

    .. math:: \bar x_n, \qquad F_n^{-1}(0.1), \quad F_n^{-1}(0.9)

    Of the iterates a line and a shaded band, of each flow a line between two thin ones. Where the
    lines of a flow lie on the edges of the band, the laws agree.

    Arguments:
        run: What `flows.compare_in_law` returned.
        ax: Where to draw; a new figure if None.
        of: The name of the number, one of ``run.iterates.names``; the last one if None.

    Returns:
        The Axes.

    Raises:
        InvalidOptionError: If `run` is no comparison in law, or there is no such number.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import flows, flows.plotting
        >>> run = flows.compare_in_law(
        ...     lambda x: x**2 / 2, jnp.array(1.0), flows.SGD(0.5, noise=1.0),
        ...     [flows.StochasticModifiedFlow(1)], steps=8, key=jax.random.key(0), paths=100,
        ... )
        >>> flows.plotting.plot_ensembles(run, of="loss").get_ylabel()
        'loss'

    References:
        Q. Li, C. Tai, W. E (2019), arXiv:1811.01558, compare laws in this way.
    """
    require(run, EnsembleComparisonLike, "plot_ensembles")
    names = run.iterates.names
    if of is not None and of not in names:
        listed = ", ".join(repr(name) for name in names)
        raise InvalidOptionError(f"of must be one of {listed}; got {of!r}.")
    place = len(names) - 1 if of is None else names.index(of)
    ax = axes_or_new(ax)
    steps = run.iterates.steps
    low, high = run.iterates.quantiles(_LEVELS)[..., place]
    ax.fill_between(steps, low, high, color=ITERATES, alpha=0.15, linewidth=0)
    label = f"{dict(run.settings)['optimizer']}, mean and middle 80 %"
    ax.plot(steps, run.iterates.mean[:, place], color=ITERATES, label=label)
    for name, look in looks(run.flows).items():
        flow, style = run.flows[name], look._asdict()
        ax.plot(steps, flow.mean[:, place], **style, label=name)
        if len(flow.values) > 1:
            for edge in flow.quantiles(_LEVELS)[..., place]:
                ax.plot(steps, edge, **style, linewidth=0.8)
    ax.set_xlabel("step")
    ax.set_ylabel(names[place])
    ax.legend()
    tidy(ax)
    return ax
