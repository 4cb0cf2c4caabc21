"""The gradient flow of the Rayleigh quotient with weight decay, in closed form."""

from typing import Any

import jax.numpy as jnp

from .._checks import non_negative, positive_scalar
from .._custom_types import Array, Float, Scalar
from .._errors import InvalidOptionError


def rayleigh_flow(
    matrix: Float[Array, "n n"],
    start: Float[Array, " n"],
    learning_rate: float | Scalar,
    weight_decay: float | Scalar,
    times: Float[Array, " times"],
) -> Float[Array, "times n"]:
    r"""Solve the gradient flow of ``L = w^T A w / w^T w`` with weight decay.

    .. math:: \dot w = -\eta \lambda w - \eta \nabla L(w): \qquad
        |w_t| = e^{-\eta \lambda t} |w_0|, \quad u_t \propto e^{-2 A \tau} u_0, \quad
        \tau = \frac{e^{2 \eta \lambda t} - 1}{2 \lambda |w_0|^2}

    The inner time ``tau`` grows exponentially, so that the direction converges faster than any
    exponential, where descent with the same weight decay never converges at all. Without weight
    decay ``tau = eta t / |w_0|^2``.

    Arguments:
        matrix: ``A``, symmetric; for `flows.problems.scale_invariant_plane`, ``diag(1, 0)``.
        start: ``w_0``, not zero.
        learning_rate: ``eta`` > 0.
        weight_decay: ``lambda`` >= 0.
        times: ``t``, in steps.

    Returns:
        ``w_t``, shape ``(times, n)``.

    Raises:
        InvalidLearningRateError: If `learning_rate` is not positive.
        InvalidOptionError: If `weight_decay` is negative, or the shapes do not fit.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> problem = flows.problems.rayleigh_quotient()
        >>> times = jnp.array([0.0, 5.0])
        >>> path = flows.scale_invariant.rayleigh_flow(problem.args, problem.start, 0.3, 0.2, times)
        >>> [f"{w:.4f}" for w in path[1].tolist()]
        ['0.0022', '0.2208', '-0.9256']

    References:
        Z. Li, K. Lyu, S. Arora (2020), arXiv:2010.02916, for the setting.
    """
    eta = positive_scalar(learning_rate, "learning_rate")
    decay = non_negative(weight_decay, "weight_decay", "weight_decay=0.2")
    A, first, t = (jnp.asarray(value) for value in (matrix, start, times))
    _check_shapes(A, first, t)
    dtype = first.dtype
    eta, decay, t, A = (value.astype(dtype) for value in (eta, decay, t, A))
    square = first @ first
    exponent = 2 * eta * decay * t
    decaying = exponent > 0
    # (e^x - 1) / x, which is 1 without weight decay.
    grown = jnp.where(decaying, jnp.expm1(exponent) / jnp.where(decaying, exponent, 1), 1)
    tau = eta * t / square * grown
    values, vectors = jnp.linalg.eigh(A)
    components = vectors.T @ first
    # The slowest of the components that are there keeps its size: nothing underflows to 0 / 0.
    slowest = jnp.min(jnp.where(components != 0, values, jnp.inf))
    faster = jnp.where(components != 0, values - slowest, 0)
    turned = jnp.exp(-2 * tau[:, None] * faster[None, :]) * components[None, :]
    length = jnp.sqrt(jnp.sum(turned**2, axis=1))
    scale = jnp.exp(-eta * decay * t) * jnp.sqrt(square) / length
    return scale[:, None] * (turned @ vectors.T)


def _check_shapes(A: Any, start: Any, times: Any) -> None:
    if start.ndim != 1 or A.shape != 2 * start.shape or times.ndim != 1:
        raise InvalidOptionError(
            "matrix, start and times must have shapes (n, n), (n,) and (times,), got "
            f"{A.shape}, {start.shape} and {times.shape}. Write for example times=jnp.arange(10.0)."
        )
