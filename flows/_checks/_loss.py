"""The loss: how it is called, and what it returns."""

import inspect
from typing import Any, NoReturn

import jax.numpy as jnp

from .._custom_types import Loss, PyTree
from .._errors import InvalidLossError


def loss_signature(loss: Loss, args: PyTree[Any]) -> None:
    """Raise an `InvalidLossError` unless `loss(params)` or `loss(params, args)` can be called."""
    if not callable(loss):
        raise InvalidLossError(
            f"loss must be a function of the parameters, got {type(loss).__name__}. "
            "Write for example: lambda params: jnp.sum(params**2)."
        )
    try:
        signature = inspect.signature(loss)
    except ValueError:  # some built-in callables have none: the call itself will tell
        return
    given = 1 if args is None else 2
    try:
        signature.bind(*(None,) * given)
    except TypeError as error:
        if args is None:
            raise InvalidLossError(
                f"loss{signature} cannot be called as loss(params). If its second argument is "
                "data, pass it with args=...; otherwise give the extra arguments defaults."
            ) from error
        raise InvalidLossError(
            f"loss{signature} cannot be called as loss(params, args), but args was given. "
            "Give the loss a second argument, or leave args out."
        ) from error


def loss_output(output: PyTree[Any]) -> None:
    """Raise an `InvalidLossError` unless the output (a shape will do) is one real float."""
    if not hasattr(output, "shape") or not hasattr(output, "dtype"):
        _refuse_output(
            f"a {type(output).__name__}",
            "Return the loss alone, as a scalar array: leave auxiliary outputs out",
        )
    if output.shape != ():
        _refuse_output(
            f"an array of shape {output.shape}",
            "Reduce it, for example with jnp.mean(...) or jnp.sum(...)",
        )
    if not jnp.issubdtype(output.dtype, jnp.floating):
        _refuse_output(f"dtype {output.dtype}", "Return a real float, for example jnp.abs(x) ** 2")


def _refuse_output(got: str, remedy: str) -> NoReturn:
    raise InvalidLossError(f"loss must return one real number, but returned {got}. {remedy}.")
