"""Up to which step SGD on a finite sum of parabolas is stable, in three senses."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import sympy

from .._checks import read_count, read_step, read_values
from .._errors import InvalidArgumentError, TooMuchWorkError
from ..roots._jury import first_boundary

q = sympy.Symbol("q", positive=True)


@dataclasses.dataclass(frozen=True)
class FiniteSumThresholds:
    r"""Steps up to which SGD on a finite sum of parabolas is stable, in three senses.

    Attributes:
        mean: Of the expected iterate.
        mean_square: Of its expected square.
        almost_sure: Of almost every path; None for batches of more than one.

    Example:
        >>> import symbolic
        >>> symbolic.finite_sum_thresholds([1, 3]).mean_square
        4/5

    References:
        R. Mulayoff, T. Michaeli, D. Soudry (2021), NeurIPS 34.
    """

    mean: sympy.Expr
    mean_square: sympy.Expr
    almost_sure: sympy.Expr | None


def finite_sum_thresholds(
    curvatures: Sequence[Any], batch_size: int = 1, repeats: int = 1, *, max_degree: int = 100
) -> FiniteSumThresholds:
    r"""Find up to which step SGD is stable on an average of parabolas ``a_i x^2 / 2``.

    .. math:: (1 - h \bar a)^2 + h^2 s^2 \frac{n - B}{B (n - 1)} < 1

    With `repeats`, the same sample is used ``k`` times with the step ``h / k``: the noise of a
    large step with the drift of a small one.

    .. math:: \frac1n \sum_i (1 - h a_i / k)^{2k} < 1, \qquad \prod_i |1 - h a_i / k| < 1

    Arguments:
        curvatures: ``a_i``, numbers of positive mean.
        batch_size: ``B``, drawn without replacement, at each step anew.
        repeats: ``k``; more than 1 for batches of one only.
        max_degree: The bound on the degree of the equations, ``2 k`` or the number of curvatures.

    Returns:
        Step sizes in units of flow time; ``h`` is the step of a whole block of repeats.

    Raises:
        TooMuchWorkError: If the degree would pass `max_degree`.
        InvalidArgumentError: If the batch is larger than the data, or repeated and larger than one.

    Example:
        >>> import symbolic
        >>> found = symbolic.finite_sum_thresholds([1, 3])
        >>> found.mean, found.mean_square, found.almost_sure
        (1, 4/5, 4/3)

    References:
        R. Mulayoff, T. Michaeli, D. Soudry (2021), NeurIPS 34.
    """
    a = read_values(curvatures, "a curvature")
    n, batch, k = len(a), read_count(batch_size, "batch_size"), read_count(repeats, "repeats")
    if n == 0 or batch > n or (batch > 1 and k > 1):
        raise InvalidArgumentError(
            f"batch_size={batch} and repeats={k} do not fit {n} curvatures: a batch is at most the "
            "whole sum, and only batches of one are repeated. Write batch_size=1."
        )
    degree = max(2 * k, n)
    if degree > max_degree:
        raise TooMuchWorkError(
            f"the equations have degree {degree} and max_degree={max_degree}. Ask for it: "
            f"max_degree={degree}."
        )
    average = read_step(sum(a, sympy.S.Zero) / n, "the mean curvature")
    if batch == 1:
        mean = sum((1 - q * c / k) ** k for c in a) / n
        square = sum((1 - q * c / k) ** (2 * k) for c in a) / n
        path = sympy.prod([1 - q * c / k for c in a])
        almost_sure = _limit([1 - path, 1 + path])
    else:
        variance = sum((c - average) ** 2 for c in a) / n
        mean = 1 - q * average
        noise = variance * sympy.Rational(n - batch, batch * (n - 1))
        square, almost_sure = mean**2 + q**2 * noise, None
    return FiniteSumThresholds(_limit([1 - mean, 1 + mean]), _limit([1 - square]), almost_sure)


def _limit(conditions: list[sympy.Expr]) -> sympy.Expr:
    return first_boundary([sympy.expand(c) for c in conditions], q, [])
