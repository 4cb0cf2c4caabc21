"""What advances a flow: a method, which takes its state through a stretch of optimizer steps.

Methods count steps, and never read a clock: a step is 1 long for all of them.
"""

import abc
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu

from ..._custom_types import Array, At, Integer, Params, PyTree
from ..._errors import RESULTS
from ..._vectors import select
from ...optimizers import Problem
from ._cost import Cost


class Advanced(Protocol):
    """What methods ask of a flow; `flows.AbstractFlow`, the base of all, says more."""

    name: Any
    one_unit: ClassVar[bool]

    def jumps(self, optimizer: Any) -> bool: ...
    def velocity(self, problem: Problem, at: At, y: PyTree[Any]) -> PyTree[Any]: ...
    def params(self, problem: Problem, at: At, y: PyTree[Any]) -> Params: ...
    def status(self, problem: Problem, at: At, y: PyTree[Any]) -> RESULTS: ...


class SolverOptions(NamedTuple):
    """What a user may say of how flows are integrated; None where nothing was said.

    Attributes:
        dtype: Of the parameters.
        traced: Whether a JAX transformation is at work.
        solver: One of diffrax' solvers.
        stepsize_controller: One of diffrax' controllers.
        dt0: The first solver step, in optimizer steps.
        max_steps: The most solver steps within one leg.
        adjoint: One of diffrax' adjoints.
    """

    dtype: Any
    traced: bool
    solver: Any = None
    stepsize_controller: Any = None
    dt0: Any = None
    max_steps: Any = 16_384
    adjoint: Any = None


class Steps(eqx.Module):
    """A stretch of optimizer steps, and after which of them the state is wanted.

    Attributes:
        first: How many were made before.
        due: How many are to be made; fewer than there is room for where a window overruns.
        length: For how many states there is room.
        every: How many steps lie between two of them.
    """

    first: Integer
    due: Integer
    length: int = eqx.field(static=True)
    every: int = eqx.field(static=True, default=1)

    @property
    def marks(self) -> Array:
        """After how many steps from `first` on the states are wanted, shape ``(length,)``."""
        return jnp.minimum(self.every * jnp.arange(1, self.length + 1), self.due)


class Leg(eqx.Module):
    """A stretch that was made.

    Attributes:
        ys: The state at every mark, with a leading axis; not finite from a failure on.
        memory: What the method hands on to the next leg.
        status: How it ended.
        cost: What it took.
    """

    ys: PyTree[Array]
    memory: PyTree[Any]
    status: RESULTS
    cost: Cost


class AbstractMethod(eqx.Module):
    """A way to advance a flow by optimizer steps. A subclass is final."""

    @abc.abstractmethod
    def configured(self, options: SolverOptions) -> "AbstractMethod":
        """With the user's options, checked, and defaults for the rest.

        Raises:
            InvalidSolverError: If solver, controller or adjoint is none of diffrax'.
            InvalidOptionError: If a number is out of range, or an option is not for this method.
        """

    @abc.abstractmethod
    def start(
        self, flow: Any, problem: Problem, y: PyTree[Any], key: Array | None
    ) -> tuple[PyTree[Any], Cost]:
        """What the method remembers before the first step from `y`, and what starting cost."""

    @abc.abstractmethod
    def advance(
        self, flow: Any, problem: Problem, steps: Steps, y: PyTree[Any], memory: PyTree[Any]
    ) -> Leg:
        """The states after a stretch of steps."""

    @abc.abstractmethod
    def point_velocity(self, flow: Any, problem: Problem, at: At, y: PyTree[Any]) -> Params:
        """How fast the parameters that a state stands for move, per optimizer step."""


Move = Callable[[Integer, PyTree[Any], PyTree[Any]], tuple[PyTree[Any], PyTree[Any], RESULTS, Cost]]


def step_by_step(
    steps: Steps, y: PyTree[Any], memory: PyTree[Any], status: RESULTS, none: Cost, move: Move
) -> Leg:
    """A stretch in which every step is made on its own.

    Arguments:
        steps: The stretch.
        y: The state where it begins.
        memory: Of the method.
        status: At `y`: nothing is done unless all is well.
        none: What it costs to do nothing.
        move: From a step's number, state and memory to those after it, how it went and its cost.
    """

    def make(carry: Any, place: Integer) -> Any:
        y, memory, status, cost = carry
        due = (place < steps.due) & (status == RESULTS.successful)

        def made() -> Any:
            after, handed_on, how, took = move(steps.first + place, y, memory)
            return select(how == RESULTS.successful, after, lost(after)), handed_on, how, took

        y, memory, status, took = jax.lax.cond(due, made, lambda: (y, memory, status, none))
        return y, memory, status, cost + took

    def to_mark(carry: Any, mark: Integer) -> tuple[Any, PyTree[Any]]:
        if steps.every == 1:
            carry = make(carry, mark)
        else:
            places = steps.every * mark + jnp.arange(steps.every)
            carry, _ = jax.lax.scan(lambda carry, place: (make(carry, place), None), carry, places)
        return carry, carry[0]

    y = select(status == RESULTS.successful, y, lost(y))
    carry, ys = jax.lax.scan(to_mark, (y, memory, status, none), jnp.arange(steps.length))
    _, memory, status, cost = carry
    return Leg(ys, memory, status, cost)


def lost(y: PyTree[Any]) -> PyTree[Any]:
    """Not a number in the place of a state's numbers."""
    return jtu.tree_map(
        lambda x: jnp.full_like(x, jnp.nan) if jnp.issubdtype(x.dtype, jnp.inexact) else x, y
    )
