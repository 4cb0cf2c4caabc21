r"""Losses with a flat and a sharp minimum, which a large step tells apart.

Each is a sum over the entries of the parameters, as in `flows.problems.scalar`.

>>> import jax.numpy as jnp
>>> import flows.problems
>>> float(flows.problems.rational_landscape().loss(jnp.array([0.0, 4.0])))
8.0
"""

import jax.numpy as jnp

from .._custom_types import Array, Float, Scalar
from ._base import Example
from ._copies import independent_copies
from ._options import ArrayLike


def sharp_valley_loss(x: Float[Array, "..."]) -> Scalar:
    """``sum 20 x^2``, but for a sharp valley at 2.5 and a flat piece at 8.5."""
    u = x - 2.5
    valley = u**2 * (1020.0 + u * (800.0 - u * (2000.0 + 1600.0 * u)))
    values = jnp.where((x >= 2.0) & (x <= 3.0), valley, 20.0 * x**2)
    # Cliffs of the width 1e-5: down to the flat piece, and up from it.
    down, up = 1.0 - 1e5 * (x - 8.4), 1.0 + 1e5 * (x - 8.6)
    cliffs = jnp.maximum(jnp.maximum(1411.2 * down, 1479.2 * up), 0.0)
    return jnp.sum(jnp.where((x >= 8.4) & (x <= 8.6), cliffs, values))


def rational_landscape_loss(x: Float[Array, "..."]) -> Scalar:
    """``sum`` of a piecewise parabola with the slopes x, 44 - 10 x, 20 x - 100, x."""
    falling = 8.0 + (x - 4.0) * (4.0 - 5.0 * (x - 4.0))
    rising = 7.6 + 10.0 * (x - 5.0) ** 2
    # At 100/19, where the last two pieces meet, they have the same value.
    last = x**2 / 2 + (7.6 + 10.0 * (5.0 / 19.0) ** 2 - (100.0 / 19.0) ** 2 / 2)
    values = jnp.where(x <= 4.0, x**2 / 2, falling)
    values = jnp.where(x > 4.8, rising, values)
    return jnp.sum(jnp.where(x > 100.0 / 19.0, last, values))


def sharp_valley(start: ArrayLike = 2.6) -> Example:
    r"""A wide parabola with a sharp valley in its side, and a flat piece.

    .. math::
        E(x) = \sum_i \begin{cases}
        -1600 u^5 - 2000 u^4 + 800 u^3 + 1020 u^2,\; u = x_i - 2.5 & 2 \le x_i \le 3 \\
        0 & 8.40001 \le x_i \le 8.59999 \\
        20 x_i^2 & \text{otherwise}
        \end{cases}

    Down to the flat piece and up from it lead straight cliffs, of the width 1e-5. The global
    minimum 0 has the curvature 40 and is stable for ``h < 1/20``; the one at 2.5, with the same
    loss, 2040, stable for ``h < 1/1020``. Beyond that descent from near 2.5 stays trapped in a
    bounded orbit, which the local maximum at 2.03531 lets go at ``h = 1.39253e-3``, and for all
    starts at 1.53373e-3. The learning rate is 0.0004, with which the run settles at 2.5.

    Arguments:
        start: Where to start, a number or an array of independent copies.

    Returns:
        An `Example` without ``args``.

    Raises:
        InvalidOptionError: If `start` is not finite.

    Example:
        Twice the largest stable learning rates, at either minimum:

        >>> import jax
        >>> import jax.numpy as jnp
        >>> import flows.problems
        >>> curvature = jax.grad(jax.grad(flows.problems.sharp_valley().loss))
        >>> [round(float(curvature(jnp.array(x)))) for x in (0.0, 2.5)]
        [40, 2040]

    References:
        A. Mohtashami, M. Jaggi, S. Stich, Special properties of gradient descent with large
        learning rates (2023), arXiv:2205.15142, have a figure of such a loss.
    """
    return independent_copies(
        "sharp_valley",
        sharp_valley_loss,
        start,
        default=2.6,
        learning_rate=0.0004,
        source="after a figure of A. Mohtashami, M. Jaggi, S. Stich (2023), arXiv:2205.15142",
        description="sum 20 x^2, with a sharp valley on [2, 3] and a flat piece at 8.5",
    )


def rational_landscape(start: ArrayLike = 8.0) -> Example:
    r"""A flat and a sharp minimum, and four step sizes that are known exactly.

    .. math:: E'(x) = x \;(x \le 4), \quad 4 - 10 (x - 4), \quad -4 + 20 (x - \tfrac{24}{5}), \quad
        x \;(x \ge \tfrac{100}{19}), \qquad E = \textstyle\sum_i E(x_i)

    The pieces meet at 4, 24/5 and 100/19. The global minimum 0 has the curvature 1, the local
    minimum 5 has 20, and between them, at 22/5, is a maximum. Under gradient descent 5 is stable
    for ``h < 1/10``; up to 41/250 orbits near it are chaotic and *trapped*; beyond that the trap is
    open, and from ``(sqrt(21) - 1) / 10`` up to 1 it is proved that almost every orbit ends at 0,
    which is stable up to ``h = 2``. The learning rate is 0.3: the run jumps over the sharp minimum,
    in which the gradient flow from the same start ends.

    Arguments:
        start: Where to start, a number or an array of independent copies.

    Returns:
        An `Example` without ``args``.

    Raises:
        InvalidOptionError: If `start` is not finite.

    Example:
        >>> import flows
        >>> land = flows.problems.rational_landscape()
        >>> optimizer = flows.GradientDescent(land.learning_rate)
        >>> run = flows.iterate(land.loss, land.start, optimizer, steps=100)
        >>> abs(float(run.final_params)) < 1e-6
        True

    References:
        A. Mohtashami, M. Jaggi, S. Stich (2023), arXiv:2205.15142, for the question.
    """
    return independent_copies(
        "rational_landscape",
        rational_landscape_loss,
        start,
        default=8.0,
        learning_rate=0.3,
        source="our own, for the question of A. Mohtashami, M. Jaggi, S. Stich, arXiv:2205.15142",
        description="sum of a piecewise parabola: flat minimum 0, sharp minimum 5",
    )
