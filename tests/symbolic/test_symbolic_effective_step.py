"""Scale invariance: the law of the effective step on real iterates, and equal schedules."""

import math
import random

import pytest
import sympy
from plain import same
from sympy import Rational as Q

import symbolic
from symbolic import scale_invariant
from symbolic.scale_invariant import eta, lam

theta = sympy.Symbol("theta", real=True)
x, y = sympy.symbols("x y", positive=True)
RAYLEIGH = x**2 / (x**2 + y**2)


def descend(u, v, step, decay):
    """One step on x^2 / (x^2 + y^2), gradient by hand."""
    n = (u * u + v * v) ** 2
    a = 1 - step * decay
    return a * u - step * 2 * u * v * v / n, a * v + step * 2 * u * u * v / n


def test_pythagoras_is_exact():
    r2 = x**2 + y**2
    gradient = [sympy.diff(RAYLEIGH, z) for z in (x, y)]
    after = [(1 - eta * lam) * z - eta * g for z, g in zip((x, y), gradient, strict=True)]
    square = sum(g**2 for g in gradient)
    # On the unit sphere the gradient is r times as long.
    assert same(sum(z**2 for z in after), (1 - eta * lam) ** 2 * r2 + eta**2 * square)


def test_the_law_of_the_effective_step():
    draw = random.Random(0)
    u, v, step, decay = 0.3, 1.0, 0.1, 0.5
    for _ in range(30):
        following, next_decay = draw.uniform(0.05, 0.2), draw.uniform(0.1, 0.9)
        values = (sympy.Float(step), sympy.Float(decay), sympy.Float(u * u + v * v))
        phi, b = scale_invariant.effective_step(*values, following, next_decay)
        r = math.hypot(u, v)
        square = (2 * u * v / r**2) ** 2  # |g|^2 on the unit circle
        expected = float(b * phi) / (1 + float(phi) ** 2 * square)
        u, v = descend(u, v, step, decay)
        assert following / ((1 - following * next_decay) * (u * u + v * v)) == pytest.approx(
            expected, rel=1e-12
        )
        step, decay = following, next_decay


def test_an_exponential_schedule_has_the_same_directions():
    with_decay = without = (0.3, 1.0)
    for t in range(60):
        rate = float(scale_invariant.exponential_schedule(Q(1, 10), Q(1, 2), t))
        with_decay = descend(*with_decay, 0.1, 0.5)
        without = descend(*without, rate, 0)
        angle = math.atan2(*with_decay) - math.atan2(*without)
        assert abs(angle) < 1e-9


def test_rescaled_rates_have_the_same_directions():
    one, other, c = (0.3, 1.0), (0.3 * 1.7, 1.7), 1.7
    for _ in range(60):
        one, other = descend(*one, 0.1, 0.5), descend(*other, 0.1 * c * c, 0.5 / (c * c))
        assert abs(math.atan2(*one) - math.atan2(*other)) < 1e-9


def test_scale_invariance_itself():
    c = sympy.Symbol("c", positive=True)
    gradient = sympy.Matrix([sympy.diff(RAYLEIGH, z) for z in (x, y)])
    hessian = sympy.hessian(RAYLEIGH, (x, y))
    far = {x: c * x, y: c * y}
    assert same(x * gradient[0] + y * gradient[1], 0)
    moved = gradient.subs(far, simultaneous=True) - gradient / c
    assert moved.applyfunc(sympy.simplify).is_zero_matrix
    moved = hessian.subs(far, simultaneous=True) - hessian / c**2
    assert moved.applyfunc(sympy.simplify).is_zero_matrix


def test_the_law_of_the_effective_step_in_symbols():
    """Phi' = B Phi / |u - Phi p|^(1 + nu) for updates r^-nu p, with and without p tangential."""
    r, first, second, a1, a2 = sympy.symbols("r eta1 eta2 lam1 lam2", positive=True)
    u, update = sympy.Matrix([1, 0]), sympy.Matrix(sympy.symbols("p1 p2", real=True))
    for nu in (0, 1):
        phi, b = scale_invariant.effective_step(first, a1, r**2, second, a2, power=nu)
        moved = (1 - first * a1) * r * u - first * r**-nu * update
        after = second / ((1 - second * a2) * sympy.sqrt(moved.dot(moved)) ** (1 + nu))
        turned = u - phi * update
        law = b * phi / sympy.sqrt(turned.dot(turned)) ** (1 + nu)
        numbers = {r: 2, first: Q(1, 5), second: Q(1, 3), a1: Q(1, 2), a2: Q(1, 7)}
        numbers |= dict(zip(update, (Q(3, 4), Q(-2, 3)), strict=True))
        assert same((after - law).subs(numbers), 0)


def test_the_factor_of_a_constant_schedule():
    assert same(scale_invariant.effective_step(eta, lam, 1)[1], (1 - eta * lam) ** -2)
    assert scale_invariant.effective_step(eta, 0, 1)[1] == 1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: scale_invariant.effective_step(-1, 0, 1), "InvalidStepError", "step must be"),
        (lambda: scale_invariant.effective_step(1, -1, 1), "InvalidArgumentError", "0 or more"),
        (
            lambda: scale_invariant.effective_step(1, 1, 1),
            "InvalidArgumentError",
            "must be below 1, got 1",
        ),
        (lambda: scale_invariant.equilibrium(2, 1, 1), "InvalidArgumentError", "below 2, got 2"),
        (lambda: scale_invariant.equilibrium(1, 0, 1), "InvalidStepError", "weight_decay must"),
        (
            lambda: scale_invariant.exponential_schedule(1, 1, 3),
            "InvalidArgumentError",
            "must be below 1, got 1. Take a smaller step",
        ),
        (
            lambda: scale_invariant.effective_step(1, 0, 1, power=-1),
            "InvalidArgumentError",
            "power must be a whole number, 0 or more",
        ),
        (
            lambda: scale_invariant.rayleigh_flow([1, 2], [0, 0], 1, 1),
            "InvalidArgumentError",
            "as many numbers, not all 0",
        ),
        (
            lambda: scale_invariant.circle_equilibrium(-1, 1, 1, 1),
            "InvalidStepError",
            "strength must be positive",
        ),
        (
            lambda: scale_invariant.plane_equilibrium(theta**3, theta),
            "InvalidArgumentError",
            "is not even in theta",
        ),
    ],
)
def test_messages_of_scale_invariance(call, error, message):
    with pytest.raises(getattr(symbolic, error), match=message):
        call()
