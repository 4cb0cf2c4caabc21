"""What a stochastic flow is: a drift, and the noise of a step spread over its time."""

import abc
from typing import Any, ClassVar

import equinox as eqx

from .._checks import integer
from .._custom_types import Array, At, PyTree
from .._errors import RESULTS
from ..optimizers import Problem
from ._base import AbstractFlow
from .methods import AbstractMethod, NoisySteps


class AbstractStochasticFlow(AbstractFlow):
    r"""A stochastic differential equation in the sense of Ito.

    .. math:: dy = \mathtt{velocity}(n, y)\, dn + \mathtt{diffusion}(n, y)\, dW_n

    Time is counted in optimizer steps. The noise is frozen for a substep, as in the method of
    Euler and Maruyama, while the drift is integrated by the solver: so every solver of diffrax
    converges to the solution in the sense of Ito, one for additive noise at its full order where
    the noise is. Why there is no equation at a state, `status` says; it is asked where a substep
    did not end in numbers.

    Attributes:
        substeps: How many substeps make one optimizer step, an integer >= 1.
    """

    stochastic: ClassVar[bool] = True
    method: ClassVar[AbstractMethod] = NoisySteps()
    substeps: eqx.AbstractVar[int]

    def __check_init__(self):
        integer(self.substeps, 1, "substeps", "substeps=8")

    @abc.abstractmethod
    def draw(self, problem: Problem, at: At, y: PyTree[Any], key: Array) -> PyTree[Array]:
        """Independent standard normal numbers, one for each Brownian motion."""

    @abc.abstractmethod
    def diffusion(
        self, problem: Problem, at: At, y: PyTree[Any], draws: PyTree[Array]
    ) -> PyTree[Array]:
        """The diffusion times a vector, a tree like the state, per square root of a step."""

    @property
    def without_drift(self) -> RESULTS | None:
        """What it means that there is a gradient and no drift, if that can be."""
        return None
