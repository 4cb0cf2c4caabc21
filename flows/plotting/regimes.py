"""The sharpness and its company over the steps of a run."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ._protocols import ReportLike, require
from ._style import axes_or_new, tidy

_SHARPNESS = "#000000"
_EIGENVALUES = "#0072B2"
_DRIFT = "#E69F00"
_THRESHOLD = "#D55E00"


def plot_regimes(report: ReportLike, ax: Axes | None = None, *, drift: bool = True) -> Axes:
    r"""Draw the largest eigenvalues against the step, with the threshold ``2 / h``.

    .. math:: n \mapsto \lambda_i(\theta_n), \qquad n \mapsto \frac{2}{h_n}, \qquad
        n \mapsto v_n = \frac{\lVert H g \rVert}{\lVert g \rVert}

    Steps at which the sharpness is above the threshold are shaded; lines have gaps where numbers
    are not finite.

    Arguments:
        report: What `flows.track` returned.
        ax: Where to draw; a new figure if None.
        drift: Draw the drift too: the eigenvalues' root mean square, as the gradient weighs them.

    Returns:
        The Axes: steps, and loss per parameter squared.

    Raises:
        InvalidOptionError: If `report` is none.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows, flows.plotting
        >>> def loss(x):
        ...     return jnp.sum(x**4) / 4
        >>> run = flows.iterate(loss, jnp.array([1.0, 0.5]), flows.GradientDescent(0.5), 20)
        >>> ax = flows.plotting.plot_regimes(flows.track(loss, run, learning_rate=0.5, k=2))
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['sharpness', 'next eigenvalues', 'drift', '$2/h$']

    References:
        J. Cohen, S. Kaur, Y. Li, J. Z. Kolter, A. Talwalkar (2021), arXiv:2103.00065, has such
        figures.
    """
    require(report, ReportLike, "plot_regimes")
    ax = axes_or_new(ax)
    steps, eigenvalues = np.asarray(report.steps), np.asarray(report.eigenvalues)
    thresholds = np.asarray(report.thresholds)
    for i in range(1, eigenvalues.shape[1]):
        label = "_" if i > 1 else "next eigenvalues"
        ax.plot(steps, eigenvalues[:, i], color=_EIGENVALUES, linewidth=0.8, label=label)
    ax.plot(steps, eigenvalues[:, 0], color=_SHARPNESS, linewidth=1.4, label="sharpness", zorder=3)
    if drift:
        v = np.asarray(report.drift)
        ax.plot(steps, v, color=_DRIFT, linewidth=1, linestyle=(0, (4, 1.5)), label="drift")
    dots = (0, (1, 1))
    ax.plot(steps, thresholds, color=_THRESHOLD, linewidth=1.2, linestyle=dots, label="$2/h$")
    ax.fill_between(
        steps,
        thresholds,
        eigenvalues[:, 0],
        where=eigenvalues[:, 0] > thresholds,
        color=_THRESHOLD,
        alpha=0.25,
        linewidth=0,
        interpolate=True,
    )
    ax.set_xlabel("step")
    ax.set_ylabel("eigenvalue of the Hessian")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles, labels = ax.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: labels[i] != "sharpness")
    ax.legend([handles[i] for i in order], [labels[i] for i in order], frameon=False)
    return tidy(ax)
