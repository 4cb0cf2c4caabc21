r"""The noise in the gradient of a minibatch, from the gradients of single examples.

.. math:: \Sigma = \frac cn \sum_i (g_i - g)(g_i - g)^T, \qquad
    \xi = \sqrt{\frac cn} \sum_i w_i (g_i - g), \quad w_i \sim N(0, 1)

The covariance is never formed: a weighted sum of gradients is the gradient of a weighted sum.
"""

from collections.abc import Callable
from typing import cast

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from .._checks import is_traced
from .._custom_types import Array, Params, Scalar
from .._objective import number_of_examples
from .._vectors import add, add_scaled, ravel, real_dtype, size, subtract
from ..optimizers import SGD, AbstractOptimizer, Problem
from ..optimizers._gaussian_noise import standard_normal
from ..optimizers._minibatches import example_losses
from ._base import AbstractFlow, unless_one_of


def sgd(problem: Problem) -> SGD:
    """The optimizer; of a traced momentum it can be seen only while running that it is none."""
    optimizer = cast(SGD, problem.optimizer)
    if not is_traced(optimizer.momentum):
        return optimizer
    rate = eqx.error_if(
        optimizer.learning_rate,
        optimizer.momentum != 0,
        "This flow models SGD without momentum. Use flows.SGD(learning_rate, ...) with momentum=0.",
    )
    return eqx.tree_at(lambda o: o.learning_rate, optimizer, rate)


def unless_plain(flow: AbstractFlow, optimizer: AbstractOptimizer) -> str | None:
    """The refusal of a flow that models `SGD` without momentum or repeated batches."""
    if not isinstance(optimizer, SGD):
        return unless_one_of(flow, optimizer, SGD)
    momentum = optimizer.momentum
    if optimizer.repeats > 1 or not (is_traced(momentum) or float(momentum) == 0):
        return (
            f"{flow.name} models SGD without momentum and without repeated batches. Use "
            "flows.SGD(learning_rate, ...) with momentum=0 and repeats=1."
        )
    return None


def force(problem: Problem) -> Callable[[Params], Params]:
    """The gradient and the weight decay, ``g + lambda theta``."""
    decay = sgd(problem).weight_decay
    return lambda params: add_scaled(problem.gradient(params), decay, params)


def batch_factor(optimizer: SGD, n: int) -> float:
    """``c``: the covariance of a batch's gradient over that of one example's."""
    size = optimizer.batch_size
    if size is None:
        return 0.0
    if optimizer.sampling == "replacement":
        return 1 / size
    return (n - size) / (size * (n - 1)) if n > 1 else 0.0


def draw(problem: Problem, like: Params, key: Array) -> tuple[Array | None, Params | None]:
    """Standard normal numbers for what is random in a step: the batch, and the noise added."""
    optimizer = sgd(problem)
    batch, added = None, None
    if optimizer.batch_size is not None:
        n = number_of_examples(problem.args)
        batch = jr.normal(jr.fold_in(key, 0), (n,), real_dtype(like))
    if optimizer.noise is not None:
        added = standard_normal(jr.fold_in(key, 1), like)
    return batch, added


def noise(problem: Problem, params: Params, draws: tuple[Array | None, Params | None]) -> Params:
    """The noise of one step's gradient for these draws, linear in them; one gradient."""
    batch, added = draws
    total = jax.tree.map(jnp.zeros_like, params)
    if batch is not None:
        n = batch.shape[0]
        scale = (batch_factor(sgd(problem), n) / n) ** 0.5
        weights = scale * (batch - jnp.mean(batch))
        total = jax.grad(lambda p: jnp.sum(weights * example_losses(problem.objective, p)))(params)
    covariance = sgd(problem).noise
    if covariance is not None:
        total = add(total, covariance.times(added))
    return total


def covariance(problem: Problem, params: Params) -> Array:
    """The covariance of one step's gradient, ``(p, p)``: for a small number ``p`` of parameters."""
    p = size(params)
    total = jnp.zeros((p, p), real_dtype(params))
    if sgd(problem).batch_size is not None:
        gradients = jax.jacrev(lambda q: example_losses(problem.objective, q))(params)
        rows = jax.vmap(ravel)(gradients)
        rows = rows - jnp.mean(rows, axis=0, keepdims=True)
        n = rows.shape[0]
        total = total + batch_factor(sgd(problem), n) / n * rows.T @ rows
    added = sgd(problem).noise
    if added is not None:
        total = total + added.covariance(params)
    return total


def trace_gradient(problem: Problem, params: Params) -> Params:
    r"""Half the gradient of ``tr Sigma`` of single examples, ``(1/n) sum_i H_i g_i - H g``."""

    def half_trace(p: Params) -> Scalar:
        gradients = jax.jacrev(lambda q: example_losses(problem.objective, q))(p)
        mean = jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0, keepdims=True), gradients)
        deviations = jax.tree.leaves(subtract(gradients, mean))
        n = number_of_examples(problem.args)
        return sum(jnp.sum(leaf**2) for leaf in deviations) / (2 * n)  # pyright: ignore[reportReturnType]

    return jax.grad(half_trace)(params)
