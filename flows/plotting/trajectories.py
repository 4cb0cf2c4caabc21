"""Errors and losses against the step."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ._protocols import ComparisonLike
from ._style import ERROR_LABEL, ITERATES, axes_for, looks, tidy


def plot_errors(run: ComparisonLike, ax: Axes | None = None, *, relative: bool = False) -> Axes:
    r"""Draw the error of every flow against the step, on a logarithmic scale.

    .. math:: n \mapsto e_n \quad\text{or}\quad e_n / \ell_n

    with ``l_n`` the length of the step (per step) or of the path so far (trajectory). A cross marks
    the last step of a flow that stopped early. Steps whose error is exactly zero are left out, and
    so is every other step of a flow that models every second one.

    Arguments:
        run: What `flows.compare` returned.
        ax: Where to draw; a new figure if None.
        relative: Divide by the length, which makes the error a pure number.

    Returns:
        The Axes. The horizontal axis counts steps; each takes the flow time ``run.iterates.ts[1]``.

    Raises:
        InvalidOptionError: If `run` is no comparison, or a batch of runs.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows, flows.plotting
        >>> run = flows.compare(
        ...     lambda x: x**2 / 2, jnp.array(1.0), flows.GradientDescent(0.5),
        ...     flows.GradientFlow(), steps=3,
        ... )
        >>> flows.plotting.plot_errors(run).get_yscale()
        'log'

    References:
        M. Rosca, Y. Wu, C. Qin, B. Dherin (2023), arXiv:2302.01952, has such figures.
    """
    ax = axes_for(run, ax, "plot_errors")
    errors = run.relative_errors if relative else run.errors
    for name, look in looks(errors).items():
        error = np.asarray(errors[name])
        own = run.trajectories[name].own_steps
        shown = np.flatnonzero(np.isfinite(error) & (error > 0) & own)
        ax.plot(shown, error[shown], color=look.color, linestyle=look.linestyle, label=name)
        _mark_end(ax, run.trajectories[name], error, look.color)
    ax.set_yscale("log")
    label = ERROR_LABEL[run.mode]
    if relative:
        whole = "path so far" if run.mode == "trajectory" else "step"
        label = f"error over the length of the {whole}"
    _step_axis(ax, run, label)
    return ax


def plot_losses(run: ComparisonLike, ax: Axes | None = None) -> Axes:
    r"""Draw the loss of the iterates and of every flow against the step.

    .. math:: n \mapsto E(\theta_n), \qquad n \mapsto E(\theta(t_n))

    On a logarithmic scale where all losses are positive. A cross marks the last step of anything
    that stopped early.

    Arguments:
        run: What `flows.compare` returned.
        ax: Where to draw; a new figure if None.

    Returns:
        The Axes. The horizontal axis counts steps, the vertical one is in units of loss.

    Raises:
        InvalidOptionError: If `run` is no comparison, or a batch of runs.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows, flows.plotting
        >>> run = flows.compare(
        ...     lambda x: x**2 / 2, jnp.array(1.0), flows.GradientDescent(0.5),
        ...     flows.GradientFlow(), steps=3,
        ... )
        >>> len(flows.plotting.plot_losses(run).lines)
        2

    References:
        M. Rosca, Y. Wu, C. Qin, B. Dherin (2023), arXiv:2302.01952, has such figures.
    """
    ax = axes_for(run, ax, "plot_losses")
    loss = np.asarray(run.iterates.loss)
    ax.plot(
        loss,
        color=ITERATES,
        linewidth=1,
        marker="o",
        markersize=3,
        markevery=max(1, len(loss) // 40),
        label="iterates",
    )
    _mark_end(ax, run.iterates, loss, ITERATES)
    everything = [loss]
    for name, look in looks(run.trajectories).items():
        loss = np.asarray(run.trajectories[name].loss)
        ax.plot(loss, color=look.color, linestyle=look.linestyle, label=name)
        _mark_end(ax, run.trajectories[name], loss, look.color)
        everything.append(loss)
    if np.nanmin(np.concatenate(everything)) > 0:
        ax.set_yscale("log")
    _step_axis(ax, run, "loss")
    return ax


def _mark_end(ax, trajectory, values, color) -> None:
    """A cross where a trajectory stopped early."""
    last = int(trajectory.last_step)
    if not trajectory.successful and np.isfinite(values[last]):
        ax.plot([last], [values[last]], marker="x", markersize=8, mew=2, color=color)


def _step_axis(ax: Axes, run: ComparisonLike, label: str) -> None:
    ax.set_xlabel("step")
    ax.set_ylabel(label)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(frameon=False)
    tidy(ax)
