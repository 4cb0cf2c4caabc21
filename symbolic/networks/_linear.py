"""Hessians of deep linear networks and of matrix factorisations at balanced minimisers."""

import dataclasses
import itertools as it
from collections.abc import Sequence
from typing import Any

import sympy

from .._checks import read_count, read_step, read_values
from .._errors import InvalidArgumentError
from ..roots._closed_form import sign_of


@dataclasses.dataclass(frozen=True)
class Spectrum:
    r"""The Hessian's eigenvalues at a point that is known in closed form.

    Attributes:
        eigenvalues: Those that are not identically zero, with their repetitions.
        zeros: How many more are zero.
        sharpness: The largest.

    Example:
        >>> import symbolic
        >>> symbolic.networks.deep_linear([2, 1], 2).eigenvalues
        (4, 3, 3, 2)

    References:
        K. Nar, S. Sastry (2018), arXiv:1805.08890.
    """

    eigenvalues: tuple[sympy.Expr, ...]
    zeros: int
    sharpness: sympy.Expr

    @property
    def threshold(self) -> sympy.Expr:
        """The largest stable step."""
        return 2 / self.sharpness


def deep_linear(singular_values: Sequence[Any], depth: int) -> Spectrum:
    r"""Give the Hessian's spectrum of a deep linear network at its balanced minimiser.

    .. math:: \tfrac12 \|R - W_L \cdots W_1\|_F^2, \qquad
        \lambda_{ij} = \sum_{k=0}^{L-1} s_i^{2k/L} s_j^{2(L-1-k)/L}, \qquad
        \lambda_{\max} = L \sigma_1^{2 - 2/L}

    The inputs are whitened, all layers are square. No other minimiser is flatter, so gradient
    descent converges to ``R`` almost surely only if ``h <= 2 / (L sigma_1^(2 - 2/L))``. Descent
    from identity layers (residual layers at zero) attains that for positive semidefinite ``R``. A
    residual form ``W_i = I + V_i`` has the same Hessian.

    Arguments:
        singular_values: Of ``R``, positive, numbers or positive symbols, the largest first.
        depth: ``L``, 2 or more.

    Returns:
        ``n^2`` eigenvalues, the others zero.

    Raises:
        InvalidArgumentError: If a value is not positive.

    Example:
        >>> import symbolic
        >>> symbolic.networks.deep_linear([8, 1], 3).threshold
        1/24

    References:
        K. Nar, S. Sastry (2018), arXiv:1805.08890.
    """
    s, layers = _positive(singular_values), read_count(depth, "depth", 2)
    power = sympy.Rational(2, layers)
    values = tuple(
        sympy.Add(*(a ** (power * k) * b ** (power * (layers - 1 - k)) for k in range(layers)))
        for a in s
        for b in s
    )
    largest = layers * s[0] ** (2 - power)
    return Spectrum(values, (layers - 1) * len(s) ** 2, largest)


def largest_singular_value(depth: int, step: Any) -> sympy.Expr:
    r"""Bound what a deep linear network can learn at one step size.

    .. math:: \sigma_1(\hat R) \le \left(\frac{2}{L h}\right)^{L / (2L - 2)}

    If gradient descent from a random start converges to ``R^``, this holds almost surely.

    Arguments:
        depth: ``L``, 2 or more.
        step: ``h``, in units of flow time.

    Returns:
        The bound on the largest singular value of the end-to-end matrix.

    Example:
        >>> import sympy, symbolic
        >>> symbolic.networks.largest_singular_value(2, sympy.Rational(1, 10))
        10

    References:
        K. Nar, S. Sastry (2018), arXiv:1805.08890.
    """
    layers = read_count(depth, "depth", 2)
    return (2 / (layers * read_step(step))) ** sympy.Rational(layers, 2 * layers - 2)


def matrix_factorisation(
    singular_values: Sequence[Any], rank: int, *, symmetric: bool = False
) -> Spectrum:
    r"""Give the Hessian's spectrum of a factorisation at its balanced best point of one rank.

    .. math:: \tfrac12 \|W_2 W_1 - M\|_F^2 \quad\text{or, symmetric,}\quad
        \tfrac14 \|X X^T - M\|_F^2

    Eigenvalues ``s_i + s_j`` within the rank, and ``s_i - s_j`` (for two factors ``s_i + s_j``
    too) between it and the rest.

    Arguments:
        singular_values: Of the square matrix ``M``, positive, the largest first.
        rank: The width of the bottleneck, at most their number.
        symmetric: Whether one factor is used twice.

    Returns:
        The spectrum; the threshold is ``1 / s_1`` in every case.

    Raises:
        InvalidArgumentError: If the rank is larger than the number of values.

    Example:
        >>> import symbolic
        >>> symbolic.networks.matrix_factorisation([3, 1], 1).eigenvalues
        (6, 4, 2)

    References:
        R. Mulayoff, T. Michaeli, D. Soudry (2021), NeurIPS 34.
    """
    s, r = _positive(singular_values), read_count(rank, "rank")
    if r > len(s):
        raise InvalidArgumentError(f"rank={r} is beyond the {len(s)} singular values. Lower it.")
    crossing = [(a, b) for a in s[:r] for b in s[r:]]
    if symmetric:
        inside = [s[i] + s[j] for i in range(r) for j in range(i, r)]
        values = (*inside, *(a - b for a, b in crossing))
        return Spectrum(values, r * (r - 1) // 2, 2 * s[0])
    inside = [a + b for a in s[:r] for b in s[:r]]
    values = (*inside, *(value for a, b in crossing for value in (a + b, a - b)))
    return Spectrum(values, r**2, 2 * s[0])


def _positive(values: Sequence[Any]) -> list[sympy.Expr]:
    found = read_values(values, "a singular value")
    if not found or any(sign_of(value) != 1 for value in found):
        raise InvalidArgumentError(
            f"singular values must be positive, got {list(values)}. Leave out zeros, and declare "
            "symbols positive."
        )
    if any(sign_of(a - b) == -1 for a, b in it.pairwise(found)):
        raise InvalidArgumentError(f"give the largest singular value first, got {list(values)}.")
    return found
