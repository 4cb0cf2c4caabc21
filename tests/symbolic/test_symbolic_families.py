"""Families of critical points: where their members exist, and of what kind they are."""

import json
import math

import mpmath
import pytest
import sympy
from plain import critical_points
from sympy import Rational as Q
from sympy import cos, exp, log, sin, sqrt

import symbolic
from symbolic.thresholds._families import members

x = sympy.Symbol("x", real=True)
a = sympy.Symbol("a", real=True)
N = sympy.Symbol("n", integer=True)


def listed(points, orders):
    """Members as floats with kind, sharpness and threshold, where the condition holds."""
    found = []
    for point in points:
        free = point.location[x].free_symbols
        for order in orders if free else [0]:
            at = dict.fromkeys(free, order)
            if point.condition.subs(at) == sympy.true:
                row = (point.location[x], point.sharpness, point.threshold)
                numbers = [None if v is None else float(v.subs(at).evalf(20)) for v in row]
                found.append((*numbers, point.kind))
    return sorted(found)


def by_numbers(loss, at):
    """Kind and threshold from second differences in mpmath, at a point that is no flat one."""
    with mpmath.workdps(40):
        second = mpmath.diff(sympy.lambdify(x, loss, "mpmath"), at, 2)
        return ("minimum", float(2 / second)) if second > 0 else ("maximum", None)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (cos(exp(x)), [math.log(k * math.pi) for k in range(1, 7)]),
        (sin(exp(-x)), sorted(-math.log((k + 0.5) * math.pi) for k in range(6))),
        (
            cos(x**2),
            [
                s * math.sqrt(k * math.pi)
                for s, ks in ((-1, range(5, 0, -1)), (1, range(6)))
                for k in ks
            ],
        ),
        (log(sin(x)), [math.pi / 2 + 2 * math.pi * k for k in range(-2, 3)]),
        (
            sqrt(2 + sin(x)),
            [math.pi / 2 + math.pi * k for k in range(-4, 6)],
        ),
    ],
)
def test_members_exist_and_have_their_kinds(loss, expected):
    rows = listed(critical_points(loss), range(-3, 4))
    near = [row for row in rows if expected[0] - 1e-6 < row[0] < expected[-1] + 1e-6]
    assert [row[0] for row in near] == pytest.approx(expected, rel=1e-12, abs=1e-12)
    for at, _, threshold, kind in near:
        if at == 0:
            assert kind == "maximum"  # of 1 - x**4 / 2
            continue
        expected_kind, expected_threshold = by_numbers(loss, at)
        assert kind == expected_kind
        assert (threshold is None) == (expected_threshold is None)
        if threshold is not None:
            assert threshold == pytest.approx(expected_threshold, rel=1e-8)


def test_no_family_without_a_condition_and_none_that_is_false():
    maxima, minima = critical_points(cos(exp(x)))
    assert str(maxima) == (
        "x = log(2*pi*n): maximum, sharpness -4*pi**2*n**2, if n >= 1"  # of no n with a threshold
    )
    assert str(minima.condition) == "n >= 0"
    assert [maxima.condition.subs(s, k) for s in maxima.condition.free_symbols for k in (0, 1)] == [
        sympy.false,
        sympy.true,
    ]
    assert minima.flip.kind == "supercritical"


def test_the_range_of_the_integer():
    assert [str(c) for _, c in members(log(3 - 2 * N))] == ["n <= 1"]
    assert [str(c) for _, c in members(sqrt(2 * N - 7))] == ["n >= 4"]
    assert [(str(v), str(c)) for v, c in members(sqrt(N + 2))] == [
        ("0", "True"),
        ("sqrt(n + 2)", "n >= -1"),
    ]
    assert members(sqrt(-1 - N) + sqrt(N)) == []
    ((both, condition),) = members(log(N - 2) + log(8 - N))
    assert {k for k in range(-20, 20) if condition.subs(*both.free_symbols, k)} == {3, 4, 5, 6, 7}


def test_a_fraction_under_a_root_has_a_condition():
    """a x^4 - x^2 has three critical points for positive a, one for negative a."""
    points = critical_points(a * x**4 - x**2, x)
    for value, count in ((2, 3), (-2, 1)):
        assert sum(p.condition.subs(a, value) == sympy.true for p in points) == count


def test_a_condition_on_parameters_that_never_makes_a_minimum():
    maxima, minima = critical_points(cos(a * exp(x)), x)
    assert maxima.threshold is None
    assert minima.condition.subs({a: 1, N: 0}) == sympy.true
    assert minima.condition.subs({a: -1, N: 0}) == sympy.false


@pytest.mark.parametrize("power", [Q(4, 3), Q(5, 3), Q(3, 2)])
def test_an_infinite_second_derivative_is_not_smooth(power):
    (point,) = critical_points(x**power)
    assert (point.location[x], point.kind, point.threshold) == (0, "not smooth", None)
    with pytest.raises(symbolic.NonSmoothPointError, match="no real second derivative"):
        symbolic.threshold(x**power, 0)


def test_an_infinite_third_derivative_leaves_the_kind_open():
    (point,) = critical_points(x ** Q(7, 3))
    assert (point.kind, point.threshold) == ("degenerate", None)


def test_no_root_is_found_across_a_pole_and_none_is_lost_between_two():
    (point,) = critical_points(log(sin(x)), between=(Q(1, 2), 3))
    assert float(point.location[x].evalf(20)) == pytest.approx(math.pi / 2, rel=1e-12)
    with pytest.raises(symbolic.NotSolvedError, match="or a pole"):
        critical_points(log(sin(x) ** 2), between=(Q(1, 2), 6))


def test_tables_show_conditions():
    points = critical_points(cos(exp(x)))
    lines = symbolic.table(points).splitlines()
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "x = log(2*pi*n) if n >= 1",
        "x = log(2*pi*n + pi) if n >= 0",
    ]
    assert [r["condition"] for r in json.loads(symbolic.json_table(points))] == ["n >= 1", "n >= 0"]
    assert r"\text{if}\ n \geq 1$" in symbolic.latex_table(points)
    assert "if" not in symbolic.table(critical_points(x**4 - x**2)).split()
