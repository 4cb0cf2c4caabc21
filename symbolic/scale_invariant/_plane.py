"""The plane: the exact two-cycle of descent with weight decay, and its stability."""

import dataclasses
from typing import Any

import sympy

from .._checks import read_expression, read_symbols
from .._errors import InvalidArgumentError
from ._symbols import q


@dataclasses.dataclass(frozen=True)
class PlaneEquilibrium:
    r"""The two-cycle of descent with decay on a scale-invariant loss of the plane.

    .. math:: \theta' = \theta - \arctan(\Phi L'(\theta)), \qquad
        \Phi' = \frac{\Phi}{(1 - q)^2 (1 + \Phi^2 L'(\theta)^2)}

    The step followed by the reflection ``theta -> -theta`` has the fixed point
    ``theta = arccos(1 - q) / 2``, ``Phi = tan(2 theta) / L'(theta)``.

    Attributes:
        angle: ``theta``, a function of ``q``.
        effective_step: ``Phi``.
        determinant: Of the reflected step's Jacobian there: above 1 it is a spiral source.
        trace: Of the same.

    Example:
        >>> import sympy, symbolic
        >>> theta = sympy.Symbol("theta", real=True)
        >>> symbolic.scale_invariant.plane_equilibrium(sympy.sin(theta) ** 2, theta).determinant
        1

    References:
        Z. Li, K. Lyu, S. Arora (2020), arXiv:2010.02916.
    """

    angle: sympy.Expr
    effective_step: sympy.Expr
    determinant: sympy.Expr
    trace: sympy.Expr

    @property
    def eigenvalues(self) -> tuple[sympy.Expr, sympy.Expr]:
        """Of the Jacobian: the two-cycle attracts where both have modulus below 1."""
        root = sympy.sqrt(sympy.factor(self.trace**2 - 4 * self.determinant))
        return (self.trace - root) / 2, (self.trace + root) / 2


def plane_equilibrium(loss: Any, symbol: Any = None) -> PlaneEquilibrium:
    r"""Find the symmetric equilibrium of an even scale-invariant loss of the plane.

    .. math:: \det = \cos^2(2\theta) (R \tan 2\theta + \tan^2 2\theta - 1), \quad
        \operatorname{tr} = \tfrac12 R \sin 4\theta + \cos 4\theta - 1, \quad R = L'' / L'

    Arguments:
        loss: ``L``, an even function of the angle, with its minimum at 0.
        symbol: The angle; may be left out.

    Returns:
        Equilibrium and Jacobian as functions of ``q = eta lam``, between 0 and 1.

    Raises:
        InvalidArgumentError: If the loss is not even.

    Example:
        >>> import sympy, symbolic
        >>> theta = sympy.Symbol("theta", real=True)
        >>> found = symbolic.scale_invariant.plane_equilibrium(sympy.sin(theta) ** 2 / 2, theta)
        >>> sympy.simplify(found.effective_step - 2 / (1 - symbolic.scale_invariant.q))
        0

    References:
        Z. Li, K. Lyu, S. Arora (2020), arXiv:2010.02916.
    """
    expression = read_expression(loss)
    (theta, *_) = read_symbols(expression, symbol)
    if sympy.simplify(expression.subs(theta, -theta) - expression) != 0:
        raise InvalidArgumentError(
            f"{expression} is not even in {theta}, so there is no symmetric equilibrium. Shift the "
            "angle to the minimum first."
        )
    phi = sympy.Symbol("Phi", positive=True)
    first = sympy.diff(expression, theta)
    step = sympy.Matrix(
        [
            -(theta - sympy.atan(phi * first)),  # reflected
            phi / ((1 - q) ** 2 * (1 + phi**2 * first**2)),
        ]
    )
    angle = sympy.acos(1 - q) / 2
    balance = sympy.tan(2 * theta) / first
    jacobian = step.jacobian([theta, phi])
    return PlaneEquilibrium(
        angle,
        _at(balance, theta, angle),
        _at(jacobian.det().subs(phi, balance), theta, angle),
        _at(jacobian.trace().subs(phi, balance), theta, angle),
    )


def _at(value: sympy.Expr, theta: sympy.Symbol, angle: sympy.Expr) -> sympy.Expr:
    """Half angles of an arc cosine are square roots, so trigonometry goes away."""
    c = 1 - q
    half = {
        sympy.sin(theta): sympy.sqrt((1 - c) / 2),
        sympy.cos(theta): sympy.sqrt((1 + c) / 2),
        sympy.tan(2 * theta): sympy.sqrt(1 - c**2) / c,
    }
    written = value.subs(half).subs(sympy.tan(theta), sympy.sqrt((1 - c) / (1 + c)))
    return sympy.factor(sympy.simplify(written.subs(theta, angle)))
