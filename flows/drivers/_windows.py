"""Walking the steps in windows, so that memory does not grow with their number.

A driver supplies one compiled function that advances its state by a window of steps and returns
the numbers to record. On the host the windows run one after the other: the walk can show its
progress, stops when nothing is left to advance, keeps all records of a run that stops early, and
can make a window once more with other means than before. Under a JAX transformation the same
function is scanned.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np

from .._continuation import refusals_named
from .._custom_types import Array, Flag, PyTree
from .._errors import InvalidOptionError
from ._blocks import blocks

# Steps of one window of a flow: long enough that restarting the solver costs nothing, short enough
# to show progress; and of a run of the optimizer alone.
LONGEST, LONGEST_ALONE = 256, 1024
# What the iterates of one window may take while flows are compared with them, in bytes. Large
# enough that restarting the solver at each window costs little, small beside the solver's own
# dozen copies of a large state.
_WINDOW_BYTES = 2**26
# Records kept without being asked for, in bytes: save_params="auto".
_AUTO_SAVE_BYTES = 2**26


class Plan(NamedTuple):
    """How many steps there are, and in how many windows of which length they are made."""

    steps: int
    length: int
    windows: int


def plan(steps: int, point_bytes: int, *, alone: bool = False) -> Plan:
    """Equal windows (the last may overrun) within the memory bound and the longest allowed."""
    longest = LONGEST_ALONE if alone else LONGEST
    limit = max(1, min(longest, _WINDOW_BYTES // max(1, point_bytes)))
    count = math.ceil(steps / limit)
    return Plan(steps, math.ceil(steps / count) if count else 0, count)


def keep_params(save_params: Any, steps: int, point_bytes: int) -> bool:
    """Resolve `save_params`: "auto" keeps what fits into 64 MiB."""
    if isinstance(save_params, bool):
        return save_params
    if save_params == "auto":
        return (steps + 1) * point_bytes <= _AUTO_SAVE_BYTES
    raise InvalidOptionError(f"save_params must be True, False or 'auto'; got {save_params!r}.")


Advance = Callable[[PyTree[Any], Array], tuple[PyTree[Any], PyTree[Any]]]
Again = Callable[[PyTree[Any], PyTree[Any]], tuple[Advance, PyTree[Any]] | None]


def walk(
    advance: Advance,
    carry: PyTree[Any],
    start: PyTree[Any],
    plan: Plan,
    *,
    alive: Callable[[PyTree[Any]], Flag],
    traced: bool,
    progress: bool,
    label: str,
    again: Again = lambda before, after: None,
) -> tuple[PyTree[Any], PyTree[Any]]:
    """Advance `carry` through all windows.

    Arguments:
        advance: From the carry and the number of steps already made to the next carry and the
            records of a window, each with a leading axis of `plan.length`.
        carry: What the steps hand on.
        start: The records of step 0.
        plan: The windows.
        alive: Whether there is anything left to advance.
        traced: Whether a JAX transformation is tracing any of what `advance` uses.
        progress: Show a bar over the steps.
        label: What the bar says.
        again: From the carry before a window and after it to another `advance` and carry with which
            to make this window once more, and the further ones; None if all is well. Asked on the
            host only.

    Returns:
        The last carry, and the records with a leading axis of ``steps + 1``; NaN where a run that
        stopped early made no step.
    """
    if traced:
        if progress:
            raise InvalidOptionError(
                "progress=True needs a host to draw on: it cannot be shown under jit, vmap or "
                "grad. Leave it out there."
            )
        return _walk_traced(advance, carry, start, plan, alive)
    return _walk_on_host(advance, carry, start, plan, alive, progress, label, again)


def _walk_on_host(advance, carry, start, plan, alive, progress, label, again):
    table = jtu.tree_map(
        lambda leaf: np.full((plan.steps + 1, *leaf.shape), np.nan, leaf.dtype), start
    )
    _write(table, 0, jtu.tree_map(lambda leaf: leaf[None], start))
    walked = blocks(plan.steps, plan.length, progress=progress, label=label, unit="step")
    for window, (done, _) in enumerate(walked):
        if window and not bool(alive(carry)):
            break
        before = carry
        with refusals_named():
            carry, records = advance(before, np.asarray(done))
            while (other := again(before, carry)) is not None:
                advance, before = other
                carry, records = advance(before, np.asarray(done))
        table = _with_room_for(table, records)
        _write(table, done + 1, records)
    return carry, jtu.tree_map(jnp.asarray, table)


def _with_room_for(table: PyTree[Any], records: PyTree[Any]) -> PyTree[Any]:
    """The table with rows as wide as those of the records; NaN in what is new of the earlier."""

    def widened(rows: np.ndarray, new: Array) -> np.ndarray:
        if rows.shape[1:] == new.shape[1:]:
            return rows
        wide = np.full((len(rows), *new.shape[1:]), np.nan, rows.dtype)
        wide[tuple(slice(length) for length in rows.shape)] = rows
        return wide

    return jtu.tree_map(widened, table, records)


def _write(table: PyTree[Any], row: int, records: PyTree[Any]) -> None:
    def write(rows: np.ndarray, new: Array) -> None:
        count = min(len(new), len(rows) - row)  # the last window may overrun
        rows[row : row + count] = np.asarray(new)[:count]

    jtu.tree_map(write, table, records)


def _walk_traced(advance, carry, start, plan, alive):
    def window(carry, done):
        # Nothing is computed once nothing is alive (under vmap both branches run).
        blank = jtu.tree_map(
            lambda leaf: jnp.full((plan.length, *leaf.shape), jnp.nan, leaf.dtype), start
        )
        dynamic, static = eqx.partition(carry, eqx.is_array)

        def step(dynamic):
            carry, records = advance(eqx.combine(dynamic, static), done)
            return eqx.filter(carry, eqx.is_array), records

        dynamic, records = jax.lax.cond(
            alive(carry), step, lambda dynamic: (dynamic, blank), dynamic
        )
        return eqx.combine(dynamic, static), records

    if plan.windows == 1:  # no loop to compile
        carry, records = advance(carry, np.asarray(0))
        records = jtu.tree_map(lambda leaf: leaf[None], records)
    else:
        carry, records = jax.lax.scan(window, carry, plan.length * np.arange(plan.windows))
    return carry, jtu.tree_map(
        lambda first, rest: jnp.concatenate(
            [first[None], rest.reshape(math.prod(rest.shape[:2]), *rest.shape[2:])[: plan.steps]]
        ),
        start,
        records,
    )
