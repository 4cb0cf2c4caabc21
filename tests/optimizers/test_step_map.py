"""The principal flow of any one-step map: exact on affine ones, and gradient descent's own."""

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flows

PRINCIPAL = flows.PrincipalFlow("principal")


class Affine(eqx.Module):
    """``y -> M y + c``: a module, so that another matrix compiles nothing."""

    matrix: jax.Array
    offset: jax.Array

    def __call__(self, y):
        return self.matrix @ y + self.offset


def half_square(y):
    return jnp.sum(y**2) / 2


@eqx.filter_jit
def errors(matrix, branch, steps=6):
    """The distances of the flow from the iterates, relative to the largest iterate."""
    n = len(matrix)
    offset = jnp.linspace(-0.5, 0.5, n)
    run = flows.compare(
        half_square,
        jnp.linspace(1.0, 2.0, n),
        flows.StepMap(Affine(matrix, offset)),
        [flows.PrincipalFlow(branch=branch)],
        steps=steps,
        throw=False,
    )
    (distances,) = run.errors.values()
    sizes = jnp.linalg.norm(run.iterates.params, axis=1)
    return distances / jnp.max(sizes)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31))
def test_exact_on_affine_maps(seed):
    """Random ones: rotating, contracting and expanding directions, with negative multipliers."""
    matrix = np.random.default_rng(seed).normal(size=(3, 3))
    if np.min(np.abs(np.linalg.eigvals(matrix))) < 0.05:
        return  # nearly singular: log is large
    assert np.max(errors(jnp.asarray(matrix), "continued")) < 1e-8
    even = errors(jnp.asarray(matrix), "real")[::2]
    imaginary = np.abs(np.angle(np.linalg.eigvals(matrix @ matrix))) > 3.1
    assert np.any(imaginary) or np.max(even) < 1e-8


HEAVY_BALL = {
    f"heavy ball, h lambda = {z}": [[1.9 - z, -0.9], [1.0, 0.0]] for z in (0.2, 3.5, 3.9)
} | {
    # (1 + beta - z)^2 = 4 beta: a single eigenvector
    "critically damped": [[0.9**0.5 * 2, -0.9], [1.0, 0.0]],
    "free motion": [[1.0, 1.0], [0.0, 1.0]],
    "game": [[1.0, -0.3], [0.3, 1.0]],
    "extragradient": [[1 - 0.09, -0.3], [0.3, 1 - 0.09]],
}


@pytest.mark.parametrize("branch", ["principal", "continued"])
@pytest.mark.parametrize("name", HEAVY_BALL)
def test_exact_on_momentum_and_games(name, branch):
    assert np.max(errors(jnp.asarray(HEAVY_BALL[name]), branch)) < 1e-9


def test_a_map_that_turns_stays_real_on_the_principal_branch():
    """Multipliers of modulus 0.9 at an angle of 2 > pi / 2."""
    c, s = 0.9 * np.cos(2), 0.9 * np.sin(2)
    matrix = jnp.asarray([[c, -s], [s, c]])
    run = flows.compare(
        half_square,
        jnp.ones(2),
        flows.StepMap(Affine(matrix, jnp.zeros(2))),
        [flows.PrincipalFlow("principal"), flows.PrincipalFlow("continued")],
        steps=5,
    )
    principal, continued = run.trajectories.values()
    assert np.all(principal.diagnostics["imaginary_part"] == 0)
    np.testing.assert_allclose(principal.diagnostics["singularity_distance"], 0.9, rtol=1e-12)
    assert np.max(continued.diagnostics["imaginary_part"]) < 1e-9  # at whole steps
    assert max(np.max(e) for e in run.errors.values()) < 1e-9
    assert principal.settings["curvature"] == "Dense()"


def rosenbrock(y):
    return (1 - y[0]) ** 2 + 100 * (y[1] - y[0] ** 2) ** 2


@pytest.mark.parametrize("branch", ["principal", "continued", "real"])
@pytest.mark.parametrize("h", [1e-3, 5e-3])
def test_is_the_field_of_gradient_descent(branch, h):
    """At h = 5e-3 one eigenvalue is beyond h lambda = 1."""
    point, flow = jnp.array([-0.5, 0.5]), flows.PrincipalFlow(branch)
    descent = flows.StepMap(lambda y: y - h * jax.grad(rosenbrock)(y), step_time=h)
    expected = flows.vector_field(rosenbrock, point, flows.GradientDescent(h), flow)
    value = flows.vector_field(rosenbrock, point, descent, flow)
    np.testing.assert_allclose(value, expected, rtol=1e-11)


@pytest.mark.slow
def test_follows_gradient_descent_to_complex_points():
    h = 5e-3
    found, expected = (
        flows.solve(rosenbrock, jnp.array([-0.5, 0.5]), optimizer, flows.PrincipalFlow(), steps=1)
        for optimizer in (
            flows.StepMap(lambda y: y - h * jax.grad(rosenbrock)(y), step_time=h),
            flows.GradientDescent(h),
        )
    )
    assert expected.diagnostics["imaginary_part"][1] > 1e-3
    np.testing.assert_allclose(found.final_params, expected.final_params, rtol=1e-9)


class Pendulum(eqx.Module):
    """Heavy ball on cos, with a friction that scales with the time of a step."""

    h: jax.Array

    def __call__(self, state):
        v = (1 - 0.3 * self.h) * state["v"] + self.h * jnp.sin(state["x"])
        return {"x": state["x"] + self.h * v, "v": v}


def test_one_step_is_of_order_three_on_trees():
    start = {"x": jnp.array(1.0), "v": jnp.array(0.7)}
    sizes = np.array([0.04, 0.02, 0.01])

    def loss(state):
        return jnp.cos(state["x"])

    found = []
    for h in sizes:
        optimizer = flows.StepMap(Pendulum(jnp.asarray(h)), step_time=h)
        run = flows.compare(loss, start, optimizer, [flows.PrincipalFlow()], steps=1)
        found.append(run.errors["PrincipalFlow"][1])
    slopes = np.diff(np.log(found)) / np.diff(np.log(sizes))
    np.testing.assert_allclose(slopes, 3, atol=0.1)


def test_float32_and_vmap():
    game = jnp.asarray(HEAVY_BALL["game"], jnp.float32)

    def final(strength):
        matrix = jnp.eye(2, dtype=jnp.float32) + strength * (game - jnp.eye(2, dtype=jnp.float32))
        run = flows.compare(
            half_square,
            jnp.ones(2, jnp.float32),
            flows.StepMap(Affine(matrix, jnp.zeros(2, jnp.float32))),
            [PRINCIPAL],
            steps=4,
        )
        return run.errors[PRINCIPAL.name][-1], run.iterates.final_params

    distances, ends = jax.vmap(final)(jnp.array([0.5, 1.0, 2.0], jnp.float32))
    assert distances.dtype == jnp.float32
    assert np.all(distances < 1e-4)
    np.testing.assert_allclose(
        np.linalg.norm(ends, axis=1) / 2**0.5, (1 + (0.3 * np.array([0.5, 1, 2])) ** 2) ** 2, 1e-5
    )


def test_singular_map_ends_the_flow_and_not_the_iterates():
    """A projection forgets where it came from: no flow does that in a finite time."""
    projection = jnp.asarray([[0.5, 0.5], [0.5, 0.5]])
    run = flows.compare(
        half_square,
        jnp.array([1.0, 0.0]),
        flows.StepMap(Affine(projection, jnp.zeros(2))),
        [flows.PrincipalFlow()],
        steps=2,
        throw=False,
    )
    assert run.iterates.result == flows.RESULTS.successful
    trajectory = run.trajectories["PrincipalFlow"]
    assert trajectory.result == flows.RESULTS.flow_ended
    assert trajectory.last_step == 0


def test_real_branch_has_no_quarter_turn():
    quarter = jnp.asarray([[0.0, -1.0], [1.0, 0.0]])
    velocity = flows.vector_field(
        half_square,
        jnp.ones(2),
        flows.StepMap(Affine(quarter, jnp.zeros(2))),
        flows.PrincipalFlow("real"),
    )
    assert np.all(np.isnan(velocity))


def raised(kind, *, optimizer, flow: flows.AbstractFlow = PRINCIPAL):
    with pytest.raises(kind) as caught:
        flows.solve(half_square, jnp.ones(2), optimizer(), flow, steps=1, solver=dfx.Tsit5())
    return str(caught.value)


def identity(y):
    return y


def test_errors_teach():
    message = raised(flows.InvalidOptimizerError, optimizer=lambda: flows.StepMap(0.1))
    assert "Write for example flows.StepMap(lambda y:" in message
    message = raised(
        flows.InvalidLearningRateError, optimizer=lambda: flows.StepMap(identity, step_time=0)
    )
    assert "Write for example step_time=0.1" in message
    message = raised(flows.InvalidOptimizerError, optimizer=lambda: flows.StepMap(half_square))
    assert "was given float64[2] and returned float64[]. Return a tree" in message
    for flow, remedy in (
        (flows.PrincipalFlow(correction="cubic"), "'cubic' is a term of gradient descent's"),
        (flows.PrincipalFlow(curvature=flows.Krylov()), "for symmetric Hessians"),
    ):
        message = raised(
            flows.IncompatibleFlowError, optimizer=lambda: flows.StepMap(identity), flow=flow
        )
        assert remedy in message
        assert "Leave it out" in message
    message = raised(
        flows.IncompatibleFlowError,
        optimizer=lambda: flows.StepMap(identity),
        flow=flows.GradientFlow(),
    )
    assert "For this StepMap there is flows.PrincipalFlow()" in message
