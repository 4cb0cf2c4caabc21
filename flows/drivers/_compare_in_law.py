"""The law of a stochastic optimizer beside those of flows: many paths of each from one start."""

import functools as ft
from collections.abc import Callable, Sequence
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import jax.tree_util as jtu
import numpy as np

from .._checks import being_traced, integer, step_count
from .._custom_types import Array, Data, Flag, Integer, Loss, Params, PyTree
from .._errors import InvalidOptimizerError, InvalidOptionError, RunFailedError
from .._vectors import real_dtype, select, size
from ..optimizers import AbstractStochasticOptimizer, Problem, make_problem
from ..results import RESULTS, Ensemble, EnsembleComparison, code_names
from ..vector_fields import AbstractFlow
from ..vector_fields.methods import AbstractMethod, SolverOptions, Steps
from ._advance_flow import start_of
from ._chunks import chunk_length, in_chunks, require_host
from ._compatible import check_fit, check_flows
from ._flow_records import whole_step
from ._iterate import start_state, step_times
from ._settings import settings_of

# Up to so many parameters are observed without being asked for.
_FEW = 16
# Steps that are looked at, if nothing else is said.
_MARKS = 100

Observe = Callable[[Problem, Params], Array]


def compare_in_law(
    loss: Loss,
    params: Params,
    optimizer: AbstractStochasticOptimizer,
    flows: Sequence[AbstractFlow] | AbstractFlow,
    steps: int,
    *,
    args: Data = None,
    key: Array | None = None,
    paths: int = 1000,
    observe: Callable[[Params], Array] | None = None,
    every: int | None = None,
    chunk: int | None = None,
    solver: dfx.AbstractSolver | None = None,
    progress: bool = False,
    throw: bool = True,
) -> EnsembleComparison:
    r"""Compare the law of an optimizer that draws random numbers with those of flows.

    .. math:: \theta_n^{(i)} \sim \text{optimizer}, \qquad \theta^{(j)}(t_n) \sim \text{flow}

    Many paths of the optimizer and as many of every flow, independent of each other and from one
    start; a flow that draws nothing, one of the mean, has a single path. Made in chunks on the
    host, not under a transformation.

    Arguments:
        loss: As in `flows.iterate`.
        params: As in `flows.iterate`.
        optimizer: For example ``flows.SGD(0.1, batch_size=8)``.
        flows: The flows, each a model of this optimizer, for example
            ``[flows.StochasticModifiedFlow(1)]``.
        steps: How many steps, a Python integer >= 0.
        args: Data for the loss.
        key: What all random numbers come from, ``jax.random.key(0)`` for example. A path does not
            depend on `chunk` and `every`.
        paths: How many of the optimizer, and of each flow.
        observe: A function from the parameters to a number, or an array or list of them; by
            default the loss, and the parameters if there are no more than 16.
        every: Observe every so many steps, and the last; by default at most 100 times.
        chunk: How many paths at a time; by default what fits into 64 MiB.
        solver: Any diffrax solver for the stochastic flows, by default ``ShARK()``; they go in
            equal parts of an optimizer step, so there is no step-size control to choose.
        progress: Show a bar over the paths.
        throw: Raise an error if a path stops early, rather than return its result code.

    Returns:
        A `flows.EnsembleComparison`: what was observed of every path, means, variances and
        quantiles with their errors, and the distances between the laws.

    Raises:
        InvalidLossError: If the loss cannot be called, or does not return one real number.
        InvalidParametersError: If a leaf of `params` cannot be moved; the message names it.
        InvalidStepsError: If `steps` is not a non-negative integer.
        InvalidOptionError: If an option is out of range, or `key` is missing.
        InvalidSolverError: If the solver is not diffrax's.
        InvalidOptimizerError: If the optimizer is none, or draws no random numbers.
        IncompatibleFlowError: If there is no flow, or one does not model the optimizer.
        RunFailedError: If a path stops early and `throw` is True; its ``partial`` is the run.

    Example:
        On ``E(x) = x^2 / 2`` with noise of variance 1 in the gradient, from 1: the mean after two
        steps of h = 1/2 is 1/4, that of the flow exp(-1).

        >>> import jax, jax.numpy as jnp
        >>> import flows
        >>> run = flows.compare_in_law(
        ...     lambda x: x**2 / 2, jnp.array(1.0), flows.SGD(0.5, noise=1.0),
        ...     flows.StochasticModifiedFlow(1), steps=2, key=jax.random.key(0), paths=500,
        ... )
        >>> abs(float(run.iterates.mean[-1, 1]) - 0.25) < 4 * float(run.iterates.mean_error[-1, 1])
        True

    References:
        Q. Li, C. Tai, W. E (2019), arXiv:1811.01558, for convergence in law.
    """
    count = step_count(steps)
    named = check_flows(flows, optimizer)
    if not optimizer.stochastic:
        raise InvalidOptimizerError(
            f"{type(optimizer).__name__} draws no random numbers, so there is one path and no law: "
            "use flows.compare(loss, params, optimizer, flows, steps)."
        )
    problem, moving = make_problem(loss, params, optimizer, args)
    require_host(being_traced(problem, moving, named, key), "compare_in_law", "vmap")
    key = check_fit(problem, moving, key, *named.values())
    assert key is not None
    many = integer(paths, 2, "paths", "paths=1000")
    gap = -(-count // _MARKS) if every is None else integer(every, 1, "every", "every=10")
    at = np.unique([*range(0, count + 1, max(gap, 1)), count])
    marks, longest = jnp.asarray(at), int(np.diff(at).max(initial=1))
    columns, look = _observables(problem, moving, observe)
    dtype = real_dtype(moving)
    # Paths of the optimizer, and those of the flows, are independent of each other.
    keys = jr.split(key, 1 + len(named))
    methods = [
        model.method.configured(SolverOptions(dtype, False, solver if model.stochastic else None))
        for model in named.values()
    ]
    numbers = len(at) * len(columns) + 16 * size(moving)
    length = chunk_length(chunk, many, numbers, dtype.itemsize)

    def ensemble(run: Any, keys: Array, label: str) -> Ensemble:
        values, codes = in_chunks(run, keys, length, progress=progress, label=label, unit="path")
        ts = np.asarray(step_times(problem, count + 1), float)[at]
        return Ensemble(at, ts, values.astype(float), columns, code_names(codes))

    run = ft.partial(_optimizer_paths, problem, moving, marks, look)
    iterates = ensemble(run, jr.split(keys[0], many), type(optimizer).__name__)
    ensembles = {}
    for (name, model), method, model_key in zip(named.items(), methods, keys[1:], strict=True):
        run = ft.partial(_flow_paths, problem, model, method, moving, marks, longest, look)
        own = many if model.stochastic else 1
        ensembles[name] = ensemble(run, jr.split(model_key, own), name)
    settings = {
        "step time": f"{float(problem.optimizer.time_of_step(jnp.asarray(0))):.4g}",
        "paths": str(many),
        "key": str(np.asarray(jr.key_data(key)).tolist()),
    }
    comparison = EnsembleComparison(iterates, ensembles, settings_of(problem, moving, **settings))
    if throw and not comparison.successful:
        raise RunFailedError(comparison.message, partial=comparison)
    return comparison


def _observables(problem: Problem, params: Params, observe: Any) -> tuple[tuple[str, ...], Observe]:
    """Names for what is observed, and the function that observes it."""
    if observe is None:
        names = ["loss"]
        if size(params) <= _FEW:
            for path, leaf in jtu.tree_leaves_with_path(params):
                stem = "params" + jtu.keystr(path)
                places = np.ndindex(leaf.shape)
                names += [stem + (str(list(place)) if place else "") for place in places]
        return tuple(names), _loss_and_few
    if not callable(observe):
        raise InvalidOptionError(
            f"observe must be a function of the parameters, got {observe!r}. "
            "Write for example observe=lambda params: params[0]."
        )
    shape = eqx.filter_eval_shape(lambda p: _real_numbers(observe(problem.whole(p))), params)
    stem = getattr(observe, "__name__", "observed")
    stem = "observed" if stem == "<lambda>" else stem
    names = [stem] if shape.ndim == 0 else [f"{stem}[{i}]" for i in range(shape.shape[0])]
    return tuple(names), _Observed(observe)


def _loss_and_few(problem: Problem, params: Params) -> Array:
    """The loss, and the parameters if there are few: one function, so that it compiles once."""
    parts = [problem.value(params)[None]]
    if size(params) <= _FEW:
        parts += [jnp.ravel(leaf) for leaf in jtu.tree_leaves(params)]
    return jnp.concatenate(parts)


class _Observed(eqx.Module):
    """A user's function: one object for one function, so that it compiles once."""

    function: Callable[[Params], Any] = eqx.field(static=True)

    def __call__(self, problem: Problem, params: Params) -> Array:
        return jnp.atleast_1d(_real_numbers(self.function(problem.whole(params))))


def _real_numbers(seen: Any) -> Array:
    """What was observed as an array, of a list with the widest of its dtypes; or an error."""
    parts = seen if isinstance(seen, list | tuple) else [seen]
    refused = _why_not_real(seen, parts)
    if refused is not None:
        raise InvalidOptionError(
            f"observe must return real numbers, one or a list of them; got {refused}. "
            "Write for example observe=lambda params: params[0]."
        )
    if seen is not parts:
        return jnp.asarray(seen)
    dtype = np.result_type(*(jnp.asarray(part).dtype for part in parts))
    return jnp.stack([jnp.asarray(part).astype(dtype) for part in parts])


def _why_not_real(seen: Any, parts: Sequence[Any]) -> str | None:
    kind = type(seen).__name__
    numbers = (int, float, complex, np.ndarray, np.generic, jax.Array)
    if not all(isinstance(part, numbers) for part in parts):
        return f"a {kind}" if seen is not parts else f"a {kind} with something else in it"
    arrays = [jnp.asarray(part) for part in parts]
    if not sum(array.size for array in arrays):
        return "none at all"
    if seen is parts and any(array.ndim for array in arrays):
        return f"a {kind} of shapes {[array.shape for array in arrays]}: use jnp.concatenate"
    if arrays[0].ndim > 1 or not any(jnp.issubdtype(a.dtype, jnp.floating) for a in arrays):
        return f"shape {arrays[0].shape}, {arrays[0].dtype}"
    if any(jnp.iscomplexobj(array) for array in arrays):
        return f"a {kind} with a complex number in it"
    return None


@eqx.filter_jit
def _optimizer_paths(
    problem: Problem, params: Params, marks: Array, look: Observe, keys: Array
) -> tuple[Array, RESULTS]:
    optimizer = problem.optimizer

    def path(key: Array) -> tuple[Array, RESULTS]:
        def step(_: Any, carry: tuple[Any, Flag]) -> tuple[Any, Flag]:
            state, alive = carry
            new = problem.step(state)
            return new, alive & _finite(optimizer.params(new))

        def to_mark(carry: tuple[Any, Flag], gap: Integer) -> tuple[Any, Array]:
            state, alive = jax.lax.fori_loop(0, gap, step, carry)
            here = optimizer.params(state)
            alive &= jnp.isfinite(problem.value(here))
            return (state, alive), _seen(look, problem, here, alive)

        start = (start_state(problem, params, key), jnp.asarray(True))
        first = look(problem, params)
        (_, alive), rest = jax.lax.scan(to_mark, start, jnp.diff(marks))
        result = RESULTS.where(alive, RESULTS.successful, RESULTS.diverged)
        return jnp.concatenate([first[None], rest]), result

    return jax.vmap(path)(keys)


@eqx.filter_jit
def _flow_paths(
    problem: Problem,
    flow: AbstractFlow,
    method: AbstractMethod,
    params: Params,
    marks: Array,
    longest: int,
    look: Observe,
    keys: Array,
) -> tuple[Array, RESULTS]:
    gaps = jnp.diff(marks)

    def path(key: Array) -> tuple[Array, RESULTS]:
        def to_mark(carry: Any, of: tuple[Integer, Integer]) -> tuple[Any, Array]:
            y, memory, alive, result = carry
            done, gap = of
            leg = method.advance(flow, problem, Steps(done, gap, 1, longest), y, memory)
            new = jax.tree.map(lambda leaf: leaf[-1], leg.ys)
            at = whole_step(done + gap, y)
            good = _finite(new) & (leg.status == RESULTS.successful)
            good &= jnp.isfinite(problem.value(flow.params(problem, at, new)))
            why = RESULTS.where(leg.status == RESULTS.successful, RESULTS.diverged, leg.status)
            result = RESULTS.where(alive & ~good, why, result)
            y, alive = select(good, new, y), alive & good
            seen = _seen(look, problem, flow.params(problem, at, y), alive)
            return (y, leg.memory, alive, result), seen

        y = start_of(problem, flow, params)
        memory, _ = method.start(flow, problem, y, key)
        start = (y, memory, jnp.asarray(True), RESULTS.successful)
        first = look(problem, params)
        (*_, result), rest = jax.lax.scan(to_mark, start, (marks[:-1], gaps))
        return jnp.concatenate([first[None], rest]), result

    return jax.vmap(path)(keys)


def _seen(look: Observe, problem: Problem, params: Params, alive: Flag) -> Array:
    return jnp.where(alive, look(problem, params), jnp.nan)


def _finite(tree: PyTree[Array]) -> Flag:
    parts = [jnp.all(jnp.isfinite(leaf)) for leaf in jtu.tree_leaves(tree)]
    return jnp.all(jnp.stack(parts))
