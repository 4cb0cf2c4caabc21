"""What optimizers say of themselves, against their own steps on quadratics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flows
from flows._objective import Objective

# Gains and edges of published filters at learning rate 1, by exact fractions; see the docstring of
# `flows.Description` for the formulas.
HEAVY_BALL = flows.Description(jnp.array([1.0]), np.array([0.9]))
AVERAGE = flows.Description(jnp.array([0.1]), np.array([0.9]))
NESTEROV = flows.Description(jnp.array([1.0, 0.9]), np.array([0.0, 0.9]))


@pytest.mark.parametrize(
    ("described", "slow", "alternating", "edge"),
    [
        (HEAVY_BALL, 10, 1 / 1.9, 3.8),
        (AVERAGE, 1, 0.1 / 1.9, 38),
        (NESTEROV, 10, 2.8 / 1.9, 1.3571428571428572),
    ],
)
def test_gains_and_edges_of_filters(described, slow, alternating, edge):
    assert float(described.gain(1)) == pytest.approx(slow, rel=1e-14)
    assert float(described.gain(-1)) == pytest.approx(alternating, rel=1e-14)
    assert float(described.edge) == pytest.approx(edge, rel=1e-14)
    assert float(described.relative_edge) == pytest.approx(edge * slow, rel=1e-14)
    assert not described.plain


@pytest.mark.parametrize("kind", [flows.GradientDescent, flows.RMSProp, flows.ScalarRMSProp])
def test_a_step_takes_its_gain(kind):
    n = jnp.asarray(0)
    assert float(kind(0.3).time_of_step(n)) == float(kind(0.3).describe(n).gain(1)) == 0.3


def test_a_decay_lowers_the_edge():
    plain = flows.Description.of_descent(jnp.asarray(0.1))
    decayed = flows.Description(jnp.array([0.1]), np.zeros(1), decay=0.5)
    assert (float(plain.edge), float(decayed.edge)) == (20, 15)
    assert plain.plain
    assert not decayed.plain
    assert not flows.Description(jnp.array([0.1]), np.zeros(1), coupled_decay=0.1).plain


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_the_edge_is_where_steps_on_a_parabola_begin_to_grow(momentum):
    """The largest eigenvalue of the step, a matrix, just below and above the edge."""
    optimizer = flows.SGD(0.1, momentum=momentum)
    described = optimizer.describe(jnp.asarray(0))

    def growth(curvature):
        objective = Objective(lambda x: curvature * x**2 / 2)

        def step(pair):
            state = optimizer.init(pair[0], jax.random.key(0))
            state = type(state)(pair[0], pair[1], state.key, state.step)
            after = optimizer.step(objective, state)
            return jnp.stack([after.point, after.velocity])

        matrix = jax.jacfwd(step)(jnp.zeros(2))
        return np.abs(np.linalg.eigvals(matrix)).max()

    edge = float(described.edge)
    assert growth(edge * (1 - 1e-6)) < 1 < growth(edge * (1 + 1e-6))


def test_slow_gradients_move_as_far_as_the_gain_says():
    """Under a constant force, once the memory is full; a step takes that time."""
    optimizer = flows.SGD(0.1, momentum=0.8)
    run = flows.iterate(lambda x: -x, jnp.array(0.0), optimizer, 200, key=jax.random.key(0))
    time = float(optimizer.time_of_step(jnp.asarray(0)))
    assert time == pytest.approx(0.5, rel=1e-14)
    assert float(run.params[-1] - run.params[-2]) == pytest.approx(time, rel=1e-12)
    # It lags by its mean age: as if the force had begun so much later.
    lag = 200 - float(run.params[-1]) / time
    age = float(optimizer.describe(jnp.asarray(0)).mean_age)
    assert lag == pytest.approx(age, rel=1e-12) == pytest.approx(4)


@pytest.mark.parametrize("kind", [flows.RMSProp, flows.ScalarRMSProp])
def test_a_metric_follows_the_squares_as_the_steps_do(kind):
    optimizer = kind(0.1, 0.75, 1e-3)
    metric = optimizer.describe(jnp.asarray(0)).metric
    w = {"a": jnp.array([1.0, -2.0]), "b": jnp.array(0.5)}
    objective = Objective(lambda w: jnp.sum(w["a"] ** 4) + w["b"] ** 2)
    first = optimizer.step(objective, optimizer.init(w))
    squares = jax.tree.map(jnp.square, objective.gradient(w))
    nu = metric.start(squares)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-14), nu, first.moment)
    diagonal = metric.diagonal(nu, w)
    moved = jax.tree.map(lambda w, g, m: w - 0.1 * g / m, w, objective.gradient(w), diagonal)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-13), moved, first.params)
    # The rate is by what the next step uses: nu_1 - nu_0 from nu_1.
    squares = jax.tree.map(jnp.square, objective.gradient(first.params))
    after = metric.next(nu, squares)
    rate = metric.rate(after, squares)
    change = jax.tree.map(jnp.subtract, after, nu)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-12), rate, change)


def test_flows_ask_what_an_optimizer_is_and_not_its_class():
    """A user's own descent, without a word on flows, is modelled by those of gradient descent."""
    names = [flow.name for flow in flows.flows_for(flows.GradientDescent(0.1))]
    assert names == [
        "CentralFlow",
        "GradientFlow",
        "ModifiedFlow(2)",
        "PrincipalFlow",
        "RodFlow",
    ]

    class OwnDescent(flows.AbstractOptimizer):
        def describe(self, n):
            return flows.Description.of_descent(jnp.asarray(0.1))

        def init(self, params):
            return params

        def step(self, objective, state, gradient=None):
            return state - 0.1 * objective.gradient(state)

        def params(self, state):
            return state

    assert [flow.name for flow in flows.flows_for(OwnDescent())] == names
    models = flows.flows_for(OwnDescent())
    loss = lambda x: jnp.sum(x**4) / 4  # noqa: E731
    own = flows.compare(loss, jnp.ones(2), OwnDescent(), models, 3)
    ours = flows.compare(loss, jnp.ones(2), flows.GradientDescent(0.1), models, 3)
    for name in names:
        np.testing.assert_allclose(own.errors[name], ours.errors[name], rtol=1e-9, atol=1e-15)


class Scheduled(flows.AbstractOptimizer):
    """Descent whose rate, or decay, is another one from step 2 on."""

    late_rate: float = 0.2
    late_decay: float | None = None

    @property
    def varies(self):
        return True

    def describe(self, n):
        decay = 0.0 if self.late_decay is None else jnp.where(n < 2, 0.0, self.late_decay)
        rate = jnp.where(n < 2, 0.4, self.late_rate)
        return flows.Description(rate[None], np.zeros(1), decay=decay)

    def init(self, params):
        return params, jnp.asarray(0)

    def step(self, objective, state, gradient=None):
        params, n = state
        described = self.describe(n)
        moved = (1 - described.decay) * params - described.weights[0] * objective.gradient(params)
        return moved, n + 1

    def params(self, state):
        return state[0]


def test_what_begins_later_is_not_overlooked():
    """Rates may vary; a decay that is 0 at first may not, nor may a flow of two equal steps."""
    bowl, start = lambda x: jnp.sum(x**2) / 2, jnp.ones(1)
    run = flows.compare(bowl, start, Scheduled(), flows.PrincipalFlow(), 6)
    assert float(run.errors["PrincipalFlow"].max()) < 1e-10
    with pytest.raises(flows.IncompatibleFlowError, match="stands for two equal steps"):
        flows.compare(bowl, start, Scheduled(), flows.PrincipalFlow("real"), 6)
    for flow in (flows.GradientFlow(), flows.CentralFlow()):
        with pytest.raises(flows.IncompatibleFlowError, match="decays are traced, or vary with"):
            flows.compare(bowl, start, Scheduled(late_decay=0.5), flow, 6)


def test_flows_for_something_else():
    with pytest.raises(flows.InvalidOptimizerError, match=r"got <class .*GradientDescent.>"):
        flows.flows_for(flows.GradientDescent)  # pyright: ignore[reportArgumentType]


def test_a_step_that_takes_no_time_has_no_velocity():
    with pytest.raises(flows.InvalidLearningRateError, match="the first step takes no time"):
        flows.vector_field(jnp.sum, jnp.ones(1), Still(), flows.GradientFlow())


class Still(Scheduled):
    def describe(self, n):
        return flows.Description.of_descent(jnp.where(n < 1, 0.0, 0.1))


def test_what_is_no_description():
    for weights, poles in ((0.1, 0.9), ([0.1], [0.9, 0.5])):
        with pytest.raises(flows.InvalidOptionError, match="must be as many numbers each"):
            flows.Description(weights, poles)  # pyright: ignore[reportArgumentType]
    assert float(flows.Description([0.1], [0.9]).gain(1)) == pytest.approx(1)  # pyright: ignore[reportArgumentType]
    assert float(flows.Description.of_descent(0.1).edge) == pytest.approx(20)


def test_a_momentum_that_is_traced_is_seen_while_running():
    """Where nothing can be refused before."""
    loss, flow = lambda x: jnp.sum(x**2) / 2, flows.StochasticModifiedFlow(1)

    @jax.jit
    def end(momentum):
        optimizer = flows.SGD(0.1, noise=1e-8, momentum=momentum)
        run = flows.solve(loss, jnp.ones(2), optimizer, flow, 2, key=jax.random.key(0), throw=False)
        return run.final_params

    np.testing.assert_allclose(end(0.0), np.exp(-0.2), rtol=1e-3)
    with pytest.raises(Exception, match="This flow models SGD without momentum"):
        jax.block_until_ready(end(0.9))
