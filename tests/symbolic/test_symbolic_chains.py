"""Scalar chains and products of two, against Hessians and iterates made here."""

import math
import random
import time

import pytest
import sympy
from plain import same
from sympy import Rational as Q
from sympy import sqrt

import symbolic
from symbolic import networks

x, y = sympy.symbols("x y", real=True)
h, r, p = sympy.symbols("h r p", positive=True)
h, mu = sympy.symbols("h mu", positive=True)


def test_the_pair_balances_with_multiplier_three_minus_two_h():
    """On x = y the product of two is the double well; across it one step multiplies by 1 - h e."""
    loss = (x * y - 1) ** 2 / 2
    across = sympy.expand(1 - h * (loss.diff(x, 2) - loss.diff(x, y)).subs(y, x))
    assert same(across, 1 - h * (1 - x**2))
    # Both points of an orbit together: (1 - h (1 - a^2)) (1 - h (1 - b^2)) with a b = 1 / h.
    total, joint = (3 + h) / h - 2 / h, 1 / h**2
    both = sympy.expand((1 - h) ** 2 + h * (1 - h) * total + h**2 * joint)
    assert same(both, 3 - 2 * h)


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_the_hessian_of_a_chain_is_of_rank_one(depth):
    chain = networks.scalar_chain(depth)
    *rest, last = chain.symbols
    minimum = {last: mu / sympy.prod(rest)}
    hessian = sympy.hessian(chain.loss, chain.symbols).subs(minimum)
    assert (hessian - chain.hessian.subs(minimum)).applyfunc(sympy.simplify).is_zero_matrix
    s = sympy.Symbol("s")
    polynomial = hessian.applyfunc(sympy.simplify).charpoly(s).as_expr()
    assert same(polynomial, s ** (depth - 1) * (s - chain.sharpness.subs(minimum)))


@pytest.mark.parametrize(
    ("depth", "page"), [(2, 1 / mu), (3, 2 / (3 * mu ** Q(4, 3))), (4, 1 / (2 * mu ** Q(3, 2)))]
)
def test_the_flattest_minimiser(depth, page):
    chain = networks.scalar_chain(depth)
    assert same(chain.best_threshold, page)
    flat = dict.fromkeys(chain.symbols, chain.flattest_weight)
    assert same(chain.threshold.subs(flat), page)
    draw = random.Random(depth)
    for _ in range(50):
        weights = [math.exp(draw.gauss(0, 1)) for _ in range(depth - 1)]
        weights.append(1 / math.prod(weights))
        assert sum(w**-2 for w in weights) >= depth - 1e-9  # never flatter, at mu = 1


def test_saddles_at_zero():
    pair, triple = networks.scalar_chain(2), networks.scalar_chain(3)
    origin = dict.fromkeys(pair.symbols, 0)
    assert sympy.hessian(pair.loss, pair.symbols).subs(origin) == sympy.Matrix([[0, -mu], [-mu, 0]])
    origin = dict.fromkeys(triple.symbols, 0)
    assert sympy.hessian(triple.loss, triple.symbols).subs(origin).is_zero_matrix


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_the_law_of_imbalance(depth):
    chain = networks.scalar_chain(depth)
    first, second = chain.symbols[:2]
    after = symbolic.descent_step(chain.loss, chain.symbols, h)
    before = first**2 - second**2
    change = before.subs(after, simultaneous=True) - before * chain.imbalance_factor(0, 1, h)
    assert sympy.expand(change) == 0


def test_the_balanced_start_is_one_dimensional():
    w = sympy.Symbol("w", real=True)
    for depth in (2, 3, 5, 8):
        chain = networks.scalar_chain(depth, 1)
        after = symbolic.descent_step(chain.loss, chain.symbols, h)[chain.symbols[0]]
        reduced = symbolic.descent_step(chain.reduced_loss, w, h)[w]
        assert sympy.expand(after.subs(dict.fromkeys(chain.symbols, w)) - reduced) == 0
        second, third, fourth = (sympy.diff(chain.reduced_loss, w, k).subs(w, 1) for k in (2, 3, 4))
        assert (second, third) == (depth, 3 * depth * (depth - 1))
        assert fourth == depth * (depth - 1) * (7 * depth - 11)
        c1 = 4 * depth**2 * (depth - 1) * (5 * depth - 4)
        flip = symbolic.flip(chain.reduced_loss, 1)
        assert flip.coefficient == Q(c1, 3 * depth**2)
        assert flip.kind == "supercritical"


@pytest.mark.parametrize(
    ("depth", "superstable", "onset"),
    [
        (2, "1.121320344", "1.236067977"),
        (3, "0.7490799795", "0.8297382619"),
        (4, "0.562146769", "0.6235846362"),
        (5, "0.449843413", "0.4993508424"),
        (8, "0.2812474604", "0.312461934"),
    ],
)
def test_the_table_of_depths(depth, superstable, onset):
    loss = networks.scalar_chain(depth, 1).reduced_loss

    def settle(step):
        w = 1.0 + 0.1 / depth
        for _ in range(3000):
            w -= step * (w**depth - 1) * w ** (depth - 1)
        return w

    for page, multiplier in ((superstable, 0), (onset, -1)):
        near = (settle(0.998 * float(page)), float(page))
        _, step = symbolic.orbit_step(loss, 2, multiplier, near=near)
        assert abs(step - Q(page)) < Q("1e-9")
    assert symbolic.threshold(loss, 1) == Q(2, depth)


def descend_chain(weights, target, step, steps):
    for _ in range(steps):
        product = math.prod(weights)
        if not abs(product) < 1e12:
            return product
        weights = [w - step * (product - target) * product / w for w in weights]
    return math.prod(weights)


@pytest.mark.parametrize("depth", [2, 3, 4, 8])
@pytest.mark.parametrize("target", [0.5, 2.0, 50.0])
def test_thresholds_of_chains_by_simulation(depth, target):
    best = float(networks.scalar_chain(depth, sympy.nsimplify(target)).best_threshold)
    draw = random.Random(depth)
    root = target ** (1 / depth)
    for _ in range(3):
        start = [root * (1 + draw.uniform(-1e-3, 1e-3)) for _ in range(depth)]
        assert abs(descend_chain(start, target, 0.99 * best, 5000) - target) < 1e-9 * target
        assert abs(descend_chain(start, target, 1.01 * best, 5000) - target) > 1e-3 * target


@pytest.mark.parametrize("depth", [2, 3, 4, 8])
@pytest.mark.parametrize("target", [Q(1, 20), Q(1, 2), 2, 200])
def test_the_rate_from_identity(depth, target):
    chain = networks.scalar_chain(depth, target)
    limit, _ = chain.identity_start(1)
    for share in (Q(1, 5), Q(7, 10), 1):
        step, beta = float(share * limit), float(chain.identity_start(share * limit)[1])
        w, root = 1.0, float(target) ** (1 / depth)
        gap = abs(1 - root)
        for k in range(1, 60):
            w -= step * (w**depth - float(target)) * w ** (depth - 1)
            assert abs(w - root) <= beta**k * gap * (1 + 1e-9) + 1e-12 * root
    if target > 1:
        assert same(limit, chain.best_threshold / 2)
    assert networks.scalar_chain(depth, 1).identity_start(1) == (Q(1, depth), 0)


def test_residual_chains():
    chain = networks.scalar_chain(3, 1, residual=True)
    assert chain.loss.subs(dict.fromkeys(chain.symbols, 0)) == 0
    assert chain.threshold.subs(dict.fromkeys(chain.symbols, 0)) == Q(2, 3)


def test_the_product_of_two():
    """Identities of (x y - mu)^2 / 2 and of the catapult."""
    after = symbolic.descent_step((x * y - mu) ** 2 / 2, [x, y], h)

    def then(expression):
        return expression.subs(after, simultaneous=True)

    e, s = x * y - mu, x**2 + y**2
    assert sympy.expand(then(e) - e * (1 - h * s + h**2 * e * (e + mu))) == 0
    assert sympy.expand(then(s) - s * (1 + h**2 * e**2) + 4 * h * e * x * y) == 0
    difference = x**2 - y**2
    assert sympy.expand(then(difference) - difference * (1 - h**2 * e**2)) == 0
    after = symbolic.descent_step((x * y) ** 2 / 2, [x, y], h)
    f = x * y
    assert sympy.expand(then(s) - s - h * f**2 * (h * s - 4)) == 0
    assert sympy.expand(then(f) - f * (1 - h * s + h**2 * f**2)) == 0
    z = sympy.Symbol("z")  # on the circle h s = 4, with z = h f
    assert sympy.expand(z * (1 - 4 + z**2) - (z**3 - 3 * z)) == 0


def test_the_catapult_basin():
    draw = random.Random(3)
    step = 0.7
    for _ in range(100):
        angle = draw.uniform(0, 2 * math.pi)
        for factor, inside in ((0.97, True), (1.03, False)):
            radius = (factor * 4 / step) ** 0.5
            u, v = radius * math.cos(angle), radius * math.sin(angle)
            if abs(u * v) < 1e-3:
                continue
            for _ in range(20000):
                u, v = u - step * u * v * v, v - step * u * u * v
                if u * u + v * v > 1e6:
                    break
            assert (u * u + v * v < 1e3) == inside


@pytest.mark.parametrize(("step", "settles"), [(1.05, True), (1.25, True), (1.95, False)])
def test_above_the_threshold_the_pair_balances_or_diverges(step, settles):
    u, v = 1.3, 0.8
    for _ in range(5000):
        e = u * v - 1
        u, v = u - step * e * v, v - step * e * u
        if abs(u) > 1e6:
            break
    assert (abs(u - v) < 1e-9) == settles
    if step == 1.05:
        assert min(abs(u - 1.0910894512), abs(u - 0.8728715609)) < 1e-9


def test_zhu_minimum_of_sharpness_two_over_eta():
    eta = sympy.Symbol("eta", positive=True)
    root = sqrt(eta**-2 - 4)
    u = sqrt((root + 1 / eta) / 2)
    for value in (Q(1, 5), Q(2, 9), Q(1, 3)):
        at = u.subs(eta, value)
        assert same(2 * (at**2 + at**-2), 2 / value)
        assert same(at**2 - at**-2, root.subs(eta, value))


def test_the_chain_of_depth_eight_in_time():
    start = time.perf_counter()
    chain = networks.scalar_chain(8)
    flat = dict.fromkeys(chain.symbols, chain.flattest_weight)
    assert same(chain.threshold.subs(flat), 1 / (4 * mu ** Q(7, 4)))
    hessian = sympy.hessian(chain.loss.subs(mu, 1), chain.symbols)
    ones = hessian.subs(dict.fromkeys(chain.symbols, 1))
    assert ones == sympy.ones(8, 8) == chain.hessian.subs({**flat, mu: 1}).subs(mu, 1)
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: networks.scalar_chain(1), "depth must be a whole number, 2 or more"),
        (lambda: networks.scalar_chain(2, 0), "must be real and not 0"),
        (lambda: networks.scalar_chain(2).identity_start(1), "known side of 1"),
        (lambda: networks.deep_linear([1, 0], 2), "must be positive"),
        (lambda: networks.deep_linear([1, 2], 2), "largest singular value first"),
        (lambda: networks.matrix_factorisation([1], 2), "beyond the 1 singular values"),
        (lambda: networks.relu_threshold([[1]], []), "1 inputs do not go with 0 outputs"),
    ],
)
def test_messages_of_networks(call, message):
    with pytest.raises(symbolic.InvalidArgumentError, match=message):
        call()
