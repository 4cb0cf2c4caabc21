"""Whether statements "for almost every start" hold at one step size."""

import dataclasses
from typing import Any

import sympy

from .._checks import read_expression, read_step, read_symbols
from .._errors import InvalidArgumentError


@dataclasses.dataclass(frozen=True)
class AlmostSurely:
    """Whether statements "for almost every start" hold at one step size, and why.

    `symbolic.almost_surely` makes one.

    Attributes:
        holds: Whether the step map is known to be non-singular.
        reason: One sentence.

    Example:
        >>> import sympy, symbolic
        >>> x = sympy.Symbol("x", real=True)
        >>> symbolic.almost_surely(x**2 / 2, 1).reason
        'on the piece x**2/2 the step map is singular: det(I - h H) = 0 there.'

    References:
        A. Crăciun, D. Ghoshdastidar (2025), arXiv:2510.24466.
    """

    holds: bool
    reason: str


def almost_surely(loss: Any, step: Any) -> AlmostSurely:
    r"""Decide whether "converges only if h <= 2 / lambda" is true almost surely at a step size.

    .. math:: \det(I - h \nabla^2 f) \not\equiv 0

    The statement needs that the step map sends no set of positive measure into a null set. For an
    analytic loss that is so where the determinant does not vanish identically; for a piecewise
    analytic one, where it vanishes identically on no piece. Without it, gradient descent can reach
    even a maximum from a set of positive measure: ``t**4/2 - 3*t**2 + 8`` for ``|t| <= 2`` and
    ``t**2`` outside, at step 1/2, sends every ``|t| > 2`` to the maximum 0 in one step.

    Arguments:
        loss: An expression, or a `sympy.Piecewise`, without parameters.
        step: ``h`` > 0, a number, in units of flow time.

    Returns:
        Whether it holds, and the reason in words.

    Raises:
        InvalidArgumentError: If the loss is not analytic on its pieces.

    Example:
        >>> import sympy, symbolic
        >>> t = sympy.Symbol("t", real=True)
        >>> f = sympy.Piecewise((t**4 / 2 - 3 * t**2 + 8, abs(t) <= 2), (t**2, True))
        >>> symbolic.almost_surely(f, sympy.Rational(1, 2)).holds
        False
        >>> symbolic.almost_surely(f, sympy.Rational(1, 4)).holds
        True

    References:
        A. Crăciun, D. Ghoshdastidar (2025), arXiv:2510.24466.
    """
    expression = read_expression(loss)
    h = read_step(step)
    folded = sympy.piecewise_fold(expression)
    pieces = [e for e, _ in folded.args] if isinstance(folded, sympy.Piecewise) else [folded]
    symbols = read_symbols(expression, None)
    for piece in pieces:
        if piece.has(sympy.Abs, sympy.sign, sympy.Max, sympy.Min, sympy.Heaviside):
            raise InvalidArgumentError(
                f"{piece} is not analytic. Write the loss as a sympy.Piecewise of analytic pieces: "
                "loss.rewrite(sympy.Piecewise)."
            )
        determinant = (sympy.eye(len(symbols)) - h * sympy.hessian(piece, symbols)).det()
        if sympy.simplify(determinant) == 0:
            return AlmostSurely(
                False, f"on the piece {piece} the step map is singular: det(I - h H) = 0 there."
            )
    return AlmostSurely(True, "det(I - h H) vanishes identically on no piece.")
