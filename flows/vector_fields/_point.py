"""What most flows are: an equation for the parameters themselves."""

from typing import Any, ClassVar

from .._custom_types import At, Params, PyTree
from ..optimizers import Problem
from ._base import AbstractFlow


class AbstractPointFlow(AbstractFlow):
    """A flow whose state is the parameters: what is left to say is its name and its velocity."""

    one_unit: ClassVar[bool] = True

    def start(self, problem: Problem, state: PyTree[Any], at: At) -> Params:
        """The parameters of the optimizer's state."""
        del at
        return problem.optimizer.params(state)

    def params(self, problem: Problem, at: At, y: Params) -> Params:
        """The state itself."""
        del problem, at
        return y
