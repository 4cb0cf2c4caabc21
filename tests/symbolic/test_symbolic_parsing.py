"""Text that is arithmetic is read; anything else is refused."""

import pytest
import sympy

import symbolic

x, y, z = sympy.symbols("x y z", real=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("__import__('os')", "is not allowed"),
        ("().__class__", "is not allowed"),
        ("x.diff()", "is not allowed"),
        ("[x for x in (1,)]", "is not allowed"),
        ("lambda: 1", "is not allowed"),
        ("open(x)", "is not allowed"),
        ("'x'", "is not allowed"),
        ("True", "is not allowed"),
        ("x if x else 1", "is not allowed"),
        ("sin(x, evaluate=x)", "is not allowed"),
        ("_x", "start with a letter"),
        ("I*x", "'I' is not allowed: it means a constant"),
        ("oo", "'oo' is not allowed: it means a constant"),
        ("x + nan", "'nan' is not allowed: it means a constant"),
        ("9**9**9", "the exponent 387420489 is too large"),
        ("(x+1)**64**2", "the exponent 4096 is too large"),
        ("(" * 500 + "x", r"^.{,80}is not an expression: too many nested parentheses"),
        ("+".join(["x"] * 1001), r"1 to 2000 characters, got .{,64}\. Write"),
        ("sin", r"sin is a function. Write sin\(x\)"),
        ("sin(x, x)", "does not take 2 arguments"),
        ("x +", "is not an expression"),
        ("", "1 to 2000 characters"),
        ("x" * 2001, "1 to 2000 characters"),
        ("x**65", "the exponent 65 is too large"),
        ("((9**64)**64)**64", "too large"),
        ("1/0", "divides by zero"),
        ("1e999", "infinite"),
    ],
)
def test_text_that_is_not_arithmetic_is_refused(text, message):
    with pytest.raises(symbolic.ForbiddenExpressionError, match=message):
        symbolic.parse(text)


def test_text_that_is_arithmetic():
    assert (
        symbolic.parse("0.3*x^2 + sqrt(2)*pi")
        == sympy.Rational(3, 10) * x**2 + sympy.sqrt(2) * sympy.pi
    )
    assert symbolic.parse("logcosh(x) - +abs(-x)") == sympy.log(sympy.cosh(x)) - sympy.Abs(x)
    assert symbolic.parse("π*e") == sympy.pi * sympy.E
    assert symbolic.parse("x**x**x").free_symbols == symbolic.parse("x").free_symbols
    (symbol,) = symbolic.parse("mu", {"mu": {"positive": True}}).free_symbols
    assert symbol.is_positive
