"""Decimal coefficients, which make large radicals and roots: against numpy."""

import numpy as np
import pytest
import sympy
from plain import critical_points
from sympy import Rational as Q

import symbolic
from symbolic.roots._closed_form import ClosedPoint

x, y = sympy.symbols("x y", real=True)


def flip_by_numbers(loss, at):
    """(h / 6) (3 g H^-1 g - D^4 f[v, v, v, v]) from tensors of derivatives in numpy."""
    variables = (x, y)

    def tensor(order):
        found = np.empty((2,) * order)
        for index in np.ndindex(*found.shape):
            found[index] = loss.diff(*(variables[i] for i in index)).subs(at).evalf(20)
        return found

    values, vectors = np.linalg.eigh(tensor(2))
    v = vectors[:, -1]
    g = np.einsum("ijk,i,j->k", tensor(3), v, v)
    fourth = np.einsum("ijkl,i,j,k,l->", tensor(4), v, v, v, v)
    return (3 * g @ np.linalg.solve(tensor(2), g) - fourth) / (3 * values[-1])


@pytest.mark.parametrize(
    ("loss", "minima"),
    [
        (0.07 * x * y + 10 / y + 30 / x, 1),
        (1.72 * x**4 + 2.55 * y**2 + 2.4 / (x * y), 2),  # radicals of numbers of 29 digits
        (x**4 - 3.7 * x**3 * y + 2.2 * y**4 - 1.1 * x + 0.3 * y**2, 0),
    ],
)
def test_points_eigenvalues_and_flips(loss, minima):
    points = critical_points(loss)
    slopes = sympy.lambdify((x, y), [loss.diff(x), loss.diff(y)])
    hessian = sympy.lambdify((x, y), sympy.hessian(loss, (x, y)))
    assert [p.kind for p in points].count("minimum") == minima
    for point in points:
        near = {s: v.evalf(20) for s, v in point.location.items()}
        at = [float(near[s]) for s in (x, y)]
        values = np.linalg.eigvalsh(np.array(hessian(*at), dtype=float))
        assert slopes(*at) == pytest.approx([0, 0], abs=1e-11 * max(abs(values)))
        found = [float(v.evalf(20)) for v in point.eigenvalues]
        assert found == pytest.approx(values, rel=1e-9)
        if point.kind == "minimum":
            expected = flip_by_numbers(symbolic.parse(str(loss)), near)
            assert float(point.flip.coefficient.evalf(20)) == pytest.approx(expected, rel=1e-8)
            assert point.flip.kind == ("supercritical" if expected > 0 else "subcritical")
    assert len(symbolic.table(points).splitlines()) == len(points) + 1


def test_eigenvalues_of_numbers_that_are_no_coefficients():
    """sympy's factorisation refuses quotients of tangents of rational numbers."""
    entry = 1 / sympy.sqrt(1 + sympy.tan(Q(1, 4) + 3 * sympy.pi / 8) ** 2)
    matrix = sympy.Matrix([[x * entry, 1], [1, 2]])
    found = ClosedPoint({x: sympy.Integer(3)}).eigenvalues(matrix)
    expected = np.linalg.eigvalsh(np.array(matrix.subs(x, 3).evalf(20), dtype=float))
    assert [float(v.evalf(20)) for v in found] == pytest.approx(expected, rel=1e-12)
    (single,) = ClosedPoint({x: sympy.Integer(3)}).eigenvalues(sympy.Matrix([[x * entry]]))
    assert float(single.evalf(20)) == pytest.approx(float((3 * entry).evalf(20)), rel=1e-12)
