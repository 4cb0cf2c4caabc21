"""What a flow is: a differential equation whose map over one step time is meant to be the step."""

import abc
from typing import Any, ClassVar

import equinox as eqx

from .._custom_types import Array, Params, PyTree, Scalar, VectorField
from .._problem import Problem
from ..optimizers import AbstractOptimizer


class AbstractFlow(eqx.Module):
    r"""A continuous-time model of an optimizer.

    .. math:: \dot y = f(t, y), \qquad y(0) = \mathtt{init}(\theta_0), \qquad
              \theta(t) = \mathtt{params}(y(t))

    such that ``theta(n h)`` is close to the n-th iterate, ``h`` being the optimizer's `step_time`.

    A subclass is final and implements all of the abstract members below; `flows.GradientFlow` is
    the shortest example. Hyper-parameters are fields: arrays if they are numbers that a user may
    vary.

    Attributes:
        models: The optimizer classes that this flow is a model of; the drivers refuse others.
        reference: What it is compared with: ``"iterates"``, or ``"midpoint"`` for a model of their
            average, ``(theta_{n-1} + 2 theta_n + theta_{n+1}) / 4``.
        one_unit: Whether all numbers of its state have the same units. Otherwise each part that
            hangs on the state's top node (an entry of a dict, a field of a module) is integrated to
            a tolerance of its own, relative to how fast it moves itself.
        references: The papers behind it, as BibTeX.
        variants: Its names on the command line, with the options that each stands for; by default
            the class's name in lower case, without options.
        looks: Colour and dashes in pictures, by `name`; the next spare ones, where none are given.
    """

    models: ClassVar[tuple[type[AbstractOptimizer], ...]]
    reference: ClassVar[str] = "iterates"
    one_unit: ClassVar[bool] = False
    references: ClassVar[tuple[str, ...]] = ()
    variants: ClassVar[dict[str, dict[str, Any]]] = {}
    looks: ClassVar[dict[str, tuple[str, Any]]] = {}

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """What the flow is called in tables, plots and the keys of results."""

    @property
    @abc.abstractmethod
    def stride(self) -> int:
        """How many optimizer steps its map stands for: 1, or 2 for every second iterate."""

    @abc.abstractmethod
    def init(self, problem: Problem, params: Params) -> PyTree[Any]:
        """The state at a given point in parameter space."""

    @abc.abstractmethod
    def vector_field(self, problem: Problem) -> VectorField:
        """The right-hand side ``f(t, y, args)``, in parameters per flow time, as diffrax wants it.

        Only `problem` is used: `args` is there for diffrax, and the data are `problem.args`.
        """

    @abc.abstractmethod
    def params(self, y: PyTree[Any]) -> Params:
        """The point in parameter space that a state stands for."""

    @abc.abstractmethod
    def diagnostics(self, problem: Problem, y: PyTree[Any]) -> dict[str, Array]:
        """Numbers worth recording at every step; may be empty."""

    def check(self, optimizer: AbstractOptimizer) -> None:
        """Raise an `IncompatibleFlowError` if, with these options, the flow does not model it.

        Called with one of `models` only, before anything is traced.
        """
        del optimizer

    def measured(self, problem: Problem, y: PyTree[Any], iterate: Params) -> dict[str, Array]:
        """Numbers about an iterate worth recording beside the diagnostics; none, for most."""
        del problem, y, iterate
        return {}

    def stats(self, y: PyTree[Any]) -> dict[str, Scalar]:
        """What it cost until a state, apart from the solver's steps; nothing, for most."""
        del y
        return {}

    def choices(self, problem: Problem, params: Params) -> dict[str, str]:
        """What was left to the flow, and what it chose for such parameters; nothing, for most."""
        del problem, params
        return {}
