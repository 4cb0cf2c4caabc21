"""The recursion of backward error analysis, for anything that has a derivative along a field."""

import functools as ft
from collections.abc import Sequence
from typing import Any, Protocol

import sympy


class Calculus(Protocol):
    """Linear combinations, and the derivative of one object along another."""

    def combine(self, terms: list[tuple[sympy.Expr, Any]]) -> Any:
        """The sum of factors times objects."""
        ...

    def along(self, series: Any, field: Any) -> Any:
        """``G'(y) f(y)`` of an object ``G`` and a field ``f``."""
        ...


def modified_fields(
    order: int, field: Any, calculus: Calculus, further: Sequence[Any] = ()
) -> list[Any]:
    """``f_1, ..., f_order``, such that the flow of ``sum h^(j-1) f_j`` over ``h`` is the step.

    The step is Euler's, ``y + h f(y)``, and ``h^2 d_2(y) + h^3 d_3(y) + ...`` with the `further`.
    ``f_j = d_j - sum_{i >= 2} T(i, j) / i!``, where ``T(i, j)`` is the sum over
    ``k_1 + ... + k_i = j`` of ``D_{k_1} ... D_{k_{i-1}} f_{k_i}``, with ``D_k`` the derivative
    along ``f_k``.
    """
    fields = [field]

    @ft.cache
    def nested(i: int, j: int) -> Any:
        if i == 1:
            return fields[j - 1]
        terms = [
            (sympy.S.One, calculus.along(nested(i - 1, j - k), fields[k - 1]))
            for k in range(1, j - i + 2)
        ]
        return calculus.combine(terms)

    for j in range(2, order + 1):
        terms = [(-1 / sympy.factorial(i), nested(i, j)) for i in range(2, j + 1)]
        terms += [(sympy.S.One, own) for own in further[j - 2 : j - 1]]
        fields.append(calculus.combine(terms))
    return fields
