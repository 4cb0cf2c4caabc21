"""What a flow is that makes its own steps: its state is more than a point."""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from .._custom_types import Integer, Params, PyTree, VectorField
from .._errors import IncompatibleFlowError
from .._problem import Problem
from ._base import AbstractFlow


class AbstractSteppedFlow(AbstractFlow):
    """A flow that makes its own steps, because its state is more than a point.

    Attributes:
        failures: Names of `flows.RESULTS` for what `failure` counts.
        substeps: How many substeps make one optimizer step.
    """

    failures: ClassVar[tuple[str, ...]] = ()
    substeps: eqx.AbstractVar[int]

    @abc.abstractmethod
    def advance(self, problem: Problem, y: PyTree[Any]) -> PyTree[Any]:
        """The state one substep later."""

    @abc.abstractmethod
    def velocity(self, problem: Problem, y: PyTree[Any]) -> Params:
        """How fast the point moves, in parameters per flow time."""

    def failure(self, y: PyTree[Any]) -> Integer:
        """0, or what went wrong, as a place in `failures` plus 1."""
        del y
        return jnp.zeros((), int)

    def vector_field(self, problem: Problem) -> VectorField:
        """There is none: raises an `IncompatibleFlowError`."""
        raise IncompatibleFlowError(
            f"{self.name} makes its own steps and has no vector field for a solver. "
            "Run it with flows.solve; its velocity at a point is flows.vector_field(...)."
        )
