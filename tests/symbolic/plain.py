"""What the tests of `symbolic` share: equality of expressions, and descent in plain Python."""

from typing import Any

import sympy

import symbolic

# Points and manifolds come in one list; a test knows which it has.
critical_points: Any = symbolic.critical_points


def same(a, b):
    """Whether two expressions are equal, after simplification."""
    return sympy.simplify(a - b) == 0


def orbit(slope, start, step, steps, far=1e3):
    """The iterates of ``v - step * slope(v)``, until they are far away."""
    points = [start]
    for _ in range(steps):
        points.append(points[-1] - step * slope(points[-1]))
        if not abs(points[-1]) <= far:
            break
    return points
