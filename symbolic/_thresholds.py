"""The largest stable step at a point, and what a step does along one eigendirection."""

import dataclasses
from typing import Any

import sympy

from ._algebraic import rational_point
from ._checks import read_expression, read_point, read_step
from ._closed_form import ClosedPoint, sign_of
from ._critical_point import CriticalPoint
from ._errors import InvalidArgumentError, InvalidPointError
from ._flips import Flip
from ._local import Point, eigenvalues_at, flip_of, kind_of, require_smooth, sharpness_of
from ._local import threshold_of as _threshold_of

REGIMES = (
    "monotone escape",
    "neutral",
    "monotone",
    "superstable",
    "oscillatory",
    "flip",
    "unstable",
)


def threshold(loss: Any, at: Any) -> sympy.Expr | None:
    r"""Find the largest step size at which a critical point is linearly stable.

    .. math:: h_c = \frac{2}{\lambda_{\max}(\nabla^2 f)}

    Gradient descent ``x - h grad f(x)`` contracts along every curved eigendirection of a minimum
    exactly where ``h < h_c``. From random starts it converges to the minimum only if
    ``h <= h_c``, almost surely, *provided* that the step map is non-singular:
    `symbolic.almost_surely` decides that.

    Arguments:
        loss: ``f``, a real scalar expression.
        at: The critical point: a dictionary from symbols to values, one value for a loss of one
            symbol, values in the order of the names, or a `symbolic.CriticalPoint`. Symbols that
            the dictionary does not name are parameters.

    Returns:
        The exact step size in units of flow time; infinity at a minimum without curvature; None
        where no step size is stable (maxima, saddles, inflections).

    Raises:
        InvalidPointError: If the point is not a critical point of the loss.
        NonSmoothPointError: If the loss has no second derivative there.

    Example:
        >>> import sympy, symbolic
        >>> x = sympy.Symbol("x", real=True)
        >>> f = (x**2 + 1) * (x - 1) ** 2 * (x - 2) ** 2
        >>> symbolic.threshold(f, 1), symbolic.threshold(f, 2)
        (1/2, 1/5)

    References:
        K. Nar, S. Sastry (2018), arXiv:1805.08890.
    """
    expression, point = _read(loss, at)
    symbols = tuple(point.location)
    eigenvalues = eigenvalues_at(expression, symbols, point)
    kind = kind_of(expression, symbols, point, eigenvalues)
    # On a manifold of minima flat directions are neutral, so the curved ones decide.
    if kind == "degenerate" and not any(sign_of(value) == -1 for value in eigenvalues):
        kind = "minimum"
    return _threshold_of(kind, sharpness_of(eigenvalues))


def flip(loss: Any, at: Any) -> Flip:
    r"""Say what happens just past the threshold of an isolated minimum.

    .. math:: c = \frac{h}{6} \left(3\, g^T H^{-1} g - D^4 f[v, v, v, v]\right)

    Arguments:
        loss: ``f``, a real scalar expression, four times differentiable at the point.
        at: The minimum, as in `symbolic.threshold`.

    Returns:
        The coefficient, its kind, and the half-width of the two-cycle as a function of the step.

    Raises:
        InvalidPointError: If the point is no critical point, or its Hessian is not definite.
        NotSolvedError: If no single eigenvalue is known to be the largest.

    Example:
        >>> import sympy, symbolic
        >>> x, y = sympy.symbols("x y", real=True)
        >>> f = x**2 + y**2 / 2 + x**2 * y + x**4 / 10 + x * y**2 / 5
        >>> symbolic.flip(f, {x: 0, y: 0}).coefficient
        8/5

    References:
        L. Chen, J. Bruna (2023), arXiv:2206.04172.
    """
    expression, point = _read(loss, at)
    symbols = tuple(point.location)
    return flip_of(expression, symbols, point, eigenvalues_at(expression, symbols, point))


def _read(loss: Any, at: Any) -> tuple[sympy.Expr, Point]:
    expression = read_expression(loss)
    if isinstance(at, CriticalPoint):
        location, point = dict(at.location), at.point
        read_point(location, expression, tuple(location))
    else:
        location = read_point(at, expression)
        rational = all(value.is_Rational for value in location.values())
        polynomial = expression.is_polynomial() and expression.free_symbols == set(location)
        point = rational_point(location) if rational and polynomial else ClosedPoint(location)
    require_smooth(expression, point)
    for symbol in location:
        slope = point.evaluate(sympy.diff(expression, symbol))
        if sign_of(slope) != 0 and slope.equals(0) is not True:
            raise InvalidPointError(
                f"this is no critical point: the derivative along {symbol} is {slope} there. "
                "symbolic.critical_points(loss) lists the critical points."
            )
    return expression, point


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
    symbols = sorted(expression.free_symbols, key=str)
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
