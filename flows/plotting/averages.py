"""Models of the iterates' average beside what the iterates do."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from .._errors import InvalidOptionError
from ._protocols import ComparisonLike
from ._style import ITERATES, looks, require_single, tidy


def plot_averages(
    run: ComparisonLike, axes: Sequence[Axes] | None = None, *, window: int = 50
) -> list[Axes]:
    r"""Draw loss, sharpness and distance at the edge of stability, predicted and measured.

    .. math:: \bar E_n = \frac{1}{w} \sum_{m=n}^{n+w-1} E(\theta_m)

    Three pictures over the steps: the loss of the iterates, its running mean, and what each flow
    says of that mean (``predicted_loss``; otherwise its own loss); the largest eigenvalue of
    ``P^{-1} H`` of the flows that know it, with the edge at 2; and every flow's distance from the
    iterates or their midpoints over the length of the path. The losses are on a logarithmic scale
    where all are positive.

    Arguments:
        run: What `flows.compare` returned, in mode ``"trajectory"``.
        axes: Three Axes; a new figure if None.
        window: ``w``, how many steps the running means take.

    Returns:
        The three Axes.

    Raises:
        InvalidOptionError: If `run` is a batch of runs or per step, or `window` does not fit it.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows, flows.plotting
        >>> run = flows.compare(
        ...     lambda x: 3 * x**2 / 2 - x**4 / 8, jnp.array(0.1), flows.GradientDescent(0.75),
        ...     [flows.GradientFlow(), flows.RodFlow()], steps=30,
        ... )
        >>> loss, sharpness, distance = flows.plotting.plot_averages(run, window=10)
        >>> loss.get_ylabel()
        'loss'

    References:
        J. Cohen, A. Damian, A. Talwalkar, J. Z. Kolter, J. D. Lee (2025), arXiv:2410.24206, has
        such figures.
    """
    require_single(run, "plot_averages")
    steps = run.iterates.steps
    if run.mode != "trajectory" or not 1 <= window <= steps:
        raise InvalidOptionError(
            f'plot_averages needs a run in mode "trajectory" of at least window={window} steps, '
            f'got one in mode "{run.mode}" of {steps}. Pass another window.'
        )
    if axes is None:
        figure = plt.figure(figsize=(6.0, 8.0), layout="constrained")
        axes = list(figure.subplots(3, sharex=True))
    loss, sharpness, distance = axes
    loss.plot(run.iterates.loss, color=ITERATES, linewidth=0.5, alpha=0.4, label="iterates")
    measured = _running_mean(run.iterates.loss, window)
    loss.plot(measured, color=ITERATES, linewidth=1.6, label=f"iterates, mean of {window}")
    lengths = np.cumsum(np.asarray(run.iterates.diagnostics["step_length"]))
    for name, look in looks(run.trajectories).items():
        numbers, style = run.trajectories[name].diagnostics, look._asdict()
        predicted = numbers.get("predicted_loss", run.trajectories[name].loss)
        loss.plot(_running_mean(predicted, window), **style, label=name)
        if "sharpness" in numbers:
            sharpness.plot(numbers["sharpness"], **style, label=name)
            sharpness.plot(numbers["edge"], color="#888888", linewidth=1)
        ratio = np.asarray(run.errors[name])[1:] / lengths[1:]
        distance.semilogy(np.arange(1, steps + 1), ratio, **style)
    if min(np.nanmin(line.get_ydata()) for line in loss.lines) > 0:
        loss.set_yscale("log")
    loss.set_ylabel("loss")
    sharpness.set_ylabel(r"largest eigenvalue of $P^{-1} H$")
    distance.set_ylabel("distance over path length")
    distance.set_xlabel("step")
    loss.legend(frameon=False, fontsize="small")
    return [tidy(ax) for ax in axes]


def _running_mean(values, window: int) -> np.ndarray:
    """At every step the mean of that one and of those after it."""
    return np.convolve(np.asarray(values), np.ones(window) / window, "valid")
