"""A complex flow's own indicator of its error, beside the error."""

import numpy as np
from matplotlib.axes import Axes

from .._errors import InvalidOptionError
from ._protocols import ComparisonLike
from ._style import ERROR_LABEL, axes_for, looks, tidy


def plot_indicator(run: ComparisonLike, ax: Axes | None = None) -> Axes:
    r"""Draw the error of every step against the imaginary part that the flow ends it with.

    .. math:: \lVert \mathrm{Im}\, \theta(t_n) \rVert \mapsto e_n

    Iterates are real, so a flow that has become complex is off by its imaginary part at least (the
    grey line). How close the points stay to that line says how good an indicator it is; the legend
    has Spearman's rank correlation. Steps at which the flow is real are left out.

    Arguments:
        run: What `flows.compare` returned, best in mode ``"per_step"``.
        ax: Where to draw; a new figure if None.

    Returns:
        The Axes, both of them logarithmic and in units of the parameters.

    Raises:
        InvalidOptionError: If `run` is no comparison, a batch of runs, or no flow in it is ever
            complex.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows, flows.plotting
        >>> run = flows.compare(
        ...     lambda x: jnp.sum(jnp.cos(x)), jnp.array([2.5]), flows.GradientDescent(1.9),
        ...     flows.PrincipalFlow(), steps=9, mode="per_step",
        ... )
        >>> ax = flows.plotting.plot_indicator(run)
        >>> len(ax.collections[0].get_offsets())
        9

    References:
        M. Rosca, Y. Wu, C. Qin, B. Dherin (2023), arXiv:2302.01952, for the complex flow.
    """
    ax = axes_for(run, ax, "plot_indicator")
    seen = []
    for name, look in looks(run.trajectories).items():
        imaginary = run.trajectories[name].diagnostics.get("imaginary_part")
        if imaginary is None:
            continue
        x, y = np.asarray(imaginary), np.asarray(run.errors[name])
        shown = np.isfinite(x) & np.isfinite(y) & (x > 0)
        if shown.any():
            x, y = x[shown], y[shown]
            label = f"{name}: rank correlation {_rank_correlation(x, y):.2f}"
            ax.scatter(x, y, s=16, color=look.color, edgecolors="none", label=label, zorder=3)
            seen += [x.min(), x.max()]
    if not seen:
        raise InvalidOptionError(
            "no flow in this comparison has an imaginary part: PrincipalFlow has one from "
            "h * lambda = 1 on. Use a larger learning rate, or plot_errors."
        )
    ends = [min(seen), max(seen)]
    ax.plot(ends, ends, color="#999999", linewidth=1, zorder=1)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel(r"imaginary part $\|\mathrm{Im}\,\theta\|$ (parameters)")
    ax.set_ylabel(ERROR_LABEL[run.mode])
    ax.legend(frameon=False)
    return tidy(ax)


def _rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's, for values that are all different; nan for a single point."""
    if len(x) < 2:
        return float("nan")
    ranks = np.argsort(np.argsort(np.stack([x, y])))
    return float(np.asarray(np.corrcoef(ranks))[0, 1])
