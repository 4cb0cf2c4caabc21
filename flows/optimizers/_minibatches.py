"""Minibatches: which examples a step sees, and whether a loss is the mean over its examples."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from .._checks import being_traced, is_traced
from .._custom_types import Array, Integer, Params
from .._errors import InvalidOptionError
from .._objective import Objective, number_of_examples, require_mean

SAMPLINGS = ("replacement", "no replacement", "reshuffling", "in order")


def batch(sampling: str, n: int, size: int, key: Array, step: Integer) -> Array:
    """The numbers of the examples that a step sees; shape ``(size,)``."""
    if sampling == "replacement":
        return jr.randint(jr.fold_in(key, step), (size,), 0, n)
    if sampling == "no replacement":
        return jr.permutation(jr.fold_in(key, step), n)[:size]
    steps = n // size  # in an epoch
    place = step % steps
    order = jnp.arange(n)
    if sampling == "reshuffling":
        order = jr.permutation(jr.fold_in(key, step // steps), n)
    return jax.lax.dynamic_slice_in_dim(order, place * size, size)


def check_batches(objective: Objective, params: Params, sampling: str, size: int) -> None:
    """Raise a typed error unless batches of the data can be drawn, and the loss is their mean."""
    n = number_of_examples(objective.args)
    if size > n:
        raise InvalidOptionError(
            f"batch_size is {size}, but args holds {n} examples. Write for example "
            f"batch_size={max(1, n // 2)}."
        )
    if sampling in ("reshuffling", "in order") and n % size:
        raise InvalidOptionError(
            f'batch_size must divide the number of examples, {n}, for sampling="{sampling}", and '
            f'{size} does not. Leave out {n % size} of them, or use sampling="no replacement".'
        )
    if being_traced(objective, params):
        return
    whole, mean = _loss_and_mean(objective, params)
    if not is_traced(whole):
        require_mean(whole, mean, "all examples", "SGD")


@eqx.filter_jit
def _loss_and_mean(objective: Objective, params: Params) -> tuple[Array, Array]:
    return objective.value(params), jnp.mean(example_losses(objective, params))


def example_losses(objective: Objective, params: Params) -> Array:
    """The loss of each example by itself, shape ``(n,)``."""

    def of(i: Integer) -> Array:
        return objective.on_examples(i[None]).value(params)

    return jax.vmap(of)(jnp.arange(number_of_examples(objective.args)))
