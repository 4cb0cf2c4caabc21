"""One ``.npz`` file: arrays, and everything else as JSON beside them. Nothing in it is executed."""

import json
import pathlib
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

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
