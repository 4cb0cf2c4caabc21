"""Modified losses, and the curl that rules out others."""

import sympy

import symbolic

x, y = sympy.symbols("x y", real=True)
h = sympy.Symbol("h", positive=True)
b, a = sympy.symbols("momentum lookahead")
PLANE = x**4 / 4 + x**2 * y**2 / 2 + y**2 / 2 - x * y / 3


def zero(expression):
    return sympy.simplify(expression) == 0


def test_modified_losses():
    fields = symbolic.modified_equation(PLANE, (x, y), 2)
    modified = symbolic.modified_loss(PLANE)
    for i, s in enumerate((x, y)):
        assert sympy.expand(-sympy.diff(modified, s) - fields[0][i] - h * fields[1][i]) == 0
    heavy = symbolic.modified_loss(x**2 / 2, momentum=b)
    # (1 - b) x' = -grad E~ has the rate c_1 + h c_2 of the slow mode.
    c1, c2 = symbolic.momentum_series(2, lookahead=0)
    assert zero(-sympy.diff(heavy, x) / ((1 - b) * x) - c1 - h * c2)
