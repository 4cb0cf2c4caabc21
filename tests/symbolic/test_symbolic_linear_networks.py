"""Deep linear networks and factorisations, against Hessians made here."""

import time

import numpy as np
import pytest
import sympy
from plain import same
from sympy import Rational as Q

import symbolic
from symbolic import networks


def gauss_newton(layers):
    """J^T J for the product of square layers: the Hessian at zero residual."""
    n, columns = len(layers[0]), []
    for index in range(len(layers)):
        left, right = np.eye(n), np.eye(n)
        for layer in layers[index + 1 :]:
            left = layer @ left
        for layer in layers[:index]:
            right = layer @ right
        for i in range(n):
            for j in range(n):
                columns.append(np.outer(left[:, i], right[j]).ravel())
    jacobian = np.array(columns).T
    return jacobian.T @ jacobian


@pytest.mark.parametrize(("n", "depth"), [(3, 2), (3, 3), (2, 4), (3, 6)])
def test_deep_linear_networks(n, depth):
    generator = np.random.default_rng(n * depth)
    left, values, right = np.linalg.svd(generator.normal(size=(n, n)))
    root = np.diag(values ** (1 / depth))
    layers = [root @ right, *[root] * (depth - 2), left @ root]
    start = time.process_time()
    spectrum = networks.deep_linear([sympy.Float(v) for v in values], depth)
    assert time.process_time() - start < 5
    found = sorted([*map(float, spectrum.eigenvalues), *[0.0] * spectrum.zeros])
    np.testing.assert_allclose(found, np.linalg.eigvalsh(gauss_newton(layers)), atol=1e-12)
    assert float(spectrum.sharpness) == pytest.approx(found[-1], rel=1e-13)
    # No random factorisation of the same matrix is flatter.
    for _ in range(20):
        mixed = [generator.normal(size=(n, n)) + 2 * np.eye(n) for _ in range(depth - 1)]
        product = left @ np.diag(values) @ right
        for layer in mixed:
            product = product @ np.linalg.inv(layer)
        top = np.linalg.eigvalsh(gauss_newton([*mixed, product]))[-1]
        assert top >= depth * values[0] ** (2 - 2 / depth) * (1 - 1e-9)


def test_deep_linear_in_symbols():
    s, t = sympy.symbols("s t", positive=True)
    found = networks.deep_linear([s, t], 2)
    assert found.eigenvalues == (2 * s, s + t, s + t, 2 * t)
    three = networks.deep_linear([s, t], 3)
    quotient = (s**2 - t**2) / (s ** Q(2, 3) - t ** Q(2, 3))
    assert same(sympy.expand(three.eigenvalues[1] * (s ** Q(2, 3) - t ** Q(2, 3))), s**2 - t**2)
    assert abs((three.eigenvalues[1] - quotient).subs({s: 3, t: 2}).evalf()) < 1e-12
    assert same(three.threshold, 2 / (3 * s ** Q(4, 3)))
    bound = networks.largest_singular_value(3, three.threshold)
    assert same(bound, s)


@pytest.mark.parametrize(
    "values", [(4.0, 2.0, 1.5, 1.0), (3.0, 0.7, 0.3, 0.1), (0.8, 0.5, 0.3, 0.1)]
)
@pytest.mark.parametrize("depth", [2, 3, 5])
def test_the_bound_is_tight_from_identity(values, depth):
    """The modes decouple, so each is a balanced chain; the top one decides."""
    threshold = float(networks.deep_linear(list(values), depth).threshold)
    errors = {}
    for share in (0.5, 0.9, 0.97, 0.99, 1.01, 1.05, 1.2):
        w = np.ones(len(values))
        for _ in range(20000):
            w = w - share * threshold * (w**depth - values) * w ** (depth - 1)
        assert np.all(np.abs(w**depth) < 1e3)
        errors[share] = np.linalg.norm(w**depth - values)
        assert (errors[share] < 1e-11) == (share < 1)
    if (values[0], depth) == (4.0, 2):
        found = [errors[share] for share in (1.01, 1.05, 1.2)]
        assert found == pytest.approx([0.38, 0.76, 1.2], abs=6e-3)


def test_above_the_threshold_the_top_mode_alternates():
    """R = diag(2, 1), depth 2, h sigma = 1.1: two times the squares of the cubic map's cycle."""
    x = sympy.Symbol("x", real=True)
    cycle = symbolic.cycles((x**2 - 1) ** 2 / 4, x, 2, Q(11, 10))[-1]
    predicted = sorted(2 * point**2 for point in cycle.points)
    for value, page in zip(predicted, ("1.326988705688", "2.491193112493"), strict=True):
        assert abs(value.evalf(20) - Q(page)) < Q("1e-12")
    first, second = np.eye(2), np.eye(2)
    seen = []
    for _ in range(5000):
        residual = second @ first - np.diag([2.0, 1.0])
        first, second = first - 0.55 * second.T @ residual, second - 0.55 * residual @ first.T
        seen.append(second @ first)
    ends = sorted(float(product[0, 0]) for product in seen[-2:])
    assert ends == pytest.approx([float(value) for value in predicted], abs=1e-12)
    assert seen[-1][1, 1] == pytest.approx(1, abs=1e-14)


def characteristic(loss, symbols, at):
    """The characteristic polynomial of the exact Hessian at a rational point."""
    hessian = sympy.hessian(sympy.expand(loss), symbols).subs(dict(zip(symbols, at, strict=True)))
    return sympy.polys.matrices.DomainMatrix.from_Matrix(hessian).to_field().charpoly()


def expected(spectrum):
    t = sympy.Symbol("t")
    roots = sympy.prod([t - value for value in spectrum.eigenvalues]) * t**spectrum.zeros
    return sympy.Poly(roots, t).all_coeffs()


def square(residual):
    return sympy.Add(*(entry**2 for entry in residual))


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("symmetric", [False, True])
def test_matrix_factorisations(rank, symmetric):
    """At the best point of M = diag(9, 4, 1), exactly: the roots of its values are rational."""
    target, root = sympy.diag(9, 4, 1), sympy.diag(3, 2, 1)[:, :rank]
    first = sympy.Matrix(rank, 3, sympy.symbols(f"a:{3 * rank}"))
    second = sympy.Matrix(3, rank, sympy.symbols(f"b:{3 * rank}"))
    if symmetric:
        loss, symbols = square(second * second.T - target) / 4, [*second]
        point = [*root]
    else:
        loss, symbols = square(second * first - target) / 2, [*first, *second]
        point = [*root.T, *root]
    spectrum = networks.matrix_factorisation([9, 4, 1], rank, symmetric=symmetric)
    assert characteristic(loss, symbols, point) == expected(spectrum)
    assert spectrum.threshold == Q(1, 9)


@pytest.mark.parametrize(("values", "depth"), [((4, 1), 2), ((8, 1), 3), ((9, 4, 1), 2)])
def test_the_spectrum_of_deep_linear_networks_exactly(values, depth):
    n = len(values)
    layers = [sympy.Matrix(n, n, sympy.symbols(f"w{k}_:{n * n}")) for k in range(depth)]
    product = sympy.eye(n)
    for layer in layers:
        product = layer * product
    loss = square(product - sympy.diag(*values)) / 2
    root = sympy.diag(*(sympy.Integer(v) ** Q(1, depth) for v in values))
    symbols = [symbol for layer in layers for symbol in layer]
    spectrum = networks.deep_linear(list(values), depth)
    assert characteristic(loss, symbols, [*root] * depth) == expected(spectrum)
    if depth == 2:  # residual layers W = I + V have the same Hessian, at V = W - I
        moved = {layer[i, i]: layer[i, i] + 1 for layer in layers for i in range(n)}
        at = [*(root - sympy.eye(n))] * depth
        residual = loss.subs(moved, simultaneous=True)
        assert characteristic(residual, symbols, at) == expected(spectrum)


@pytest.mark.parametrize(("share", "converges"), [(0.99, True), (1.01, False)])
def test_the_threshold_of_a_factorisation_by_simulation(share, converges):
    step = share * float(networks.matrix_factorisation([3, 2, 1], 2).threshold)
    generator = np.random.default_rng(1)
    root = np.diag(np.sqrt([3.0, 2.0, 1.0]))[:, :2]
    first, second = (m + 1e-3 * generator.normal(size=m.shape) for m in (root.T, root))
    for _ in range(20000):
        residual = second @ first - np.diag([3.0, 2.0, 1.0])
        first, second = first - step * second.T @ residual, second - step * residual @ first.T
    gap = np.max(np.abs(second @ first - np.diag([3.0, 2.0, 0.0])))
    assert (gap < 1e-9) == converges
