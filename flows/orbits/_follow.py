"""Following one orbit: let it settle, measure its exponent, and see whether it comes back.

Everything is written for one orbit and mapped over many by the callers. Nothing is kept of the
first two stages but sums, so that memory does not grow with their number of steps.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu

from .._custom_types import Array, Flag, Float, Integer, Params, PyTree, Scalar
from .._vectors import norm, real_dtype, scaled, select, subtract
from ..optimizers import Problem

# The exponent is the mean over so many blocks, its error that of their means. The first block only
# turns the tangent into the fastest direction.
BLOCKS = 16
_KEY = 20180524


class Walker(eqx.Module):
    """A state, a direction at it, whether it is still bounded, and its number of steps."""

    state: PyTree[Any]
    tangent: PyTree[Any]
    alive: Flag
    step: Integer


class Followed(NamedTuple):
    """What is known of an orbit in the end.

    Of the first ``2 * max_period`` steps after the reference point: the distance from it, the
    length of the step, the logarithm of the tangent's growth. `observed` has a leading axis `keep`.
    """

    walker: Walker
    scale: Scalar
    block_means: Float[Array, " blocks"]
    distances: Float[Array, " window"]
    lengths: Float[Array, " window"]
    growths: Float[Array, " window"]
    observed: PyTree[Any]


def follow(
    problem: Problem,
    params: Params,
    transient: Array,
    block: Array,
    bound: Scalar,
    *,
    max_period: int,
    keep: int = 0,
    observe: Callable[[Params], PyTree[Any]] = lambda params: None,
) -> Followed:
    """Make `transient` steps, then ``BLOCKS * block``, then those in which it may come back."""
    state = problem.optimizer.init(params)
    walker = Walker(state, first_tangent(state), jnp.asarray(True), jnp.asarray(0))
    walker = settle(problem, walker, transient, bound)

    def one_block(walker, _):
        return jax.lax.fori_loop(
            0,
            block,
            lambda _, pair: _with_growth(problem, pair, bound),
            (walker, jnp.zeros((), dtype)),
        )

    dtype = real_dtype(moving(state))
    walker, sums = jax.lax.scan(one_block, walker, length=BLOCKS)
    window = 2 * max_period
    reference = moving(walker.state)

    def recorded(walker, _):
        before = moving(walker.state)
        walker, growth = advance_with_tangent(problem, walker, bound)
        after = moving(walker.state)
        seen = observe(problem.optimizer.params(walker.state))
        apart = norm(subtract(after, reference))
        return walker, (apart, norm(subtract(after, before)), growth, seen)

    walker, (distances, lengths, growths, observed) = jax.lax.scan(
        recorded, walker, length=max(window, keep)
    )
    return Followed(
        walker=walker,
        scale=jnp.maximum(norm(reference), jnp.ones((), dtype)),
        block_means=sums / jnp.maximum(block, 1).astype(dtype),
        distances=distances[:window],
        lengths=lengths[:window],
        growths=growths[:window],
        observed=jtu.tree_map(lambda leaf: leaf[leaf.shape[0] - keep :], observed),
    )


def moving(state: PyTree[Any]) -> PyTree[Any]:
    """The floating-point part of a state: what can come close, and has a derivative."""
    return eqx.filter(state, eqx.is_inexact_array)


def first_tangent(state: PyTree[Any]) -> PyTree[Any]:
    """A direction of length 1 that is special in no way, always the same."""
    leaves, structure = jtu.tree_flatten(moving(state))
    keys = jax.random.split(jax.random.key(_KEY), len(leaves))
    normal = structure.unflatten(
        jax.random.normal(key, leaf.shape, leaf.dtype)
        for key, leaf in zip(keys, leaves, strict=True)
    )
    return scaled(1 / norm(normal), normal)


def settle(problem: Problem, walker: Walker, steps: Array, bound: Scalar) -> Walker:
    """So many steps without the tangent."""

    def body(_, walker):
        state = problem.step(walker.state)
        return _accept(problem, walker, state, walker.tangent, bound)

    return jax.lax.fori_loop(0, steps, body, walker)


def advance_with_tangent(problem: Problem, walker: Walker, bound: Scalar) -> tuple[Walker, Scalar]:
    """One step, and the logarithm of the factor by which the tangent grows in it."""
    point, rest = eqx.partition(walker.state, eqx.is_inexact_array)

    def step(point):
        state = problem.step(eqx.combine(point, rest))
        return eqx.partition(state, eqx.is_inexact_array)

    # Linearised, as `jax.jvp` refuses what has a ``custom_vjp``.
    point, product, rest = jax.linearize(step, point, has_aux=True)
    tangent = product(walker.tangent)
    growth = norm(tangent)
    # A tangent that vanishes (a superstable orbit) keeps its direction: its exponent is -inf.
    usable = jnp.isfinite(growth) & (growth > 0)
    length = jnp.where(usable, growth, jnp.ones_like(growth))
    tangent = select(usable, scaled(1 / length, tangent), walker.tangent)
    return _accept(problem, walker, eqx.combine(point, rest), tangent, bound), jnp.log(growth)


def _with_growth(problem, pair, bound):
    walker, total = pair
    walker, growth = advance_with_tangent(problem, walker, bound)
    return walker, total + growth


def _accept(problem, walker, state, tangent, bound) -> Walker:
    """The next walker; one that has left the bound stays where it last was inside."""
    finite = [jnp.all(jnp.isfinite(leaf)) for leaf in jtu.tree_leaves(moving(state))]
    near = norm(problem.optimizer.params(state)) <= bound
    alive = walker.alive & near & jnp.all(jnp.stack(finite))
    new = Walker(state, tangent, alive, walker.step + 1)
    kept = Walker(walker.state, walker.tangent, alive, walker.step)
    return select(alive, new, kept)
