"""What most flows are: an equation for the parameters themselves."""

from typing import ClassVar

from .._custom_types import Array, Params
from .._problem import Problem
from ._base import AbstractFlow


class AbstractPointFlow(AbstractFlow):
    """A flow whose state is the parameters: what is left to say is its name and its field."""

    one_unit: ClassVar[bool] = True

    @property
    def stride(self) -> int:
        """1: every iterate is modelled."""
        return 1

    def init(self, problem: Problem, params: Params) -> Params:
        """The parameters themselves."""
        del problem
        return params

    def params(self, y: Params) -> Params:
        """The state itself."""
        return y

    def diagnostics(self, problem: Problem, y: Params) -> dict[str, Array]:
        """None: the loss and the gradient norm are recorded for every flow."""
        del problem, y
        return {}
