"""Evaluation of a program, equation by equation: those that complex numbers reach go by a rule.

>>> import jax
>>> import jax.numpy as jnp
>>> program = jax.make_jaxpr(lambda x: abs(x) + 1)(-2.0)
>>> complex(evaluate(program, jnp.array(-2 + 1j))[0])
(3-1j)
"""

from collections.abc import Callable
from typing import Any

import jax.extend as jex
import numpy as np

from .._errors import ContinuationError
from ._dtypes import is_complex
from ._pairs import rank

# From an equation, and its operands of which some are complex where it expects real ones, to its
# result, or to the list of its results where the primitive has several.
Rule = Callable[..., Any]

# By the name of the primitive. Empty in this file: `__init__` fills it from `_table`.
RULES: dict[str, Rule] = {}
# The same for equations in which the loss itself has complex numbers.
COMPLEX_RULES: dict[str, Rule] = {}


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
        outputs = _rule(equation)(equation, *inputs) if moved else bind(equation, *inputs)
        outputs = outputs if equation.primitive.multiple_results else [outputs]
        values |= dict(zip(equation.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def bind(equation: Any, *operands: Any, **changes: Any) -> Any:
    """Apply the equation's own primitive, some of its parameters changed."""
    bound = equation.primitive.get_bind_params(equation.params)
    functions, params = bound if isinstance(bound, tuple) else ((), bound)  # a tuple before 0.10
    return equation.primitive.bind(*functions, *operands, **(params | changes))


def _rule(equation: Any) -> Rule:
    name = equation.primitive.name
    complex_steps = any(is_complex(atom.aval) for atom in (*equation.invars, *equation.outvars))
    rules = COMPLEX_RULES if complex_steps else RULES
    if name not in rules:
        line = jex.source_info_util.summarize(equation.source_info)  # empty within JAX
        message = (
            f"The primitive `{name}`{' of complex numbers' if complex_steps else ''} in the loss"
            f"{line and f' ({line})'} has no analytic "
            "continuation to complex parameters. Rewrite this part of the loss with other "
            "functions, or choose a flow that stays real, such as "
            '`flows.ModifiedFlow` or `flows.PrincipalFlow(branch="real")`.'
        )
        raise ContinuationError(message)
    return rules[name]
