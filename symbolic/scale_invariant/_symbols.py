"""The symbols of the laws: learning rate, weight decay, their product, gradient and time."""

import sympy

eta, lam, q, s = sympy.symbols("eta lam q s", positive=True)
TIME = sympy.Symbol("t", nonnegative=True)
