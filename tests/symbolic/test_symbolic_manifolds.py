"""Sets of minima that are not isolated: described, with the flattest points."""

import sympy
from plain import critical_points, same
from sympy import Rational as Q
from sympy import sqrt

import symbolic

x, y, z = sympy.symbols("x y z", real=True)
positive, mu = sympy.symbols("p mu", positive=True)


def test_the_hyperbola_of_minima():
    saddle, hyperbola = critical_points((x * y - mu) ** 2 / 2, [x, y])
    assert (saddle.kind, set(saddle.eigenvalues)) == ("saddle", {-mu, mu})
    assert hyperbola.equations == (x * y - mu,)
    assert (hyperbola.kind, hyperbola.dimension) == ("minimum", 1)
    assert same(hyperbola.threshold, 2 / (x**2 + y**2))
    assert hyperbola.best_threshold == 1 / mu
    assert {x: sqrt(mu), y: sqrt(mu)} in hyperbola.flattest
    assert symbolic.threshold((x * y - mu) ** 2 / 2, {x: 2, y: mu / 2}).equals(2 / (4 + mu**2 / 4))


def test_the_surface_of_minima_of_depth_three():
    found = critical_points((x * y * z - mu) ** 2 / 2, [x, y, z])
    assert [m.kind for m in found] == ["minimum", "saddle", "saddle", "saddle"]
    assert found[0].dimension == 2
    assert same(found[0].best_threshold, 2 / (3 * mu ** Q(4, 3)))
    assert len(found[0].flattest) == 4


def test_the_four_branches_of_zhu():
    found = critical_points((1 - x**2 * y**2) ** 2 / 4)
    minima = [m for m in found if m.kind == "minimum"]
    assert {m.equations for m in minima} == {(x * y - 1,), (x * y + 1,)}
    for manifold in minima:
        assert same(manifold.sharpness, 2 * (x**2 + y**2))
        assert manifold.best_threshold == Q(1, 2)
    assert {m.equations: m.kind for m in found if m not in minima} == {
        (x,): "maximum",
        (y,): "maximum",
    }


def test_scale_invariant_minima():
    kinds = {m.equations: m for m in critical_points(x**2 / (x**2 + y**2))}
    assert kinds[x,].kind == "minimum"
    assert same(kinds[x,].threshold, y**2)
    assert kinds[y,].kind == "maximum"


def test_complex_sets_are_no_critical_points():
    assert [str(p) for p in critical_points((x**2 + y**2 + 1) ** 2)] == [
        "x = 0, y = 0: minimum, sharpness 4, threshold 1/2"
    ]
    (origin,) = critical_points((x**2 + y**2) ** 2)
    assert origin.location == {x: 0, y: 0}
    assert (origin.kind, origin.sharpness) == ("degenerate", 0)
    top, circle = critical_points((x**2 + y**2 - 1) ** 2)
    assert (top.kind, circle.kind, circle.threshold) == ("maximum", "minimum", Q(1, 4))


def test_a_line_that_is_flat_across_is_degenerate():
    """Along x = 0, y = z of x^4 + (y - z)^2 a second direction is flat: x itself."""
    (line,) = critical_points(x**4 + (y - z) ** 2)
    assert (line.dimension, line.kind) == (1, "degenerate")


def test_manifolds_that_cross_are_arbitrarily_flat():
    found = critical_points(x**2 * y**2 * (x + y - 1) ** 2)
    assert [m.kind for m in found] == ["maximum", "minimum", "minimum", "minimum"]
    assert {m.best_threshold for m in found[1:]} == {sympy.oo}


def test_a_line_of_minima_in_space():
    found = critical_points(x**2 * y**2 + (x + y + z - 1) ** 2)
    assert [(m.kind, m.dimension) for m in found] == [("minimum", 1)] * 2
    for m, at in zip(found, ({x: 0, y: 2, z: -1}, {x: 2, y: 0, z: -1}), strict=True):
        top = max(sympy.hessian(m.loss, (x, y, z)).subs(at).eigenvals(), key=sympy.N)
        assert same(m.sharpness.subs(at), top)
