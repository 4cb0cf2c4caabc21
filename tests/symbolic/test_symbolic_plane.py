"""Scale invariance in the plane: the two-cycle, its Jacobian, and orbits that wander."""

import math

import pytest
import sympy
from plain import same
from sympy import Rational as Q
from sympy import cos, sin

from symbolic import scale_invariant
from symbolic.scale_invariant import q

theta = sympy.Symbol("theta", real=True)


def descend(u, v, step, decay):
    """One step on x^2 / (x^2 + y^2), gradient by hand."""
    n = (u * u + v * v) ** 2
    a = 1 - step * decay
    return a * u - step * 2 * u * v * v / n, a * v + step * 2 * u * u * v / n


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


def test_the_balance_along_an_orbit():
    """The mean of log(1 + Phi^2 |g|^2) is -2 log(1 - q), here .102587; .102580 after 4e5 steps."""
    u, v, step, decay, total = 0.3, 1.0, 0.1, 0.5, 0.0
    for _ in range(400_000):
        square = u * u + v * v
        phi = step / ((1 - step * decay) * square)
        total += math.log1p((phi * 2 * u * v / square) ** 2)
        u, v = descend(u, v, step, decay)
    assert -2 * math.log(1 - step * decay) == pytest.approx(0.102587, abs=6e-7)
    # The sum telescopes to a boundary term, so its mean differs by O(1 / steps).
    assert total / 400_000 == pytest.approx(-2 * math.log(0.95), abs=1e-5)


def test_without_decay_the_toy_converges():
    u, v = 0.3, 1.0
    for _ in range(20_000):
        u, v = descend(u, v, 0.1, 0)
    assert u * u + v * v == pytest.approx(1.0990130122, abs=6e-11)
    assert u * u / (u * u + v * v) < 1e-30


def test_the_toy_is_neutral_at_every_decay():
    """Determinant 1 and a trace between -2 and 2: eigenvalues on the unit circle for 0 < q < 2."""
    found = scale_invariant.plane_equilibrium(sin(theta) ** 2, theta)
    assert same(2 - found.trace, 4 * q * (2 - q))
    assert same(found.trace + 2, 4 * (q - 1) ** 2)
    for value, trace in ((Q(1, 20), Q("1.61")), (Q(1, 10), Q("1.24"))):
        assert found.trace.subs(q, value) == trace
        low, high = (e.subs(q, value) for e in found.eigenvalues)
        assert same(low * high, 1)
        assert same(sympy.Abs(low), 1)
        assert same(low + high, found.trace.subs(q, value))


def test_the_spiral_source():
    found = scale_invariant.plane_equilibrium(1 - cos(theta), theta)
    for value in (Q(1, 20), Q(1, 5)):
        for eigenvalue in found.eigenvalues:
            modulus = sympy.Abs(eigenvalue.subs(q, value)) ** 2
            assert same(modulus, (1 + q - q**2).subs(q, value))
            assert modulus > 1


@pytest.mark.parametrize(
    "loss", [1 - cos(theta), theta**2 / 2, sin(theta) ** 2, theta**2 + theta**4]
)
def test_the_general_formula_of_the_plane(loss):
    """In t = theta and R = L'' / L'; for small q the step sits at Phi L''(0) = 2."""
    found = scale_invariant.plane_equilibrium(loss, theta)
    first, second = sympy.diff(loss, theta), sympy.diff(loss, theta, 2)
    t = sympy.acos(1 - q) / 2
    ratio = (second / first).subs(theta, t)
    determinant = cos(2 * t) ** 2 * (ratio * sympy.tan(2 * t) + sympy.tan(2 * t) ** 2 - 1)
    trace = ratio * sin(4 * t) / 2 + cos(4 * t) - 1
    for value in (Q(1, 20), Q(2, 5)):
        numbers = {q: value}
        assert abs((found.determinant - determinant).subs(numbers).evalf(30)) < 1e-25
        assert abs((found.trace - trace).subs(numbers).evalf(30)) < 1e-25
    edge = (found.effective_step * second.subs(theta, 0)).subs(q, Q(1, 10**12)).evalf(30)
    assert abs(edge - 2) < 1e-11
