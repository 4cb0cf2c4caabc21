"""The objective: a loss and its data, and every derivative that anything here may ask for.

All derivatives are matrix-free, take and return trees with the structure of the parameters, and are
holomorphic: at complex parameters they are the derivatives of the loss's analytic continuation.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu

from ._checks import being_traced, data, integer, loss_output, loss_signature, one_of, split_params
from ._continuation import continued
from ._custom_types import Array, Data, Loss, Params, PyTree, Scalar
from ._errors import DerivativeError, FlowsError, InvalidLossError, InvalidOptionError
from ._vectors import add_scaled, norm, real_dtype, scaled, subtract

PRODUCTS = ("forward-over-reverse", "reverse-over-reverse", "difference")
# What JAX and Equinox say where there is no rule for a derivative.
_OF_DERIVATIVES = re.compile(r"(?i)differentiat|custom_vjp|autodiff|jvp|forward-mode|reverse-mode")
# How far a mean over examples may be from the loss of all, in rounding units of the loss.
_ROUNDING = 1e4


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
        with _derivatives_taken(self.product):
            return self._linearised(params, field)

    def _linearised(self, params: Params, field: Callable[[Params], Params]) -> Any:
        if self.product == "forward-over-reverse":
            return jax.linearize(field, params)
        if self.product == "reverse-over-reverse":
            value, transposed = jax.vjp(field, params)
            return value, lambda vector: transposed(vector)[0]
        return field(params), lambda vector: _difference(field, vector, 3)(params)

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
                field = _along(field, direction)
            elif self.product == "reverse-over-reverse":
                field = _transposed_along(field, direction)
            else:
                field = _difference(field, direction, len(directions) + 2)
        with _derivatives_taken(self.product):
            return field(params)

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


def number_of_examples(args: PyTree[Any]) -> int:
    """The length of the first axis of all arrays of `args`, or an `InvalidOptionError`."""
    leaves = [leaf for leaf in jtu.tree_leaves(args) if eqx.is_array(leaf)]
    lengths = {leaf.shape[:1] for leaf in leaves}
    if len(lengths) != 1 or lengths == {()}:
        shapes = [leaf.shape for leaf in leaves]
        raise InvalidOptionError(
            "examples are slices of args, whose arrays must all have one first axis, that of "
            f"the examples; here the shapes are {shapes}. Pass the data as args=(x, y), and what "
            "is no data inside the loss."
        )
    [(n,)] = lengths
    return n


def examples(args: PyTree[Any], indices: Array) -> PyTree[Any]:
    """The examples with these numbers, as `args` of a loss."""
    return jtu.tree_map(lambda leaf: leaf[indices] if eqx.is_array(leaf) else leaf, args)


def _check_mean(objective: Objective, params: Params) -> None:
    """Raise an `InvalidLossError` unless the loss of two examples is the mean of theirs."""
    n = number_of_examples(objective.args)
    if n < 2 or being_traced(objective, params):
        return
    two, each = _of_two(objective, params)
    rounding = _ROUNDING * float(jnp.finfo(two.dtype).eps)
    if abs(float(two - each)) > rounding * (1 + abs(float(two))):
        raise InvalidLossError(
            f"the loss of two examples is {float(two):.6g}, but the mean of their losses is "
            f"{float(each):.6g}. chunk= needs a loss that is the mean over the first axis of args: "
            "for example jnp.mean(...) instead of jnp.sum(...), and no normalisation over a batch."
        )


@eqx.filter_jit
def _of_two(objective: Objective, params: Params) -> tuple[Scalar, Scalar]:
    def of(*indices: int) -> Scalar:
        return objective.on_examples(jnp.array(indices)).value(params)

    return of(0, 1), (of(0) + of(1)) / 2


@contextlib.contextmanager
def _derivatives_taken(product: str) -> Iterator[None]:
    """A `DerivativeError` with the remedy for what JAX says of a derivative that does not exist."""
    try:
        yield
    except (TypeError, ValueError, NotImplementedError) as error:
        if isinstance(error, FlowsError) or not _OF_DERIVATIVES.search(str(error)):
            raise
        others = " or ".join(repr(other) for other in PRODUCTS if other != product)
        raise DerivativeError(
            f"the gradient of the loss has no derivative by product={product!r}: "
            f"{str(error).splitlines()[0]} Pass flows.Objective(loss, product=...) in place of the "
            f"loss, with {others}."
        ) from error


def _checked(output: Any) -> Scalar:
    """What a loss returned, if it is one number; costs nothing, as it runs while it is traced."""
    loss_output(output)
    return output


def _along(field: Callable[[Params], Params], direction: Params) -> Callable[[Params], Params]:
    """The derivative of a field in a direction that does not depend on the point.

    Linearised, as `jax.jvp` refuses what has a ``custom_vjp``, even where only its reverse is used.
    """
    return lambda point: jax.linearize(field, point)[1](direction)


def _transposed_along(
    field: Callable[[Params], Params], direction: Params
) -> Callable[[Params], Params]:
    """The same for a field with a symmetric derivative, in reverse."""
    return lambda point: jax.vjp(field, point)[1](direction)[0]


def _difference(
    field: Callable[[Params], Params], direction: Params, root: int
) -> Callable[[Params], Params]:
    """The same by a central difference, over the `root`-th root of the rounding unit.

    That is a third root where one is taken, a fourth where two are nested: what is lost to rounding
    grows with each. The length is relative to the point, and to 1 near the origin.
    """

    def along(point: Params) -> Params:
        dtype = real_dtype(point)
        length = norm(direction)
        known = length > 0
        step = float(jnp.finfo(dtype).eps) ** (1 / root) * (1 + norm(point))
        step = jax.lax.stop_gradient(step / jnp.where(known, length, 1))
        above = field(add_scaled(point, step, direction))
        below = field(add_scaled(point, -step, direction))
        return scaled(1 / (2 * step), subtract(above, below))

    return along
