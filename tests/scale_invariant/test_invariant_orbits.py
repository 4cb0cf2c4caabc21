"""What the steps do that no flow does: two-cycles, wandering, drift at the edge of stability."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import sympy
from helpers import assert_close

import flows
import symbolic
from flows.optimizers import make_problem

PLANE = flows.problems.scale_invariant_plane()
SPHERE = flows.problems.scale_invariant_sphere()
LAWS = flows.scale_invariant
THETA = sympy.Symbol("theta", real=True)
REFLECT = jnp.array([-1.0, 1.0])


def angle(w):
    """From the second axis, where these losses of the plane are minimal."""
    return jnp.arctan2(w[0], w[1])


# In the plane: the loss, the same as an expression of the angle, and its first two derivatives.
PLANES = {
    "sine": (PLANE.loss, sympy.sin(THETA) ** 2),
    "half sine": (lambda w: PLANE.loss(w) / 2, sympy.sin(THETA) ** 2 / 2),
    "cosine": (lambda w: 1 - w[1] / jnp.linalg.norm(w), 1 - sympy.cos(THETA)),
    "parabola": (lambda w: angle(w) ** 2 / 2, THETA**2 / 2),
}


def one_step(loss, optimizer, w):
    problem, moving = make_problem(loss, w, optimizer)
    return optimizer.params(optimizer.step(problem.objective, optimizer.init(moving)))


@pytest.mark.parametrize("rates", [(0.1, 0.5), (0.5, 0.2), (1.0, 0.05), (0.1, 0.1)])
def test_the_exact_two_cycle_and_its_unit_determinant(rates):
    eta, decay = rates
    q = eta * decay
    w = np.sqrt(eta) * jnp.array([np.sqrt(q / 2), np.sqrt(1 - q / 2)])
    optimizer = flows.ScaleInvariantDescent(eta, decay)
    run = flows.iterate(PLANE.loss, w, optimizer, 2)
    assert_close(run.params, jnp.stack([w, REFLECT * w, w]), rtol=0, atol=1e-14)
    assert_close(run.loss, jnp.full(3, q / 2), rtol=1e-12)
    assert_close(run.diagnostics["norm"] ** 2, jnp.full(3, eta), rtol=1e-13)
    assert_close(jnp.cos(run.diagnostics["angle"][1:]), jnp.full(2, 1 - q), rtol=1e-13)
    J = jax.jit(jax.jacfwd(lambda w: REFLECT * one_step(PLANE.loss, optimizer, w)))(w)
    assert float(jnp.linalg.det(J)) == pytest.approx(1, abs=1e-11)
    assert float(jnp.trace(J)) == pytest.approx(2 * (2 * q**2 - 4 * q + 1), abs=1e-11)
    np.testing.assert_allclose(np.abs(np.linalg.eigvals(np.asarray(J))), 1, atol=1e-10)


def test_the_traces_of_the_reference():
    trace = lambda q: 2 * (2 * q**2 - 4 * q + 1)  # noqa: E731
    assert [round(trace(q), 12) for q in (0.05, 0.1)] == [1.61, 1.24]


@pytest.mark.parametrize("name", PLANES)
@pytest.mark.parametrize("q", [0.02, 0.3])
def test_symmetric_equilibria_of_the_plane(name, q):
    """Against the closed forms, and where the symbolic half has them, against those."""
    loss, expression = PLANES[name]
    eta = 0.4
    t = np.arccos(1 - q) / 2
    first, second = (float(sympy.diff(expression, THETA, k).subs(THETA, t)) for k in (1, 2))
    phi = np.tan(2 * t) / first
    r = np.sqrt(eta / ((1 - q) * phi))
    w = r * jnp.array([np.sin(t), np.cos(t)])
    optimizer = flows.ScaleInvariantDescent(eta, q / eta)
    assert_close(one_step(loss, optimizer, w), REFLECT * w, rtol=1e-12)
    J = jax.jit(jax.jacfwd(lambda w: REFLECT * one_step(loss, optimizer, w)))(w)
    R = second / first
    det = np.cos(2 * t) ** 2 * (R * np.tan(2 * t) + np.tan(2 * t) ** 2 - 1)
    trace = R * np.sin(4 * t) / 2 + np.cos(4 * t) - 1
    assert float(jnp.linalg.det(J)) == pytest.approx(det, abs=1e-10)
    assert float(jnp.trace(J)) == pytest.approx(trace, abs=1e-10)
    special = {
        "sine": (1, 2 * (2 * q**2 - 4 * q + 1)),
        "half sine": (1, 2 * (2 * q**2 - 4 * q + 1)),
        "cosine": (1 + q - q**2, 3 * q**2 - 7 * q + 2),
    }
    if name in special:
        assert (det, trace) == pytest.approx(special[name], abs=1e-12)
        exact = symbolic.scale_invariant.plane_equilibrium(expression, THETA)
        q_symbol = symbolic.scale_invariant.q
        assert float(exact.determinant.subs(q_symbol, q)) == pytest.approx(det, abs=1e-12)
        assert float(exact.effective_step.subs(q_symbol, q)) == pytest.approx(phi, rel=1e-12)
    else:
        assert det > 1
        assert det == pytest.approx(1 + 8 * t**2 / 3, abs=8 * t**4)
    if name == "half sine":
        assert phi == pytest.approx(2 / (1 - q), rel=1e-12)
    if q < 0.1:  # the edge of stability on the sphere
        curvature = float(sympy.diff(expression, THETA, 2).subs(THETA, 0))
        assert phi * curvature == pytest.approx(2, rel=2 * q)


def test_a_source_is_left_in_a_spiral_and_a_neutral_cycle_is_not():
    """The distance from the two-cycle grows with the modulus sqrt(1 + q - q^2)."""
    q, eta, steps = 0.1, 0.4, 60
    t = np.arccos(1 - q) / 2
    distances = {}
    for name in ("half sine", "cosine"):
        loss, expression = PLANES[name]
        phi = np.tan(2 * t) / float(sympy.diff(expression, THETA).subs(THETA, t))
        w = np.sqrt(eta / ((1 - q) * phi)) * jnp.array([np.sin(t), np.cos(t)])
        optimizer = flows.ScaleInvariantDescent(eta, q / eta)
        run = flows.iterate(loss, w + 1e-7 * jnp.array([1.0, 0.5]), optimizer, steps)
        cycle = np.stack([w, REFLECT * w])[np.arange(steps + 1) % 2]
        distances[name] = np.linalg.norm(run.params - cycle, axis=1)
    growth = np.polyfit(np.arange(steps + 1), np.log(distances["cosine"]), 1)[0]
    assert growth == pytest.approx(np.log(1 + q - q**2) / 2, rel=0.1)
    assert distances["half sine"].max() < 10 * distances["half sine"][0]


def test_descent_never_converges_where_its_gradient_flow_does():
    """Weight decay as a part of the loss makes both: descent, and the flow that models it."""
    eta, decay, steps = 0.1, 0.5, 60

    def regularised(w):
        return PLANE.loss(w) + decay * jnp.sum(w**2) / 2

    run = flows.compare(
        regularised, PLANE.start, flows.GradientDescent(eta), flows.GradientFlow(), steps
    )
    descent = flows.iterate(
        PLANE.loss, PLANE.start, flows.ScaleInvariantDescent(eta, decay), 20_000
    )
    np.testing.assert_allclose(run.iterates.params, descent.params[: steps + 1], atol=1e-10)
    flow = run.trajectories["GradientFlow"].params
    exact = LAWS.rayleigh_flow(
        jnp.diag(jnp.array([1.0, 0.0])), PLANE.start, eta, decay, jnp.arange(steps + 1.0)
    )
    np.testing.assert_allclose(flow, exact, atol=1e-5)
    assert PLANE.loss(exact[-1]) < 1e-60
    late = np.asarray(descent.loss[-10_000:])
    assert late.max() > 0.3
    assert np.mean(late > 1e-3) > 0.15
    assert np.min(np.asarray(descent.diagnostics["norm"])) > 0.1


def test_the_neutral_two_cycle_is_found():
    neutral = flows.find_cycle(
        PLANE.loss, jnp.array([0.05, 0.31]), flows.ScaleInvariantDescent(0.1, 0.5), period=2
    )
    assert bool(neutral.neutral)
    expected = np.sqrt(0.1) * np.array([[np.sqrt(0.025), np.sqrt(0.975)]])
    np.testing.assert_allclose(neutral.points, expected * [[1.0, 1.0], [-1.0, 1.0]], atol=1e-9)


@pytest.mark.slow
def test_the_source_is_found_and_the_orbit_about_the_neutral_cycle_is_chaotic():
    q = 0.1
    source = flows.find_cycle(
        PLANES["cosine"][0], jnp.array([0.2, 0.6]), flows.ScaleInvariantDescent(0.4, q / 0.4), 2
    )
    assert float(jnp.max(jnp.abs(source.multipliers))) == pytest.approx(1 + q - q**2, rel=1e-7)
    limit = flows.classify_limit(PLANE.loss, PLANE.start, flows.ScaleInvariantDescent(0.1, 0.5))
    assert limit.kind == "chaotic"
    assert float(limit.lyapunov) == pytest.approx(0.105, abs=0.02)


TIMES = jnp.array([1.0, 5.0, 15.0])


@pytest.mark.parametrize("decay", [0.2, 0.0])
def test_the_gradient_flow_of_the_rayleigh_quotient(decay):
    problem, eta = flows.problems.rayleigh_quotient(), 0.3
    found = LAWS.rayleigh_flow(problem.args, problem.start, eta, decay, TIMES)
    A, start = np.diag([3.0, 1.0, 0.2]), np.array([1.0, 0.7, -0.4])

    def field(t, w):
        square = w @ w
        return -eta * decay * w - 2 * eta * (A @ w - (w @ A @ w) / square * w) / square

    numerical = scipy.integrate.solve_ivp(
        field, (0, 15), start, "DOP853", np.asarray(TIMES), rtol=1e-12, atol=1e-14
    )
    np.testing.assert_allclose(found, numerical.y.T, rtol=0, atol=2e-11)
    np.testing.assert_allclose(
        np.linalg.norm(found, axis=1), np.exp(-eta * decay * TIMES) * np.linalg.norm(start)
    )
    if decay:
        exact = symbolic.scale_invariant.rayleigh_flow([3, 1, 0.2], list(start), eta, decay)
        for t, row in zip(TIMES.tolist(), np.asarray(found), strict=True):
            expected = [float(w.subs(symbolic.scale_invariant.TIME, t)) for w in exact.weights]
            np.testing.assert_allclose(row, expected, rtol=1e-11)


def test_the_rayleigh_flow_of_any_matrix_far_ahead():
    random = np.random.default_rng(3)
    Q, _ = np.linalg.qr(random.standard_normal((3, 3)))
    A, w = Q @ np.diag([3.0, 1.0, 0.2]) @ Q.T, np.array([1.0, 0.7, -0.4])
    turned = LAWS.rayleigh_flow(jnp.asarray(A), jnp.asarray(Q @ w), 0.3, 0.2, TIMES)
    straight = LAWS.rayleigh_flow(
        jnp.diag(jnp.array([3.0, 1.0, 0.2])), jnp.asarray(w), 0.3, 0.2, TIMES
    )
    np.testing.assert_allclose(turned, straight @ Q.T, atol=1e-13)
    # exp(-2 A tau) itself would underflow; the direction is the last eigenvector.
    far = LAWS.rayleigh_flow(jnp.asarray(A), jnp.asarray(Q @ w), 0.3, 0.2, jnp.array([200.0]))[0]
    np.testing.assert_allclose(far / jnp.linalg.norm(far), -Q[:, 2], atol=1e-13)
    slope = jax.jacfwd(lambda h: LAWS.rayleigh_flow(jnp.asarray(A), jnp.asarray(w), h, 0.2, TIMES))
    eps = 6e-6
    rows = [
        np.asarray(LAWS.rayleigh_flow(jnp.asarray(A), jnp.asarray(w), h, 0.2, TIMES))
        for h in (0.3 + eps, 0.3 - eps)
    ]
    np.testing.assert_allclose(slope(0.3), (rows[0] - rows[1]) / (2 * eps), atol=1e-6)


def test_the_shapes_of_the_rayleigh_flow_are_checked():
    with pytest.raises(flows.InvalidOptionError, match=r"got \(2, 2\), \(3,\) and \(3,\)"):
        LAWS.rayleigh_flow(jnp.eye(2), jnp.ones(3), 0.1, 0.1, TIMES)
    with pytest.raises(flows.InvalidOptionError, match="weight_decay must be one finite number"):
        LAWS.rayleigh_flow(jnp.eye(3), jnp.ones(3), 0.1, -0.1, TIMES)


@pytest.mark.parametrize(("q", "tolerance"), [(1e-3, 5e-4), (1e-4, 1e-4)])
def test_the_drift_along_the_minima_of_the_sphere(q, tolerance):
    """d psi / d tau = -2 v / (4 + v^2), v = d log(curvature) / d psi, tau = q times the step."""
    curvature = 2 + np.sin(1.0)
    v = np.cos(1.0) / curvature
    latitude = np.sqrt(2 * q / (4 + v**2))  # where the norm is in balance
    eta = 2 / curvature * (1 - q)  # the effective step at the edge, for the norm 1
    start = [np.cos(1) * np.cos(latitude), np.sin(1) * np.cos(latitude), np.sin(latitude)]
    run = flows.iterate(
        SPHERE.loss,
        jnp.asarray(start),
        flows.ScaleInvariantDescent(eta, q / eta),
        round(3 / q),
    )
    psi = np.arctan2(run.params[:, 1], run.params[:, 0])
    assert psi[round(1 / q)] == pytest.approx(0.89777, abs=tolerance)
    assert psi[-1] == pytest.approx(0.637706, abs=tolerance)
