"""The spectrum of the Hessian, and what gradient descent makes of it."""

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import blended_transform_factory

from .._errors import InvalidOptionError
from ..stability import REGIMES, StabilityCoefficients
from ._style import axes_or_new, tidy


class _Look(NamedTuple):
    color: str
    marker: str
    size: float


# Okabe and Ito's colours; in grey print the shapes tell the regimes apart. Stable is round or
# square, the thresholds are pointed, and what raises the loss points up.
_LOOKS = dict(
    zip(
        REGIMES[:-1],  # what is not finite cannot be drawn
        (
            _Look("#CC79A7", "v", 34),
            _Look("#888888", "o", 22),
            _Look("#0072B2", "o", 30),
            _Look("#56B4E9", "D", 34),
            _Look("#E69F00", "s", 34),
            _Look("#000000", "*", 80),
            _Look("#D55E00", "^", 46),
        ),
        strict=True,
    )
)
_THRESHOLD = "#555555"


def plot_spectrum(coefficients: StabilityCoefficients, ax: Axes | None = None) -> Axes:
    r"""Draw the gradient's component along each eigenvector against the eigenvalue.

    .. math:: \lambda_i \mapsto |g \cdot u_i|

    Colour and shape say the regime; lines mark where it changes, at ``1 / h`` and ``2 / h``.
    Directions in which the gradient has no component at all cannot stand on the logarithmic axis
    and are left out.

    Arguments:
        coefficients: What `flows.stability_coefficients` returned.
        ax: Where to draw; a new figure if None.

    Returns:
        The Axes: eigenvalues in loss per parameter squared, on a scale that is linear near
        zero and logarithmic beyond; components in loss per parameter on a logarithmic one.

    Raises:
        InvalidOptionError: If `coefficients` are none, or a batch of points.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows, flows.plotting
        >>> at = flows.stability_coefficients(
        ...     lambda x: x[0] ** 2 + 0.01 * x[1] ** 2,
        ...     jnp.array([-0.35, -0.2]),
        ...     flows.GradientDescent(1.05),
        ... )
        >>> ax = flows.plotting.plot_spectrum(at)
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['real stable', 'unstable complex']

    References:
        M. Rosca, Y. Wu, C. Qin, B. Dherin (2023), arXiv:2302.01952.
    """
    if not isinstance(coefficients, StabilityCoefficients):
        raise InvalidOptionError(
            f"plot_spectrum draws StabilityCoefficients, got a {type(coefficients).__name__}. "
            "Pass what flows.stability_coefficients(loss, params, optimizer) returned."
        )
    regimes = np.array(coefficients.regimes)
    ax = axes_or_new(ax)
    eigenvalues = np.asarray(coefficients.eigenvalues)
    sizes = np.abs(np.asarray(coefficients.gradient_components))
    shown = np.isfinite(eigenvalues) & np.isfinite(sizes) & (sizes > 0)
    for regime, look in _LOOKS.items():
        chosen = shown & (regimes == regime)
        if chosen.any():
            ax.scatter(
                eigenvalues[chosen],
                sizes[chosen],
                s=look.size,
                color=look.color,
                marker=look.marker,
                label=regime,
                edgecolors="white",
                linewidths=0.6,
                zorder=3,
            )
    h = float(coefficients.learning_rate)
    _threshold(ax, 1 / h, "$1/h$", (0, (4, 2)))
    edge = float(coefficients.edge)
    _threshold(ax, edge, "$2/h$", "-")
    ax.set_yscale("log")
    _eigenvalue_axis(ax, eigenvalues[shown], h, edge)
    ax.set_xlabel(r"eigenvalue $\lambda_i$ of the Hessian")
    ax.set_ylabel(r"gradient component $|g \cdot u_i|$")
    if shown.any():
        ax.legend(frameon=False)
    return tidy(ax)


def _eigenvalue_axis(ax: Axes, eigenvalues: np.ndarray, h: float, edge: float) -> None:
    """Linear where the bulk is, logarithmic from about a tenth of ``1 / h`` on."""
    linear = 10.0 ** np.floor(np.log10(0.15 / h))  # a power of ten, for the sake of the ticks
    ax.set_xscale("symlog", linthresh=linear)
    left, right = min([0.0, *eigenvalues]), max([edge, *eigenvalues])
    ax.set_xlim(1.5 * left - 0.3 * linear, 1.5 * right)


def _threshold(ax: Axes, at: float, label: str, linestyle) -> None:
    ax.axvline(at, color=_THRESHOLD, linewidth=1, linestyle=linestyle, zorder=1)
    above = blended_transform_factory(ax.transData, ax.transAxes)
    ax.text(at, 1.01, label, color=_THRESHOLD, transform=above, ha="center", va="bottom")
