"""Scalar chains of any depth, against Hessians and iterates made here."""

import math
import random
import time

import pytest
import sympy
from plain import same
from sympy import Rational as Q

import symbolic
from symbolic import networks

x, y = sympy.symbols("x y", real=True)
h, mu = sympy.symbols("h mu", positive=True)


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
    # On the manifold mu is the product, so the sharpness is the sum of the products of the others.
    product = sympy.prod(chain.symbols)
    others = sum((product / w) ** 2 for w in chain.symbols)
    assert same(chain.sharpness.subs(mu, product), others)


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
    after = symbolic.descent_step(chain.loss, chain.symbols, h)
    for i, j in {(0, 1), (depth - 1, 0)}:
        before = chain.symbols[i] ** 2 - chain.symbols[j] ** 2
        change = before.subs(after, simultaneous=True) - before * chain.imbalance_factor(i, j, h)
        assert sympy.expand(change) == 0


def test_along_the_gradient_flow_the_imbalance_is_constant():
    chain = networks.scalar_chain(4)
    flow = [-sympy.diff(chain.loss, w) for w in chain.symbols]
    for i in range(1, 4):
        first, other = chain.symbols[0], chain.symbols[i]
        assert sympy.expand(2 * first * flow[0] - 2 * other * flow[i]) == 0


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


@pytest.mark.parametrize("depth", [2, 3, 4, 8])
def test_the_limit_for_small_targets_lies_between_one_over_depth_and_one(depth):
    for target in (Q(1, 1000), Q(1, 5), Q(9, 10)):
        limit, _ = networks.scalar_chain(depth, target).identity_start(1)
        assert same(limit, (1 - target ** Q(1, depth)) / (1 - target))
        assert Q(1, depth) < limit < 1


@pytest.mark.parametrize("depth", [2, 3, 4, 8])
@pytest.mark.parametrize("target", [0.5, 0.8, 1.25, 2.0, 4.0, 10.0, 50.0, 200.0])
def test_from_ones_every_step_below_the_threshold_converges(depth, target):
    best = float(networks.scalar_chain(depth, sympy.nsimplify(target)).best_threshold)
    for share in (0.3, 0.7, 0.99):
        end = descend_chain([1.0] * depth, target, share * best, 3000)
        assert end == pytest.approx(target, rel=1e-9)


@pytest.mark.parametrize("target", [0.2, 0.05])
def test_from_ones_a_small_target_is_missed_far_below_the_threshold(target):
    """Depth 3: a first step beyond 0, h (1 - mu) > 1, leads to the saddle 0."""
    reach = 1 / (1 - target)
    best = float(networks.scalar_chain(3, sympy.nsimplify(target)).best_threshold)
    assert reach / best == pytest.approx({0.2: 0.219, 0.05: 0.029}[target], abs=5e-4)
    for share, converges in ((0.9, True), (1.01, False)):
        w = 1.0
        for _ in range(20_000):
            w -= share * reach * (w**3 - target) * w * w
        assert (abs(w**3 - target) < 1e-9) == converges


def test_residual_chains():
    chain = networks.scalar_chain(3, 1, residual=True)
    assert chain.loss.subs(dict.fromkeys(chain.symbols, 0)) == 0
    assert chain.threshold.subs(dict.fromkeys(chain.symbols, 0)) == Q(2, 3)


def test_the_chain_of_depth_eight_in_time():
    start = time.process_time()
    chain = networks.scalar_chain(8)
    flat = dict.fromkeys(chain.symbols, chain.flattest_weight)
    assert same(chain.threshold.subs(flat), 1 / (4 * mu ** Q(7, 4)))
    hessian = sympy.hessian(chain.loss.subs(mu, 1), chain.symbols)
    ones = hessian.subs(dict.fromkeys(chain.symbols, 1))
    assert ones == sympy.ones(8, 8) == chain.hessian.subs({**flat, mu: 1}).subs(mu, 1)
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: networks.scalar_chain(1), "depth must be a whole number, 2 or more"),
        (lambda: networks.scalar_chain(2, 0), "must be real and not 0"),
        (lambda: networks.scalar_chain(2).identity_start(1), "known side of 1"),
        (lambda: networks.scalar_chain(2).imbalance_factor(0, 2, h), "the layers are 0 to 1"),
        (lambda: networks.deep_linear([1, 0], 2), "must be positive"),
        (lambda: networks.deep_linear([1, 2], 2), "largest singular value first"),
        (lambda: networks.matrix_factorisation([1], 2), "beyond the 1 singular values"),
        (lambda: networks.relu_threshold([[1]], []), "1 inputs do not go with 0 outputs"),
    ],
)
def test_messages_of_networks(call, message):
    with pytest.raises(symbolic.InvalidArgumentError, match=message):
        call()
