"""The objective: a loss and its data, and every derivative that anything here may ask for.

All derivatives are matrix-free, take and return trees with the structure of the parameters, and are
holomorphic: at complex parameters they are the derivatives of the loss's analytic continuation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu

from .._checks import being_traced, data, integer, loss_output, loss_signature, one_of, split_params
from .._continuation import continued
from .._custom_types import Array, Data, Loss, Params, PyTree, Scalar
from ._derivatives import PRODUCTS, along, derivatives_taken, difference, transposed_along
from ._examined import Examined, examined
from ._examples import examples, number_of_examples, require_mean
from ._seen import seen


class Objective(eqx.Module):
    r"""A loss ``E`` and its data, with a say in how it is differentiated.

    .. math:: E(\theta), \qquad g = \nabla E, \qquad v \mapsto H v = \nabla (g \cdot v), \qquad
              D^3E[a, b] = \nabla (a \cdot H b)

    Accepted wherever a loss is: a plain function is ``Objective(function)``. Everything is linear
    in the number of parameters; neither ``H`` nor ``D^3E`` is ever formed.

    The methods take the *moving* part of the parameters: what does not move (functions, settings of
    a layer) is kept here and put back for the loss.

    Attributes:
        loss: ``loss(params)``, or ``loss(params, args)`` where `args` is not None.
        args: The data, any pytree; what is passed as ``args=`` to a function of this library takes
            its place.
        resting: The part of the parameters that does not move; filled in by the functions that are
            given the parameters.
        product: How derivatives beyond the gradient are taken: ``"forward-over-reverse"``, the
            cheapest; ``"reverse-over-reverse"``, where the gradient has a reverse derivative only
            (a ``custom_vjp`` whose rule is another one); ``"difference"`` of gradients, where it
            has neither, or where JAX' derivative of the gradient is not that of the map that is
            descended (``stop_gradient``, straight-through estimates). A difference costs two
            gradients and is good to about ten digits in float64 and four in float32 for ``H v``, to
            seven and two for the third derivative.
        chunk: How many examples are seen at once, for a loss that is the mean over the first axis
            of all arrays in `args`; None for all. Memory then does not grow with their number.

    Raises:
        InvalidOptionError: If `product` or `chunk` is none of the above; from the functions that
            take it, if `args` has no examples to be seen in chunks.
        DerivativeError: From the functions that take it, where JAX has no such derivative.
        InvalidLossError: From the functions that take it, if with `chunk` the loss is no mean.

    Example:
        The gradient of a target that follows is ``w - (0.9 w + 1)``, with the slope 0.1; JAX'
        derivative of it does not see the target move.

        >>> import jax
        >>> import jax.numpy as jnp
        >>> import flows
        >>> loss = lambda w: (w - jax.lax.stop_gradient(0.9 * w + 1)) ** 2 / 2
        >>> objective = flows.Objective(loss, product="difference")
        >>> print(f"{flows.sharpness(objective, jnp.array(3.0)):.3f}")
        0.100

    References:
        B. A. Pearlmutter, Neural Computation 6 (1994), 147-160, for the products.
    """

    loss: Loss
    args: PyTree[Any] = None
    resting: PyTree[Any] = None
    product: str = eqx.field(static=True, default=PRODUCTS[0], kw_only=True)
    chunk: int | None = eqx.field(static=True, default=None, kw_only=True)

    def __check_init__(self):
        one_of(self.product, PRODUCTS, "product")
        if self.chunk is not None:
            integer(self.chunk, 1, "chunk", "chunk=4096")

    def __call__(self, *arguments: Any) -> Any:
        """The loss, as it was given."""
        return self.loss(*arguments)

    def whole(self, params: Params) -> Params:
        """The parameters as the user gave them, from their moving part."""
        return params if self.resting is None else eqx.combine(params, self.resting)

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

    def linearised(
        self, params: Params, field: Callable[[Params], Params] | None = None
    ) -> tuple[Params, Callable[[Params], Params]]:
        """``g``, and the map ``v -> H v`` at the same point.

        The gradient is linearised once, so that a product costs less than a
        `hessian_vector_product`, which evaluates the gradient anew. Another symmetric field may
        take its place, the gradient with a weight decay say.
        """
        field = self.gradient if field is None else field
        with derivatives_taken(self.product):
            return self._linearised(params, field)

    def _linearised(self, params: Params, field: Callable[[Params], Params]) -> Any:
        if self.product == "forward-over-reverse":
            return jax.linearize(field, params)
        if self.product == "reverse-over-reverse":
            value, transposed = jax.vjp(field, params)
            return value, lambda vector: transposed(vector)[0]
        return field(params), lambda vector: difference(field, vector, 3)(params)

    def hessian_vector_product(self, params: Params, vector: Params) -> Params:
        """``H v``, by one derivative of the gradient."""
        return self.directional_derivative(params, vector)

    def third_derivative(self, params: Params, a: Params, b: Params) -> Params:
        """``D^3E[a, b]``, a vector, by two nested derivatives of the gradient."""
        return self.directional_derivative(params, a, b)

    def directional_derivative(self, params: Params, *directions: Params) -> Params:
        """``D^(k+1)E[v_1, ..., v_k]``, a vector: ``k`` nested derivatives of the gradient.

        Each nesting about doubles the cost. Symmetric in the directions.
        """
        field = self.gradient
        for direction in directions:
            if self.product == "forward-over-reverse":
                field = along(field, direction)
            elif self.product == "reverse-over-reverse":
                field = transposed_along(field, direction)
            else:
                field = difference(field, direction, len(directions) + 2)
        with derivatives_taken(self.product):
            return field(params)

    def examined(self, params: Params) -> Examined:
        """What there is to say of the loss at parameters of this kind: it is traced, and not run.

        Where it is computed in float32 inside, so is the gradient, and tolerances are float32's.
        """
        return seen(self.loss, (params, self.resting, self.args), lambda: self._examined(params))

    def _examined(self, params: Params) -> Examined:
        real = jtu.tree_map(
            lambda x: jax.ShapeDtypeStruct(jnp.shape(x), jnp.finfo(x.dtype).dtype), params
        )
        leaves, structure = jtu.tree_flatten(real)
        loss = lambda *leaves: self._real_value(structure.unflatten(leaves))  # noqa: E731
        return examined(jax.make_jaxpr(loss)(*leaves).jaxpr)

    def completed(self, resting: Params, args: Data = None) -> Objective:
        """The same objective with what rests of the parameters, and other data if there are any."""
        args = self.args if args is None else data(args)
        return Objective(self.loss, args, resting, product=self.product, chunk=self.chunk)

    def on_examples(self, indices: Array) -> Objective:
        """The same objective on some of its examples."""
        return eqx.tree_at(lambda o: o.args, self, examples(self.args, indices))

    def _real_value(self, params: Params) -> Scalar:
        whole = self.whole(params)
        if self.args is None:
            return _checked(self.loss(whole))
        n = 0 if self.chunk is None else number_of_examples(self.args)
        if self.chunk is None or n <= self.chunk:
            return _checked(self.loss(whole, self.args))

        def total_of(indices: Array) -> Scalar:
            seen = _checked(self.loss(whole, examples(self.args, indices)))
            return len(indices) * seen

        full = n // self.chunk
        rows = jnp.arange(full * self.chunk).reshape(full, self.chunk)
        # Recomputed when it is differentiated: one chunk's intermediate values at a time.
        seen = jax.checkpoint(total_of)
        start = jnp.zeros((), jax.eval_shape(total_of, rows[0]).dtype)
        total, _ = jax.lax.scan(lambda total, row: (total + seen(row), None), start, rows)
        if n % self.chunk:
            total = total + seen(jnp.arange(full * self.chunk, n))
        return total / n


def as_objective(loss: Loss | Objective, args: Data) -> Objective:
    """What was given as a loss, with its data, while nothing is known of the parameters."""
    given = loss if isinstance(loss, Objective) else Objective(loss)
    args = given.args if args is None else args
    loss_signature(given.loss, args)
    return given.completed(None, args)


def make_objective(loss: Loss | Objective, params: Params, args: Data) -> tuple[Objective, Params]:
    """Check loss, parameters and data; return the objective and the moving part of the parameters.

    What the loss returns is checked when it is first called.

    Raises:
        InvalidLossError: If the loss cannot be called as it should.
        InvalidParametersError: If the parameters cannot be moved.
    """
    given = as_objective(loss, args)
    moving, resting = split_params(params)
    objective = given.completed(resting)
    if objective.chunk is not None:
        _check_mean(objective, moving)
    return objective, moving


def _check_mean(objective: Objective, params: Params) -> None:
    """Raise an `InvalidLossError` unless the loss of two examples is the mean of theirs."""
    if number_of_examples(objective.args) > 1 and not being_traced(objective, params):
        two, each = _of_two(objective, params)
        require_mean(two, each, "two examples", "chunk=")


@eqx.filter_jit
def _of_two(objective: Objective, params: Params) -> tuple[Scalar, Scalar]:
    def of(*indices: int) -> Scalar:
        return objective.on_examples(jnp.array(indices)).value(params)

    return of(0, 1), (of(0) + of(1)) / 2


def _checked(output: Any) -> Scalar:
    """What a loss returned, if it is one number; costs nothing, as it runs while it is traced."""
    loss_output(output)
    return output
