r"""Losses of one parameter in closed form.

Each is a sum over the entries of the parameters: at a number it is the loss of the formula, at an
array it is so many independent copies of it.

>>> import jax.numpy as jnp
>>> import flows.problems
>>> float(flows.problems.quartic().loss(jnp.array([1.0, 1.0])))
0.5
"""

import jax.numpy as jnp

from .._custom_types import Array, Float, Scalar
from ._base import Example
from ._copies import independent_copies
from ._options import ArrayLike


def cosine_loss(x: Float[Array, "..."]) -> Scalar:
    """``sum cos x``."""
    return jnp.sum(jnp.cos(x))


def quartic_loss(x: Float[Array, "..."]) -> Scalar:
    """``sum x^4 / 4``."""
    return jnp.sum(x**4) / 4


def double_well_loss(x: Float[Array, "..."]) -> Scalar:
    """``sum (x^2 - 1)^2 / 4``."""
    return jnp.sum((x**2 - 1) ** 2) / 4


def nar_sastry_loss(x: Float[Array, "..."]) -> Scalar:
    """``sum (x^2 + 1) (x - 1)^2 (x - 2)^2``."""
    return jnp.sum((x**2 + 1) * (x - 1) ** 2 * (x - 2) ** 2)


def cosine(start: ArrayLike = 2.5) -> Example:
    r"""A cosine: equal wells, with the curvature 1 at the bottom and -1 between.

    .. math:: E(x) = \sum_i \cos x_i

    The minima are the odd multiples of pi, stable under gradient descent for ``h < 2``. The
    learning rate is 0.5: there ``h E'' < 1`` everywhere, so that gradient descent does not
    oscillate and every flow is real, yet it leaves the gradient flow behind visibly (factors 1/2
    and ``exp(-1/2)`` a step near the minimum). Try 1.9 to see it oscillate about the minimum.

    Arguments:
        start: Where to start, a number or an array of independent copies.

    Returns:
        An `Example` without ``args``.

    Raises:
        InvalidOptionError: If `start` is not finite.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import flows.problems
        >>> loss = flows.problems.cosine().loss
        >>> round(float(jax.grad(jax.grad(loss))(jnp.array(jnp.pi))), 5)
        1.0

    References:
        M. Rosca, Y. Wu, C. Qin, B. Dherin (2023), arXiv:2302.01952, show one of unknown formula.
    """
    return independent_copies(
        "cosine",
        cosine_loss,
        start,
        default=2.5,
        learning_rate=0.5,
        source="in the spirit of M. Rosca, Y. Wu, C. Qin, B. Dherin (2023), arXiv:2302.01952",
        description="sum cos x",
    )


def quartic(start: ArrayLike = 1.0) -> Example:
    r"""A quartic: a minimum without curvature.

    .. math:: E(x) = \tfrac{1}{4} \sum_i x_i^4

    The gradient flow from ``x`` is ``x / sqrt(1 + 2 x^2 t)``. Gradient descent converges to 0 from
    ``|x| < sqrt(2 / h)``, jumps between ``sqrt(2 / h)`` and its negative if it starts at one of
    them, and diverges from further out. The learning rate is 0.05: ``h E''`` falls from 0.15, where
    the models of higher order are very good.

    Arguments:
        start: Where to start, a number or an array of independent copies.

    Returns:
        An `Example` without ``args``.

    Raises:
        InvalidOptionError: If `start` is not finite.

    Example:
        One step from 1 goes to ``1 - 0.05``.

        >>> import flows.problems
        >>> problem = flows.problems.quartic()
        >>> optimizer = flows.GradientDescent(problem.learning_rate)
        >>> run = flows.iterate(problem.loss, problem.start, optimizer, steps=1)
        >>> round(float(run.final_params), 5)
        0.95

    References:
        E. Hairer, C. Lubich, G. Wanner, Geometric Numerical Integration (2006), chapter IX, for
        modified equations of Euler's method on monomials.
    """
    return independent_copies(
        "quartic",
        quartic_loss,
        start,
        default=1.0,
        learning_rate=0.05,
        source="textbook example; start and rate our own",
        description="sum x^4 / 4",
    )


def double_well(start: ArrayLike = 0.1) -> Example:
    r"""Two wells: escape from a maximum, and the cubic map.

    .. math:: E(x) = \tfrac{1}{4} \sum_i (x_i^2 - 1)^2

    Gradient descent is the cubic map ``x -> (1 + h) x - h x^3``. The minima -1 and 1 have the
    curvature 2 and are stable for ``h < 1``; the maximum 0 has -1. With ``h`` above 1 follow a
    2-cycle, period doubling and chaos, above 2 divergence. The learning rate is 0.2, where the run
    leaves the maximum and settles without oscillation.

    Arguments:
        start: Where to start, a number or an array of independent copies.

    Returns:
        An `Example` without ``args``.

    Raises:
        InvalidOptionError: If `start` is not finite.

    Example:
        >>> import flows.problems
        >>> problem = flows.problems.double_well(start=0.0)
        >>> float(problem.loss(problem.start))
        0.25

    References:
        L. Chen, J. Bruna, Beyond the edge of stability via two-step gradient updates (2023),
        arXiv:2206.04172.
    """
    return independent_copies(
        "double_well",
        double_well_loss,
        start,
        default=0.1,
        learning_rate=0.2,
        source="L. Chen, J. Bruna (2023), arXiv:2206.04172; start and rate our own",
        description="sum (x^2 - 1)^2 / 4",
    )


def nar_sastry(start: ArrayLike = 1.7) -> Example:
    r"""Nar and Sastry's polynomial: the step size decides which minimum can be found.

    .. math:: E(x) = \sum_i (x_i^2 + 1) (x_i - 1)^2 (x_i - 2)^2

    The minima 1 and 2, both with the loss 0, have the curvatures 4 and 10: gradient descent can
    converge to 1 only for ``h <= 1/2`` and to 2 only for ``h <= 1/5``. The maximum between them is
    at 1.55613. The learning rate is 0.05, with which the run settles at 2 without oscillation; with
    0.3 it cannot, and wanders about 2 for ever.

    Arguments:
        start: Where to start, a number or an array of independent copies.

    Returns:
        An `Example` without ``args``.

    Raises:
        InvalidOptionError: If `start` is not finite.

    Example:
        The largest stable learning rate ``2 / E''`` at either minimum:

        >>> import jax
        >>> import jax.numpy as jnp
        >>> import flows.problems
        >>> curvature = jax.grad(jax.grad(flows.problems.nar_sastry().loss))
        >>> [round(2 / float(curvature(jnp.array(x))), 4) for x in (1.0, 2.0)]
        [0.5, 0.2]

    References:
        K. Nar, S. Sastry, Step size matters in deep learning (2018), arXiv:1805.08890.
    """
    return independent_copies(
        "nar_sastry",
        nar_sastry_loss,
        start,
        default=1.7,
        learning_rate=0.05,
        source="K. Nar, S. Sastry (2018), arXiv:1805.08890; start and rate our own",
        description="sum (x^2 + 1) (x - 1)^2 (x - 2)^2",
    )
