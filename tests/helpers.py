"""What several test files share: comparison of trees, and losses with known derivatives."""

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np

import flows
from flows.vector_fields.methods import Cost


def assert_close(actual, expected, *, rtol=1.5e-7, atol=0.0):
    """Equal structure, shapes and dtypes, and values within `atol + rtol * |expected|`.

    The default is ten square roots of the rounding unit of float64: one formula, two ways.
    """
    assert jtu.tree_structure(actual) == jtu.tree_structure(expected)
    for (path, a), e in zip(
        jtu.tree_leaves_with_path(actual), jtu.tree_leaves(expected), strict=True
    ):
        a, e = np.asarray(a), np.asarray(e)
        name = jtu.keystr(path) or "value"
        assert a.shape == e.shape, f"{name}: shape {a.shape}, expected {e.shape}"
        assert a.dtype == e.dtype, f"{name}: dtype {a.dtype}, expected {e.dtype}"
        same = (a == e) | (np.isnan(a) & np.isnan(e))  # infinities too
        with np.errstate(invalid="ignore"):
            wrong = ~(np.abs(a - e) <= atol + rtol * np.abs(e)) & ~same
        if wrong.any():
            distance = np.where(np.isnan(a - e), np.inf, np.abs(a - e))
            worst = np.unravel_index(np.argmax(np.where(wrong, distance, -1)), a.shape)
            raise AssertionError(
                f"{name}: {wrong.sum()} of {wrong.size} differ; worst at {worst}: got {a[worst]}, "
                f"expected {e[worst]}, distance {distance[worst]:.3g}, rtol {rtol}, atol {atol}"
            )


class UnknownOptimizer(flows.AbstractOptimizer):
    """An optimizer that no flow models."""

    def time_of_step(self, n):
        return jnp.asarray(1.0)

    def init(self, params):
        return params

    def step(self, problem, state, gradient=None):
        return jax.tree.map(jnp.subtract, state, gradient)

    def params(self, state):
        return state


class Clock(flows.AbstractFlow):
    """A flow that depends on time alone: dy/dt = t = n h, so y = y0 + (t^2 - t0^2) / 2."""

    one_unit = True
    every: int = eqx.field(static=True, default=1)

    @property
    def name(self):
        return "Clock"

    @property
    def stride(self):
        return self.every

    def refusal(self, optimizer):
        return None

    def start(self, problem, state, at):
        return problem.optimizer.params(state)

    def velocity(self, problem, at, y):
        h = problem.optimizer.time_of_step(at.step)
        return jnp.broadcast_to(h**2 * at.number, y.shape)

    def params(self, problem, at, y):
        return y

    def report(self, problem, at, y, iterate=None):
        return {"first": y[0]}


def by_hand(errors, lengths=(0.0, 1.0, 2.0, 1.0), *, result="successful", error=math.nan):
    """A comparison that nobody ran: one flow with these errors over steps of these lengths.

    Its iterates go along the first axis of the plane.
    """
    errors, lengths = jnp.asarray(errors), jnp.asarray(lengths)
    cost = Cost.of_steps(len(lengths) - 1, float)
    ones, places = jnp.ones_like(lengths), jnp.cumsum(lengths)

    def part(params, result, error):
        last = jnp.asarray(len(lengths) - 1 if result == "successful" else len(lengths) - 2)
        return flows.Trajectory(
            ts=0.5 * jnp.arange(1.0 * len(lengths)),
            params=params,
            final_params=params[-1],
            loss=ones,
            grad_norm=ones,
            diagnostics={"step_length": lengths},
            last_step=last,
            result=getattr(flows.RESULTS, result),
            cost=dataclasses.replace(cost, integration_error=jnp.asarray(error)),
        )

    plane = jnp.stack([places, 0 * places], axis=1)
    settings = {"optimizer": "GradientDescent", "parameters": "2", "dtype": "float64"}
    return flows.Comparison(
        iterates=part(plane, "successful", math.nan),
        trajectories={"GradientFlow": part(plane + errors[:, None], result, error)},
        errors={"GradientFlow": errors},
        mode="trajectory",
        settings=tuple(settings.items()),
    )


def quartic(x):
    """Sum of x^4 / 4."""
    return jnp.sum(x**4) / 4


def rosenbrock(x):
    """The banana (1 - x)^2 + 100 (y - x^2)^2."""
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


def tanh_network(key_integer=0):
    """The 36-parameter 5-5-1 tanh network of the reference: loss and start."""
    import jax.random as jr

    k = jr.split(jr.PRNGKey(key_integer), 4)
    X = jr.normal(k[0], (60, 5))
    Y = jnp.tanh(X @ jr.normal(k[1], (5,))) + 0.5 * jnp.sin(2 * X[:, 0])
    start = 0.5 * jr.normal(k[2], (36,))

    def loss(p):
        W1, b1, w2, b2 = p[:25].reshape(5, 5), p[25:30], p[30:35], p[35]
        out = jnp.tanh(X @ W1 + b1[None, :]) @ w2 + b2
        return jnp.mean((out - Y) ** 2)

    return loss, start


def deep_linear_network():
    """A 6-6-6-6-6 linear network, 144 parameters on 40 random points: loss and start."""
    random = np.random.default_rng(0)
    start = [jnp.asarray(0.9 * random.standard_normal((6, 6)) / np.sqrt(6)) for _ in range(4)]
    X = jnp.asarray(random.standard_normal((40, 6)))
    Y = X @ jnp.asarray(random.standard_normal((6, 6)))

    def loss(layers):
        out = X
        for layer in layers:
            out = out @ layer
        return jnp.mean(jnp.sum((out - Y) ** 2, axis=1)) / 2

    return loss, start
