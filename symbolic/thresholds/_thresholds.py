"""The largest stable step at a point, and what happens just past it."""

from typing import Any

import sympy

from .._checks import read_expression, read_point
from .._errors import InvalidPointError
from ..roots._algebraic import rational_point
from ..roots._closed_form import ClosedPoint, sign_of
from ._critical_point import CriticalPoint
from ._flips import Flip
from ._local import Point, eigenvalues_at, flip_of, kind_of, require_smooth, sharpness_of
from ._local import threshold_of as _threshold_of


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
