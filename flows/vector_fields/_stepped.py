"""What a flow is that makes its own steps: its state is more than a point."""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from .._checks import integer
from .._custom_types import At, Integer, Params, PyTree, VectorField
from .._errors import IncompatibleFlowError
from ..optimizers import Problem
from ._base import AbstractFlow
from .methods import AbstractMethod, OwnSteps


class AbstractSteppedFlow(AbstractFlow):
    """A flow that makes its own steps, because its state is more than a solver can move.

    Attributes:
        substeps: How many substeps make one optimizer step, an integer >= 1.
    """

    method: ClassVar[AbstractMethod] = OwnSteps()
    substeps: eqx.AbstractVar[int]

    def __check_init__(self):
        integer(self.substeps, 1, "substeps", "substeps=4")

    @abc.abstractmethod
    def advance(self, problem: Problem, at: At, y: PyTree[Any]) -> PyTree[Any]:
        """The state one substep later; `status` is asked of every one."""

    @abc.abstractmethod
    def velocity(self, problem: Problem, at: At, y: PyTree[Any]) -> Params:
        """How fast the point that the state stands for moves, in parameters per optimizer step."""

    def products(self, y: PyTree[Any]) -> Integer:
        """How many Hessian-vector products the substep to a state took, if the flow counts them."""
        del y
        return jnp.zeros((), int)

    def vector_field(self, problem: Problem) -> VectorField:
        """There is none: raises an `IncompatibleFlowError`."""
        raise IncompatibleFlowError(
            f"{self.name} makes its own steps and has no vector field for a solver. "
            "Run it with flows.solve; its velocity at a point is flows.vector_field(...)."
        )
