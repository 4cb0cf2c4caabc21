"""What the program of a loss says of it: how finely it computes, and what it hides.

A loss that rounds to float32 inside has the gradient of a float32 loss, whatever its parameters
are. And where a part is hidden from differentiation (a target that follows, an estimate that goes
straight through) or brings a derivative rule of its own, JAX' derivative of the gradient may not be
that of the map that is descended; most such parts are harmless, so that this is then measured.

>>> import jax
>>> program = jax.make_jaxpr(lambda w: w.astype("float32").sum())(jax.numpy.ones(2)).jaxpr
>>> examined(program).precision
dtype('float32')
"""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np

from .._continuation import line_of, scan_counts

_MAXIMA = frozenset({"reduce_max", "reduce_min", "cummax", "cummin"})
# What leaves a maximum one.
_SHAPING = frozenset(
    {"broadcast_in_dim", "convert_element_type", "copy", "max", "min", "reshape", "select_n"}
    | {"squeeze", "stop_gradient", "transpose"}
)
# Without a slope: a rule around one of these is there to give it another.
_STEPS = frozenset({"argmax", "argmin", "ceil", "floor", "round", "sign"})


class _Kind(enum.IntEnum):
    """How a value depends on the parameters.

    A maximum that is subtracted and added again, as in a softmax, is rightly hidden: what the loss
    is does not depend on it.
    """

    RESTS = 0
    MAXIMUM = 1
    MOVES = 2


class Examined(NamedTuple):
    """What was found on the way from the parameters to the loss.

    Attributes:
        precision: The coarsest dtype in which anything is computed.
        hidden: What is hidden from differentiation or has a rule of its own, and where.
    """

    precision: np.dtype
    hidden: tuple[str, ...]


def examined(program: Any) -> Examined:
    """What there is to say of the program of a loss, all of whose inputs are parameters."""
    walk = _Walk()
    walk.through(program, [_Kind.MOVES] * len(program.invars))
    return Examined(jnp.dtype(walk.precision), tuple(walk.hidden))


class _Walk:
    """Through a program and those inside of it, noting what is seen."""

    def __init__(self):
        self.precision: Any = "float64"
        self.hidden: dict[str, None] = {}  # in the order of the program

    def through(self, program: Any, kinds: list[_Kind]) -> list[_Kind]:
        """The kinds of what a program returns, from those of its inputs."""
        known = dict(zip(map(id, program.invars), kinds, strict=True))
        for equation in program.eqns:
            ins = [known.get(id(atom), _Kind.RESTS) for atom in equation.invars]
            for out, kind in zip(equation.outvars, self._outputs(equation, ins), strict=True):
                # What is no real number has no slope.
                kind = kind if jnp.issubdtype(out.aval.dtype, jnp.inexact) else _Kind.RESTS
                known[id(out)] = kind
                if kind and jnp.finfo(out.aval.dtype).eps > jnp.finfo(self.precision).eps:
                    self.precision = jnp.finfo(out.aval.dtype).dtype
        return [known.get(id(atom), _Kind.RESTS) for atom in program.outvars]

    def _outputs(self, equation: Any, ins: list[_Kind]) -> list[_Kind]:
        name, most = equation.primitive.name, max(ins, default=_Kind.RESTS)
        inner = programs_in(equation)
        if name == "stop_gradient" and most is _Kind.MOVES:
            self._hide("stop_gradient", equation)
        if most and name.startswith("custom_vjp_call"):
            self._hide("a custom_vjp", equation)
        if most and name.startswith("custom_jvp_call") and any(map(has_steps, inner)):
            self._hide("a custom_jvp of steps", equation)
        if most and name in _MAXIMA:
            most = _Kind.MAXIMUM
        elif most is _Kind.MAXIMUM and name not in _SHAPING:
            most = _Kind.MOVES
        outs = [most] * len(equation.outvars)
        if name == "scan":
            constants, carried = scan_counts(equation.params)
            return self._loop(inner[0], ins, slice(constants, constants + carried))
        if name == "while":
            first = equation.params["cond_nconsts"]
            body = equation.params["body_jaxpr"].jaxpr
            return self._loop(body, ins[first:], slice(equation.params["body_nconsts"], None))
        for program in inner:  # of a call, or the branches of a choice
            given = ins[1:] if name == "cond" else ins
            fits = len(given) == len(program.invars)
            returned = self.through(program, given if fits else [most] * len(program.invars))
            if len(returned) == len(outs):
                outs = returned if program is inner[0] else list(map(max, outs, returned))
        return outs

    def _loop(self, body: Any, ins: list[_Kind], carried: slice) -> list[_Kind]:
        """A loop's body, until what is carried stays of its kind."""
        while True:
            outs = self.through(body, ins)
            after = list(map(max, ins[carried], outs))
            if after == ins[carried]:
                return outs
            ins = [*ins[: carried.start], *after, *ins[carried.start + len(after) :]]

    def _hide(self, what: str, equation: Any) -> None:
        line = line_of(equation)
        self.hidden[f"{what} ({line})" if line else what] = None


def programs_in(equation: Any) -> list[Any]:
    """The programs that an equation runs."""
    values = jtu.tree_leaves(list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns"))
    return [getattr(value, "jaxpr", value) for value in values if hasattr(value, "eqns")]


def has_steps(program: Any) -> bool:
    """Whether anything in a program has no slope."""
    return any(
        equation.primitive.name in _STEPS or any(map(has_steps, programs_in(equation)))
        for equation in program.eqns
    )
