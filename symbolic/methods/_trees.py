r"""Rooted trees: the modified equation of Euler's method without any particular function.

A tree is the sorted tuple of its branches, so ``()`` is one node, which stands for ``f``, and
``((), ((),))`` for ``f''(f, f'f)``. The derivative of one elementary differential along another
grafts the second at every node of the first, which makes the recursion purely combinatorial.

>>> for tree, coefficient in tree_coefficients(3)[-1].items():
...     print(coefficient, tree_text(tree))
1/12 f''(f,f)
1/3 f'f'f
"""

from collections.abc import Mapping
from typing import Any

import sympy

from .._checks import read_count
from .._errors import TooMuchWorkError
from ._recursion import modified_fields

Tree = tuple
MAX_ORDER = 8


def tree_coefficients(order: int, *, max_order: int = MAX_ORDER) -> list[dict[Tree, sympy.Expr]]:
    r"""Expand the modified equation of Euler's method in elementary differentials.

    .. math:: \tilde f = \sum_{|\tau|} h^{|\tau| - 1} \sum_\tau c(\tau)\, F(\tau)(f)

    Arguments:
        order: How many powers of ``h``: trees with 1 to `order` nodes.
        max_order: The bound on `order`; the trees of each order are about three times as many.

    Returns:
        For every number of nodes a dictionary from trees to ``c``, exact, with the symmetry
        factor in it; trees with coefficient 0 are left out. For gradient descent put
        ``f = -grad E``.

    Raises:
        TooMuchWorkError: If the order is beyond `max_order`.

    Example:
        >>> import symbolic
        >>> symbolic.tree_coefficients(2)[1]
        {((),): -1/2}

    References:
        E. Hairer, C. Lubich, G. Wanner (2006), Geometric Numerical Integration, chapter IX.
    """
    if read_count(order, "order") > max_order:
        raise TooMuchWorkError(
            f"order={order} is beyond max_order={max_order}; each order takes about ten times the "
            f"work of the one before. Ask for it: max_order={order}."
        )
    fields = modified_fields(order, {(): sympy.S.One}, _Series())
    return [dict(sorted(field.items(), key=_reading_order)) for field in fields]


class _Series:
    """Arithmetic of linear combinations of trees."""

    def combine(self, terms: list[tuple[sympy.Expr, Mapping]]) -> dict[Tree, sympy.Expr]:
        total: dict[Tree, sympy.Expr] = {}
        for factor, series in terms:
            for tree, coefficient in series.items():
                total[tree] = total.get(tree, sympy.S.Zero) + factor * coefficient
        return {tree: c for tree, c in total.items() if c != 0}

    def along(self, series: Mapping, field: Mapping) -> dict[Tree, sympy.Expr]:
        terms = []
        for tree, a in series.items():
            for branch, b in field.items():
                terms.append((a * b, _count(_grafted(tree, branch))))
        return self.combine(terms)


def _count(trees: list[Tree]) -> dict[Tree, sympy.Expr]:
    counted: dict[Tree, Any] = {}
    for tree in trees:
        counted[tree] = counted.get(tree, sympy.S.Zero) + 1
    return counted


def _grafted(tree: Tree, branch: Tree) -> list[Tree]:
    """The tree with the branch at each of its nodes in turn."""
    found = [tuple(sorted((*tree, branch)))]
    for index, child in enumerate(tree):
        others = tree[:index] + tree[index + 1 :]
        found += [tuple(sorted((*others, grown))) for grown in _grafted(child, branch)]
    return found


def _reading_order(item: tuple[Tree, Any]) -> tuple:
    return -len(item[0]), item[0]


def tree_text(tree: Tree) -> str:
    r"""Write a tree as the elementary differential that it stands for.

    .. math:: [\tau_1, \dots, \tau_m] \mapsto f^{(m)}(F(\tau_1), \dots, F(\tau_m))

    Arguments:
        tree: A tuple of trees.

    Returns:
        For example ``f''(f,f'f)``.

    Example:
        >>> import symbolic
        >>> symbolic.tree_text(((), ((),)))
        "f''(f,f'f)"

    References:
        E. Hairer, C. Lubich, G. Wanner (2006), Geometric Numerical Integration, chapter III.
    """
    if len(tree) < 2:
        return "f'" + tree_text(tree[0]) if tree else "f"
    return f"f{chr(39) * len(tree)}({','.join(map(tree_text, tree))})"
