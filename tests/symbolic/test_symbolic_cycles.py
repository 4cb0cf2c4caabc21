"""Closed cascades past the threshold: cycles, stability intervals, superstable steps, crises."""

import mpmath
import pytest
import sympy
from sympy import Rational as Q
from sympy import sqrt

import symbolic

x, y = sympy.symbols("x y", real=True)
h, r, p = sympy.symbols("h r p", positive=True)
WELLS = (x**2 - 1) ** 2 / 4
LOGISTIC = x**2 / 2 + x**3 / 3
BARRIERS = x**2 / 2 - x**4 / 4
SLIDES = (x**2 + 1) * (x - 1) ** 2 * (x - 2) ** 2
# The landscape -1600 u^5 - 2000 u^4 + 800 u^3 + 1020 u^2 near its sharp minimum u = 0.
PIECE = -1600 * x**5 - 2000 * x**4 + 800 * x**3 + 1020 * x**2


def same(a, b):
    return sympy.simplify(a - b) == 0


def families(loss, period):
    return symbolic.cycles(loss, x, period, h)


def orbit(slope, start, step, steps):
    points = [start]
    for _ in range(steps):
        points.append(points[-1] - step * slope(points[-1]))
        if abs(points[-1]) > 1e3:
            break
    return points


def test_two_cycles_of_the_double_well():
    symmetric, pair = families(WELLS, 2)
    assert same(symmetric.equation, h * x**2 - h - 2)
    assert same(symmetric.multiplier, (2 * h + 5) ** 2)
    assert symmetric.stable_steps == ()
    # x = (s ± d) / 2 with s^2 = (3 + h) / h, d^2 = (h - 1) / h
    for sign in (1, -1):
        point = (sqrt((3 + h) / h) + sign * sqrt((h - 1) / h)) / 2
        assert same(sympy.expand(pair.equation.subs(x, point)), 0)
    assert same(pair.multiplier, 9 - 2 * (1 + h) ** 2)
    assert pair.stable_steps == ((1, sqrt(5) - 1),)
    assert same(pair.superstable_steps[0], 3 / sqrt(2) - 1)
    assert pair.doubling_steps == (sqrt(5) - 1,)


def test_the_stable_pair_at_one_step():
    found = symbolic.cycles(WELLS, x, 2, Q(21, 20))
    assert [cycle.stable for cycle in found] == [False, True, True]
    right = found[2]
    assert same(right.multiplier, 9 - 2 * Q(41, 20) ** 2)
    low, high = (point.evalf(15) for point in right.points)
    assert abs(high - Q("1.0910894512")) < Q("1e-10")
    assert abs(low - Q("0.8728715609")) < Q("1e-10")
    simulated = orbit(lambda v: v**3 - v, 1.3, 1.05, 5000)[-2:]
    assert sorted(simulated) == pytest.approx([float(low), float(high)], abs=1e-12)


@pytest.mark.parametrize(
    ("step", "settles"), [(0.99 * (5**0.5 - 1), True), (1.01 * (5**0.5 - 1), False)]
)
def test_the_interval_of_stability_by_simulation(step, settles):
    points = orbit(lambda v: v**3 - v, 1.1, step, 20000)
    assert (abs(points[-1] - points[-3]) < 1e-9) == settles


def test_the_flip_of_two_variables_by_simulation():
    """Half-widths of the two-cycle just past the threshold 1, and their prediction."""
    flip = symbolic.flip(x**2 + y**2 / 2 + x**2 * y + x**4 / 10 + x * y**2 / 5, {x: 0, y: 0})
    assert (flip.coefficient, flip.threshold) == (Q(8, 5), 1)
    page = {
        "1.0001": ("0.01118034", 0.01117999),
        "1.001": ("0.03535534", 0.03534430),
        "1.01": ("0.11180340", 0.11145745),
    }
    for step, (predicted, measured) in page.items():
        assert abs(flip.half_width(Q(step)).evalf(12) - Q(predicted)) < Q("1e-8")
        rate, u, v = float(step), measured, -0.01
        for _ in range(200_000 if step == "1.0001" else 20_000):
            last = u
            u, v = (
                u - rate * (2 * u + 2 * u * v + 0.4 * u**3 + v * v / 5),
                v - rate * (v + u * u + 0.4 * u * v),
            )
        assert abs(u - last) / 2 == pytest.approx(measured, rel=1e-4)


def test_the_basin_of_the_logistic_map():
    for step in (0.5, 1.5, 1.99):
        for start, inside in (
            (-0.99, True),
            (0.99 / step, True),
            (-1.01, False),
            (1.01 / step, False),
        ):
            end = orbit(lambda v: v + v * v, start, step, 5000)[-1]
            assert (abs(end) < 1e-6) == inside


def test_the_pair_balances_with_multiplier_three_minus_two_h():
    """On x = y the product of two is the double well; across it one step multiplies by 1 - h e."""
    loss = (x * y - 1) ** 2 / 2
    across = sympy.expand(1 - h * (loss.diff(x, 2) - loss.diff(x, y)).subs(y, x))
    assert same(across, 1 - h * (1 - x**2))
    # Both points of an orbit together: (1 - h (1 - a^2)) (1 - h (1 - b^2)) with a b = 1 / h.
    total, joint = (3 + h) / h - 2 / h, 1 / h**2
    both = sympy.expand((1 - h) ** 2 + h * (1 - h) * total + h**2 * joint)
    assert same(both, 3 - 2 * h)


def test_the_logistic_map():
    (two,) = families(LOGISTIC, 2)
    assert two.stable_steps == ((2, sqrt(6)),)
    assert two.superstable_steps == (sqrt(5),)
    assert same(two.multiplier, 5 - h**2)
    (three,) = families(LOGISTIC, 3)
    assert three.stable_steps[0][0] == 2 * sqrt(2)
    assert abs(three.doubling_steps[0].evalf(12) - Q("2.8414990")) < Q("1e-6")
    assert symbolic.threshold(LOGISTIC, 0) == 2
    assert symbolic.classify(1, 1) == "superstable"
    assert [c.step for c in symbolic.crisis(LOGISTIC, after=2, period=1)] == [3]


def test_period_four_of_the_logistic_map_ends_where_the_page_says():
    start = orbit(lambda v: v + v * v, 0.1, 2.5, 4000)[-1]
    end = symbolic.orbit_step(LOGISTIC, 4, -1, near=(start, 2.54))[1]
    assert abs(end - Q("2.5440904")) < Q("1e-7")


def test_losses_with_barriers():
    symmetric, broken = families(BARRIERS, 2)
    assert same(symmetric.equation, h * x**2 - h + 2)
    assert same(symmetric.multiplier, (2 * h - 5) ** 2)
    assert symmetric.stable_steps == ((2, 3),)
    assert broken.stable_steps == ((3, 1 + sqrt(5)),)
    assert [c.step for c in symbolic.crisis(BARRIERS, after=1, target=1)] == [4]


@pytest.mark.parametrize(("step", "inside"), [(3.96, True), (4.04, False)])
def test_the_barrier_opens_at_step_four(step, inside):
    # A critical point of the map is the worst start: it goes furthest.
    c = ((step - 1) / (3 * step)) ** 0.5
    points = orbit(lambda v: v - v**3, c, step, 2000)
    assert all(abs(v) < 1 for v in points) == inside


def test_the_subcritical_quartic():
    loss = x**2 / 2 + x**4 / 4
    symmetric = families(loss, 2)[0]
    assert same(symmetric.equation, h * x**2 + h - 2)
    assert symmetric.stable_steps == ()
    assert same(symbolic.symmetric_cycle(loss).multiplier, (2 * h - 5).subs(h, 2 / (1 + x**2)))
    for step in (0.5, 1.0, 1.9):
        edge = ((2 - step) / step) ** 0.5
        inside = orbit(lambda v: v + v**3, 0.99 * edge, step, 5000)
        outside = orbit(lambda v: v + v**3, 1.01 * edge, step, 5000)
        assert abs(inside[-1]) < 1e-9
        assert abs(outside[-1]) > 1e3


def test_the_quartic():
    cycle = symbolic.symmetric_cycle(x**4 / 4)
    assert same(cycle.step, 2 / x**2)
    assert cycle.multiplier == -5
    points = orbit(lambda v: v**3, 0.99 * 2**0.5, 1.0, 100_000)
    assert abs(points[-1]) * (2 * 100_000) ** 0.5 == pytest.approx(0.99995, abs=2e-4)
    assert abs(orbit(lambda v: v**3, 1.01 * 2**0.5, 1.0, 100)[-1]) > 1e3


def test_powers_of_the_absolute_value():
    cycle = symbolic.symmetric_cycle(r**p / p, r)
    assert same(cycle.multiplier, 3 - 2 * p)
    inverse = cycle.step.subs(r, (h / 2) ** (1 / (2 - p)))
    assert same(sympy.powdenest(inverse, force=True), h)
    root = symbolic.symmetric_cycle(Q(2, 3) * r ** Q(3, 2))
    assert same(root.step.subs(r, h**2 / 4), h)
    assert root.multiplier == 0
    assert same((Q(2, 3) * r ** Q(3, 2)).subs(r, h**2 / 4), h**3 / 12)


@pytest.mark.parametrize("step", [0.1, 1.0, 3.0])
def test_descent_on_three_halves_settles_on_its_orbit(step):
    def slope(v):
        return abs(v) ** 0.5 * (1 if v > 0 else -1)

    for start in (0.3, -2.0, 7.7):
        points = orbit(slope, start, step, 3000)
        assert abs(abs(points[-1]) - step**2 / 4) < 1e-12 * step**2
        assert points[-1] * points[-2] < 0


def test_the_countable_set_that_does_converge():
    """u -> ((1 + sqrt(1 + 4 u)) / 2)^2 lists the starts |x0| / h^2 that reach 0."""
    u, page = mpmath.mpf(1), [2.6180340, 4.8115611, 7.5613524, 10.8562321]
    for value in page:
        u = ((1 + mpmath.sqrt(1 + 4 * u)) / 2) ** 2
        assert abs(u - value) < 1e-7


def test_the_cosine():
    cycle = symbolic.symmetric_cycle(1 - sympy.cos(x))
    assert same(cycle.step, 2 * x / sympy.sin(x))
    assert cycle.step.subs(x, sympy.pi / 2) == sympy.pi
    assert cycle.multiplier.subs(x, sympy.pi / 2) == 1
    (hop,) = symbolic.crisis(1 - sympy.cos(x), after=1, target=-sympy.pi, near=1.35)
    assert abs(hop.step - Q("4.6033388488")) < Q("1e-10")
    assert abs(sympy.sqrt(hop.step**2 - 1) - sympy.acos(1 / hop.step) - sympy.pi) < Q("1e-25")
    import math

    assert max(map(abs, orbit(math.sin, 1.0, 4.59, 20000))) < 3.1416
    assert max(map(abs, orbit(math.sin, 1.0, 4.62, 20000))) > 6.3


def test_crises_of_the_double_well():
    (boundary,) = symbolic.crisis(WELLS, after=1, period=2)
    assert boundary.step == 2
    (merging,) = symbolic.crisis(WELLS, after=2, target=0)
    assert same(merging.step, 3 * sqrt(3) / 2 - 1)
    for step, merged in ((0.999 * float(merging.step), False), (1.003 * float(merging.step), True)):
        points = orbit(lambda v: v**3 - v, 0.7, step, 50000)
        assert (min(points) < 0) == merged
    a = 3.0  # y = 2 cos t -> -2 cos 3t: the Lyapunov exponent is log 3
    v, total = 0.7, mpmath.mpf(0)
    for _ in range(40000):
        total += mpmath.log(abs(a - 3 * v * v))
        v = a * v - v**3
    assert abs(total / 40000 - mpmath.log(3)) < 0.02


def test_period_doubling_of_the_double_well():
    """Superstable parameters a = 1 + h, and their ratios."""
    page = [
        "1.5",
        "2.12132034355964",
        "2.26298965453635",
        "2.29384331349836",
        "2.30047470216029",
        "2.30189602933606",
    ]
    found = [Q(3, 2)]
    previous = mpmath.mpf(1)
    for k, value in enumerate(page[1:], 1):
        a = mpmath.mpf(value)
        # The superstable orbit goes through the map's critical point sqrt(a / 3) / sqrt(h).
        start = mpmath.sqrt(a / 3 / (a - 1))
        point, step = symbolic.orbit_step(WELLS, 2**k, 0, near=(start, a - 1))
        found.append(step + 1)
        assert abs(found[-1] - Q(value)) < Q("1e-13")
        assert point > 0
    ratios = [(b - a) / (c - b) for a, b, c in zip(found, found[1:], found[2:], strict=False)]
    assert previous < 2
    for ratio, expected in zip(ratios, (4.3857, 4.5917, 4.6527, 4.6656), strict=True):
        assert abs(ratio - expected) < 2e-4


def test_the_loss_falls_at_every_step_until_two_root_two_minus_two():
    """e' / e = 1 - 2h + h (h - 2) e + h^2 e^2 for the residual e = x^2 - 1."""
    e = x**2 - 1
    after = (x - h * (x**3 - x)) ** 2 - 1
    assert sympy.expand(after - e * (1 - 2 * h + h * (h - 2) * e + h**2 * e**2)) == 0
    ratio = 1 - 2 * h + h * (h - 2) * y + h**2 * y**2
    vertex = sympy.solve(sympy.diff(ratio, y), y)[0]
    least = sympy.simplify(ratio.subs(y, vertex))
    assert same(least.subs(h, 2 * sqrt(2) - 2), -1)


def test_the_example_of_the_slides():
    assert symbolic.flip(SLIDES, 1).coefficient == 11
    assert symbolic.flip(SLIDES, 2).coefficient == Q(1484, 25)
    widths = {(1, Q("0.50005")): "0.00426401", (2, Q("0.20002")): "0.00183556"}
    for (at, step), page in widths.items():
        predicted = symbolic.flip(SLIDES, at).half_width(step)
        assert abs(predicted.evalf(12) - Q(page)) < Q("1e-8")
        low, high = min(
            (
                sorted(p.evalf(12) for p in cycle.points)
                for cycle in symbolic.cycles(SLIDES, x, 2, step)
            ),
            key=lambda pair: abs(pair[0] - at),
        )
        measured = {1: "0.00426360", 2: "0.00183549"}[at]
        assert abs((high - low) / 2 - Q(measured)) < Q("1e-8")
    for period, multiplier, near, page in (
        (2, 0, (1.92, 0.2245), "0.2245154931"),
        (2, -1, (1.89, 0.248), "0.2481192111"),
        (2, 0, (1.1, 0.5586), "0.5586275694"),
        (2, -1, (1.15, 0.6114), "0.6114407630"),
    ):
        step = symbolic.orbit_step(SLIDES, period, multiplier, near=near)[1]
        assert abs(step - Q(page)) < Q("1e-9")
    maximum = symbolic.critical_points(SLIDES)[1].location[x]
    (end,) = symbolic.crisis(SLIDES, after=2, target=maximum, near=1.897)
    assert abs(end.step - Q("0.3306047846")) < Q("1e-10")
    assert abs(end.critical_point - Q("1.8974177673")) < Q("1e-10")


def test_at_three_tenths_descent_near_two_stays_near_two():
    def slope(v):
        return 2 * (v - 1) * (v - 2) * (3 * v**3 - 6 * v**2 + 4 * v - 3)

    band = orbit(slope, 2.001, 0.3, 20000)[1000:]
    # The ends of the band are F(F(c)) and F(c), with F'(c) = 0.
    assert 1.7050994 < min(band) < 1.7052
    assert 2.0899 < max(band) < 2.0899984
    assert abs(orbit(slope, 2.001, 0.35, 20000)[-1] - 1) < 1e-9


def test_the_sharp_piece_of_the_landscape():
    """Its minimum, flip, doubling, and the two steps at which the trap opens."""
    assert symbolic.threshold(PIECE, 0) == Q(1, 1020)
    flip = symbolic.flip(PIECE, 0)
    assert flip.coefficient * 3 * 2040**2 == 167040000
    maximum = next(
        p.location[x]
        for p in symbolic.critical_points(PIECE)
        if p.kind == "maximum" and p.location[x].evalf() > -1 and p.location[x].evalf() < 0
    )
    assert abs(maximum.evalf(15) + Q("2.5") - Q("2.0353102172")) < Q("1e-10")
    (first,) = symbolic.crisis(PIECE, after=1, target=maximum, near=0.284982509)
    assert abs(first.step - Q("1.39252552e-3")) < Q("1e-11")
    (second,) = symbolic.crisis(PIECE, after=2, target=maximum, near=-0.173487318)
    assert abs(second.step - Q("1.53373402e-3")) < Q("1e-11")
    onset = symbolic.orbit_step(PIECE, 2, -1, near=(0.2, 1.23e-3))[1]
    assert abs(onset - Q("1.2304414e-3")) < Q("1e-10")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: symbolic.cycles(x**2, x, 2, 1), "InvalidStepError", "every point returns after 2"),
        (lambda: symbolic.cycles(sympy.cos(x)), "NotSolvedError", "no polynomial in x"),
        (lambda: symbolic.cycles(x**4, x, 0), "InvalidArgumentError", "period must be a whole"),
        (
            lambda: symbolic.cycles(x**4, x, 2, 1 + h),
            "InvalidArgumentError",
            "a rational number or",
        ),
        (lambda: symbolic.cycles(x**4, x, 5, 1), "TooMuchWorkError", "max_degree=243"),
        (lambda: symbolic.cycles(x**4, x, 4), "TooMuchWorkError", "max_degree=243"),
        (lambda: symbolic.cycles(x * y, x, 2, 1), "InvalidSymbolsError", "y is undetermined"),
        (lambda: symbolic.symmetric_cycle(x**3), "InvalidArgumentError", "not an even function"),
        (
            lambda: symbolic.orbit_step(WELLS, 2, 0, near=(1, 0.5)),
            "NotSolvedError",
            "has period 1",
        ),
        (
            lambda: symbolic.orbit_step(x**2, 2, 0, near=(1, 0.3)),
            "NotSolvedError",
            "Give a closer point and step|has period 1",
        ),
        (lambda: symbolic.crisis(WELLS), "InvalidArgumentError", "either target"),
        (
            lambda: symbolic.crisis(sympy.cos(x), target=0),
            "NotSolvedError",
            "Search from a point instead",
        ),
        (
            lambda: symbolic.crisis(WELLS, after=5, target=0),
            "TooMuchWorkError",
            "max_degree=243",
        ),
        (
            lambda: symbolic.crisis(-(x**2), target=1, near=3),
            "NotSolvedError",
            "no crisis was reached|negative step",
        ),
    ],
)
def test_messages_past_the_threshold(call, error, message):
    with pytest.raises(getattr(symbolic, error), match=message):
        call()
