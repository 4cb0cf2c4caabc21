"""Scale-invariant losses with weight decay: effective steps, equilibria, closed forms.

Learning rate ``eta``, weight decay ``lam``, ``q = eta lam``; time counts steps.

>>> import sympy
>>> theta = sympy.Symbol("theta", real=True)
>>> plane_equilibrium(1 - sympy.cos(theta), theta).determinant
-q**2 + q + 1
"""

import dataclasses
from typing import Any

import sympy

from ._checks import read_expression, read_step, read_symbols
from ._errors import InvalidArgumentError

eta, lam, q, s = sympy.symbols("eta lam q s", positive=True)
TIME = sympy.Symbol("t", nonnegative=True)


def effective_step(
    step: Any, weight_decay: Any, norm_squared: Any, next_step: Any = None, next_decay: Any = None
) -> tuple[sympy.Expr, sympy.Expr]:
    r"""Give the effective step of descent with weight decay, and the factor of its schedule.

    .. math:: \Phi = \frac{\eta}{a r^2}, \quad a = 1 - \eta \lambda, \qquad
        \Phi' = \frac{B\, \Phi}{1 + \Phi^2 |g|^2}, \quad B = \frac{\eta'}{\eta\, a\, a'}, \qquad
        u' \propto u - \Phi g

    The direction ``u`` sees step and norm only through ``Phi``; ``g`` is the gradient at ``u``.

    Arguments:
        step: ``eta``.
        weight_decay: ``lam``.
        norm_squared: ``r^2``.
        next_step: ``eta'`` of the next step; default: the same.
        next_decay: ``lam'`` of the next step; default: the same.

    Returns:
        ``Phi`` and ``B``. With ``B <= 1`` the effective step never grows.

    Example:
        >>> import sympy, symbolic
        >>> half = sympy.Rational(1, 2)
        >>> symbolic.scale_invariant.effective_step(half, half, 1)
        (2/3, 16/9)

    References:
        Z. Li, S. Arora (2019), arXiv:1910.07454.
    """
    first, decay = read_step(step), _decay(weight_decay)
    second = first if next_step is None else read_step(next_step, "next_step")
    following = decay if next_decay is None else _decay(next_decay)
    a, after = 1 - first * decay, 1 - second * following
    return first / (a * read_step(norm_squared, "norm_squared")), second / (first * a * after)


def _decay(value: Any) -> sympy.Expr:
    expression = read_expression(value, "weight decay")
    if expression.is_negative:
        raise InvalidArgumentError(f"the weight decay must be 0 or more, got {value}. Write 0.")
    return expression


def exponential_schedule(step: Any, weight_decay: Any, time: Any) -> sympy.Expr:
    r"""Give the learning rates without decay that lead the same way as a constant one with decay.

    .. math:: \eta_t = \eta\, (1 - \eta \lambda)^{-2t - 1}

    Arguments:
        step: ``eta``.
        weight_decay: ``lam``.
        time: ``t``, the number of the step, from 0.

    Returns:
        ``eta_t``: from the same start the directions agree at every step.

    Example:
        >>> import sympy, symbolic
        >>> half = sympy.Rational(1, 2)
        >>> symbolic.scale_invariant.exponential_schedule(half, 1, 2)
        16

    References:
        Z. Li, S. Arora (2019), arXiv:1910.07454.
    """
    rate = read_step(step)
    t = read_expression(time, "time")
    return rate * (1 - rate * _decay(weight_decay)) ** (-2 * t - 1)


@dataclasses.dataclass(frozen=True)
class Equilibrium:
    r"""The norm at which a tangential gradient of constant length balances weight decay.

    .. math:: |w'|^2 = (1 - q)^2 |w|^2 + \frac{\eta^2 s^2}{|w|^2}

    Attributes:
        norm_fourth: ``|w|^4`` at equilibrium.
        sde_norm_fourth: The same for the stochastic differential equation of first order.
        slope: Of the map of ``|w|^2`` there: stable where its modulus is below 1.
        cosine: Of the angle between successive directions.
        effective_rate: ``eta / |w|^2``.

    Example:
        >>> import symbolic
        >>> symbolic.scale_invariant.equilibrium().cosine
        -eta*lam + 1

    References:
        Z. Li, K. Lyu, S. Arora (2020), arXiv:2010.02916.
    """

    norm_fourth: sympy.Expr
    sde_norm_fourth: sympy.Expr
    slope: sympy.Expr
    cosine: sympy.Expr
    effective_rate: sympy.Expr


def equilibrium(step: Any = eta, weight_decay: Any = lam, gradient: Any = s) -> Equilibrium:
    r"""Solve for the equilibrium of norm and weight decay.

    .. math:: |w|^4 = \frac{\eta s^2}{\lambda (2 - q)}, \qquad q = \eta \lambda

    Arguments:
        step: ``eta``.
        weight_decay: ``lam`` > 0.
        gradient: ``s``, the length of the gradient on the unit sphere (for isotropic noise of
            variance ``sigma^2`` in ``d`` dimensions ``s^2 = sigma^2 (d - 1)``).

    Returns:
        The equilibrium of the discrete dynamics, beside that of the SDE.

    Raises:
        InvalidStepError: If a value is not positive.

    Example:
        >>> import symbolic
        >>> round(float(symbolic.scale_invariant.equilibrium(0.2, 0.25, 1.7).norm_fourth), 5)
        1.18564

    References:
        Z. Li, K. Lyu, S. Arora (2020), arXiv:2010.02916.
    """
    rate, length = read_step(step), read_step(gradient, "gradient")
    decay = read_step(weight_decay, "weight_decay")
    product = rate * decay
    v = sympy.Symbol("v", positive=True)
    image = (1 - product) ** 2 * v + rate**2 * length**2 / v
    square = rate * length**2 / (decay * (2 - product))  # v^2 with image(v) = v
    slope = sympy.simplify(sympy.diff(image, v).subs(v, sympy.sqrt(square)))
    return Equilibrium(
        square,
        rate * length**2 / (2 * decay),
        slope,
        1 - product,
        rate / sympy.sqrt(square),
    )


def norm_fourth(start: Any, trace: Any, step: Any = eta, weight_decay: Any = lam) -> sympy.Expr:
    r"""Solve the SDE of SGD with weight decay for the norm, at constant noise on the sphere.

    .. math:: |W_t|^4 = e^{-4 \eta \lambda t} |W_0|^4
        + (1 - e^{-4 \eta \lambda t}) \frac{\eta \operatorname{Tr} \Sigma}{2 \lambda}

    The norm has no noise of its own.

    Arguments:
        start: ``|W_0|``.
        trace: ``Tr Sigma`` of the gradient noise on the unit sphere.
        step: ``eta``.
        weight_decay: ``lam`` > 0.

    Returns:
        An expression in the time ``t``, the symbol `TIME`, in steps.

    Example:
        >>> import symbolic
        >>> found = symbolic.scale_invariant.norm_fourth(2, 8.45, 0.1, 0.5)
        >>> round(float(found.subs(symbolic.scale_invariant.TIME, 20)), 4)
        1.1226

    References:
        Z. Li, K. Lyu, S. Arora (2020), arXiv:2010.02916.
    """
    rate, decay = read_step(step), read_step(weight_decay, "weight_decay")
    kept = sympy.exp(-4 * rate * decay * TIME)
    first = kept * read_step(start, "start") ** 4
    return first + (1 - kept) * rate * read_step(trace, "trace") / (2 * decay)


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
