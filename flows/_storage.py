"""Saving a run to one ``.npz`` file: its arrays, and everything else as JSON beside them."""

import dataclasses
import json
import pathlib
import zipfile
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np

from ._checks import split_params
from ._custom_types import Params, PyTree
from ._ensemble import Ensemble, EnsembleComparison
from ._errors import StorageError
from ._regime_report import RegimeReport
from ._results import RESULTS, Comparison, Label, Trajectory, code_names, require_single

_FORMAT = "descentflows-1"
_PLAIN = ("ts", "loss", "grad_norm", "last_step")
_TABLES = ("diagnostics", "stats")
_TREES = ("params", "final_params")


def save(run: Comparison | Trajectory, path: str | pathlib.Path) -> pathlib.Path:
    """Write a run to `path`, with the suffix ``.npz``."""
    is_comparison = isinstance(run, Comparison)
    parts = {"iterates": run.iterates, **run.trajectories} if is_comparison else {"run": run}
    arrays: dict[str, np.ndarray] = {}
    metadata: dict[str, Any] = {
        "kind": type(run).__name__,
        "parts": [_pack(part, f"part{place}", arrays) for place, part in enumerate(parts.values())],
    }
    if isinstance(run, Comparison):
        metadata |= {
            "mode": run.mode,
            "settings": dict(run.settings),
            "flows": list(run.trajectories),
        }
        for place, error in enumerate(run.errors.values()):
            arrays[f"error{place}"] = np.asarray(error)
    return _write(path, metadata, arrays)


def save_report(report: RegimeReport, path: str | pathlib.Path) -> pathlib.Path:
    """Write a report to `path`, with the suffix ``.npz``."""
    names = [field.name for field in dataclasses.fields(report) if field.name != "parameters"]
    arrays = {name: np.asarray(getattr(report, name)) for name in names}
    kind = type(report).__name__
    return _write(path, {"kind": kind, "parameters": report.parameters, "parts": []}, arrays)


def save_ensembles(run: EnsembleComparison, path: str | pathlib.Path) -> pathlib.Path:
    """Write a comparison in law to `path`, with the suffix ``.npz``."""
    parts = [run.iterates, *run.flows.values()]
    arrays = {
        f"part{place}/{name}": np.asarray(getattr(part, name))
        for place, part in enumerate(parts)
        for name in ("steps", "ts", "values", "results")
    }
    metadata = {
        "kind": type(run).__name__,
        "names": run.iterates.names,
        "flows": list(run.flows),
        "settings": dict(run.settings),
    }
    return _write(path, metadata, arrays)


def _write(path: str | pathlib.Path, metadata: dict[str, Any], arrays: Any) -> pathlib.Path:
    path = pathlib.Path(path)
    path = path if path.suffix == ".npz" else path.with_name(path.name + ".npz")
    text = json.dumps({"format": _FORMAT, **metadata})
    np.savez_compressed(path, metadata=np.asarray(text), **arrays)
    return path


def load(
    path: str | pathlib.Path, *, like: Params | None = None
) -> Comparison | Trajectory | RegimeReport | EnsembleComparison:
    """Read what the method `save` of a run, a comparison or a report wrote.

    Arrays keep their shapes, dtypes and units (times are flow times). Parameters come back as the
    dicts, lists and tuples that they were saved as; of any other structure (an Equinox module,
    say) as a dict from the leaf's path to its array, unless `like` gives the structure.

    Arguments:
        path: The ``.npz`` file. Nothing in it is executed.
        like: Parameters of the structure that was saved, for example those the run started from.

    Returns:
        What was saved: a `flows.Comparison`, `flows.EnsembleComparison`, `flows.Trajectory` or
        `flows.RegimeReport`.

    Raises:
        FileNotFoundError: If there is no such file.
        StorageError: If it was not written by this library, or `like` has another structure.

    Example:
        >>> import pathlib, tempfile
        >>> import jax.numpy as jnp
        >>> import flows
        >>> run = flows.compare(
        ...     lambda x: x**2 / 2, jnp.array(1.0), flows.GradientDescent(0.5),
        ...     flows.GradientFlow(), steps=2,
        ... )
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     again = flows.load(run.save(pathlib.Path(folder) / "run"))
        >>> bool(jnp.all(again.errors["GradientFlow"] == run.errors["GradientFlow"]))
        True

    References:
        The file is a NumPy archive: https://numpy.org/doc/stable/reference/routines.io.html
    """
    path = pathlib.Path(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = dict(archive)
        metadata = json.loads(str(arrays["metadata"]))
        if metadata["format"] != _FORMAT:
            raise KeyError(metadata["format"])
    except (zipfile.BadZipFile, ValueError, KeyError, TypeError, EOFError) as error:
        raise StorageError(
            f"{path} was not written by this version of descentflows ({error}). "
            "Write runs with run.save(path)."
        ) from error
    if metadata["kind"] == "RegimeReport":
        columns = {name: jnp.asarray(array) for name, array in arrays.items() if name != "metadata"}
        return RegimeReport(**columns, parameters=metadata["parameters"])
    if metadata["kind"] == "EnsembleComparison":
        return _ensembles(metadata, arrays)
    parts = [
        _unpack(part, f"part{place}", arrays, like) for place, part in enumerate(metadata["parts"])
    ]
    if metadata["kind"] == "Trajectory":
        return parts[0]
    names = metadata["flows"]
    return Comparison(
        iterates=parts[0],
        trajectories=dict(zip(names, parts[1:], strict=True)),
        errors={name: jnp.asarray(arrays[f"error{place}"]) for place, name in enumerate(names)},
        mode=metadata["mode"],
        settings=tuple(metadata["settings"].items()),
    )


def _ensembles(metadata: dict[str, Any], arrays: dict[str, Any]) -> EnsembleComparison:
    names = tuple(metadata["names"])
    parts = [
        Ensemble(
            arrays[f"part{place}/steps"],
            arrays[f"part{place}/ts"],
            arrays[f"part{place}/values"],
            names,
            tuple(arrays[f"part{place}/results"].tolist()),
        )
        for place in range(1 + len(metadata["flows"]))
    ]
    flows = dict(zip(metadata["flows"], parts[1:], strict=True))
    return EnsembleComparison(parts[0], flows, tuple(metadata["settings"].items()))


def _pack(part: Trajectory, prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Put a trajectory's arrays into `arrays` and return the rest."""
    require_single(part)
    for name in _PLAIN:
        arrays[f"{prefix}/{name}"] = np.asarray(getattr(part, name))
    for name in _TABLES:
        for key, value in getattr(part, name).items():
            if not isinstance(value, str):
                arrays[f"{prefix}/{name}/{key}"] = np.asarray(value)
    packed: dict[str, Any] = {
        name: {
            key: str(value) if isinstance(value, str) else None
            for key, value in getattr(part, name).items()
        }
        for name in _TABLES
    }
    packed["stride"], packed["reference"] = part.stride, part.reference
    [packed["result"]] = code_names(part.result)
    for name in _TREES:
        tree = getattr(part, name)
        leaves = [
            (jtu.keystr(path), leaf)
            for path, leaf in jtu.tree_leaves_with_path(tree)
            if isinstance(leaf, jax.Array)
        ]
        for place, (_, leaf) in enumerate(leaves):
            arrays[f"{prefix}/{name}/{place}"] = np.asarray(leaf)
        packed[name] = {
            "paths": [path for path, _ in leaves],
            "tree": _describe(tree, iter(range(len(leaves)))),
        }
    return packed


def _unpack(packed: dict[str, Any], prefix: str, arrays: dict[str, Any], like: Any) -> Trajectory:
    fields: dict[str, Any] = {name: jnp.asarray(arrays[f"{prefix}/{name}"]) for name in _PLAIN}
    for name in _TABLES:
        fields[name] = {
            key: jnp.asarray(arrays[f"{prefix}/{name}/{key}"]) if word is None else Label(word)
            for key, word in packed[name].items()
        }
    for name in _TREES:
        paths, tree = packed[name]["paths"], packed[name]["tree"]
        leaves = [jnp.asarray(arrays[f"{prefix}/{name}/{place}"]) for place in range(len(paths))]
        if tree is None:
            fields[name] = None
        elif like is not None:
            fields[name] = _shaped_like(like, paths, leaves)
        elif tree == "opaque":
            fields[name] = dict(zip(paths, leaves, strict=True))
        else:
            fields[name] = _rebuild(tree, leaves)
    # Files of the first versions know of no stride, and of no reference.
    return Trajectory(
        result=getattr(RESULTS, packed["result"]),
        stride=packed.get("stride", 1),
        reference=packed.get("reference", "iterates"),
        **fields,
    )


def _describe(tree: PyTree[Any], places: Any) -> Any:
    """The tree as JSON, leaves as numbers; "opaque" if it is more than dicts, lists and tuples."""
    if tree is None:
        return None
    if isinstance(tree, jax.Array):
        return next(places)
    if type(tree) in (list, tuple):
        items = [_describe(item, places) for item in tree]
        described: dict[str, Any] = {type(tree).__name__: items}
    elif type(tree) is dict and all(isinstance(key, str) for key in tree):
        # JAX flattens dicts in the order of their keys.
        described = {"dict": {key: _describe(tree[key], places) for key in sorted(tree)}}
        items = list(described["dict"].values())
    else:
        return "opaque"
    return "opaque" if "opaque" in items else described


def _rebuild(described: Any, leaves: list[Any]) -> Any:
    if described is None:
        return None
    if isinstance(described, int):
        return leaves[described]
    [(kind, items)] = described.items()
    if kind == "dict":
        return {key: _rebuild(item, leaves) for key, item in items.items()}
    rebuilt = [_rebuild(item, leaves) for item in items]
    return tuple(rebuilt) if kind == "tuple" else rebuilt


def _shaped_like(like: Params, paths: list[str], leaves: list[Any]) -> Params:
    moving, resting = split_params(like)
    expected = [jtu.keystr(path) for path, _ in jtu.tree_leaves_with_path(moving)]
    if expected != paths:
        raise StorageError(
            f"like has the leaves {expected}, but the file holds {paths}. "
            "Pass parameters of the structure that was saved, or leave like out."
        )
    return eqx.combine(jtu.tree_unflatten(jtu.tree_structure(moving), leaves), resting)
