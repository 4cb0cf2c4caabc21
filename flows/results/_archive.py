"""One ``.npz`` file: arrays, and everything else as JSON beside them. Nothing in it is executed."""

import json
import pathlib
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from .._custom_types import Array
from .._errors import StorageError

_FORMAT = "descentflows-1"


class Record(NamedTuple):
    """A result as it is written: what kind it is, what JSON can hold of it, and its arrays."""

    kind: str
    metadata: dict[str, Any]
    arrays: Mapping[str, np.ndarray]


def write(path: str | pathlib.Path, record: Record) -> pathlib.Path:
    """Write a record to `path`, with the suffix ``.npz``; return the path of the file."""
    path = pathlib.Path(path)
    path = path if path.suffix == ".npz" else path.with_name(path.name + ".npz")
    text = json.dumps({"format": _FORMAT, "kind": record.kind, **record.metadata})
    arrays: Any = record.arrays
    np.savez_compressed(path, metadata=np.asarray(text), **arrays)
    return path


def as_jax(array: np.ndarray) -> Array:
    """An array of a file as one of JAX, of the same dtype; a `StorageError` where JAX has none.

    Integers that fit into those that JAX has now (numbers of steps do) become such ones.
    """
    converted = jnp.asarray(array)
    if array.dtype.kind in "fc" and converted.dtype != array.dtype:
        raise StorageError(
            f"the file holds {array.dtype}, which would be cut to {converted.dtype} here. Before "
            'you read it, write jax.config.update("jax_enable_x64", True).'
        )
    return converted


def read(path: str | pathlib.Path) -> Record:
    """Read a record; raises a `StorageError` if this library did not write it."""
    path = pathlib.Path(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = dict(archive)
        metadata = json.loads(str(arrays.pop("metadata")))
        if metadata.pop("format") != _FORMAT:
            raise KeyError("format")
        return Record(metadata.pop("kind"), metadata, arrays)
    except (zipfile.BadZipFile, zlib.error, ValueError, KeyError, TypeError, EOFError) as error:
        raise StorageError(
            f"{path} was not written by this version of descentflows ({error}). "
            "Write runs with run.save(path)."
        ) from error
