"""Bad input, found before anything is traced: each check raises a typed error with its remedy."""

import dataclasses
import inspect
import math
import operator
from typing import Any, NoReturn

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from jax.core import Tracer

from ._custom_types import Array, Loss, Params, PyTree, Scalar
from ._errors import (
    InvalidLearningRateError,
    InvalidLossError,
    InvalidOptionError,
    InvalidParametersError,
    InvalidStepsError,
)

# How leaves of other libraries give their numbers.
_WAYS = (
    ("to_numpy", "Pass its numbers, {leaf}.to_numpy(), or a dict of its columns."),
    (
        "toarray",
        "Pass {leaf}.toarray(), or jax.experimental.sparse.BCOO.from_scipy_sparse({leaf}).",
    ),
    ("__array__", "Pass numpy.asarray({leaf})."),
)


def is_traced(value: Any) -> bool:
    """Whether the value is known only to a JAX transformation, so that it cannot be looked at."""
    return isinstance(value, Tracer)


def being_traced(*trees: PyTree[Any]) -> bool:
    """Whether a JAX transformation is tracing any of the leaves, or everything, as jit does."""
    return any(is_traced(leaf) for leaf in (jnp.zeros(()), *jtu.tree_leaves(trees)))


def positive_scalar(value: Any, name: str, *, zero: bool = False) -> Scalar:
    """One positive finite number (or 0: `zero`) as a float array, or `InvalidLearningRateError`."""
    wanted = "finite number >= 0" if zero else "positive finite number"
    shown = f"{name} must be one {wanted}, got {value!r}"
    if isinstance(value, bool | str) or value is None:
        raise InvalidLearningRateError(f"{shown}. Write for example {name}=0.1.")
    try:
        array = jnp.asarray(value)
    except TypeError as error:
        raise InvalidLearningRateError(f"{shown}. Write for example {name}=0.1.") from error
    if array.ndim != 0:
        raise InvalidLearningRateError(
            f"{name} must be one number, got an array of shape {array.shape}. "
            f"For several at once: jax.vmap(lambda h: ...({name}=h))({name}s)."
        )
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise InvalidLearningRateError(f"{shown}: it is complex. Take its real part.")
    if not is_traced(array):
        number = float(array)
        if not (math.isfinite(number) and (number > 0 or (zero and number == 0))):
            raise InvalidLearningRateError(f"{shown}. Write for example {name}=0.1.")
    # An explicit dtype drops JAX' weak type: Python floats, NumPy scalars and arrays compile once.
    return array.astype(jnp.result_type(float))


def fraction(value: Any, name: str, example: str) -> Scalar:
    """A number between 0 and 1 as a float array, or an `InvalidOptionError`."""
    remedy = f"Write for example {example}."
    try:
        array = jnp.asarray(value)
    except TypeError as error:
        raise InvalidOptionError(f"{name} must be a number, got {value!r}. {remedy}") from error
    if array.ndim != 0 or isinstance(value, bool) or jnp.iscomplexobj(array):
        raise InvalidOptionError(f"{name} must be one real number, got {value!r}. {remedy}")
    if not is_traced(array) and not 0 < float(array) < 1:
        raise InvalidOptionError(f"{name} must lie between 0 and 1, got {value!r}. {remedy}")
    return array.astype(jnp.result_type(float))


def step_count(steps: Any) -> int:
    """A non-negative integer, or an `InvalidStepsError`."""
    if is_traced(steps):
        raise InvalidStepsError(
            "steps is traced, but it sets the shapes of the results. Pass it as a Python integer, "
            "under jit through static_argnames=('steps',)."
        )
    try:
        count = operator.index(steps)
    except TypeError as error:
        raise InvalidStepsError(
            f"steps must be an integer, got {steps!r} of type {type(steps).__name__}. "
            "Write for example steps=100."
        ) from error
    if count < 0 or isinstance(steps, bool):
        raise InvalidStepsError(f"steps must be 0 or more, got {steps!r}.")
    return count


def non_negative(value: Any, name: str, example: str) -> Scalar:
    """One finite number >= 0 as a float array, or an `InvalidOptionError`."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    array = jnp.asarray(value if number or hasattr(value, "dtype") else jnp.nan)
    fits = array.ndim == 0 and not jnp.iscomplexobj(array)
    if not fits or not (is_traced(array) or 0 <= float(array) < math.inf):
        raise InvalidOptionError(
            f"{name} must be one finite number >= 0, got {value!r}. Write for example {example}."
        )
    return array.astype(jnp.result_type(float))


def integer(value: Any, least: int, name: str, example: str, most: int | None = None) -> int:
    """An integer within these bounds, or an `InvalidOptionError`."""
    try:
        number = None if is_traced(value) else operator.index(value)
    except TypeError:
        number = None
    wrong = number is None or isinstance(value, bool) or number < least
    if number is None or wrong or (most is not None and number > most):
        bounds = f">= {least}" if most is None else f"from {least} to {most}"
        raise InvalidOptionError(
            f"{name} must be an integer {bounds}, got {value!r}. Write for example {example}."
        )
    return number


def random_key(key: Any, wanted_by: str) -> Array:
    """One random key, or an `InvalidOptionError`."""
    remedy = "Pass key=jax.random.key(0); another number gives other noise."
    if key is None:
        raise InvalidOptionError(f"{wanted_by} draws random numbers, so it needs a key. {remedy}")
    dtype = getattr(key, "dtype", None)
    if dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key):
        if key.shape == ():
            return key
        raise InvalidOptionError(
            f"key is an array of keys of shape {key.shape}. For one run each: "
            "jax.vmap(lambda key: ...(key=key))(keys)."
        )
    if dtype == jnp.uint32 and getattr(key, "shape", None) == (2,):
        return jax.random.wrap_key_data(jnp.asarray(key))
    raise InvalidOptionError(f"key must be a random key of JAX, got {key!r}. {remedy}")


def one_of(value: Any, allowed: tuple[Any, ...], name: str) -> None:
    """Raise an `InvalidOptionError` unless the value is one of those allowed."""
    if not any(value is choice or value == choice for choice in allowed):
        listed = ", ".join(repr(choice) for choice in allowed)
        raise InvalidOptionError(f"{name} must be one of {listed}; got {value!r}.")


def single_run(last_step: Array) -> None:
    """Raise an `InvalidOptionError` for a batch of runs, where a single one is needed."""
    if last_step.ndim:
        raise InvalidOptionError(
            f"this is a batch of runs of shape {last_step.shape}, as vmap returns. "
            "Take one of them: jax.tree.map(lambda x: x[0], run)."
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
