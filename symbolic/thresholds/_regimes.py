"""What one step of gradient descent does along an eigendirection."""

from typing import Any

from .._checks import read_expression, read_step
from .._errors import InvalidArgumentError
from ..roots._closed_form import sign_of

REGIMES = (
    "monotone escape",
    "neutral",
    "monotone",
    "superstable",
    "oscillatory",
    "flip",
    "unstable",
)


def classify(eigenvalue: Any, step: Any) -> str:
    r"""Say what one step of gradient descent does along an eigendirection.

    .. math:: u \mapsto (1 - h \lambda)\, u

    Arguments:
        eigenvalue: ``lambda``, a real number or expression.
        step: ``h`` > 0, in units of flow time.

    Returns:
        ``"monotone escape"`` (``lambda < 0``), ``"neutral"`` (0), ``"monotone"``
        (``h lambda < 1``), ``"superstable"`` (1), ``"oscillatory"`` (below 2), ``"flip"`` (2: the
        higher derivatives decide, see `symbolic.flip`) or ``"unstable"``.

    Raises:
        InvalidStepError: If the step is not positive.
        InvalidArgumentError: If parameters leave the regime open.

    Example:
        >>> import symbolic
        >>> symbolic.classify(4, 0.3), symbolic.classify(10, 0.3)
        ('oscillatory', 'unstable')

    References:
        K. Nar, S. Sastry (2018), arXiv:1805.08890.
    """
    value = read_expression(eigenvalue, "eigenvalue")
    h = read_step(step)
    q = h * value
    for bound, below, at in ((0, 0, 1), (1, 2, 3), (2, 4, 5)):
        sign = sign_of(q - bound)
        if sign is None:
            raise InvalidArgumentError(
                f"h * lambda = {q} may be on either side of {bound}. Put numbers for its symbols, "
                "or declare them positive."
            )
        if sign < 0:
            return REGIMES[below]
        if sign == 0:
            return REGIMES[at]
    return REGIMES[-1]
