"""Many runs in chunks of equal size, so that memory is bounded and one program serves all."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np

from .._checks import integer
from .._custom_types import PyTree
from .._errors import InvalidOptionError
from ._blocks import blocks

# What the runs of one chunk may take, in bytes.
_CHUNK_BYTES = 2**26


def chunk_length(chunk: Any, total: int, numbers: int, itemsize: int) -> int:
    """As many at a time as asked for, or as fit into 64 MiB with so many numbers for each."""
    if chunk is not None:
        return min(integer(chunk, 1, "chunk", "chunk=1000"), total)
    most = max(1, _CHUNK_BYTES // (numbers * itemsize))
    return math.ceil(total / math.ceil(total / most))


def in_chunks(
    run: Callable[[PyTree[Any]], PyTree[Any]],
    inputs: PyTree[Any],
    length: int,
    *,
    progress: bool,
    label: str,
    unit: str,
) -> PyTree[Any]:
    """`run` on every slice of the inputs along their first axis; NumPy arrays of all results."""
    total = jtu.tree_leaves(inputs)[0].shape[0]
    parts, resting = [], None
    for first, made in blocks(total, length, progress=progress, label=label, unit=unit):
        # The last chunk is filled up with copies of its last member.
        rows = np.minimum(np.arange(first, first + length), total - 1)
        result = run(jtu.tree_map(lambda leaf, rows=rows: jnp.asarray(leaf)[rows], inputs))
        # What does not move in the parameters, a function say, is the same for all.
        arrays, resting = eqx.partition(result, eqx.is_array)
        parts.append(jtu.tree_map(lambda leaf, n=made: np.asarray(leaf)[:n], arrays))
    joined = jtu.tree_map(lambda *leaves: np.concatenate(leaves), *parts)
    return eqx.combine(joined, resting)


def require_host(traced: bool, name: str, instead: str) -> None:
    """Raise an `InvalidOptionError` under a JAX transformation."""
    if traced:
        raise InvalidOptionError(
            f"{name} works in chunks on the host, and cannot be traced. "
            f"Call it outside jit, vmap and grad; inside use {instead}."
        )
