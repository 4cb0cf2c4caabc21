"""The optimizer's own iterates."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._checks import being_traced, step_count
from .._custom_types import Array, Data, Flag, Integer, Loss, Params, PyTree, Scalar
from .._vectors import byte_count, norm, select, subtract
from ..optimizers import AbstractOptimizer, Problem, make_problem
from ..results import RESULTS, Ran, Trajectory, raise_if_failed
from ..vector_fields.methods import Cost
from ._compatible import check_fit, check_optimizer
from ._windows import keep_params, plan, walk

Records = dict[str, Any]


class IterateState(eqx.Module):
    """Where an optimizer stands, with the loss there and the gradient that its next step takes."""

    state: PyTree[Any]
    loss: Scalar
    gradient: Params
    step: Integer
    alive: Flag


def iterate(
    loss: Loss,
    params: Params,
    optimizer: AbstractOptimizer,
    steps: int,
    *,
    args: Data = None,
    key: Array | None = None,
    save_params: bool | str = "auto",
    progress: bool = False,
    throw: bool = True,
) -> Trajectory:
    r"""Run an optimizer.

    .. math:: \theta_{n+1} = \Phi(\theta_n), \qquad t_n = n h

    Each step costs what the optimizer's step costs; loss and gradient norm come with it. Works
    under ``jit``, ``vmap`` and ``grad``. Memory does not grow with the number of steps unless the
    parameters are kept.

    Arguments:
        loss: ``loss(params)``, or ``loss(params, args)`` where `args` is given: any JAX function
            that returns one real number. Define it once: a new function object compiles anew.
        params: Where to start: any pytree of float32 or float64 arrays (all of one dtype).
            Functions, strings and the Python numbers inside an Equinox module stay as they are.
        optimizer: For example ``flows.GradientDescent(0.1)``.
        steps: How many steps, a Python integer >= 0.
        args: Data for the loss. Its arrays and floats may change without compiling anew.
        key: For an optimizer that draws random numbers, ``jax.random.key(0)`` for example; the same
            key gives the same run. Many runs: ``jax.vmap`` over keys.
        save_params: Keep the parameters of every step: True, False, or "auto" (up to 64 MiB).
        progress: Show a bar over the steps.
        throw: Raise an error if the run stops early, rather than return its result code.

    Returns:
        A `flows.Trajectory`. Where the loss or its gradient stops being finite, the result is
        ``flows.RESULTS.diverged`` and everything up to the last finite step is there.

    Raises:
        InvalidLossError: If the loss cannot be called, or does not return one real number.
        InvalidParametersError: If a leaf of `params` cannot be moved; the message names it.
        InvalidStepsError: If `steps` is not a non-negative integer.
        InvalidOptionError: If `save_params` is none of the above, progress is wanted under jit, or
            a key is missing or none.
        InvalidOptimizerError: If the optimizer is none.
        RunFailedError: If the run stops early and `throw` is True; its ``partial`` is the run.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> run = flows.iterate(
        ...     lambda x: x**2 / 2, jnp.array(1.0), flows.GradientDescent(0.5), steps=4
        ... )
        >>> float(run.final_params)
        0.0625

    References:
        Gradient descent: A.-L. Cauchy, Comptes rendus 25 (1847), 536-538.
    """
    count = step_count(steps)
    check_optimizer(optimizer)
    problem, moving = make_problem(loss, params, optimizer, args)
    point_bytes = byte_count(moving)
    save = keep_params(save_params, count, point_bytes)
    windows = plan(count, point_bytes if save else 1, alone=True)

    traced = being_traced(problem, moving, key)
    carry, start = begin(problem, moving, save, check_fit(problem, moving, key))
    carry, records = walk(
        lambda carry, done: _advance(
            problem, carry, done, jnp.asarray(count), windows.length, save
        ),
        carry,
        start,
        windows,
        alive=lambda carry: carry.alive,
        traced=traced,
        progress=progress,
        label=type(optimizer).__name__,
    )
    trajectory = iterate_trajectory(problem, carry, records)
    return raise_if_failed(trajectory, throw=throw, traced=traced)


@eqx.filter_jit
def begin(
    problem: Problem, params: Params, save: bool, key: Array | None = None
) -> tuple[IterateState, Records]:
    """The state before the first step, and the records of step 0."""
    state = start_state(problem, params, key)
    value, gradient, handed = _evaluate(problem, state)
    grad_norm = norm(gradient)
    alive = jnp.isfinite(value) & jnp.isfinite(grad_norm)
    diagnostics = {"step_length": jnp.zeros_like(grad_norm)}
    diagnostics |= problem.optimizer.diagnostics(state)
    records = _records(value, grad_norm, diagnostics, params if save else None)
    return IterateState(state, value, handed, jnp.asarray(0), alive), records


def _evaluate(problem: Problem, state: PyTree[Any]) -> tuple[Scalar, Params, Params]:
    """Loss and gradient at the parameters, and the gradient that the next step is handed."""
    params = problem.optimizer.params(state)
    value, gradient = problem.value_and_gradient(params)
    point = problem.optimizer.gradient_point(state, params)
    return value, gradient, gradient if point is params else problem.gradient(point)


def start_state(problem: Problem, params: Params, key: Array | None) -> PyTree[Any]:
    """The optimizer's state before the first step."""
    optimizer: Any = problem.optimizer
    return optimizer.init(params, key) if optimizer.stochastic else optimizer.init(params)


@eqx.filter_jit
def _advance(
    problem: Problem, carry: IterateState, done: Array, steps: Array | int, length: int, save: bool
) -> tuple[IterateState, Records]:
    return scan_iterates(problem, carry, done + np.arange(length), steps, save)


def scan_iterates(
    problem: Problem, carry: IterateState, indices: Array, steps: Array | int, save: bool
) -> tuple[IterateState, Records]:
    """One step for every index."""
    return jax.lax.scan(
        lambda carry, index: step_once(problem, carry, index, steps, save), carry, indices
    )


def step_once(
    problem: Problem, carry: IterateState, index: Array, steps: Array | int, save: bool
) -> tuple[IterateState, Records]:
    """Step number `index` (from 0); nothing happens beyond `steps`, or once the run has stopped."""
    optimizer = problem.optimizer
    due = carry.alive & (index < steps)
    state = problem.step(carry.state, carry.gradient)
    params = optimizer.params(state)
    value, gradient, handed = _evaluate(problem, state)
    grad_norm = norm(gradient)
    finite = jnp.isfinite(value) & jnp.isfinite(grad_norm)
    step_length = norm(subtract(params, optimizer.params(carry.state)))
    made = due & finite
    new = IterateState(state, value, handed, carry.step + 1, carry.alive)
    new = select(made, new, carry)
    new = eqx.tree_at(lambda c: c.alive, new, carry.alive & (finite | ~due))
    diagnostics = {"step_length": step_length} | optimizer.diagnostics(state)
    records = _records(value, grad_norm, diagnostics, params if save else None)
    return new, blank_unless(made, records, index < steps)


def blank_unless(made: Flag, records: Records, asked: Flag | bool = True) -> Records:
    """NaN for what was not computed, or 0 where nobody asked: that is cut off.

    A NaN there would stop a run under ``jax_debug_nans`` in which all is well.
    """
    blank = jnp.where(asked, jnp.nan, 0.0)
    return jax.tree.map(lambda x: jnp.where(made, x, blank.astype(x.dtype)), records)


def _records(
    loss: Scalar, grad_norm: Scalar, diagnostics: dict[str, Scalar], params: Params
) -> Records:
    return {
        "loss": loss,
        "grad_norm": grad_norm,
        "diagnostics": diagnostics,
        "params": params,
    }


def iterate_trajectory(problem: Problem, carry: IterateState, records: Records) -> Trajectory:
    """The iterates as a `Trajectory`."""
    params = records["params"]
    return Trajectory(
        ts=step_times(problem, records["loss"].shape[0]),
        params=None if params is None else problem.whole(params),
        final_params=problem.whole(problem.optimizer.params(carry.state)),
        loss=records["loss"],
        grad_norm=records["grad_norm"],
        diagnostics=records["diagnostics"],
        last_step=carry.step,
        result=RESULTS.where(carry.alive, RESULTS.successful, RESULTS.diverged),
        cost=Cost.of_steps(carry.step, records["loss"].dtype),
        ran={"optimizer": Ran.of(problem.optimizer)},
    )


def step_times(problem: Problem, points: int) -> Array:
    """The flow time before the first step, after it, and so on, so many times."""
    numbers = jnp.arange(points)
    first = problem.optimizer.time_of_step(numbers[0])
    ts = first * numbers.astype(first.dtype)
    if not problem.optimizer.varies or points < 2:
        return ts
    # What is summed are differences from the first: where there are none, times are exact.
    further = jax.vmap(problem.optimizer.time_of_step)(numbers[:-1]) - first
    return ts + jnp.concatenate([jnp.zeros_like(further[:1]), jnp.cumsum(further)])
