"""A flow that makes its own steps, because its state is more than a solver can move."""

from typing import Any, Protocol

import jax
import jax.numpy as jnp

from ..._custom_types import Array, At, Integer, Params, PyTree
from ..._errors import RESULTS
from ..._vectors import real_dtype
from ...optimizers import Problem
from ._base import AbstractMethod, Advanced, Leg, SolverOptions, Steps, step_by_step
from ._cost import Cost
from ._diffrax import Diffrax


class Stepped(Advanced, Protocol):
    """What it asks of a flow; see `flows.AbstractSteppedFlow`."""

    substeps: int

    def advance(self, problem: Problem, at: At, y: PyTree[Any]) -> PyTree[Any]: ...
    def products(self, y: PyTree[Any]) -> Integer: ...


class OwnSteps(AbstractMethod):
    """The flow's own `substeps` to a step; solver and step-size control do not apply."""

    def configured(self, options: SolverOptions) -> "OwnSteps":
        """Itself: the options are those of the other flows of a comparison, but must be some."""
        Diffrax().configured(options)
        return self

    def start(
        self, flow: Stepped, problem: Problem, y: PyTree[Any], key: Array | None
    ) -> tuple[None, Cost]:
        """Nothing to remember."""
        del problem, key
        return None, Cost.of_steps(0, real_dtype(y), products=flow.products(y))

    def advance(
        self, flow: Stepped, problem: Problem, steps: Steps, y: PyTree[Any], memory: None
    ) -> Leg:
        """Substep by substep, until one goes wrong."""
        dtype = real_dtype(y)

        def part(number: Any) -> Array:
            return jnp.asarray(number, dtype) / flow.substeps

        def move(step: Integer, y: PyTree[Any], memory: None) -> Any:
            def substep(number: Any, carry: Any) -> Any:
                def made(y: PyTree[Any], _: RESULTS, cost: Cost) -> Any:
                    y = flow.advance(problem, At(step, part(number)), y)
                    status = flow.status(problem, At(step, part(number + 1)), y)
                    return y, status, cost + Cost.of_steps(1, dtype, products=flow.products(y))

                well = carry[1] == RESULTS.successful
                return jax.lax.cond(well, made, lambda *carry: carry, *carry)

            begun = (y, RESULTS.successful, Cost.of_steps(0, dtype))
            y, status, cost = jax.lax.fori_loop(0, flow.substeps, substep, begun)
            return y, memory, status, cost

        status = flow.status(problem, At(steps.first, part(0)), y)
        return step_by_step(steps, y, memory, status, Cost.of_steps(0, dtype), move)

    def point_velocity(self, flow: Stepped, problem: Problem, at: At, y: PyTree[Any]) -> Params:
        """What such a flow says its velocity is."""
        return flow.velocity(problem, at, y)
