"""What is said of a primitive that has no rule, and the user's line that it comes from.

Libraries call primitives on the user's behalf, and JAX cuts what is under ``jit`` off from its
caller. So the line is the innermost one that is in no installed package, of the equation or else of
those whose programs it is in.

>>> import jax
>>> program = jax.make_jaxpr(jax.lax.lgamma)(1.0)
>>> refusal(program.eqns).startswith("The primitive `lgamma` in the loss")
True
"""

import sysconfig
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax.extend as jex

from ._dtypes import is_complex

_OURS = str(Path(__file__).parents[1])
_INSTALLED = tuple(sysconfig.get_paths()[key] for key in ("stdlib", "purelib", "platlib"))


def refusal(equations: Sequence[Any]) -> str:
    """The message for the last equation; those before have the programs in which it is."""
    equation = equations[-1]
    lines = (line_of(equation) for equation in reversed(equations))
    summary = jex.source_info_util.summarize(equation.source_info)  # empty within JAX
    line = next(filter(None, lines), summary)
    kind = " of complex numbers" if through_complex(equation) else ""
    return (
        f"The primitive `{equation.primitive.name}`{kind} in the loss{line and f' ({line})'} has "
        "no analytic continuation to complex parameters. Rewrite this part of the loss with other "
        "functions, or choose a flow that stays real, such as "
        '`flows.ModifiedFlow` or `flows.PrincipalFlow(branch="real")`.'
    )


def through_complex(equation: Any) -> bool:
    """Whether the loss itself has complex numbers in this equation."""
    return any(is_complex(atom.aval) for atom in (*equation.invars, *equation.outvars))


def line_of(equation: Any) -> str | None:
    """The innermost line of the user, within the code that this library called."""
    trace = equation.source_info.traceback
    if trace is None:
        return None
    for frame in reversed(traceback.extract_tb(trace.as_python_traceback())):
        if frame.filename.startswith(_OURS):
            return None
        if not frame.filename.startswith((*_INSTALLED, "<frozen")):
            return f"{frame.filename}:{frame.lineno} ({frame.name})"
    return None
