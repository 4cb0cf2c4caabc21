"""Deep linear networks and factorisations, against Hessians made here."""

import time

import numpy as np
import pytest
import sympy
from plain import same
from sympy import Rational as Q

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
    start = time.perf_counter()
    spectrum = networks.deep_linear([sympy.Float(v) for v in values], depth)
    assert time.perf_counter() - start < 5
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


@pytest.mark.parametrize("values", [(4.0, 2.0, 1.5, 1.0), (0.8, 0.5, 0.3, 0.1)])
@pytest.mark.parametrize("depth", [2, 3, 5])
def test_the_bound_is_tight_from_identity(values, depth):
    """The modes decouple, so each is a balanced chain; the top one decides."""
    threshold = float(networks.deep_linear(list(values), depth).threshold)
    for share, converges in ((0.9, True), (0.99, True), (1.01, False), (1.05, False)):
        product = np.ones(len(values))
        w = np.ones(len(values))
        for _ in range(20000):
            w = w - share * threshold * (w**depth - values) * w ** (depth - 1)
        product = w**depth
        assert np.all(np.abs(product) < 1e3)
        assert (np.max(np.abs(product - values)) < 1e-9) == converges


def numeric_hessian(function, point):
    step, n = 1e-3, len(point)
    basis = np.eye(n) * step
    values = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            values[i, j] = (
                function(point + basis[i] + basis[j])
                - function(point + basis[i] - basis[j])
                - function(point - basis[i] + basis[j])
                + function(point - basis[i] - basis[j])
            ) / (4 * step**2)
    return values


def test_matrix_factorisations():
    s, n, r = np.array([3.0, 2.0, 1.0]), 3, 2
    target = np.diag(s)

    def two(p):
        first, second = p[: r * n].reshape(r, n), p[r * n :].reshape(n, r)
        return 0.5 * np.sum((second @ first - target) ** 2)

    def one(p):
        factor = p.reshape(n, r)
        return 0.25 * np.sum((factor @ factor.T - target) ** 2)

    root = np.diag(np.sqrt(s))[:, :r]
    # Central differences of quartics: exact up to O(step^2) of the fourth derivatives.
    for function, point, symmetric in (
        (two, np.concatenate([root.T.ravel(), root.ravel()]), False),
        (one, root.ravel(), True),
    ):
        spectrum = networks.matrix_factorisation([3, 2, 1], r, symmetric=symmetric)
        found = sorted([*map(float, spectrum.eigenvalues), *[0.0] * spectrum.zeros])
        expected = np.linalg.eigvalsh(numeric_hessian(function, point))
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert spectrum.threshold == Q(1, 3)


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
