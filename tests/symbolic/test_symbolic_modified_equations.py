"""Exact coefficients of modified equations, and their orders on the real iterates."""

import itertools as it
import time

import mpmath
import pytest
import sympy
from sympy import Rational as Q
from sympy import cos, sin

import symbolic

x, y = sympy.symbols("x y", real=True)
PLANE = x**4 / 4 + x**2 * y**2 / 2 + y**2 / 2 - x * y / 3
ROSENBROCK = (1 - x) ** 2 + 100 * (y - x**2) ** 2


def zero(expression):
    return sympy.simplify(expression) == 0


def scalars(loss, order):
    return [field[0] for field in symbolic.modified_equation(loss, x, order)]


def test_the_quartic_to_order_ten():
    low = ["-1", "-3/2", "-7/2", "-39/4", "-59/2"]
    page = [*low, "-1849/20", "-5831/20", "-254061/280", "-192649/70", "-162077/20"]
    for j, (field, c) in enumerate(zip(scalars(x**4 / 4, 10), page, strict=True), 1):
        assert field == Q(c) * x ** (2 * j + 1)


def test_the_square_and_the_cubic():
    page = [1, -1, Q(3, 2), Q(-8, 3), Q(31, 6), Q(-157, 15)]
    for j, ((field,), c) in enumerate(
        zip(symbolic.modified_field([y**2], [y], 6), page, strict=True)
    ):
        assert field == c * y ** (j + 2)
    for j, (field, c) in enumerate(zip(scalars(x**3 / 3, 6), page, strict=True)):
        assert field == -abs(c) * x ** (j + 2)


def test_the_parabola_has_the_logarithm():
    curvature = sympy.Symbol("c", positive=True)
    for j, field in enumerate(scalars(curvature * x**2 / 2, 6), 1):
        assert zero(field + curvature**j * x / j)


def test_the_double_well():
    f1 = -x * (x**2 - 1)
    page = [
        f1,
        f1 * (3 * x**2 - 1) / 2,
        f1 * (21 * x**4 - 15 * x**2 + 2) / 6,
        f1 * (3 * x**2 - 1) * (13 * x**4 - 10 * x**2 + 1) / 4,
        f1 * (885 * x**8 - 1315 * x**6 + 635 * x**4 - 115 * x**2 + 6) / 30,
        f1 * (5547 * x**10 - 10305 * x**8 + 6855 * x**6 - 2025 * x**4 + 258 * x**2 - 10) / 60,
    ]
    for field, expected in zip(scalars((x**2 - 1) ** 2 / 4, 6), page, strict=True):
        assert sympy.expand(field - expected) == 0


def test_the_cosine():
    page = [
        sin(x),
        -sin(2 * x) / 4,
        (5 * cos(2 * x) + 3) * sin(x) / 24,
        -sin(2 * x) / 48 - 5 * sin(4 * x) / 96,
        (321 * sin(x) ** 4 - 460 * sin(x) ** 2 + 144) * sin(x) / 720,
    ]
    numbers = (
        "0.84147098480789651",
        "-0.22732435670642042",
        "0.032230646356400680",
        "0.020473100238419561",
        "-0.024279541335212329",
    )
    for field, expected, number in zip(scalars(cos(x), 5), page, numbers, strict=True):
        assert zero(field - expected)
        assert abs(field.subs(x, 1).evalf(20) - Q(number)) < Q("1e-17")


def test_two_variables_to_order_six_in_time():
    start = time.process_time()
    fields = symbolic.modified_equation(PLANE, (x, y), 6)
    assert time.process_time() - start < 10
    page = [
        ("-3/5", "-269/375"),
        ("-25559/28125", "-7277/9375"),
        ("-4227811/2109375", "-17454169/12656250"),
        ("-321317179/63281250", "-997945201/316406250"),
        ("-1630650863989/118652343750", "-973462733731/118652343750"),
        ("-204357423681697/5339355468750", "-134194577622509/5932617187500"),
    ]
    for field, expected in zip(fields, page, strict=True):
        values = [c.subs({x: Q(4, 5), y: Q(3, 5)}) for c in field]
        assert values == [Q(v) for v in expected]


def test_rosenbrock():
    page = [
        ("-47", "-50"),
        ("-7397", "-9700"),
        ("-4256288/3", "-6617900/3"),
        ("-904616782/3", "-1493916400/3"),
        ("-934326562256/15", "-107693430080"),
        ("-10195550157104", "-62556181990880/3"),
    ]
    fields = symbolic.modified_equation(ROSENBROCK, (x, y), 6)
    for field, expected in zip(fields, page, strict=True):
        assert [c.subs({x: Q(-1, 2), y: Q(1, 2)}) for c in field] == [Q(v) for v in expected]
    assert symbolic.curl(fields[1], (x, y)) == (0,)
    (twist,) = symbolic.curl(fields[2], (x, y))
    inner = 120000 * x**5 - 80000 * x**3 * y + 40400 * x**3 - 600 * x**2
    inner += -40000 * x * y**2 - 39600 * x * y + 99 * x - 200 * y - 99
    # The page gives d_x F_y - d_y F_x of F = -f_3.
    assert sympy.expand(-twist + Q(800, 3) * inner) == 0


def tensors(loss, at):
    """Derivative tensors of a loss at a rational point, as functions of vectors."""
    values = dict(zip((x, y), at, strict=True))

    def tensor(*vectors):
        """D^m[v_1, ..., v_{m-1}, .]"""
        return [
            sum(
                sympy.prod([v[i] for v, i in zip(vectors, index, strict=True)])
                * sympy.diff(loss, *((x, y)[i] for i in index), s).subs(values)
                for index in it.product((0, 1), repeat=len(vectors))
            )
            for s in (x, y)
        ]

    return tensor


@pytest.mark.parametrize(
    ("loss", "at"), [(PLANE, (Q(4, 5), Q(3, 5))), (ROSENBROCK, (-Q(1, 2), Q(1, 2)))]
)
def test_the_explicit_formulas_to_order_five(loss, at):
    d = tensors(loss, at)
    g = d()
    h1 = d(g)
    h2 = d(h1)
    h3 = d(h2)
    h4 = d(h3)
    dgg = d(g, g)
    terms = [
        [(1, g)],
        [(Q(1, 2), h1)],
        [(Q(1, 3), h2), (Q(1, 12), dgg)],
        [(Q(1, 4), h3), (Q(1, 12), d(g, h1)), (Q(1, 12), d(dgg))],
        [
            (Q(1, 5), h4),
            (Q(3, 40), d(d(dgg))),
            (Q(1, 10), d(d(g, h1))),
            (Q(1, 20), d(g, h2)),
            (Q(1, 60), d(h1, h1)),
            (Q(1, 120), d(g, dgg)),
            (-Q(1, 120), d(g, g, h1)),
            (Q(1, 180), d(d(g, g, g))),
            (-Q(1, 720), d(g, g, g, g)),
        ],
    ]
    fields = symbolic.modified_equation(loss, (x, y), 5)
    for field, page in zip(fields, terms, strict=True):
        values = [c.subs(dict(zip((x, y), at, strict=True))) for c in field]
        assert values == [-sum(c * v[i] for c, v in page) for i in range(2)]


def test_the_third_order_is_a_gradient_and_a_rest():
    """H^2 g / 3 + D^3[g, g] / 12 = grad(g^T H g) / 12 + H^2 g / 6."""
    g = sympy.Matrix([sympy.diff(PLANE, s) for s in (x, y)])
    hessian = sympy.hessian(PLANE, (x, y))
    third = -sympy.Matrix(symbolic.modified_equation(PLANE, (x, y), 3)[2])
    quadratic = (g.T * hessian * g)[0, 0]
    page = sympy.Matrix([sympy.diff(quadratic, s) for s in (x, y)]) / 12 + hessian**2 * g / 6
    assert (third - page).applyfunc(sympy.expand).is_zero_matrix


def test_flows_on_a_parabola_are_stable_at_every_step():
    """Truncated, the rate is -(q + q^2 / 2 + ...) < 0; the whole series is log(1 - q)."""
    q = sympy.Symbol("q", positive=True)
    fields = scalars(x**2 / 2, 8)
    rate = sympy.S.Zero
    for k, field in enumerate(fields, 1):
        rate += field / x * q**k
        assert rate.is_negative
    assert zero(rate - sympy.series(sympy.log(1 - q), q, 0, 9).removeO())
    # The principal flow has the factor 1 - q and so the threshold of descent.
    assert symbolic.optimizer_threshold("gradient_descent") == 2


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_one_step_is_the_flow_to_the_next_order(order):
    """Taylor-integrated flow of the truncated field against one plain step: slope order + 1."""
    fields = symbolic.modified_equation(PLANE, (x, y), order)
    errors = []
    with mpmath.workdps(30):
        call = sympy.lambdify((x, y), fields, "mpmath")
        start = [mpmath.mpf("0.8"), mpmath.mpf("0.6")]
        for step in (mpmath.mpf("0.02"), mpmath.mpf("0.01")):

            def slope(_, w, step=step):
                parts = call(*w)
                return [sum(step**j * part[i] for j, part in enumerate(parts)) for i in range(2)]

            flow = mpmath.odefun(slope, 0, start)(step)
            descent = [s + step * g for s, g in zip(start, call(*start)[0], strict=True)]
            errors.append(mpmath.norm([f - d for f, d in zip(flow, descent, strict=True)]))
    assert abs(float(mpmath.log(errors[0] / errors[1], 2)) - order - 1) < 0.1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: symbolic.modified_equation(PLANE, (x, y), 6, max_terms=10),
            "TooMuchWorkError",
            "max_terms=40",
        ),
        (lambda: symbolic.modified_equation(x**4, x, 99), "TooMuchWorkError", "max_order=99"),
        (lambda: symbolic.modified_equation(PLANE, (x, y), 0), "InvalidArgumentError", "order"),
        (
            lambda: symbolic.modified_field([x], [x, y]),
            "InvalidArgumentError",
            "1 components for 2",
        ),
        (lambda: symbolic.modified_loss(x**2, momentum=1), "InvalidArgumentError", r"in \[0, 1\)"),
        (lambda: symbolic.modified_equation(sympy.Abs(x), x), "NonSmoothPointError", "has kinks"),
    ],
)
def test_messages_of_modified_equations(call, error, message):
    with pytest.raises(getattr(symbolic, error), match=message):
        call()
