"""Evaluation of a program, equation by equation: those that complex numbers reach go by a rule.

>>> import jax
>>> import jax.numpy as jnp
>>> program = jax.make_jaxpr(lambda x: abs(x) + 1)(-2.0)
>>> complex(evaluate(program, jnp.array(-2 + 1j))[0])
(3-1j)
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

import jax.extend as jex
import numpy as np

from .._errors import ContinuationError
from ._pairs import rank
from ._refusal import refusal, through_complex

# From an equation, and its operands of which some are complex where it expects real ones, to its
# result, or to the list of its results where the primitive has several.
Rule = Callable[..., Any]

# By the name of the primitive; "else" is for what has none. Empty in this file: `__init__` fills it
# from `_table`.
RULES: dict[str, Rule] = {}
# The same for equations in which the loss itself has complex numbers.
COMPLEX_RULES: dict[str, Rule] = {}

# The equations whose programs are being evaluated, outermost first.
_enclosing: contextvars.ContextVar[tuple[Any, ...]] = contextvars.ContextVar(
    "enclosing", default=()
)


def evaluate(program: Any, *operands: Any) -> list[Any]:
    """Evaluate a closed jaxpr at operands of which some are complex where it expects real ones."""
    jaxpr = program.jaxpr
    values = dict(zip(jaxpr.constvars, program.consts, strict=True))
    values |= dict(zip(jaxpr.invars, operands, strict=True))

    def read(atom: Any) -> Any:
        if isinstance(atom, jex.core.Literal):
            return np.asarray(atom.val, atom.aval.dtype)  # pyright: ignore[reportAttributeAccessIssue]
        return values[atom]

    for equation in jaxpr.eqns:
        inputs = [read(atom) for atom in equation.invars]
        moved = any(
            rank(value) > rank(atom.aval)
            for atom, value in zip(equation.invars, inputs, strict=True)
        )
        outputs = _by_rule(equation, inputs) if moved else bind(equation, *inputs)
        outputs = outputs if equation.primitive.multiple_results else [outputs]
        values |= dict(zip(equation.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def bind(equation: Any, *operands: Any, **changes: Any) -> Any:
    """Apply the equation's own primitive, some of its parameters changed."""
    bound = equation.primitive.get_bind_params(equation.params)
    functions, params = bound if isinstance(bound, tuple) else ((), bound)  # a tuple before 0.10
    return equation.primitive.bind(*functions, *operands, **(params | changes))


def enclosing() -> tuple[Any, ...]:
    """The equations whose programs are being evaluated, to come back `within` them."""
    return _enclosing.get()


@contextlib.contextmanager
def within(equations: tuple[Any, ...]) -> Iterator[None]:
    """Evaluate on behalf of these equations."""
    token = _enclosing.set(equations)
    try:
        yield
    finally:
        _enclosing.reset(token)


def message_of(equation: Any) -> str:
    """Why an equation is refused, and where it is."""
    known = _enclosing.get()
    return refusal(known if equation in known else (*known, equation))


def _by_rule(equation: Any, operands: list[Any]) -> Any:
    name, complex_steps = equation.primitive.name, through_complex(equation)
    rules = COMPLEX_RULES if complex_steps else RULES
    if complex_steps and name not in rules:
        raise ContinuationError(message_of(equation))
    with within((*_enclosing.get(), equation)):
        return rules[name if name in rules else "else"](equation, *operands)
