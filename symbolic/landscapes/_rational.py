"""A landscape with a wide and a sharp minimum in which every threshold is a known number."""

import dataclasses

import sympy


@dataclasses.dataclass(frozen=True)
class RationalLandscape:
    r"""A piecewise parabola with a wide and a sharp minimum, where every threshold is exact.

    .. math:: f'(x) = x \;(x \le 4), \quad 4 - 10 (x - 4), \quad -4 + 20 (x - \tfrac{24}{5}), \quad
        x \;(x \ge \tfrac{100}{19})

    The pieces meet at 4, 24/5 and 100/19. `symbolic.landscapes.rational_landscape` makes it.

    Attributes:
        symbol: ``x``.
        loss: A `sympy.Piecewise`, continuously differentiable.
        global_minimum: 0.
        local_maximum: 22/5, the barrier.
        local_minimum: 5, the sharp one.
        local_threshold: The step beyond which the sharp minimum is unstable; orbits near it stay,
            chaotic and trapped.
        opening_step: The step at which the trap opens: the orbit of its end passes the barrier.
        expansion_step: Beyond it, up to step 1, no orbit that left the sharp valley returns, so
            almost every orbit is *proved* to end at 0.
        global_threshold: The step beyond which nothing converges.

    Example:
        >>> import symbolic
        >>> land = symbolic.landscapes.rational_landscape()
        >>> land.local_threshold, land.opening_step, land.global_threshold
        (1/10, 41/250, 2)

    References:
        A. Mohtashami, M. Jaggi, S. Stich (2023), arXiv:2205.15142, for the question.
    """

    symbol: sympy.Symbol
    loss: sympy.Expr
    global_minimum: sympy.Expr
    local_maximum: sympy.Expr
    local_minimum: sympy.Expr
    local_threshold: sympy.Expr
    opening_step: sympy.Expr
    expansion_step: sympy.Expr
    global_threshold: sympy.Expr


def rational_landscape() -> RationalLandscape:
    r"""Build the landscape, and its four thresholds from its pieces.

    .. math:: (1 - h)\, \tfrac{100}{19} = \tfrac{22}{5}, \qquad
        (1 - h) \left(\tfrac{24}{5} + 4 h\right) = 4

    The two equations are those of the opening step and of the expansion step: the right end of the
    sharp valley reaches the barrier; the furthest point that leaves the valley stays out of it.

    Returns:
        The landscape.

    Example:
        >>> import symbolic
        >>> symbolic.landscapes.rational_landscape().expansion_step
        -1/10 + sqrt(21)/10

    References:
        A. Mohtashami, M. Jaggi, S. Stich (2023), arXiv:2205.15142, for the question.
    """
    x = sympy.Symbol("x", real=True)
    h = sympy.Symbol("h", positive=True)
    top, foot, right = sympy.Integer(4), sympy.Rational(24, 5), sympy.Rational(100, 19)
    falling, rising = 4 - 10 * (x - top), -4 + 20 * (x - foot)
    # Constants of integration make the loss continuous.
    first = x**2 / 2
    second = first.subs(x, top) + sympy.integrate(falling, (x, top, x))
    third = second.subs(x, foot) + sympy.integrate(rising, (x, foot, x))
    last = x**2 / 2 + third.subs(x, right) - right**2 / 2
    loss = sympy.Piecewise(
        (first, x <= top),
        (sympy.expand(second), x <= foot),
        (sympy.expand(third), x <= right),
        (last, True),
    )
    (barrier,) = sympy.solve(falling, x)
    (sharp,) = sympy.solve(rising, x)
    (opening,) = sympy.solve((1 - h) * right - barrier, h)
    furthest = foot - h * falling.subs(x, foot)
    (expansion,) = sympy.solve((1 - h) * furthest - top, h)
    return RationalLandscape(
        x,
        loss,
        sympy.S.Zero,
        barrier,
        sharp,
        2 / sympy.diff(rising, x),
        opening,
        expansion,
        sympy.Integer(2),
    )
