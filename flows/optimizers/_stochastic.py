"""What an optimizer that draws random numbers is."""

import abc
from typing import Any, ClassVar

from .._custom_types import Array, Params, PyTree
from ._base import AbstractOptimizer


class AbstractStochasticOptimizer(AbstractOptimizer):
    r"""A random one-step map: the state holds the key, and one key gives one path.

    .. math:: s_{n+1} = \Phi(s_n, \omega_n), \qquad \omega_n = \mathtt{fold\_in}(\mathtt{key}, n)

    What a step draws depends on the key and the number of the step alone, so that windows, chunks,
    ``jit`` and ``vmap`` change nothing.
    """

    stochastic: ClassVar[bool] = True

    @abc.abstractmethod
    def init(self, params: Params, key: Array | None = None) -> PyTree[Any]:
        """The state before the first step, from the starting parameters and the key."""
