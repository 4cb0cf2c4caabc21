"""Calls, loops and branches: their programs are entered.

What is carried through a loop, or returned by a branch, must have one type throughout; it is made
complex where any round or any branch makes it complex.

>>> import jax.numpy as jnp
>>> from jax import lax
>>> from flows._continuation import continued
>>> powers = continued(lambda x: lax.fori_loop(0, 2, lambda i, y: y * x, 3.0))
>>> complex(powers(jnp.array(2j)))
(-12+0j)
"""

import functools as ft
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.extend as jex
import jax.tree_util as jtu
from jax import lax

from ._evaluate import evaluate
from ._pairs import alike, rank


def call(equation: Any, *operands: Any) -> list[Any]:
    """Whatever has one program and evaluates it once."""
    program = equation.params["jaxpr" if "jaxpr" in equation.params else "call_jaxpr"]
    return evaluate(
        program if hasattr(program, "consts") else jex.core.ClosedJaxpr(program, ()), *operands
    )


def checkpoint(equation: Any, *operands: Any) -> list[Any]:
    """The continued program, again under a checkpoint, which saves nothing.

    A policy is dropped: JAX rounds what a policy saves, and cannot round complex numbers.
    """
    prevent_cse = equation.params["prevent_cse"]
    return jax.checkpoint(ft.partial(call, equation), prevent_cse=prevent_cse)(*operands)


def scan(equation: Any, *operands: Any) -> list[Any]:
    """A loop of fixed length."""
    params = equation.params
    n, k = scan_counts(params)
    consts, start, inputs = operands[:n], operands[n : n + k], list(operands[n + k :])

    def step(state: Any, x: Any) -> tuple[list[Any], list[Any]]:
        outputs = evaluate(params["jaxpr"], *consts, *state, *x)
        return alike(outputs[:k], state), outputs[k:]

    slices = jtu.tree_map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), inputs)
    start = _settled(lambda *state: jax.eval_shape(step, state, slices)[0], start)
    options = {name: params[name] for name in ("length", "reverse", "unroll")}
    state, outputs = lax.scan(step, start, inputs, **options)
    return [*state, *outputs]


def scan_counts(params: dict[str, Any]) -> tuple[int, int]:
    """How many of a scan's operands are constants, and how many are carried."""
    if "num_consts" in params:
        return params["num_consts"], params["num_carry"]
    consts, carry, _ = params["ft_in"].unpack()  # since JAX 0.12
    return len(consts), len(carry)


def while_loop(equation: Any, *operands: Any) -> list[Any]:
    """A loop whose test, continued, goes by the real part."""
    params = equation.params
    n, k = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
    test = ft.partial(evaluate, params["cond_jaxpr"], *operands[:n])
    body = ft.partial(evaluate, params["body_jaxpr"], *operands[n:k])
    return lax.while_loop(
        lambda state: test(*state)[0],
        lambda state: alike(body(*state), state),
        _settled(ft.partial(jax.eval_shape, body), operands[k:]),
    )


def cond(equation: Any, index: Any, *operands: Any) -> list[Any]:
    """One of several branches."""
    branches = [ft.partial(evaluate, branch) for branch in equation.params["branches"]]
    results = [jax.eval_shape(branch, *operands) for branch in branches]
    common = [max(outputs, key=rank) for outputs in zip(*results, strict=True)]
    branches = [lambda *xs, branch=branch: alike(branch(*xs), common) for branch in branches]
    return lax.switch(index, branches, *operands)


def _settled(step: Callable[..., Sequence[Any]], state: Sequence[Any]) -> list[Any]:
    """Make complex whatever `step`, from shapes to shapes, makes complex, until nothing changes."""
    while True:
        wider = alike(state, step(*state))
        if all(rank(new) == rank(old) for new, old in zip(wider, state, strict=True)):
            return wider
        state = wider
