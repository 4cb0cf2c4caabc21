"""What a stochastic flow is: a drift, and the noise of a step spread over its time."""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from .._custom_types import Array, Integer, Params, PyTree
from .._problem import Problem
from ._base import AbstractFlow


class AbstractStochasticFlow(AbstractFlow):
    r"""A stochastic differential equation in the sense of Ito.

    .. math:: dy = f(t, y)\, dt + \sigma(y)\, dW_t

    The drift is the flow's `vector_field`. The noise is frozen for a substep, as in the method of
    Euler and Maruyama, while the drift is integrated by the solver: so every solver of diffrax
    converges to the solution in the sense of Ito, one for additive noise at its full order where
    the noise is.

    Attributes:
        failures: Names of `flows.RESULTS` for what `failure` counts; the first for a drift that is
            no number.
        substeps: How many substeps make one optimizer step.
    """

    failures: ClassVar[tuple[str, ...]] = ()
    substeps: eqx.AbstractVar[int]

    @abc.abstractmethod
    def draw(self, problem: Problem, y: PyTree[Any], key: Array) -> PyTree[Array]:
        """Independent standard normal numbers, one for each Brownian motion."""

    @abc.abstractmethod
    def diffusion(self, problem: Problem, y: PyTree[Any], draws: PyTree[Array]) -> PyTree[Array]:
        """``sigma(y)`` times a vector, a tree like the state, per square root of flow time."""

    def failure(self, problem: Problem, y: PyTree[Any]) -> Integer:
        """Why there is no finite equation at a state, as a place in `failures` plus 1; or 0."""
        del problem, y
        return jnp.zeros((), int)

    def start(self, problem: Problem, params: Params) -> None:
        """Raise a typed error if there is no such flow for these data; nothing is traced yet."""
        del problem, params
