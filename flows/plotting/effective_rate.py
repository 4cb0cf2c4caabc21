"""Effective learning rates over the steps, with the equilibrium that is predicted."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes

from .._custom_types import Array, Float
from .._errors import InvalidOptionError
from ._style import axes_or_new, tidy

# As in the other pictures, after Okabe and Ito; told apart by their dashes in grey print.
_STYLES = (
    ("#0072B2", "-"),
    ("#D55E00", (0, (6, 1.5))),
    ("#009E73", (0, (4, 1.2, 1, 1.2))),
    ("#CC79A7", (0, (2, 1))),
    ("#666666", (0, (1, 1.5))),
)


def plot_effective_rates(
    rates: Mapping[str, Float[Array, " points"]],
    predicted: Mapping[str, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    r"""Draw effective learning rates over the steps, and the equilibria that are predicted.

    .. math:: n \mapsto \frac{\eta_n}{|w_n|^2}

    Arguments:
        rates: The effective learning rates of each run by its name, each ``(steps + 1,)``, as in
            ``run.diagnostics["effective_learning_rate"]`` or from
            `flows.scale_invariant.path_measures`.
        predicted: Equilibria by name: those of the runs in their colours, others in grey.
        ax: Where to draw; a new figure if None.

    Returns:
        The Axes, logarithmic in the rates.

    Raises:
        InvalidOptionError: If there are no rates, or some are not positive.

    Example:
        >>> import flows, flows.plotting
        >>> plane = flows.problems.scale_invariant_plane()
        >>> run = flows.iterate(
        ...     plane.loss, plane.start, flows.ScaleInvariantDescent(0.1, 0.5), steps=100
        ... )
        >>> ax = flows.plotting.plot_effective_rates(
        ...     {"descent": run.diagnostics["effective_learning_rate"]}, {"two-cycle": 1.0}
        ... )
        >>> ax.get_ylabel()
        'effective learning rate $\\eta / |w|^2$'

    References:
        Z. Li, K. Lyu, S. Arora (2020), arXiv:2010.02916.
    """
    for given in (rates, {} if predicted is None else predicted):
        if not isinstance(given, Mapping):
            raise InvalidOptionError(
                "rates and predicted are dictionaries from names to numbers, got a "
                f"{type(given).__name__}. Pass rates={{'SGD': ...}}."
            )
    if not rates:
        raise InvalidOptionError("there are no rates to draw. Pass rates={'SGD': ...}.")
    ax = axes_or_new(ax)
    colors = {}
    for place, (name, values) in enumerate(rates.items()):
        numbers = np.asarray(values)
        if numbers.ndim != 1 or not (numbers[np.isfinite(numbers)] > 0).all():
            raise InvalidOptionError(
                f"the rates of {name!r} must be positive numbers, one for each step, got shape "
                f"{numbers.shape}. Pass one run: jax.tree.map(lambda x: x[0], run)."
            )
        colors[name], dashes = _STYLES[place % len(_STYLES)]
        ax.plot(numbers, color=colors[name], linestyle=dashes, linewidth=1, label=name)
    for name, value in (predicted or {}).items():
        label = f"{name}: equilibrium" if name in colors else name
        ax.axhline(
            float(value), color=colors.get(name, "#888888"), linewidth=1.6, alpha=0.6, label=label
        )
    ax.set_yscale("log")
    ax.set_xlabel("step")
    ax.set_ylabel(r"effective learning rate $\eta / |w|^2$")
    ax.legend(frameon=False, fontsize="small")
    return tidy(ax)
