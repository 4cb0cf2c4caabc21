"""Every misuse of the symbolic half has a typed error that says what to do."""

import pytest
import sympy
from plain import critical_points

import symbolic

x, y, z = sympy.symbols("x y z", real=True)
CUBIC = x**3 / 3 - x


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: symbolic.critical_points(3), "InvalidSymbolsError", "has no symbols"),
        (lambda: symbolic.critical_points("x**2"), "InvalidExpressionError", r"symbolic\.parse"),
        (lambda: symbolic.critical_points([x]), "InvalidExpressionError", "one scalar expression"),
        (
            lambda: symbolic.critical_points(sympy.Matrix([x, y])),
            "InvalidExpressionError",
            "one scalar expression",
        ),
        (lambda: symbolic.critical_points(x > 0), "InvalidExpressionError", "one scalar"),
        (lambda: symbolic.critical_points(sympy.I * x), "InvalidExpressionError", "is complex"),
        (
            lambda: symbolic.critical_points(sympy.Symbol("u") ** 2),
            "InvalidSymbolsError",
            r"u is not declared real. Write u = sympy\.Symbol\('u', real=True\)",
        ),
        (
            lambda: symbolic.critical_points(x**2, sympy.Symbol("x")),
            "InvalidSymbolsError",
            "other assumptions are other symbols",
        ),
        (lambda: symbolic.critical_points(x**2, [x, x]), "InvalidSymbolsError", "repeat one"),
        (
            lambda: symbolic.critical_points(x**2 / 2 - sympy.sin(x)),
            "NotSolvedError",
            r"between=\(-10, 10\)",
        ),
        (
            lambda: symbolic.critical_points(sympy.exp(x) + sympy.cos(y)),
            "NotSolvedError",
            "several variables",
        ),
        (
            lambda: symbolic.critical_points(x**2 * y, between=(0, 1)),
            "InvalidArgumentError",
            "losses of one symbol",
        ),
        (
            lambda: symbolic.critical_points(sympy.erf(x) ** 2, between=(-1, 1)),
            "NotSolvedError",
            "no interval arithmetic for erf",
        ),
        (
            lambda: symbolic.critical_points((1 - sympy.cos(x)) ** 2, between=(-1, 1)),
            "NotSolvedError",
            "has a multiple root near",
        ),
        (
            lambda: symbolic.critical_points(sympy.cos(9 * x), between=(-99, 99), max_work=1),
            "TooMuchWorkError",
            "max_work=10",
        ),
        (
            lambda: symbolic.critical_points((x**9 + y**9 - x * y) ** 2),
            "TooMuchWorkError",
            "max_work=289",
        ),
        (
            lambda: symbolic.critical_points(x**41 - 7 * x**3 + x**43 + x**2 * 3),
            "TooMuchWorkError",
            "42 complex solutions.*max_work=210",
        ),
        (
            lambda: symbolic.critical_points(
                (x**4 + y**4 + z**4) - x * y * z + x - 2 * y**2 + 3 * x * z**2 - y * z + z
            ),
            "NotSolvedError",
            "algebraic degree 27 in 3 variables",
        ),
        (
            lambda: symbolic.critical_points(sum(sympy.sin(k * x) for k in range(1, 80))),
            "TooMuchWorkError",
            "more than 150 operations",
        ),
        (
            lambda: symbolic.critical_points((((x + 1) ** 64 + 1) ** 64 + 1) ** 64),
            "TooMuchWorkError",
            "degree 262144 and 262145 terms.*max_work=87382",
        ),
        (
            lambda: symbolic.critical_points((x + y + z + 1) ** 64),
            "TooMuchWorkError",
            "47905 terms.*max_work=1597",
        ),
        (
            lambda: symbolic.critical_points(x**4 + y * x**3 + z * x, x),
            "NotSolvedError",
            "has degree 3 with parameters.*Put rational numbers",
        ),
        (
            lambda: symbolic.critical_points(CUBIC, 3),
            "InvalidSymbolsError",
            "or a list of them, got 3",
        ),
        (lambda: symbolic.critical_points(CUBIC, "x"), "InvalidSymbolsError", "got 'x'"),
        (lambda: symbolic.critical_points(sympy.oo * x), "InvalidExpressionError", "not finite"),
        (lambda: symbolic.critical_points(sympy.zoo * x), "InvalidExpressionError", "not finite"),
        (lambda: symbolic.almost_surely(3, 1), "InvalidSymbolsError", "has no symbols"),
        (lambda: symbolic.threshold(CUBIC, 2), "InvalidPointError", "the derivative along x is 3"),
        (lambda: symbolic.threshold(CUBIC, {y: 1}), "InvalidSymbolsError", "y does not occur"),
        (lambda: symbolic.threshold(CUBIC, (1, 2)), "InvalidPointError", "2 coordinates"),
        (lambda: symbolic.threshold(CUBIC, "here"), "InvalidPointError", "not a number"),
        (lambda: symbolic.threshold(CUBIC, sympy.I), "InvalidPointError", "not a real number"),
        (
            lambda: symbolic.threshold(sympy.Abs(x), 0),
            "NonSmoothPointError",
            "no real second derivative at x = 0",
        ),
        (
            lambda: symbolic.threshold(sympy.Max(x**2, x), 0),
            "NonSmoothPointError",
            "inside a smooth piece",
        ),
        (lambda: symbolic.threshold(sympy.sqrt(x), 0), "NonSmoothPointError", "x = 0"),
        (lambda: symbolic.threshold(sympy.log(x), 0), "NonSmoothPointError", "x = 0"),
        (
            lambda: symbolic.flip((x * y - 1) ** 2, {x: 1, y: 1}),
            "InvalidPointError",
            "positive definite",
        ),
        (
            lambda: symbolic.flip(x**2 + y**2, {x: 0, y: 0}),
            "NotSolvedError",
            "no single eigenvalue",
        ),
        (lambda: symbolic.flip(x**2, 0).half_width(1), "InvalidStepError", "degenerate"),
        (
            lambda: symbolic.flip(sympy.cosh(x), 0).half_width(3),
            "InvalidStepError",
            "Take a step below 2",
        ),
        (lambda: symbolic.classify(1, 0), "InvalidStepError", "positive and finite, got 0"),
        (lambda: symbolic.classify(1, -1), "InvalidStepError", "got -1"),
        (lambda: symbolic.classify(1, "a"), "InvalidStepError", "got 'a'"),
        (lambda: symbolic.classify(1, sympy.oo), "InvalidStepError", "got oo"),
        (
            lambda: critical_points(x**3 - 2 * x)[0].intervals(0),
            "InvalidArgumentError",
            "width must be a positive number, got 0",
        ),
    ],
)
def test_messages(call, error, message):
    with pytest.raises(getattr(symbolic, error), match=message) as caught:
        call()
    assert isinstance(caught.value, symbolic.SymbolicError)


TEXT = "__import__('os').getcwd()"


@pytest.mark.parametrize(
    "call",
    [
        lambda: symbolic.optimizer_threshold("adam", b1=TEXT),
        lambda: symbolic.optimizer_threshold("heavy_ball", momentum=sympy.I),
        lambda: symbolic.finite_sum_thresholds([1, TEXT]),
        lambda: symbolic.finite_sum_thresholds([1, None]),
        lambda: symbolic.momentum_series(2, lookahead=TEXT),
        lambda: symbolic.momentum_series(2, momentum=sympy.nan),
        lambda: symbolic.modified_loss(x**2, momentum=TEXT),
        lambda: symbolic.networks.deep_linear([TEXT], 2),
        lambda: symbolic.networks.deep_linear([sympy.oo], 2),
        lambda: symbolic.networks.matrix_factorisation([[1, 2]], 1),
        lambda: symbolic.networks.relu_threshold([[TEXT]], [[1]]),
        lambda: symbolic.landscapes.certify(x**2, at=TEXT, interval=(-1, 1)),
        lambda: symbolic.scale_invariant.rayleigh_flow([TEXT], [1], 1, 1),
    ],
)
def test_numbers_are_not_read_from_text(call):
    with pytest.raises(symbolic.InvalidArgumentError, match="must be a real finite number"):
        call()


def test_the_width_of_an_interval_is_no_text():
    with pytest.raises(symbolic.InvalidArgumentError, match="width must be a positive number"):
        critical_points(x**3 - 2 * x)[0].intervals("narrow")
