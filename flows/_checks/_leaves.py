"""Parameters and data, leaf by leaf: what moves, what rests, and what can be neither."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np

from .._custom_types import Params, PyTree
from .._errors import (
    InvalidOptionError,
    InvalidParametersError,
)
from ._tracing import is_traced

# How leaves of other libraries give their numbers.
_WAYS = (
    ("to_numpy", "Pass its numbers, {leaf}.to_numpy(), or a dict of its columns."),
    (
        "toarray",
        "Pass {leaf}.toarray(), or jax.experimental.sparse.BCOO.from_scipy_sparse({leaf}).",
    ),
    ("__array__", "Pass numpy.asarray({leaf})."),
)


def split_params(params: Params, *, finite: bool = True) -> tuple[PyTree[Any], PyTree[Any]]:
    """Split parameters into the floating-point leaves that move and the rest, which stays.

    Arrays and Python floats move. Inside an Equinox module Python scalars are settings (a dropout
    rate, say) and stay, as do functions and strings everywhere. All moving leaves must be finite
    (unless `finite` is False) and share one dtype, float32 or float64.

    Raises:
        InvalidParametersError: naming the leaf and the remedy.
    """
    is_module = lambda node: isinstance(node, eqx.Module)  # noqa: E731
    arrays = jtu.tree_map(_numbers_to_arrays, params, is_leaf=is_module)
    for path, leaf in jtu.tree_leaves_with_path(arrays):
        refused = _why_refused("params" + jtu.keystr(path), leaf)
        if refused is not None:
            raise InvalidParametersError(refused)
    arrays = jtu.tree_map(lambda leaf: _to_jax(leaf, np.ndarray), arrays)
    moving, resting = eqx.partition(arrays, eqx.is_array)
    leaves = jtu.tree_leaves_with_path(moving)
    if not leaves:
        raise InvalidParametersError(
            "params holds no floating-point array, so there is nothing to move. "
            "Pass for example jnp.zeros(2), or a tree of such arrays."
        )
    for path, leaf in leaves:
        _check_leaf(jtu.keystr(path) or "params", leaf, finite)
    first_path, first = leaves[0]
    for path, leaf in leaves[1:]:
        if leaf.dtype != first.dtype:
            raise InvalidParametersError(
                f"params mixes {first.dtype} (leaf {jtu.keystr(first_path)}) and {leaf.dtype} "
                f"(leaf {jtu.keystr(path)}). Cast them to one dtype: "
                "jax.tree.map(lambda x: x.astype(jnp.float64), params)."
            )
    return moving, resting


def _numbers_to_arrays(leaf: Any) -> Any:
    """Outside modules a Python number is a parameter, so that `params=2.5` means what it says."""
    number = isinstance(leaf, bool | int | float | complex | np.generic)
    if number and _why_refused("", leaf) is None and not isinstance(leaf, str | bytes):
        return jnp.asarray(leaf, dtype=jnp.asarray(leaf).dtype)
    return leaf


def _check_leaf(name: str, leaf: Any, finite: bool) -> None:
    if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
        raise InvalidParametersError(
            f"leaf {name} is complex ({leaf.dtype}), but an optimizer moves real parameters. "
            "Pass its real and imaginary parts as two leaves."
        )
    if not jnp.issubdtype(leaf.dtype, jnp.floating):
        raise InvalidParametersError(
            f"leaf {name} has dtype {leaf.dtype}, which cannot move continuously. "
            "Make it a float (x.astype(float)), or pass it to the loss through args."
        )
    if leaf.dtype not in (jnp.float32, jnp.float64):
        raise InvalidParametersError(
            f"leaf {name} has dtype {leaf.dtype}; an integrator needs float32 or float64. "
            "Cast it: x.astype(jnp.float32)."
        )
    if finite and not is_traced(leaf) and not bool(np.all(np.isfinite(np.asarray(leaf)))):
        raise InvalidParametersError(
            f"leaf {name} is not finite at the start. Replace its NaN or infinite entries."
        )


def data(args: PyTree[Any]) -> PyTree[Any]:
    """NumPy arrays and Python floats of `args` as JAX arrays, so that new values compile nothing.

    Integers, strings and functions stay as they are: a loss may use them for shapes and choices.

    Raises:
        InvalidOptionError: naming a leaf that is none of these, and the remedy.
    """

    def convert(path: Any, leaf: Any) -> Any:
        refused = _why_refused("args" + jtu.keystr(path), leaf)
        if refused is not None:
            raise InvalidOptionError(refused)
        return _to_jax(leaf, float | complex | np.ndarray | np.generic)

    return jtu.tree_map_with_path(convert, args)


def _to_jax(leaf: Any, kinds: Any) -> Any:
    """Of these kinds a JAX array; a string of NumPy as one of Python, which rests."""
    if isinstance(leaf, np.str_ | np.bytes_):
        return leaf.item()
    return jnp.asarray(leaf) if isinstance(leaf, kinds) else leaf


def _why_refused(name: str, leaf: Any) -> str | None:
    """Why a leaf can be neither computed with nor left to rest, with its remedy; None if it can.

    What rests is part of the compiled program, which is found again by hash and equality.
    """
    if isinstance(leaf, jax.Array | str | bytes):
        return None
    if isinstance(leaf, np.ma.MaskedArray):
        return f"leaf {name} is a masked array, whose mask would be lost. Pass {name}.filled(0)."
    if isinstance(leaf, np.ndarray | np.generic):
        if jnp.issubdtype(leaf.dtype, jnp.number) or leaf.dtype == bool:
            return None
        return (
            f"leaf {name} is an array of dtype {leaf.dtype}, and JAX computes with numbers only. "
            f"Turn it into numbers (numpy.unique({name}, return_inverse=True)[1] numbers the "
            f"labels), or pass it as a tuple: tuple({name}.tolist())."
        )
    if not hasattr(leaf, "__array__") and _hashable(leaf):
        return None
    return f"leaf {name} is a {type(leaf).__module__}.{type(leaf).__qualname__}, " + (
        f"neither an array nor a container that JAX knows. {_remedy(name, leaf)}"
    )


def _remedy(name: str, leaf: Any) -> str:
    for method, remedy in _WAYS:
        if hasattr(leaf, method):
            return remedy.format(leaf=name)
    kind = type(leaf).__name__
    if dataclasses.is_dataclass(leaf):
        return (
            f"Register the class once with jax.tree_util.register_dataclass({kind}), make it an "
            f"equinox.Module, or pass a dict: vars({name})."
        )
    if isinstance(leaf, set):
        return f"Pass its elements in an order, for example tuple(sorted({name}))."
    return f"Pass a dict, list or tuple of arrays, for example vars({name})."


def _hashable(leaf: Any) -> bool:
    try:
        hash(leaf)
    except TypeError:
        return False
    return True
