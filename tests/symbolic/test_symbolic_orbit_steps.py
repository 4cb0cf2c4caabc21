"""Orbits followed to a given multiplier: superstable steps and doublings, to many digits."""

import mpmath
import pytest
import sympy
from plain import orbit
from sympy import Rational as Q
from sympy import sqrt

import symbolic

x = sympy.Symbol("x", real=True)
WELLS = (x**2 - 1) ** 2 / 4
LOGISTIC = x**2 / 2 + x**3 / 3
SLIDES = (x**2 + 1) * (x - 1) ** 2 * (x - 2) ** 2


def slope_of_slides(v):
    return 2 * (v - 1) * (v - 2) * (3 * v**3 - 6 * v**2 + 4 * v - 3)


def superstable_steps(loss, critical_point, first, count):
    """The steps of superstable orbits of period 1, 2, 4, ..., each guessed from those before."""
    steps = list(first)
    for k in range(len(steps), count):
        ratio = 4.669 if k > 2 else 4.4
        guess = steps[-1] + (steps[-1] - steps[-2]) / ratio
        near = (critical_point(guess), guess)
        steps.append(symbolic.orbit_step(loss, 2**k, 0, near=near, digits=20)[1])
    return steps


def accumulation(steps):
    """Aitken's extrapolation of a geometric sequence."""
    a, b, c = steps[-3:]
    return c - (c - b) ** 2 / ((c - b) - (b - a))


def test_period_doubling_of_the_double_well():
    """Superstable parameters a = 1 + h, their ratios, and where they accumulate."""
    page = [
        *("1.5", "2.12132034355964", "2.26298965453635", "2.29384331349836", "2.30047470216029"),
        *("2.30189602933606", "2.30220048394147", "2.30226569108", "2.30227965656"),
        "2.30228264754",
    ]
    # A superstable orbit goes through the map's critical point: 3 h x^2 = 1 + h.
    steps = superstable_steps(
        WELLS, lambda h: sympy.sqrt((1 + h) / (3 * h)), [Q(1, 2), 3 / sqrt(2).n(20) - 1], 10
    )
    for step, value in zip(steps, page, strict=True):
        digits = len(value) - 2
        assert abs(step + 1 - Q(value)) < Q(1, 10**digits)
    ratios = [(b - a) / (c - b) for a, b, c in zip(steps, steps[1:], steps[2:], strict=False)]
    expected = ["4.3857", "4.5917", "4.6527", "4.6656", "4.6684", "4.6690", "4.66917", "4.66919"]
    for ratio, text in zip(ratios, expected, strict=True):
        assert abs(ratio - Q(text)) < Q(1, 10 ** (len(text) - 2))
    assert abs(accumulation(steps) - Q("1.3022834627")) < Q("1e-10")


def test_period_doubling_of_the_logistic_map():
    # The critical point -1/2 + 1/(2 h) is z = 1/2 of z -> r z (1 - z), r = 1 + h.
    steps = superstable_steps(LOGISTIC, lambda h: (1 / h - 1) / 2, [1, sqrt(5).n(20)], 9)
    assert abs(accumulation(steps) - Q("2.5699457")) < Q("1e-7")
    start = orbit(lambda v: v + v * v, 0.1, 2.5, 4000)[-1]
    end = symbolic.orbit_step(LOGISTIC, 4, -1, near=(start, 2.54))[1]
    assert abs(end - Q("2.5440904")) < Q("1e-7")


@pytest.mark.parametrize(
    ("multiplier", "near", "page"),
    [
        (0, (1.92, 0.2245), "0.2245154931"),
        (-1, (1.89, 0.248), "0.2481192111"),
        (0, (1.1, 0.5586), "0.5586275694"),
        (-1, (1.15, 0.6114), "0.6114407630"),
    ],
)
def test_the_two_branches_of_the_slides(multiplier, near, page):
    step = symbolic.orbit_step(SLIDES, 2, multiplier, near=near)[1]
    assert abs(step - Q(page)) < Q("1e-10")
    # By plain descent: the error of the two-cycle shrinks by the multiplier, m^k.
    end = orbit(slope_of_slides, near[0], float(step), 20_000)
    if multiplier == 0:
        assert min(abs(1 - float(step) * second_of_slides(v)) for v in end[-2:]) < 1e-6
    for share, settles in ((0.99, True), (1.01, False)):
        points = orbit(slope_of_slides, near[0], share * float(step), 20_000)
        assert (abs(points[-1] - points[-3]) < 1e-9) == (settles or multiplier == 0)


def second_of_slides(v):
    return 30 * v**4 - 120 * v**3 + 168 * v**2 - 108 * v + 34


def test_a_fold():
    """The window of period three of the logistic map opens at r = 1 + 2 sqrt(2)."""
    _, step = symbolic.orbit_step(LOGISTIC, 3, 1, near=(-0.77, 2.83))
    assert abs(step - sqrt(8)) < Q("1e-28")


def test_orbits_of_a_loss_that_is_no_polynomial():
    """Of 1 - cos x: 2 x = h sin x with 1 = h cos x, so tan x = 2 x."""
    point, step = symbolic.orbit_step(1 - sympy.cos(x), 2, 0, near=(1.2, 2.5))
    with mpmath.workdps(30):
        root = mpmath.findroot(lambda v: mpmath.tan(v) - 2 * v, 1.165)
        assert abs(mpmath.mpf(str(point)) - root) < 1e-25
        assert abs(mpmath.mpf(str(step)) - 1 / mpmath.cos(root)) < 1e-25


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: symbolic.orbit_step(WELLS, 2, 0, near=(1, 0.5)), "has period 1"),
        (
            lambda: symbolic.orbit_step(x**2, 2, 0, near=(1, 0.3)),
            "Give a closer point and step|has period 1",
        ),
    ],
)
def test_searches_that_fail(call, message):
    with pytest.raises(symbolic.NotSolvedError, match=message):
        call()


def test_messages_of_orbit_steps():
    with pytest.raises(symbolic.TooMuchWorkError, match="max_work=30000000"):
        symbolic.orbit_step(WELLS, 10**6, 0, near=(1, 1))
    with pytest.raises(symbolic.TooMuchWorkError, match="max_work=2000000"):
        symbolic.orbit_step(WELLS, 2, 0, near=(1, 1), digits=10**6)
    with pytest.raises(symbolic.InvalidArgumentError, match="multiplier must be a number, got y"):
        symbolic.orbit_step(WELLS, 2, sympy.Symbol("y", real=True), near=(1, 1))
