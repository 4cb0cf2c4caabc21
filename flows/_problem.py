"""The problem: a loss, its data and the optimizer, and every derivative that a flow may ask for.

All derivatives are matrix-free (a gradient, and nested forward derivatives of it), take and return
trees with the structure of the parameters, and are holomorphic: at complex parameters they are the
derivatives of the loss's analytic continuation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu

from ._checks import data, loss_output, loss_signature, split_params
from ._continuation import continued
from ._custom_types import Data, Integer, Loss, Params, PyTree, Scalar


class OneStepMap(Protocol):
    """What an optimizer is to a problem; `flows.AbstractOptimizer`, the base of all, says more."""

    stochastic: ClassVar[bool]

    @property
    def varies(self) -> bool: ...
    def time_of_step(self, n: Integer) -> Scalar: ...
    def init(self, params: Params, /) -> PyTree[Any]: ...
    def step(
        self, problem: Problem, state: PyTree[Any], gradient: PyTree[Any] | None = None
    ) -> PyTree[Any]: ...
    def params(self, state: PyTree[Any]) -> Params: ...
    def check(self, problem: Problem, params: Params) -> None: ...
    def diagnostics(self, state: PyTree[Any]) -> dict[str, Scalar]: ...


class Problem(eqx.Module):
    r"""A loss ``E``, its data, and the optimizer that descends it.

    Write ``g`` for the gradient of ``E``, ``H`` for its Hessian, ``D^3E[a, b]`` for the third
    derivative contracted with two directions (a vector). Everything below is linear in the number
    of parameters; neither ``H`` nor ``D^3E`` is ever formed.

    `make_problem` builds one, with checks. The methods take the *moving* part of the parameters:
    what does not move (functions, settings of a layer) is kept here and put back for the loss.

    Attributes:
        loss: ``loss(params)``, or ``loss(params, args)`` where `args` is not None.
        args: The data, any pytree.
        optimizer: The optimizer, an `AbstractOptimizer`.
        resting: The part of the parameters that does not move.
    """

    loss: Loss
    args: PyTree[Any]
    optimizer: OneStepMap
    resting: PyTree[Any]

    def whole(self, params: Params) -> Params:
        """The parameters as the user gave them, from their moving part."""
        return eqx.combine(params, self.resting)

    def value(self, params: Params) -> Scalar:
        """``E``, in units of loss; complex at complex parameters."""
        if any(jnp.iscomplexobj(leaf) for leaf in jtu.tree_leaves(params)):
            return continued(self._real_value)(params)
        return self._real_value(params)

    def gradient(self, params: Params) -> Params:
        """``g``, in loss per parameter."""
        return self.value_and_gradient(params)[1]

    def value_and_gradient(self, params: Params) -> tuple[Scalar, Params]:
        """``E`` and ``g`` for the price of ``g``."""
        holomorphic = any(jnp.iscomplexobj(leaf) for leaf in jtu.tree_leaves(params))
        return jax.value_and_grad(self.value, holomorphic=holomorphic)(params)

    def hessian_vector_product(self, params: Params, vector: Params) -> Params:
        """``H v``, by one forward derivative of the gradient."""
        return self.directional_derivative(params, vector)

    def third_derivative(self, params: Params, a: Params, b: Params) -> Params:
        """``D^3E[a, b]``, a vector, by two nested forward derivatives of the gradient."""
        return self.directional_derivative(params, a, b)

    def directional_derivative(self, params: Params, *directions: Params) -> Params:
        """``D^(k+1)E[v_1, ..., v_k]``, a vector: ``k`` nested forward derivatives of the gradient.

        Each nesting about doubles the cost. Symmetric in the directions.
        """
        field = self.gradient
        for direction in directions:
            field = _along(field, direction)
        return field(params)

    def _real_value(self, params: Params) -> Scalar:
        whole = self.whole(params)
        output = self.loss(whole) if self.args is None else self.loss(whole, self.args)
        loss_output(output)  # costs nothing: it runs while the loss is traced
        return output


def _along(field: Callable[[Params], Params], direction: Params) -> Callable[[Params], Params]:
    """The derivative of a field in a direction that does not depend on the point."""
    return lambda point: jax.jvp(field, (point,), (direction,))[1]


def make_problem(
    loss: Loss, params: Params, optimizer: OneStepMap, args: Data = None
) -> tuple[Problem, Params]:
    """Check loss, parameters and data; return the problem and the moving part of the parameters.

    Nothing is traced here: what the loss returns is checked when it is first called.

    Raises:
        InvalidLossError: If the loss cannot be called as it should.
        InvalidParametersError: If the parameters cannot be moved.
    """
    loss_signature(loss, args)
    moving, resting = split_params(params)
    return Problem(loss, data(args), optimizer, resting), moving
