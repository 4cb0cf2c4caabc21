"""The central flow: closed forms at the edge, the page of problem P2, and how it fails."""

import itertools as it

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flows
from flows.curvature.eigenpairs.tracking import TrackedEigenpairs
from flows.optimizers import make_problem
from flows.vector_fields._oscillation import Metric, _stiffening, mean_squares, oscillation

H, C = 0.1, 0.3


def toy(p):
    """The edge is y = 0; there descent has the two-cycle x = +- sqrt(2 c)."""
    return (2 / H + p["y"]) * p["x"] ** 2 / 2 - C * p["y"]


@pytest.fixture(scope="module")
def at_the_edge():
    start = {"x": jnp.array(1e-3), "y": jnp.array(-0.5)}
    return flows.compare(
        toy, start, flows.GradientDescent(H), [flows.CentralFlow(squares=True)], 400
    )


def test_the_toy_in_closed_form(at_the_edge):
    flow = at_the_edge.trajectories["CentralFlow"]
    numbers = flow.diagnostics
    # Before the edge it is gradient flow: y grows by c h in a step.
    np.testing.assert_allclose(flow.params["y"][:10], -0.5 + C * H * np.arange(10), rtol=1e-4)
    assert numbers["critical"][10] == 0
    # At the edge X = P sigma^2 with sigma^2 = 2 c; the mean loss exceeds the centre's by 2 c / h.
    np.testing.assert_allclose(numbers["predicted_variances"][-1, 0], 2 * C / H, rtol=1e-6)
    np.testing.assert_allclose(numbers["predicted_loss"][-1] - flow.loss[-1], 2 * C / H, rtol=1e-6)
    np.testing.assert_allclose(flow.params["y"][-1], 0, atol=1e-6)
    assert numbers["critical"][-1] == 1
    np.testing.assert_allclose(numbers["sharpness"][-1], 2, atol=1e-7)
    assert np.all(numbers["sharpness"] < 2 + 1e-6)
    # H delta = (2/h) x, and the centre's own gradient is c along y.
    squares = C**2 + (2 / H) ** 2 * 2 * C
    np.testing.assert_allclose(numbers["predicted_grad_norm"][-1] ** 2, squares, rtol=1e-6)
    each = [(2 / H) ** 2 * 2 * C, C**2]
    np.testing.assert_allclose(numbers["predicted_squared_gradient"][-1], each, rtol=1e-6)


def test_a_run_is_stored_with_what_it_predicted(at_the_edge, tmp_path):
    """Diagnostics that are vectors at every step, and a failed run's code."""
    again = flows.load(at_the_edge.save(tmp_path / "run"))
    before = at_the_edge.trajectories["CentralFlow"].diagnostics
    after = again.trajectories["CentralFlow"].diagnostics
    assert after.keys() == before.keys()
    for name, numbers in before.items():
        np.testing.assert_array_equal(after[name], numbers)
    assert str(again) == str(at_the_edge)


def test_it_is_compared_with_the_midpoints(at_the_edge):
    run = at_the_edge
    assert run.trajectories["CentralFlow"].reference == "midpoint"
    w = np.stack([run.iterates.params[k] for k in ("x", "y")], axis=1)
    centre = np.stack([run.trajectories["CentralFlow"].params[k] for k in ("x", "y")], axis=1)
    midpoints = (w[:-2] + 2 * w[1:-1] + w[2:]) / 4
    expected = np.linalg.norm(centre[1:-1] - midpoints, axis=1)
    np.testing.assert_allclose(run.errors["CentralFlow"][1:-1], expected, atol=1e-14)
    # The last one takes a step more than was asked for.
    further = flows.iterate(
        toy, {k: v[-1] for k, v in run.iterates.params.items()}, flows.GradientDescent(H), 1
    ).final_params
    last = (w[-2] + 2 * w[-1] + np.array([further["x"], further["y"]])) / 4
    np.testing.assert_allclose(
        run.errors["CentralFlow"][-1], np.linalg.norm(centre[-1] - last), atol=1e-14
    )
    assert "its error is the distance from their midpoints" in str(run)


def test_what_the_iterates_do_is_measured_beside(at_the_edge):
    run = at_the_edge
    squares = run.trajectories["CentralFlow"].diagnostics["measured_squares"][:, 0]
    deviation = np.asarray(run.iterates.params["x"] - run.trajectories["CentralFlow"].params["x"])
    # u = sqrt(h) e_x, so that (u P delta)^2 = delta^2 / h.
    critical = np.asarray(run.trajectories["CentralFlow"].diagnostics["sharpness"]) > 1.95
    expected = (deviation**2 / H)[critical]
    np.testing.assert_allclose(squares[critical], expected, rtol=1e-6, atol=1e-15)


def test_on_the_two_cycle_what_is_measured_is_what_is_predicted():
    start = {"x": jnp.array((2 * C) ** 0.5), "y": jnp.array(0.0)}
    iterates = flows.iterate(toy, start, flows.GradientDescent(H), 50)
    np.testing.assert_allclose(np.abs(iterates.params["x"]), (2 * C) ** 0.5, rtol=1e-12)
    centre = {"x": jnp.array(1e-3), "y": jnp.array(0.0)}
    flow = flows.compare(toy, centre, flows.GradientDescent(H), [flows.CentralFlow()], 400)
    predicted = flow.trajectories["CentralFlow"].diagnostics["predicted_loss"][-1]
    np.testing.assert_allclose(jnp.mean(iterates.loss), predicted, rtol=1e-6)


def bowl(p, eigenvalues):
    return jnp.sum(eigenvalues * p**2) / 2


def test_scalar_rmsprop_in_closed_form():
    """At the edge the root of nu is eta lambda / 2, and the variance X = eta^2 lambda / 8."""
    eta, eigenvalues = 0.01, jnp.arange(1.0, 7.0)
    run = flows.solve(
        bowl,
        jnp.ones(6) / 10,
        flows.ScalarRMSProp(eta, 0.9, 0.0),
        flows.CentralFlow(),
        500,
        args=eigenvalues,
    )
    variances = run.diagnostics["predicted_variances"][-1]
    np.testing.assert_allclose(variances, [eta**2 * 6 / 8, *[0] * 7], atol=2e-8)
    assert run.diagnostics["critical"][-1] == 1


def test_rmsprop_in_closed_form():
    """The two-cycle of one dimension has x^2 = eta^2 / 4, with the root of nu eta lambda / 2."""
    eta, slope = 0.01, jnp.array([5.0])
    optimizer = flows.RMSProp(eta, 0.99, 0.0)
    flow = flows.solve(bowl, jnp.array([0.3]), optimizer, flows.CentralFlow(), 800, args=slope)
    # The variance of x is X / P with P = sqrt(nu) / eta = lambda / 2.
    variance = flow.diagnostics["predicted_variances"][-1, 0] / (5 / 2)
    np.testing.assert_allclose(variance, eta**2 / 4, rtol=1e-3)
    np.testing.assert_allclose(flow.diagnostics["sharpness"][-1], 2, rtol=1e-6)
    assert flow.ts[-1] == pytest.approx(800 * eta)
    # Before the edge four of Euler's steps each, by hand; the sharpness tells the moment.
    x, nu, expected = 0.3, 0.01 * 1.5**2, []
    for step in range(40):
        if step % 4 == 0:
            expected.append([x, 5 * eta / nu**0.5])
        rate = 0.01 / 0.99 * ((5 * x) ** 2 - nu)
        x, nu = x - eta * 5 * x / nu**0.5 / 4, nu + rate / 4
    found = np.stack([flow.params[:10, 0], flow.diagnostics["sharpness"][:10]], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("kind", [flows.RMSProp, flows.ScalarRMSProp])
def test_the_oscillation_keeps_what_is_at_the_edge_there(kind):
    """Two of three directions: how the slack 2 P - H changes, by differences in NumPy."""
    eta, beta, eps, dt = 0.1, 0.8, 0.02, 0.25
    optimizer = kind(eta, beta, eps)
    slope, scalar = np.array([0.12, -0.08, 0.1]), kind is flows.ScalarRMSProp
    nu = np.array(0.05) if scalar else np.array([0.05, 0.02, 0.09])
    P = lambda nu: (np.sqrt(nu) + eps) / eta * np.ones(3)  # noqa: E731
    # H = 2 P - c w w^T at the origin is critical in all that is normal to w.
    w = np.array([2.0, 1.0, -1.0]) / 6**0.5
    cubic = np.random.default_rng(4).normal(size=(3, 3, 3))
    cubic = sum(np.transpose(cubic, axes) for axes in it.permutations(range(3)))
    H = 2 * np.diag(P(nu)) - 1.5 * np.outer(w, w)

    def loss(x, data):
        H, slope, cubic = data
        return x @ slope + x @ H @ x / 2 + jnp.einsum("ijk,i,j,k", cubic, x, x, x) / 6

    data = tuple(map(jnp.asarray, (H, slope, cubic)))
    normal = np.linalg.svd(w[None])[2][1:]
    # Rows that are orthonormal in the metric; and what is not critical, below the edge.
    root = np.sqrt(P(nu))
    Q = np.linalg.qr((normal * root).T)[0].T
    U = np.concatenate([Q / root, np.zeros((1, 3))])
    images = U @ H

    def change(X):
        """Of the slack, per step."""

        def after(step):
            squares = slope**2 + np.diag(images.T @ X @ images)
            rate = (1 - beta) / beta * ((squares.sum() if scalar else squares) - nu)
            force = slope + np.einsum("ijk,ij->k", cubic, U.T @ X @ U) / 2
            moved = -step * force / P(nu)
            later = np.diag(P(nu + step * rate)), H + np.einsum("ijk,k->ij", cubic, moved)
            return np.stack([2 * U @ later[0] @ U.T, -U @ later[1] @ U.T])

        # The moment's part and the Hessian's; the step is the cube root of rounding.
        return (after(1e-5) - after(-1e-5)) / 2e-5

    rows = jnp.asarray(np.concatenate([Q, np.zeros((1, 3))]))
    yes, zero = jnp.asarray(True), jnp.asarray(0)
    two, none = jnp.asarray(2), jnp.zeros(3)
    tracked = TrackedEigenpairs(
        rows, 2 * rows, jnp.array([2.0, 2, 0]), none, two, two, yes, yes, zero, zero
    )

    @jax.jit
    def tell(origin, data, U, images, tracked):
        problem, _ = make_problem(loss, origin, optimizer, data)
        metric = Metric(problem, optimizer.describe(zero), origin, jnp.asarray(nu))
        found = oscillation(problem, metric, tracked, lambda directions: metric.gradient, dt)
        return *_stiffening(metric, U, images), found, mean_squares(metric.gradient, found)

    of_drift, of_pairs, found, predicted = tell(jnp.zeros(3), data, U, images, tracked)
    np.testing.assert_allclose(of_drift, change(np.zeros((3, 3)))[0], rtol=1e-6, atol=1e-9)
    for seed in range(3):
        X = np.random.default_rng(seed).normal(size=(3, 3))
        X = X + X.T
        lifted = np.einsum("ijkl,kl->ij", of_pairs, X)
        difference = (change(X) - change(-X))[0] / 2
        np.testing.assert_allclose(lifted, difference, rtol=1e-6, atol=1e-9)

    # All of it: with the X that is found, what oscillates stays at the edge to first order.
    X = np.asarray(found.covariance)
    slack = np.sum(change(X), axis=0)[:2, :2]
    size = np.linalg.norm(np.sum(change(np.zeros((3, 3))), axis=0))
    assert np.linalg.eigvalsh(X[:2, :2])[1] > 1e-3
    assert np.linalg.eigvalsh(X[:2, :2])[0] >= -1e-12
    assert np.linalg.eigvalsh(slack)[0] > -1e-6 * size
    assert np.linalg.norm(X[:2, :2] @ slack) < 1e-6 * size * np.linalg.norm(X)
    squares = slope**2 + np.diag(images.T @ X @ images)
    np.testing.assert_allclose(predicted, squares, rtol=1e-12)


def two_directions(p):
    """Two of them at the edge at once, coupled to what drives them there."""
    x, y, z = p
    return (19.9 + y) * x**2 / 2 + (19.8 + y + x) * z**2 / 2 - C * y


def test_vmap_over_rates_float32_and_more_than_one_direction():
    rates = jnp.array([0.1, 0.101], jnp.float32)
    start = jnp.array([0.0, -0.2, 0.0], jnp.float32)

    @jax.jit
    @jax.vmap
    def run(h):
        flow = flows.CentralFlow(size=4)
        return flows.solve(two_directions, start, flows.GradientDescent(h), flow, 60)

    found = run(rates)
    assert found.loss.dtype == jnp.float32
    assert np.all(found.diagnostics["sharpness"] < 2 * 1.005)
    # Both eigenvalues rise with y alone, so that the larger one rules: the other one cannot pass.
    assert np.all(found.diagnostics["critical"][:, -1] >= 1)
    alone = flows.solve(
        two_directions, start, flows.GradientDescent(rates[1]), flows.CentralFlow(size=4), 60
    )
    # Single precision knows the edge, h (19.9 + y) = 2, to 1e-5: and y, about 0.1, to some 1e-4.
    np.testing.assert_allclose(found.loss[1], alone.loss, rtol=1e-3)


def test_substeps_are_euler_s_steps():
    """Below the edge y grows at c per flow time whatever their number, and x shrinks by each."""
    start = {"x": jnp.array(0.2), "y": jnp.array(-9.0)}
    run = flows.solve(toy, start, flows.GradientDescent(H), flows.CentralFlow(substeps=2), 1)
    assert run.cost.steps == 2
    x, y = 0.2, -9.0
    for _ in range(2):
        x, y = x - H / 2 * (2 / H + y) * x, y - H / 2 * (x**2 / 2 - C)
    np.testing.assert_allclose([run.final_params["x"], run.final_params["y"]], [x, y], rtol=1e-12)


def separable(p, coefficients):
    squares, line = coefficients
    return jnp.sum(squares * p**2) + jnp.sum(line * p)


FIRST, SECOND = np.eye(6)[:2]
FAILURES = {
    "sharpness_overshoot": ((15 * FIRST, SECOND), 8),
    "too_many_critical_directions": ((np.full(6, 9.8), -FIRST), 3),
    # A quadratic just beyond the edge: nothing that oscillates makes it flatter.
    "complementarity_not_solved": ((10.1 * FIRST + SECOND / 2, np.zeros(6)), 8),
}


@pytest.mark.parametrize("name", FAILURES)
def test_failures_have_names(name):
    coefficients, size = FAILURES[name]
    run = flows.solve(
        separable,
        jnp.full(6, 0.1),
        flows.GradientDescent(H),
        flows.CentralFlow(size=size),
        5,
        args=coefficients,
        throw=False,
    )
    assert run.result == getattr(flows.RESULTS, name)
    assert int(run.last_step) == 0
    assert np.isfinite(run.loss[0])


def logarithms(p):
    return jnp.sum(jnp.log(p))


@pytest.mark.parametrize(
    ("h", "first"),
    [
        (H, 0.55),  # to below 0, where the loss alone is not a number
        (1.0, 0.5),  # to 0 itself in one substep, where nothing is finite: 1/2 - h/4 * 2
    ],
)
def test_divergence_is_the_loss_s_own(h, first):
    run = flows.solve(
        logarithms,
        jnp.array([first, 2.0]),
        flows.GradientDescent(h),
        flows.CentralFlow(),
        5,
        throw=False,
    )
    assert run.result == flows.RESULTS.diverged


def test_zero_gradient_stays():
    run = flows.solve(
        separable,
        jnp.full(6, 0.0),
        flows.GradientDescent(H),
        flows.CentralFlow(size=8),
        5,
        args=(np.ones(6), np.zeros(6)),
    )
    assert np.all(run.params == 0)


def test_its_velocity_is_the_gradient_before_the_edge():
    p = jnp.array([0.3, -0.2])
    velocity = flows.vector_field(
        lambda p: jnp.sum(p**4), p, flows.GradientDescent(H), flows.CentralFlow()
    )
    np.testing.assert_allclose(velocity, -4 * p**3, rtol=1e-12)


def test_errors_teach():
    flow = flows.CentralFlow()
    with pytest.raises(flows.IncompatibleFlowError, match='Compare it with mode="trajectory"'):
        flows.compare(toy, jnp.ones(2), flows.GradientDescent(H), flow, 1, mode="per_step")
    with pytest.raises(flows.IncompatibleFlowError, match=r"Leave it out, or use flows\.Gradient"):
        flows.solve(toy, jnp.ones(2), flows.RMSProp(H), flows.CentralFlow("modified"), 1)
    with pytest.raises(flows.IncompatibleFlowError, match=r"Run it with flows\.solve"):
        flow.vector_field(None)  # pyright: ignore[reportArgumentType]
    with pytest.raises(flows.InvalidOptionError, match="drift must be one of"):
        flows.CentralFlow("cubic")
    for option in ({"substeps": 0}, {"size": 2}, {"size": 8.0}):
        with pytest.raises(flows.InvalidOptionError, match="must be an integer >="):
            flows.CentralFlow(**option)
    with pytest.raises(flows.InvalidOptionError, match="squares must be one of True, False; got"):
        flows.CentralFlow(squares=1.5)  # pyright: ignore[reportArgumentType]


@pytest.mark.slow
def test_problem_p2_of_the_page():
    """The values of the page, which other codes agree on within 3e-4."""
    p = flows.problems.edge_of_stability()
    models = [flows.CentralFlow(), flows.CentralFlow("modified"), flows.RodFlow()]
    run = flows.compare(p.loss, p.start, flows.GradientDescent(0.2), models, 600, args=p.args)
    central, modified, rod = run.trajectories.values()
    steps = np.array([100, 180, 200, 250, 300, 400, 500, 599])
    losses = [0.76480279, 0.29930735, 0.23841153, 0.13803466, 0.084677401, 0.037910555]
    np.testing.assert_allclose(central.loss[steps], [*losses, 0.018372387, 0.0096644239], rtol=2e-4)
    excess = [0, 0, 0.0221679, 0.0396924, 0.0387467, 0.0318199, 0.0216575, 0.0149592]
    predicted = central.diagnostics["predicted_loss"][steps] - central.loss[steps]
    np.testing.assert_allclose(predicted, excess, rtol=6e-3)
    critical = np.asarray(central.diagnostics["critical"])
    assert [int(np.argmax(critical >= n)) for n in (1, 2, 3)] == [182, 228, 394]
    assert np.max(central.diagnostics["sharpness"]) < 2 * 1.005
    # Descent is chaotic from step 250 on: rounding then moves the distances by a few per cent.
    at = np.array([100, 200, 250, 300, 400])
    for flow, distances in (
        ("CentralFlow", [0.070, 0.124, 0.273, 0.352, 0.268]),
        ("CentralFlow(modified)", [0.015, 0.061, 0.244, 0.326, 0.226]),
        ("RodFlow", [0.0136, 0.0136, 0.0153, 0.471, 0.637]),
    ):
        np.testing.assert_allclose(run.errors[flow][at[:3]], distances[:3], atol=1.5e-3)
        np.testing.assert_allclose(run.errors[flow][at[3:]], distances[3:], rtol=0.15)
    amplitudes = [0.020688, 0.013360, 0.011829, 0.0087896, 0.0062921, 0.0036644]
    np.testing.assert_allclose(rod.diagnostics["amplitude"][steps[:6]], amplitudes, rtol=1e-4)
    assert modified.successful
