"""Any one-step map, given as a function."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

from .._checks import positive_scalar
from .._continuation import continued
from .._custom_types import Integer, Params, Scalar
from .._errors import InvalidOptimizerError
from .._objective import Objective
from ._base import AbstractOptimizer


class StepMap(AbstractOptimizer):
    r"""An optimizer, or any other iteration, given by the function that makes its step.

    .. math:: y_{n+1} = \Phi(y_n)

    What moves is ``y``: for momentum, parameters and velocity together; for a game, both players'
    parameters. The loss that the drivers take beside it is only recorded, and need not have
    anything to do with the map. `flows.PrincipalFlow` models it.

    Attributes:
        function: ``Phi``, a JAX function of the parameters that returns a tree like them. Define it
            once: a new function object compiles anew, unless it is an Equinox module.
        step_time: The flow time of a step, a positive scalar; 1 if there is no learning rate.

    Raises:
        InvalidOptimizerError: If `function` is none, or returns something unlike the parameters.
        InvalidLearningRateError: If `step_time` is not one positive finite number.

    Example:
        Simultaneous descent and ascent on ``x y`` spirals outwards.

        >>> import jax.numpy as jnp
        >>> import flows
        >>> def game(players):
        ...     x, y = players
        ...     return jnp.array([x - 0.5 * y, y + 0.5 * x])
        >>> run = flows.iterate(
        ...     lambda players: players[0] * players[1], jnp.array([1.0, 0.0]),
        ...     flows.StepMap(game, step_time=0.5), steps=2,
        ... )
        >>> run.final_params.tolist()
        [0.75, 1.0]

    References:
        E. Hairer, C. Lubich, G. Wanner, Geometric Numerical Integration (2006), chapter IX.
    """

    function: Callable[[Params], Params]
    step_time: Scalar = eqx.field(
        converter=lambda time: positive_scalar(time, "step_time"), default=1.0
    )

    def __check_init__(self):
        if not callable(self.function):
            raise InvalidOptimizerError(
                f"StepMap takes a function, got {self.function!r}. "
                "Write for example flows.StepMap(lambda y: y - 0.1 * jax.grad(loss)(y), 0.1)."
            )

    def time_of_step(self, n: Integer) -> Scalar:
        """`step_time`."""
        return self.step_time

    def init(self, params: Params) -> Params:
        """The parameters themselves are the state."""
        return params

    def step(self, objective: Objective, state: Params, gradient: Params | None = None) -> Params:
        """``Phi``, continued analytically at complex parameters."""
        del gradient

        def moved(state: Params) -> Params:
            given, _ = eqx.partition(self.function(objective.whole(state)), eqx.is_array)
            _check_shapes(given, state)
            return given

        complex_state = any(jnp.iscomplexobj(leaf) for leaf in jax.tree.leaves(state))
        return continued(moved)(state) if complex_state else moved(state)

    def params(self, state: Params) -> Params:
        """The state itself."""
        return state


def _check_shapes(given: Params, expected: Params) -> None:
    """Raise unless a step returns what it was given; costs nothing, as it runs while tracing."""
    shown = [
        str(jax.tree.map(lambda leaf: f"{leaf.dtype}{list(leaf.shape)}", tree))
        for tree in (given, expected)
    ]
    if shown[0] != shown[1]:
        raise InvalidOptimizerError(
            f"the function of StepMap was given {shown[1]} and returned {shown[0]}. "
            "Return a tree of the same structure, shapes and dtypes."
        )
