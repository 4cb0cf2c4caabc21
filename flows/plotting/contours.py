"""Iterates and flows on the contours of a loss of two parameters."""

from typing import Any

import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from matplotlib.axes import Axes

from .._checks import split_params
from .._custom_types import Data, Loss
from .._errors import InvalidOptionError
from .._objective import as_objective
from .._vectors import size
from ._protocols import ComparisonLike, TrajectoryLike
from ._style import ITERATES, axes_or_new, looks, require_single, tidy

_GRID = 121


def plot_contours(
    run: ComparisonLike, loss: Loss, ax: Axes | None = None, *, args: Data = None
) -> Axes:
    r"""Draw iterates as points and flows as curves over the contours of the loss.

    .. math:: \theta_n \in \mathbb{R}^2, \qquad t \mapsto \theta(t), \qquad E = \text{const}

    In mode ``"per_step"`` each flow is drawn from every iterate to where it arrives. Of complex
    parameters the real part is drawn.

    Arguments:
        run: What `flows.compare` returned, for two parameters, with the parameters kept
            (``save_params=True``).
        loss: The loss that was run.
        ax: Where to draw; a new figure if None.
        args: The loss's data.

    Returns:
        The Axes; both axes are in units of the parameters.

    Raises:
        InvalidOptionError: If there are not two parameters, they were not kept, or `run` is a
            batch.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows, flows.plotting
        >>> loss = lambda w: w[0] ** 2 + w[1] ** 2 / 4
        >>> run = flows.compare(
        ...     loss, jnp.ones(2), flows.GradientDescent(0.5), flows.GradientFlow(), steps=3
        ... )
        >>> flows.plotting.plot_contours(run, loss).get_xlabel()
        'first parameter'

    References:
        The two-dimensional figures of M. Rosca, Y. Wu, C. Qin, B. Dherin (2023), arXiv:2302.01952.
    """
    require_single(run, "plot_contours")
    if size(split_params(run.iterates.final_params)[0]) != 2:
        raise InvalidOptionError(
            "plot_contours needs two parameters. For more of them, run.plot() draws the errors and "
            "flows.plotting.plot_losses(run) the losses."
        )
    if run.iterates.params is None:
        raise InvalidOptionError(
            "the parameters were not kept. Compare again with save_params=True."
        )
    ax = axes_or_new(ax)
    points = _points(run.iterates)
    curves = {name: _points(trajectory) for name, trajectory in run.trajectories.items()}
    _draw_contours(ax, run, loss, args, np.concatenate([points, *curves.values()]))
    for name, look in looks(curves).items():
        pieces = [curves[name]]
        if run.mode == "per_step":
            pieces = list(np.stack([points[:-1], curves[name][1:]], axis=1))
        for place, piece in enumerate(pieces):
            label = name if place == 0 else None
            ax.plot(*piece.T, color=look.color, linestyle=look.linestyle, lw=1.8, label=label)
    ax.plot(*points.T, "o", color=ITERATES, markersize=4, label="iterates", zorder=3)
    ax.set_xlabel("first parameter")
    ax.set_ylabel("second parameter")
    ax.legend(frameon=True, framealpha=0.9, edgecolor="none")
    return tidy(ax)


def _points(trajectory: TrajectoryLike) -> np.ndarray:
    """The steps that were made, as rows of two numbers."""
    leaves = [np.real(leaf) for leaf in jtu.tree_leaves(trajectory.params)]
    rows = np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)
    return rows[np.all(np.isfinite(rows), axis=1)]


def _draw_contours(ax: Axes, run: ComparisonLike, loss: Loss, args: Any, rows: np.ndarray) -> None:
    low, high = rows.min(axis=0), rows.max(axis=0)
    margin = 0.15 * np.maximum(high - low, 0.1 * max(np.max(high - low), 1e-12))
    low, high = low - margin, high + margin
    xs, ys = (np.linspace(low[axis], high[axis], _GRID) for axis in (0, 1))
    moving, resting = split_params(run.iterates.final_params)
    leaves, structure = jtu.tree_flatten(moving)
    objective = as_objective(loss, args).completed(resting)

    def value(row):
        if len(leaves) == 1:
            return objective.value(jtu.tree_unflatten(structure, [row.reshape(leaves[0].shape)]))
        parts = [row[place].reshape(leaf.shape) for place, leaf in enumerate(leaves)]
        return objective.value(jtu.tree_unflatten(structure, parts))

    grid = jnp.asarray(np.stack(np.meshgrid(xs, ys), axis=-1), leaves[0].dtype)
    heights = np.asarray(jax.jit(jax.vmap(jax.vmap(value)))(grid))
    # Levels by rank, not by height: as many lines near the floor of a valley as on its walls.
    levels = np.unique(np.quantile(heights[np.isfinite(heights)], np.linspace(0.02, 0.98, 14)))
    if len(levels) > 1:
        ax.contour(xs, ys, heights, levels=levels, colors="#B8B8B8", linewidths=0.7, zorder=0)
