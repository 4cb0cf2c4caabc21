"""Losses that depend on the direction of their parameters only.

>>> import flows.problems
>>> problem = flows.problems.rayleigh_quotient()
>>> both = [problem.loss(c * problem.start, problem.args) for c in (1, 7)]
>>> bool(abs(both[0] - both[1]) < 1e-5)
True
"""

import jax.numpy as jnp
import numpy as np

from .._custom_types import Array, Float, Scalar
from .._errors import InvalidOptionError
from ._base import Example
from ._options import ArrayLike, finite_vector, symmetric_matrix, to_array

_LI = "Z. Li, K. Lyu, S. Arora (2020), arXiv:2010.02916"


def scale_invariant_plane_loss(w: Float[Array, "2"]) -> Scalar:
    """``x^2 / (x^2 + y^2)``."""
    return w[0] ** 2 / jnp.sum(w**2)


def scale_invariant_sphere_loss(w: Float[Array, "3"]) -> Scalar:
    """``(2 + sin(longitude)) latitude^2 / 2``."""
    equator = jnp.sqrt(w[0] ** 2 + w[1] ** 2)
    return (2 + w[1] / equator) * jnp.arctan2(w[2], equator) ** 2 / 2


def rayleigh_quotient_loss(w: Float[Array, " n"], matrix: Float[Array, "n n"]) -> Scalar:
    """``w^T A w / w^T w``."""
    return w @ (matrix @ w) / jnp.sum(w**2)


def scale_invariant_plane(start: ArrayLike = (0.3, 1.0)) -> Example:
    r"""The toy of the plane on which descent with weight decay never converges.

    .. math:: L(x, y) = \frac{x^2}{x^2 + y^2}

    The square of a sine: minimal along the line ``x = 0``. Its gradient flow converges, with weight
    decay too; gradient descent converges without. With weight decay ``lambda`` and learning rate
    ``eta`` there is an exact 2-cycle, ``sqrt(eta) (+-sqrt(q / 2), sqrt(1 - q / 2))`` with
    ``q = eta lambda``, around which the iterates wander for ever: it is neutrally stable.

    Arguments:
        start: Where to start, two numbers, not both zero.

    Returns:
        An `Example` without ``args``.

    Raises:
        InvalidOptionError: If `start` does not fit.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows.problems
        >>> problem = flows.problems.scale_invariant_plane()
        >>> f"{float(problem.loss(jnp.array([3.0, 4.0]))):.4f}"
        '0.3600'

    References:
        Z. Li, K. Lyu, S. Arora (2020), arXiv:2010.02916, figure 1.
    """
    return Example(
        name="scale_invariant_plane",
        loss=scale_invariant_plane_loss,
        start=to_array(_nonzero(start, 2, "start=(0.3, 1.0)")),
        learning_rate=0.1,
        source=f"{_LI}, figure 1",
        description="x^2 / (x^2 + y^2)",
    )


def scale_invariant_sphere(start: ArrayLike | None = None) -> Example:
    r"""A toy of the sphere: a circle of minima, along which the curvature changes.

    .. math:: L(w) = \tfrac{1}{2} (2 + \sin\psi)\, \varphi^2, \qquad
        \varphi = \text{latitude}, \quad \psi = \text{longitude of } w

    All of the equator is minimal, with the curvature ``2 + sin(psi)`` on the unit sphere. Gradient
    descent with weight decay drifts along it to where it is flattest, ``psi = -pi / 2``, at the
    speed ``2 v / (4 + v^2)`` in ``psi`` per ``1 / (eta lambda)`` steps, ``v`` the logarithmic
    derivative of the curvature.

    Arguments:
        start: Where to start, three numbers, off the poles. By default longitude 1, latitude 0.1.

    Returns:
        An `Example` without ``args``.

    Raises:
        InvalidOptionError: If `start` does not fit.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows.problems
        >>> problem = flows.problems.scale_invariant_sphere()
        >>> bool(jnp.allclose(problem.loss(problem.start), (2 + jnp.sin(1.0)) * 0.1**2 / 2))
        True

    References:
        K. Lyu, Z. Li, S. Arora (2022), arXiv:2206.07085, for the drift; the loss is our own.
    """
    if start is None:
        start = np.array([np.cos(1) * np.cos(0.1), np.sin(1) * np.cos(0.1), np.sin(0.1)])
    example = "start=(1.0, 1.0, 0.1)"
    point = _nonzero(start, 3, example)
    if not point[:2].any():
        raise InvalidOptionError(
            f"start must not be a pole, which has no longitude, got {start!r}. "
            f"Write for example {example}."
        )
    return Example(
        name="scale_invariant_sphere",
        loss=scale_invariant_sphere_loss,
        start=to_array(point),
        learning_rate=0.1,
        source="K. Lyu, Z. Li, S. Arora (2022), arXiv:2206.07085; the loss is our own",
        description="(2 + sin(longitude)) latitude^2 / 2",
    )


def rayleigh_quotient(
    matrix: ArrayLike = ((3.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 0.2)),
    start: ArrayLike = (1.0, 0.7, -0.4),
) -> Example:
    r"""The Rayleigh quotient: minimal at the eigenvectors of the smallest eigenvalue.

    .. math:: L(w) = \frac{w^\top A w}{w^\top w}

    Its gradient flow has a closed form, also with weight decay:
    `flows.scale_invariant.rayleigh_flow`. The learning rate is 0.45 times ``|start|^2`` over the
    range of the eigenvalues, 0.265 by default.

    Arguments:
        matrix: ``A``, real and symmetric up to rounding.
        start: Where to start, not zero.

    Returns:
        An `Example`; its ``args`` is ``A``.

    Raises:
        InvalidOptionError: If `matrix` is not symmetric or not finite, or `start` does not fit.

    Example:
        >>> import flows.problems
        >>> problem = flows.problems.rayleigh_quotient(start=(0.0, 0.0, 5.0))
        >>> round(float(problem.loss(problem.start, problem.args)), 6)
        0.2

    References:
        Z. Li, K. Lyu, S. Arora (2020), arXiv:2010.02916, for scale-invariant losses.
    """
    symmetric = symmetric_matrix(matrix)
    n = len(symmetric)
    point = _nonzero(start, n, f"start={(1.0,) * n}" if n <= 4 else f"start=np.ones({n})")
    eigenvalues = np.linalg.eigvalsh(symmetric)
    width = float(eigenvalues[-1] - eigenvalues[0])
    return Example(
        name="rayleigh_quotient",
        loss=rayleigh_quotient_loss,
        start=to_array(point),
        # At the minimum the curvature is twice the distance of the eigenvalues over |w|^2.
        learning_rate=0.45 * float(point @ point) / width if width > 0 else 0.1,
        source=f"textbook example; start our own, setting of {_LI}",
        description="w^T A w / w^T w",
        args=to_array(symmetric),
    )


def _nonzero(start: ArrayLike, length: int, example: str) -> np.ndarray:
    point = finite_vector(start, length, "start", example)
    if not point.any():
        raise InvalidOptionError(
            "start must not be zero, where a scale-invariant loss has no value. "
            f"Write for example {example}."
        )
    return point
