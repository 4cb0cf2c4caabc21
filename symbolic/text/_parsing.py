r"""Reading an expression from text, without ever running the text.

The text is parsed by Python's own grammar and walked node by node; what is not a number, a symbol,
arithmetic or one of the named functions is refused before sympy sees it.

>>> parse("(x**2 + 1)/2")
x**2/2 + 1/2
"""

import ast
import operator
from collections.abc import Callable, Mapping

import sympy

from .._errors import ForbiddenExpressionError

_NAMES = (
    *("sqrt", "exp", "log", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh"),
    *("asinh", "acosh", "atanh", "Abs", "erf", "Max", "Min"),
)
FUNCTIONS: dict[str, Callable[..., sympy.Expr]] = {
    **{name: getattr(sympy, name) for name in _NAMES},
    "abs": sympy.Abs,
    "ln": sympy.log,
    "logcosh": lambda x: sympy.log(sympy.cosh(x)),
}
CONSTANTS = {"pi": sympy.pi, "π": sympy.pi, "e": sympy.E}
# As symbols these would not mean what they look like.
RESERVED = {"I", "E", "oo", "zoo", "nan", "NaN", "inf", "Inf"}
_OPERATIONS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
MAX_LENGTH = 2000
MAX_EXPONENT = 64
MAX_BITS = 4096


def parse(text: str, assumptions: Mapping[str, Mapping[str, bool]] | None = None) -> sympy.Expr:
    r"""Read a loss from text; nothing is evaluated but arithmetic and the named functions.

    .. math:: \texttt{"(x**2+1)*(x-1)**2"} \mapsto (x^2 + 1)(x - 1)^2

    Every name that is no function or constant becomes a real symbol. Decimal fractions are exact:
    ``0.3`` is 3/10. A power is written ``**`` or ``^``; numbers stand in exponents up to 64.

    Arguments:
        text: Python arithmetic, at most 2000 characters.
        assumptions: What sympy may assume of a symbol beside that it is real, by name, for example
            ``{"mu": {"positive": True}}``.

    Returns:
        The expression.

    Raises:
        ForbiddenExpressionError: If the text is not arithmetic or holds an unknown function.

    Example:
        >>> parse("0.5 * (x*y - mu)^2")
        (-mu + x*y)**2/2

    References:
        Python's ``ast`` module.
    """
    if not isinstance(text, str) or not text.strip() or len(text) > MAX_LENGTH:
        raise ForbiddenExpressionError(
            f"an expression is a text of 1 to {MAX_LENGTH} characters, got {_short(str(text))}. "
            "Write for example 'x**4 - x**2'."
        )
    try:
        tree = ast.parse(text.strip().replace("^", "**"), mode="eval")
        return _Reader(assumptions or {}).read(tree.body)
    except SyntaxError as error:
        raise ForbiddenExpressionError(
            f"{_short(text)} is not an expression: {error.msg}. Write products with *, powers "
            "with **."
        ) from error
    except (RecursionError, MemoryError) as error:
        raise ForbiddenExpressionError(
            "the expression is nested too deeply. Multiply it out, or build it with sympy."
        ) from error


class _Reader:
    def __init__(self, assumptions: Mapping[str, Mapping[str, bool]]):
        self.assumptions = assumptions

    def read(self, node: ast.AST) -> sympy.Expr:
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return self.number(value)
            case ast.Name(id=name) if name in FUNCTIONS:
                raise ForbiddenExpressionError(f"{name} is a function. Write {name}(x).")
            case ast.Name(id=name):
                return CONSTANTS.get(name) or self.symbol(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.read(operand)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.read(operand)
            case ast.BinOp(left=left, op=operation, right=right) if type(operation) in _OPERATIONS:
                return self.combine(operation, self.read(left), self.read(right))
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS:
                return self.call(name, [self.read(argument) for argument in arguments])
        raise ForbiddenExpressionError(
            f"{ast.unparse(node)[:60]!r} is not allowed: an expression holds numbers, symbols, "
            f"+ - * / ** and the functions {', '.join(FUNCTIONS)}."
        )

    def number(self, value: float) -> sympy.Expr:
        if value - value != 0:  # 1e999
            raise ForbiddenExpressionError("a number is infinite. Write it as a fraction.")
        return sympy.Rational(str(value))

    def symbol(self, name: str) -> sympy.Symbol:
        if name in RESERVED:
            raise ForbiddenExpressionError(
                f"the name {name!r} is not allowed: it means a constant that is complex or not "
                "finite, or e. The constants are pi and e; rename the symbol."
            )
        if name.startswith("_"):
            raise ForbiddenExpressionError(
                f"the name {name!r} is not allowed: symbols start with a letter."
            )
        return sympy.Symbol(name, real=True, **self.assumptions.get(name, {}))

    def combine(self, operation: ast.operator, left: sympy.Expr, right: sympy.Expr) -> sympy.Expr:
        if isinstance(operation, ast.Pow) and right.is_number:
            # A tower of powers would fill the memory before anyone could stop it.
            tall = left.is_Rational and abs(right) * _bits(left) > MAX_BITS
            if abs(right) > MAX_EXPONENT or tall:
                raise ForbiddenExpressionError(
                    f"the exponent {str(right)[:20]} is too large: powers go up to "
                    f"{MAX_EXPONENT}, numbers to {MAX_BITS} bits. Build the expression with sympy "
                    "if it is meant."
                )
        result = _OPERATIONS[type(operation)](left, right)
        if result.has(sympy.zoo, sympy.nan, sympy.oo, -sympy.oo):
            raise ForbiddenExpressionError("the expression divides by zero. Correct it.")
        return result

    def call(self, name: str, arguments: list[sympy.Expr]) -> sympy.Expr:
        try:
            return FUNCTIONS[name](*arguments)
        except TypeError as error:
            raise ForbiddenExpressionError(
                f"{name} does not take {len(arguments)} arguments. Write {name}(x)."
            ) from error


def _bits(number: sympy.Rational) -> int:
    return max(int(number.p).bit_length(), int(number.q).bit_length())


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
