"""What a flow is: a differential equation whose map over one step is meant to be the step."""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from .._custom_types import Array, At, Params, PyTree, VectorField
from .._errors import RESULTS
from .._vectors import scaled
from ..optimizers import AbstractOptimizer, GradientDescent, Problem
from ..optimizers._description import AbstractMetric, IdentityMetric
from .methods import AbstractMethod, Diffrax


class AbstractFlow(eqx.Module):
    r"""A continuous-time model of an optimizer.

    .. math:: \frac{dy}{dn} = \mathtt{velocity}(n, y), \qquad
              y(0) = \mathtt{start}(s_0), \qquad \theta(n) = \mathtt{params}(n, y(n))

    such that ``theta(n)`` is close to the n-th iterate. Its clock is the optimizer's: ``n`` counts
    steps, and what a method asks receives it as an `At`, a whole number and a part. Flow time is
    only reported; a step takes `AbstractOptimizer.time_of_step` of it.

    A subclass is final and implements all of the abstract members below; `flows.GradientFlow` is
    the shortest example. Hyper-parameters are fields: arrays if they are numbers that a user may
    vary.

    Attributes:
        reference: What it is compared with: ``"iterates"``, or ``"midpoint"`` for a model of their
            average, ``(theta_{n-1} + 2 theta_n + theta_{n+1}) / 4``.
        stochastic: Whether it draws random numbers, so that a run needs a key and has a law.
        one_unit: Whether all numbers of its state have the same units. Otherwise each part that
            hangs on the state's top node (an entry of a dict, a field of a module) is integrated to
            a tolerance of its own, relative to how fast it moves itself.
        method: How it is advanced; `Diffrax` unless a subclass says otherwise.
        references: The papers behind it, as BibTeX.
        variants: Its names on the command line, with the options that each stands for; by default
            the class's name in lower case, without options.
        looks: Colour and dashes in pictures, by `name`; the next spare ones, where none are given.
    """

    reference: ClassVar[str] = "iterates"
    stochastic: ClassVar[bool] = False
    one_unit: ClassVar[bool] = False
    method: ClassVar[AbstractMethod] = Diffrax()
    references: ClassVar[tuple[str, ...]] = ()
    variants: ClassVar[dict[str, dict[str, Any]]] = {}
    looks: ClassVar[dict[str, tuple[str, Any]]] = {}

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """What the flow is called in tables, plots and the keys of results."""

    @property
    def beyond_gradient(self) -> bool:
        """Whether its velocity takes derivatives of the gradient, which a loss may not have."""
        return True

    @property
    def stride(self) -> int:
        """How many optimizer steps its map stands for: 1, or 2 for every second iterate."""
        return 1

    @abc.abstractmethod
    def refusal(self, optimizer: AbstractOptimizer) -> str | None:
        """Why this flow, with these options, is no model of an optimizer; None if it is one.

        In sentences, the last of which says what to do instead. Asked before anything is traced.
        """

    @abc.abstractmethod
    def start(self, problem: Problem, state: PyTree[Any], at: At) -> PyTree[Any]:
        """The state of the flow where the optimizer is in a given state, at any step."""

    @abc.abstractmethod
    def velocity(self, problem: Problem, at: At, y: PyTree[Any]) -> PyTree[Any]:
        """How fast the state moves, in its units per optimizer step; a tree like it."""

    @abc.abstractmethod
    def params(self, problem: Problem, at: At, y: PyTree[Any]) -> Params:
        """The point in parameter space that a state stands for."""

    def check(self, problem: Problem, params: Params) -> None:
        """Raise a typed error if there is no such flow for this loss and these data.

        Called once in every run, before anything of it is traced; most flows take any.
        """
        del problem, params

    def jumps(self, optimizer: AbstractOptimizer) -> bool:
        """Whether the velocity changes by leaps from step to step, as under a schedule.

        Then every step is integrated on its own. By default: where the optimizer's steps do.
        """
        return optimizer.varies

    def report(
        self, problem: Problem, at: At, y: PyTree[Any], iterate: Params | None = None
    ) -> dict[str, Array]:
        """Numbers worth recording at every step, by name; of the iterate too, where one is given.

        Arrays of floating-point numbers, each a scalar or a row.
        """
        del problem, at, y, iterate
        return {}

    def status(self, problem: Problem, at: At, y: PyTree[Any]) -> RESULTS:
        """Why a run cannot go on from a state, or ``RESULTS.successful``."""
        del problem, at, y
        return RESULTS.successful

    def optimizer_state(self, problem: Problem, at: At, y: PyTree[Any]) -> PyTree[Any]:
        """The optimizer's state at a state of the flow, to make a step of its own from there.

        By default it begins there anew, which is right for optimizers without a memory, of the
        number of steps too.
        """
        return problem.optimizer.init(self.params(problem, at, y))

    def enlarged(
        self, problem: Problem, at: At, y: PyTree[Any], why: RESULTS
    ) -> tuple["AbstractFlow", PyTree[Any]] | None:
        """Another flow, and its state, that may go on where this one cannot: one with more room.

        Asked, outside of transformations, when a window of steps ended before its time with the
        result `why`; `at` and `y` are those before that window, which is then made once more. It
        must be another flow of the same method. None, for most: the run ends. Not asked in mode
        ``"per_step"``, where a flow begins anew at every step.
        """
        del problem, at, y, why
        return None

    def choices(self, problem: Problem, params: Params) -> dict[str, str]:
        """What was left to the flow, and what it chose for such parameters; nothing, for most."""
        del problem, params
        return {}

    def vector_field(self, problem: Problem) -> VectorField:
        """The field ``f(t, y, args)`` per flow time, as diffrax wants it, to integrate yourself.

        For steps that all take the same time. Only `problem` is used: `args` is there for diffrax,
        and the data are `problem.args`.
        """
        time = problem.optimizer.time_of_step(jnp.asarray(0))

        def field(t: Any, y: PyTree[Any], args: Any) -> PyTree[Any]:
            del args
            n = jnp.asarray(t) / time
            whole = jnp.floor(n)
            return scaled(1 / time, self.velocity(problem, At(whole.astype(int), n - whole), y))

        return field


def unless_one_of(
    flow: AbstractFlow, optimizer: AbstractOptimizer, *kinds: type[AbstractOptimizer]
) -> str | None:
    """The refusal of a flow that models some classes of optimizers and no other."""
    if isinstance(optimizer, kinds):
        return None
    modelled = " or ".join(kind.__name__ for kind in kinds)
    return f"{flow.name} models {modelled}, not {type(optimizer).__name__}: use it with {modelled}."


def unless_descent(flow: AbstractFlow, optimizer: AbstractOptimizer) -> str | None:
    """The refusal of a flow that models gradient descent, under whatever name."""
    return unless_plain_descent(flow, optimizer, (IdentityMetric,), GradientDescent)


def unless_plain_descent(
    flow: AbstractFlow,
    optimizer: AbstractOptimizer,
    metrics: tuple[type[AbstractMetric], ...],
    *kinds: type[AbstractOptimizer],
) -> str | None:
    """The same for descent in some metrics; the classes `kinds` are examples of it."""
    described = optimizer.described()
    kind = type(optimizer).__name__
    if described is None or optimizer.stochastic or not isinstance(described.metric, metrics):
        return unless_one_of(flow, optimizer, *kinds)
    if not described.known:
        return (
            f"{flow.name} models descent without a memory or a decay, and of {kind} that cannot be "
            "seen: its poles or decays are traced, or vary with the step. Let `describe` return "
            "NumPy zeros for those that it has not."
        )
    return None if described.plain else unless_one_of(flow, optimizer, *kinds)
