"""What cannot be looked at: values under a JAX transformation, and a batch where one run is due."""

from typing import Any

import jax.numpy as jnp
import jax.tree_util as jtu
from jax.core import Tracer

from .._custom_types import Array, PyTree
from .._errors import InvalidOptionError


def is_traced(value: Any) -> bool:
    """Whether the value is known only to a JAX transformation, so that it cannot be looked at."""
    return isinstance(value, Tracer)


def being_traced(*trees: PyTree[Any]) -> bool:
    """Whether a JAX transformation is tracing any of the leaves, or everything, as jit does."""
    return any(is_traced(leaf) for leaf in (jnp.zeros(()), *jtu.tree_leaves(trees)))


def single_run(last_step: Array) -> None:
    """Raise an `InvalidOptionError` for a batch of runs, where a single one is needed."""
    if last_step.ndim:
        raise InvalidOptionError(
            f"this is a batch of runs of shape {last_step.shape}, as vmap returns. "
            "Take one of them: jax.tree.map(lambda x: x[0], run)."
        )
