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
    (symbol,) = symbolic.parse("mu", {"mu": {"positive": True}}).free_symbols
    assert symbol.is_positive
