"""Trees of parameters as a list of arrays, and a description that JSON can hold."""

from typing import Any

import equinox as eqx
import jax
import jax.tree_util as jtu
import numpy as np

from .._checks import split_params
from .._custom_types import Params, PyTree
from .._errors import StorageError
from ._archive import as_jax


def pack_tree(tree: PyTree[Any]) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The description of a tree, and its arrays."""
    leaves = [
        (jtu.keystr(path), leaf)
        for path, leaf in jtu.tree_leaves_with_path(tree)
        if isinstance(leaf, jax.Array)
    ]
    described = {
        "paths": [path for path, _ in leaves],
        "tree": _describe(tree, iter(range(len(leaves)))),
    }
    return described, [np.asarray(leaf) for _, leaf in leaves]


def unpack_tree(
    described: dict[str, Any], arrays: list[np.ndarray], like: Any, *, stacked: bool
) -> PyTree[Any]:
    """The tree again; `like`, if not None, gives structure and shapes, or a row's: `stacked`."""
    paths, tree = described["paths"], described["tree"]
    leaves = [as_jax(array) for array in arrays]
    if tree is None:
        return None
    if like is not None:
        return _shaped_like(like, paths, leaves, stacked)
    if tree == "opaque":
        return dict(zip(paths, leaves, strict=True))
    return _rebuild(tree, leaves)


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


def _shaped_like(like: Params, paths: list[str], leaves: list[Any], stacked: bool) -> Params:
    moving, resting = split_params(like)
    expected = [jtu.keystr(path) for path, _ in jtu.tree_leaves_with_path(moving)]
    if expected != paths:
        raise StorageError(
            f"like has the leaves {expected}, but the file holds {paths}. "
            "Pass parameters of the structure that was saved, or leave like out."
        )
    for path, leaf, wanted in zip(paths, leaves, jtu.tree_leaves(moving), strict=True):
        shape = leaf.shape[1:] if stacked else leaf.shape
        if shape != wanted.shape:
            raise StorageError(
                f"leaf {path or 'params'} of like has shape {wanted.shape}, but that in the file "
                f"has {shape}. Pass parameters of the shapes that were saved, or leave like out."
            )
    return eqx.combine(jtu.tree_unflatten(jtu.tree_structure(moving), leaves), resting)
