"""Losses of two and more parameters in closed form.

>>> import flows.problems
>>> float(flows.problems.rosenbrock().start[0])
-0.5
"""

import numpy as np

from .._custom_types import Array, Float, Scalar
from .._errors import InvalidOptionError
from ._base import Example
from ._options import ArrayLike, finite, finite_number, finite_vector, symmetric_matrix, to_array

_EIGENVALUES = (2.0, 0.02)


def quadratic_loss(x: Float[Array, " n"], matrix: Float[Array, "n n"]) -> Scalar:
    """``x^T H x / 2``."""
    return x @ (matrix @ x) / 2


def rosenbrock_loss(x: Float[Array, "2"], shape: dict[str, Scalar]) -> Scalar:
    """``(a - x_0)^2 + b (x_1 - x_0^2)^2``."""
    return (shape["a"] - x[0]) ** 2 + shape["b"] * (x[1] - x[0] ** 2) ** 2


def product_loss(x: Float[Array, "2"], target: Scalar) -> Scalar:
    """``(x_0 x_1 - mu)^2 / 2``."""
    return (x[0] * x[1] - target) ** 2 / 2


def quadratic(
    eigenvalues: ArrayLike = _EIGENVALUES,
    start: ArrayLike = (-0.35, -0.2),
    *,
    matrix: ArrayLike | None = None,
) -> Example:
    r"""A quadratic with chosen curvature; by default the published example.

    .. math::
        E(x) = \tfrac{1}{2} x^\top H x, \qquad H = \operatorname{diag}(\text{eigenvalues})

    Gradient descent multiplies the component along an eigenvector by ``1 - h lam``, the gradient
    flow by ``exp(-h lam)``. The learning rate is ``1.8 / max |lam|``, which is 0.9 by default, as
    published: the sharp direction oscillates (``h lam = 1.8``), the other one creeps.

    Arguments:
        eigenvalues: The ``n`` eigenvalues of ``H``, of any sign, each 1 / flow time.
        start: Where to start, ``n`` numbers.
        matrix: ``H`` itself, real and symmetric up to rounding, in place of `eigenvalues`.

    Returns:
        An `Example`; its ``args`` is ``H``.

    Raises:
        InvalidOptionError: If an entry is not finite, `matrix` is not symmetric, both `matrix` and
            `eigenvalues` are given, or `start` does not fit.

    Example:
        ``E = (2 * 0.35^2 + 0.02 * 0.2^2) / 2`` at the start.

        >>> import flows.problems
        >>> problem = flows.problems.quadratic()
        >>> round(float(problem.loss(problem.start, problem.args)), 4)
        0.1229

    References:
        M. Rosca, Y. Wu, C. Qin, B. Dherin, On a continuous time model of gradient descent dynamics
        and instability in deep learning (2023), arXiv:2302.01952.
    """
    if matrix is None:
        spectrum = finite(eigenvalues, "eigenvalues", "eigenvalues=(2.0, 0.02)")
        if spectrum.ndim != 1:
            raise InvalidOptionError(
                f"eigenvalues must be a list of numbers, got shape {spectrum.shape}. "
                "Write eigenvalues=(2.0, 0.02), or pass a full matrix as matrix=..."
            )
        hessian = np.diag(spectrum)
    else:
        if eigenvalues is not _EIGENVALUES:
            raise InvalidOptionError("Pass either eigenvalues=... or matrix=..., not both.")
        hessian = symmetric_matrix(matrix)
        spectrum = np.linalg.eigvalsh(hessian)
    n = spectrum.size
    example = f"start={(1.0,) * n}" if n <= 4 else f"start=np.ones({n})"
    point = finite_vector(start, n, "start", example)
    sharpest = float(np.max(np.abs(spectrum)))
    return Example(
        name="quadratic",
        loss=quadratic_loss,
        start=to_array(point),
        # A flat loss has no time scale of its own; any rate will do.
        learning_rate=1.8 / sharpest if sharpest > 0 else 0.9,
        source="M. Rosca, Y. Wu, C. Qin, B. Dherin (2023), arXiv:2302.01952, and its notebooks",
        description="x^T H x / 2",
        args=to_array(hessian),
    )


def rosenbrock(a: ArrayLike = 1.0, b: ArrayLike = 100.0, start: ArrayLike = (-0.5, 0.5)) -> Example:
    r"""Rosenbrock's banana: a curved valley, steep across and nearly flat along.

    .. math:: E(x) = (a - x_0)^2 + b\,(x_1 - x_0^2)^2

    The minimum is ``(a, a^2)``. By default the Hessian at the start has the eigenvalues -54.9 and
    356.9, at the minimum 0.399 and 1001.6. The learning rate is ``1 / (2 b (4 a^2 + 1))``, but at
    most 1/4: about half of the largest stable one at the minimum, and 0.001 by default.

    Arguments:
        a: Where the minimum is, a number.
        b: How steep the valley is, a number > 0.
        start: Where to start, two numbers.

    Returns:
        An `Example`; its ``args`` is ``{"a": a, "b": b}``.

    Raises:
        InvalidOptionError: If a number is not finite, `b` is not positive, or `start` does not fit.

    Example:
        The gradient at ``(-1/2, 1/2)`` is ``(47, 50)``.

        >>> import jax
        >>> import jax.numpy as jnp
        >>> import flows.problems
        >>> problem = flows.problems.rosenbrock()
        >>> gradient = jax.grad(problem.loss)(problem.start, problem.args)
        >>> bool(jnp.allclose(gradient, jnp.array([47.0, 50.0])))
        True

    References:
        H. H. Rosenbrock, An automatic method for finding the greatest or least value of a function,
        The Computer Journal 3 (1960), 175-184.
    """
    a = finite_number(a, "a", "a=1.0")
    b = finite_number(b, "b", "b=100.0")
    if b <= 0:
        raise InvalidOptionError(f"b must be positive, got {b!r}. Write for example b=100.0.")
    return Example(
        name="rosenbrock",
        loss=rosenbrock_loss,
        start=to_array(finite_vector(start, 2, "start", "start=(-0.5, 0.5)")),
        # The trace of the Hessian at the minimum is 2 + 2 b (4 a^2 + 1).
        learning_rate=min(1 / (2 * b * (4 * a**2 + 1)), 0.25),
        source="H. H. Rosenbrock (1960), The Computer Journal 3, 175-184; start and rate our own",
        description="(a - x_0)^2 + b (x_1 - x_0^2)^2",
        args={"a": to_array(a), "b": to_array(b)},
    )


def product(target: ArrayLike = 1.0, start: ArrayLike = (2.0, 0.1)) -> Example:
    r"""A product of two numbers fitted to a target: the smallest linear network.

    .. math:: E(x) = \tfrac{1}{2} (x_0 x_1 - \mu)^2

    Its minima are the curve ``x_0 x_1 = mu``, where the Hessian has the eigenvalues 0 and
    ``x_0^2 + x_1^2``: sharp far out, flattest (``2 |mu|``) where balanced. The gradient flow keeps
    ``x_0^2 - x_1^2``; gradient descent multiplies it by ``1 - h^2 (x_0 x_1 - mu)^2`` and so ends
    at a flatter minimum. The learning rate is ``0.8 / max(|start|^2, 2 |mu|)``, about 0.2 by
    default: 0.4 times the rate at which minima that far out, or the flattest ones, stop being
    stable.

    Arguments:
        target: The target ``mu``, a number.
        start: Where to start, two numbers.

    Returns:
        An `Example`; its ``args`` is ``mu``.

    Raises:
        InvalidOptionError: If a number is not finite, or `start` does not fit.

    Example:
        >>> import flows.problems
        >>> problem = flows.problems.product(target=3.0, start=(2.0, 0.5))
        >>> float(problem.loss(problem.start, problem.args))
        2.0

    References:
        Y. Wang, M. Chen, T. Zhao, M. Tao, Large learning rate tames homogeneity: convergence and
        balancing effect (2022), arXiv:2110.03677.
    """
    target = finite_number(target, "target", "target=1.0")
    point = finite_vector(start, 2, "start", "start=(2.0, 0.1)")
    sharpness = max(float(np.sum(point**2)), 2 * abs(target))
    return Example(
        name="product",
        loss=product_loss,
        start=to_array(point),
        # Both are zero only at the origin with target 0, where nothing moves.
        learning_rate=0.8 / sharpness if sharpness > 0 else 0.8,
        source="Y. Wang, M. Chen, T. Zhao, M. Tao (2022), arXiv:2110.03677; start and rate our own",
        description="(x_0 x_1 - mu)^2 / 2",
        args=to_array(target),
    )
