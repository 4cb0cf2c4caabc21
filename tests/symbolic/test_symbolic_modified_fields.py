"""Modified fields of other steps than descent: games, passes over batches, memory."""

import itertools as it
import math

import pytest
import sympy
from plain import same
from sympy import Rational as Q

import symbolic

x, y, w = sympy.symbols("x y w", real=True)
h, a, b = sympy.symbols("h alpha lambda", positive=True)
# Two players without any symmetry between them.
FIRST = x**2 * y - 2 * x + 3 * y**3 / 5 + 1
SECOND = -(x**3) / 3 + x * y - y**2 + 2 * x


def derivative(of, along):
    """of' along, for fields in the plane."""
    return [sum(sympy.diff(f, s) * d for s, d in zip((x, y), along, strict=True)) for f in of]


def test_two_players_at_once():
    """On one clock: phi' = a f - h/2 (a^2 f_phi f + a b f_theta g), and the same for theta."""
    _, second = symbolic.modified_field([a * FIRST, b * SECOND], [x, y], 2)
    f, g = FIRST, SECOND
    page = (
        -(a**2 * sympy.diff(f, x) * f + a * b * sympy.diff(f, y) * g) / 2,
        -(b**2 * sympy.diff(g, y) * g + a * b * sympy.diff(g, x) * f) / 2,
    )
    assert all(sympy.expand(u - v) == 0 for u, v in zip(second, page, strict=True))


def test_two_players_in_turn():
    """The second sees the first one's new value: its interaction changes sign."""
    f, g = FIRST, SECOND
    seen = (0, a * b * sympy.diff(g, x) * f)  # b g(phi + a h f, theta) to the order h
    _, second = symbolic.modified_field([a * f, b * g], [x, y], 2, further=[seen])
    page = (
        -(a**2 * sympy.diff(f, x) * f + a * b * sympy.diff(f, y) * g) / 2,
        -(b**2 * sympy.diff(g, y) * g - a * b * sympy.diff(g, x) * f) / 2,
    )
    assert all(sympy.expand(u - v) == 0 for u, v in zip(second, page, strict=True))


def test_the_bilinear_game():
    """Rates i mu: the second order grows by h / 2, the whole series by log(1 + h^2) / (2 h)."""
    fields = symbolic.modified_field([-y, x], [x, y], 6)
    growth = [sympy.expand(x * f + y * g) / (x**2 + y**2) for f, g in fields]
    rate = sum(sympy.simplify(c) * h**k for k, c in enumerate(growth))
    series = sympy.series(sympy.log(1 + h**2) / (2 * h), h, 0, 6).removeO()
    assert sympy.expand(rate - series) == 0
    assert sympy.expand(rate).coeff(h, 1) == Q(1, 2)
    assert math.log(1.09) / 0.6 == pytest.approx(0.14362949, abs=6e-9)


def test_the_explicit_midpoint_rule():
    """y + h f(y + h f / 2): no second order, then -f''(f,f) / 24 - f'f'f / 6."""
    field = [x**3 - y, x * y + 1]
    chain = derivative(field, field)
    bent = [
        sum(
            sympy.diff(f, s, t) * p * q
            for (s, p), (t, q) in it.product(zip((x, y), field, strict=True), repeat=2)
        )
        for f in field
    ]
    twice = [d - c for d, c in zip(derivative(chain, field), bent, strict=True)]  # f'f'f
    further = [[c / 2 for c in chain], [c / 8 for c in bent]]
    _, second, third = symbolic.modified_field(field, [x, y], 3, further=further)
    assert second == (0, 0)
    for found, c, d in zip(third, bent, twice, strict=True):
        assert sympy.expand(found + c / 24 + d / 6) == 0


BATCHES = [x**4 / 4 + x * y, (x - y) ** 2 / 2 + y**3 / 3, x**2 * y / 2 - y]


def gradients():
    return [[sympy.diff(loss, s) for s in (x, y)] for loss in BATCHES]


def one_pass(order):
    """F_1 and d_2 of one pass over the batches in this order."""
    total, second = [sympy.S.Zero] * 2, [sympy.S.Zero] * 2
    for index in order:
        g = gradients()[index]
        second = [s - d for s, d in zip(second, derivative(g, total), strict=True)]
        total = [t - c for t, c in zip(total, g, strict=True)]
    return total, second


def test_one_pass_over_batches_in_order():
    """F_2 = -1/2 sum H_i g_i + 1/2 sum_{i<j} (H_j g_i - H_i g_j)."""
    total, further = one_pass(range(3))
    first, second = symbolic.modified_field(total, [x, y], 2, further=[further])
    g = gradients()
    page = [sympy.S.Zero] * 2
    for i, j in it.product(range(3), repeat=2):
        sign = 1 if i < j else -1
        page = [p + sign * d / 2 for p, d in zip(page, derivative(g[j], g[i]), strict=True)]
    assert all(sympy.expand(u - v) == 0 for u, v in zip(second, page, strict=True))
    assert all(sympy.expand(u - v) == 0 for u, v in zip(first, total, strict=True))


def test_the_average_over_all_orders_of_a_pass():
    """-grad of the sum of the modified losses: L + h m / 4 avg |grad L_k|^2 on the slow clock."""
    mean = [sympy.S.Zero] * 2
    for order in it.permutations(range(3)):
        total, further = one_pass(order)
        _, second = symbolic.modified_field(total, [x, y], 2, further=[further])
        mean = [m + s / 6 for m, s in zip(mean, second, strict=True)]
    losses = sum(symbolic.modified_loss(loss, [x, y]) for loss in BATCHES)
    correction = sympy.expand(losses).coeff(h, 1)
    for s, m in zip((x, y), mean, strict=True):
        assert sympy.expand(m + sympy.diff(correction, s)) == 0


def test_the_bias_of_adam():
    """Memory to first order plus the discretisation, in one dimension; RMSProp is b = 0."""
    eps, g0, g1 = sympy.symbols("eps g0 g1", positive=True)
    k = sympy.Symbol("k", integer=True, positive=True)
    g = g0 + g1 * w
    size = sympy.sqrt(g**2 + eps)
    present = g / size
    # The mean age of an exponential average with factor b is sum k (1 - b) b^k = b / (1 - b).
    age = {c: sympy.summation(k * (1 - c) * c**k, (k, 1, sympy.oo)) for c in (Q(3, 5), Q(4, 5))}
    assert age == {Q(3, 5): Q(3, 2), Q(4, 5): 4}
    b, r = Q(3, 5), Q(4, 5)
    memory = present * (age[b] * g1 / size - age[r] * g * g * g1 / size**3)
    _, (discrete,) = symbolic.modified_field([-present], [w], 2)
    total = -memory + discrete
    norm = sympy.diff(size, w)
    bracket = (1 + b) / (1 - b) - (1 + r) / (1 - r) * (1 - eps / size**2)
    assert same(total, -norm * bracket / (2 * size))


def test_messages_of_further_terms():
    with pytest.raises(symbolic.InvalidArgumentError, match="1 components for 2"):
        symbolic.modified_field([x, y], [x, y], 2, further=[[x]])
