"""Scale invariance with weight decay: laws on real iterates, equilibria, closed forms."""

import math
import random

import pytest
import sympy
from plain import same
from sympy import Rational as Q
from sympy import cos, sin, sqrt

import symbolic
from symbolic import scale_invariant
from symbolic.scale_invariant import TIME, eta, lam, q, s

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


def test_equilibrium():
    found = scale_invariant.equilibrium()
    assert same(found.norm_fourth, eta * s**2 / (lam * (2 - eta * lam)))
    assert same(found.norm_fourth / found.sde_norm_fourth, 2 / (2 - eta * lam))
    assert same(found.slope, 2 * (1 - eta * lam) ** 2 - 1)
    assert found.cosine == 1 - eta * lam
    assert same(found.effective_rate**2, lam * eta * (2 - eta * lam) / s**2)
    page = scale_invariant.equilibrium(0.2, 0.25, 1.7)
    assert abs(page.norm_fourth - Q("1.18564")) < 5e-6
    assert abs(page.sde_norm_fourth - Q("1.156")) < 5e-4
    assert abs(page.slope - Q("0.805")) < 5e-4


def test_the_norm_by_iteration():
    square, page = 2.25, {1: 2.0820027778, 10: 1.2878697425, 40: 1.0892020963}
    for k in range(1, 20001):
        square = 0.95**2 * square + 0.04 * 2.89 / square
        if k in page:
            assert square == pytest.approx(page[k], abs=1e-9)
    assert square**2 == pytest.approx(
        float(scale_invariant.equilibrium(0.2, 0.25, 1.7).norm_fourth)
    )


def test_the_norm_of_the_sde():
    found = scale_invariant.norm_fourth(2, Q("1.69") * 5, Q(1, 10), Q(1, 2))
    page = {10: 2.8960, 20: 1.1226, 30: 0.8826, 40: 0.8501, 50: 0.8457, 60: 0.8451}
    for t, value in page.items():
        assert float(found.subs(TIME, t)) == pytest.approx(value, abs=5.1e-5)
    # It solves d|W|^4/dt = -4 eta lam |W|^4 + 2 eta^2 Tr.
    trace = Q("1.69") * 5
    assert same(sympy.diff(found, TIME), -found / 5 + 2 * trace / 100)
    limit = 2 * Q(1, 20) / trace
    assert abs(sqrt(limit).evalf() - Q("0.1087857")) < 1e-7


def test_equilibria_in_the_plane():
    cosine = scale_invariant.plane_equilibrium(1 - cos(theta), theta)
    assert same(cosine.determinant, 1 + q - q**2)
    assert same(cosine.trace, 3 * q**2 - 7 * q + 2)
    assert same(cosine.angle, sympy.acos(1 - q) / 2)
    for loss, phi in ((sin(theta) ** 2, 1 / (1 - q)), (sin(theta) ** 2 / 2, 2 / (1 - q))):
        found = scale_invariant.plane_equilibrium(loss, theta)
        assert found.determinant == 1
        assert same(found.trace, 2 * (2 * q**2 - 4 * q + 1))
        assert same(found.effective_step, phi)
    t = sympy.Symbol("t", positive=True)
    square = scale_invariant.plane_equilibrium(theta**2 / 2, theta)
    near = square.determinant.subs(q, 1 - cos(2 * t))
    small = sympy.Rational(1, 1000)
    assert abs((near.subs(t, small).evalf(40) - 1) / small**2 - Q(8, 3)) < 1e-4


@pytest.mark.parametrize(("step", "decay"), [(0.1, 0.5), (0.5, 0.2), (1.0, 0.05)])
def test_the_exact_two_cycle(step, decay):
    product = step * decay
    u, v = math.sqrt(step * product / 2), math.sqrt(step * (1 - product / 2))
    after = descend(u, v, step, decay)
    assert after == pytest.approx((-u, v), abs=1e-15)
    assert u * u / (u * u + v * v) == pytest.approx(product / 2)
    found = scale_invariant.plane_equilibrium(sin(theta) ** 2, theta)
    assert math.atan2(u, v) == pytest.approx(float(found.angle.subs(q, product)))
    phi = step / ((1 - product) * (u * u + v * v))
    assert phi == pytest.approx(float(found.effective_step.subs(q, product)))


def test_the_jacobian_by_differences():
    """Trace and determinant of the reflected step of 1 - cos(angle), from plain iterations."""
    product = 0.05
    angle = math.acos(1 - product) / 2
    phi = math.tan(2 * angle) / math.sin(angle)

    def step(a, f):
        g = math.sin(a)
        return -(a - math.atan(f * g)), f / ((1 - product) ** 2 * (1 + f * f * g * g))

    assert step(angle, phi) == pytest.approx((angle, phi))
    e = 1e-6
    columns = [
        [(p - m) / (2 * e) for p, m in zip(step(*plus), step(*minus), strict=True)]
        for plus, minus in (
            ((angle + e, phi), (angle - e, phi)),
            ((angle, phi + e), (angle, phi - e)),
        )
    ]
    (a, b), (c, d) = columns
    found = scale_invariant.plane_equilibrium(1 - cos(theta), theta)
    assert a + d == pytest.approx(float(found.trace.subs(q, product)), abs=1e-7)
    assert a * d - b * c == pytest.approx(float(found.determinant.subs(q, product)), abs=1e-7)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: scale_invariant.effective_step(-1, 0, 1), "InvalidStepError", "step must be"),
        (lambda: scale_invariant.effective_step(1, -1, 1), "InvalidArgumentError", "0 or more"),
        (lambda: scale_invariant.equilibrium(1, 0, 1), "InvalidStepError", "weight_decay must"),
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
