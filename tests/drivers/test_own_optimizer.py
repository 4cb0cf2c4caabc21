"""An optimizer and a flow with a memory, as a user would write them: nothing else is touched."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from helpers import assert_close

import flows

CURVATURES, START, STEPS = jnp.array([1.0, 3.0]), jnp.array([1.0, -0.5]), 7


def parabola(x):
    return jnp.sum(CURVATURES * x**2) / 2


class BallState(eqx.Module):
    w: Any
    m: Any


class HeavyBall(flows.AbstractOptimizer):
    """``m <- b m + g, w <- w - h m``."""

    learning_rate: Any = eqx.field(converter=jnp.asarray)
    momentum: Any = eqx.field(converter=jnp.asarray)

    def describe(self, n):
        return flows.Description(self.learning_rate[None], self.momentum[None])

    def init(self, params):
        return BallState(params, jax.tree.map(jnp.zeros_like, params))

    def step(self, objective, state, gradient=None):
        if gradient is None:
            gradient = objective.gradient(self.gradient_point(state, state.w))
        m = jax.tree.map(lambda m, g: self.momentum * m + g, state.m, gradient)
        return BallState(jax.tree.map(lambda w, m: w - self.learning_rate * m, state.w, m), m)

    def params(self, state):
        return state.w


class BallFlow(flows.AbstractFlow):
    """``dw/dn = -h m, dm/dn = g - (1 - b) m``."""

    name: ClassVar[str] = "BallFlow"

    def refusal(self, optimizer):
        return None if isinstance(optimizer, HeavyBall) else "BallFlow models HeavyBall: use it."

    def start(self, problem, state, at):
        return state

    def velocity(self, problem, at, y):
        described = problem.description(at.step)
        h, b = described.weights[0], described.poles[0]
        return BallState(
            jax.tree.map(lambda m: -h * m, y.m),
            jax.tree.map(lambda g, m: g - (1 - b) * m, problem.gradient(y.w), y.m),
        )

    def params(self, problem, at, y):
        return y.w

    def optimizer_state(self, problem, at, y):
        return y


class EverySecond(BallFlow):
    """The same, as if it spoke of every second step only."""

    name: ClassVar[str] = "EverySecond"
    stride: ClassVar[int] = 2


OPTIMIZER = HeavyBall(0.1, 0.6)


def propagator(h, b, time):
    """By the exponential of the matrix of one curvature at a time, ``(w, m)`` to ``(w, m)``."""
    return [
        scipy.linalg.expm(time * np.array([[0, -h], [curvature, b - 1]]))
        for curvature in np.asarray(CURVATURES)
    ]


def moved(w, m, time, h=0.1, b=0.6):
    """The flow after a time, from a state."""
    pairs = zip(propagator(h, b, time), w, m, strict=True)
    return np.transpose([P @ np.array([one, other]) for P, one, other in pairs])


def states():
    """The optimizer's own, by hand."""
    w, m = np.asarray(START), np.zeros(2)
    yield w, m
    for _ in range(STEPS):
        m = 0.6 * m + np.asarray(CURVATURES) * w
        w = w - 0.1 * m
        yield w, m


@pytest.mark.parametrize("longest", [99, 3])
def test_trajectory(windows_of, longest):
    windows_of(longest)
    run = flows.compare(parabola, START, OPTIMIZER, BallFlow(), STEPS)
    np.testing.assert_allclose(run.iterates.params, [w for w, _ in states()], rtol=1e-12)
    exact = [moved(START, np.zeros(2), n)[0] for n in range(STEPS + 1)]
    np.testing.assert_allclose(run.trajectories["BallFlow"].params, exact, rtol=1e-9)
    # A step takes h / (1 - b), as a slow force moves it so far.
    np.testing.assert_allclose(run.iterates.ts, 0.25 * np.arange(STEPS + 1), rtol=1e-13)


def test_per_step_it_begins_with_the_memory_of_that_step():
    run = flows.compare(parabola, START, OPTIMIZER, BallFlow(), STEPS, mode="per_step")
    exact = [moved(w, m, 1)[0] for w, m in states()][:-1]
    np.testing.assert_allclose(run.trajectories["BallFlow"].params[1:], exact, rtol=1e-9)


@pytest.mark.parametrize("mode", ["trajectory", "per_step"])
def test_at_steps_that_it_does_not_model_the_memory_makes_the_step(mode):
    run = flows.compare(parabola, START, OPTIMIZER, EverySecond(), STEPS, mode=mode)
    found = run.trajectories["EverySecond"].params
    own = list(states())
    for n in range(1, STEPS + 1):
        base = n - n % 2 if n % 2 else n - 2
        w, m = own[base] if mode == "per_step" else moved(START, np.zeros(2), base)
        expected = moved(w, m, 2)[0]
        if n % 2:
            expected = w - 0.1 * (0.6 * m + np.asarray(CURVATURES) * w)
        np.testing.assert_allclose(found[n], expected, rtol=1e-9)


class LookingAhead(HeavyBall):
    """Nesterov's: ``m <- b m + g(w - h b m), w <- w - h m``."""

    def gradient_point(self, state, params):
        shift = self.learning_rate * self.momentum
        return jax.tree.map(lambda w, m: w - shift * m, params, state.m)


def test_the_gradient_is_taken_where_the_optimizer_says():
    """Losses are those of the iterates, steps those by hand, with two gradients for a step."""
    asked = []

    def counted(x):
        jax.debug.callback(lambda x: asked.append(np.asarray(x)), x)
        return parabola(x)

    run = flows.iterate(counted, START, LookingAhead(0.1, 0.6), STEPS)
    jax.effects_barrier()
    w, m, points = np.asarray(START), np.zeros(2), []
    for n in range(STEPS + 1):
        np.testing.assert_allclose(run.params[n], w, rtol=1e-12)
        ahead = w - 0.06 * m
        points += [w, ahead]
        m = 0.6 * m + np.asarray(CURVATURES) * ahead
        w = w - 0.1 * m
    np.testing.assert_allclose(run.loss, jax.vmap(parabola)(run.params), rtol=1e-12)
    near = [min(np.abs(np.array(asked) - p).max(axis=1)) for p in points]
    assert max(near) < 1e-12


def test_vmap_over_its_numbers():
    rates, momenta = jnp.array([0.05, 0.2]), jnp.array([0.0, 0.9])

    @jax.vmap
    def ends(h, b):
        return flows.solve(parabola, START, HeavyBall(h, b), BallFlow(), 4).final_params

    exact = [moved(START, np.zeros(2), 4, h, b)[0] for h, b in zip(rates, momenta, strict=True)]
    np.testing.assert_allclose(ends(rates, momenta), exact, rtol=1e-9)


def test_saved_and_loaded(tmp_path):
    run = flows.compare(parabola, START, OPTIMIZER, BallFlow(), STEPS)
    again = flows.load(run.save(tmp_path / "run"))
    assert_close(again.trajectories["BallFlow"].params, run.trajectories["BallFlow"].params)
    assert again.iterates.settings["optimizer"] == "HeavyBall(learning_rate=0.1, momentum=0.6)"


def test_others_do_not_take_it_for_what_it_is_not():
    assert flows.flows_for(OPTIMIZER) == ()
    with pytest.raises(flows.IncompatibleFlowError, match="GradientFlow models GradientDescent"):
        flows.solve(parabola, START, OPTIMIZER, flows.GradientFlow(), 2)
    with pytest.raises(flows.IncompatibleFlowError, match="For this GradientDescent there is"):
        flows.solve(parabola, START, flows.GradientDescent(0.1), BallFlow(), 2)
