"""Stochastic modified equations against exact laws, and the flow of reshuffled epochs."""

import itertools as it
import math

import diffrax as dfx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.linalg
import scipy.stats
from helpers import assert_close

import flows
from flows.optimizers import make_problem

KEY = jr.key(7)
ORDERS = (1, 2, "principal")
PATHS = 10_000


def parabola(x):
    return x**2 / 2


def mean_factor(order, z):
    """Of one step, for a curvature of z / h."""
    return {1: math.exp(-z), 2: math.exp(-z - z**2 / 2), "principal": 1 - z}[order]


def stationary_variance(order, h):
    """For curvature and noise 1."""
    return {1: h / 2, 2: h / (2 * (1 + h / 2)), "principal": h / (2 - h)}[order]


@pytest.fixture(scope="module", params=[0.4, 0.2])
def ensembles(request):
    h = request.param
    run = flows.compare_in_law(
        parabola,
        jnp.array(2.0),
        flows.SGD(h, noise=1.0),
        [flows.StochasticModifiedFlow(order, substeps=4) for order in ORDERS],
        24,
        key=KEY,
        paths=PATHS,
    )
    return h, run


def test_means_and_variances_are_those_of_the_formulas(ensembles):
    """At every step that is looked at, for the optimizer and all three orders."""
    h, run = ensembles
    parts = {None: run.iterates, **dict(zip(ORDERS, run.flows.values(), strict=True))}
    for order, ensemble in parts.items():
        factor = mean_factor(order or "principal", h)
        variance = stationary_variance(order or "principal", h)
        n = ensemble.steps
        mean, error = ensemble.mean[:, 1], ensemble.mean_error[:, 1]
        # Three standard errors at a step; the steps of a path are correlated, but there are 24.
        assert (np.abs(mean - 2 * factor**n) <= 4 * error + 1e-12).all()
        exact = variance * (1 - factor ** (2.0 * n))
        found, error = ensemble.variance[:, 1], ensemble.variance_error[:, 1]
        assert (np.abs(found - exact) <= 4 * error + 1e-12).all()
        assert abs(found[-1] - exact[-1]) < 3 * error[-1]


def test_the_principal_one_has_the_law(ensembles):
    """A test of Kolmogorov and Smirnov at each of the first steps; order 1 fails it."""
    h, run = ensembles
    for name, fits in (("principal", True), (1, False)):
        values = run.flows[f"StochasticModifiedFlow({name})"].values[..., 1]
        variance, levels = 0.0, []
        for n in range(1, 11):
            variance = (1 - h) ** 2 * variance + h**2
            normal = scipy.stats.norm(2 * (1 - h) ** n, math.sqrt(variance))
            levels.append(scipy.stats.kstest(values[:, n], normal.cdf).pvalue)
        assert (min(levels) > 1e-3) == fits
    distances = run.distances
    floor = run.distance_floor
    near = distances["StochasticModifiedFlow(principal)"][1:, 1] / floor[1:, 1]
    far = distances["StochasticModifiedFlow(1)"][1:, 1] / floor[1:, 1]
    assert np.median(near) < 3 < np.median(far)


def test_variances_of_the_first_steps():
    """The reference's, by enough paths to tell: .16, .2176, .238336, .24580096, .2484883456."""
    exact = [0.16, 0.2176, 0.238336, 0.24580096, 0.2484883456]
    run = flows.compare_in_law(
        parabola,
        jnp.array(0.0),
        flows.SGD(0.4, noise=1.0),
        [flows.StochasticModifiedFlow("principal", substeps=8)],
        5,
        key=KEY,
        paths=40_000,
    )
    for part in (run.iterates, *run.flows.values()):
        assert (np.abs(part.variance[1:, 1] - exact) < 3.5 * part.variance_error[1:, 1]).all()


ROTATION = scipy.linalg.expm(np.array([[0, -0.6, 0.2], [0.6, 0, -0.9], [-0.2, 0.9, 0]]))


def test_several_directions_with_noise_that_commutes():
    """In a rotated basis: covariance matrices of the iterates, exactly, at two steps."""
    hessian = ROTATION @ np.diag([0.2, 1.0, 2.0]) @ ROTATION.T
    noise = ROTATION @ np.diag([1.0, 0.3, 0.5]) @ ROTATION.T
    H = jnp.asarray(hessian)

    def loss(x):
        return x @ H @ x / 2

    ends = jax.vmap(
        lambda key: (
            flows.solve(
                loss,
                jnp.zeros(3),
                flows.SGD(0.4, noise=noise),
                flows.StochasticModifiedFlow("principal"),
                6,
                key=key,
            ).params
        )
    )(jr.split(KEY, PATHS))
    step, covariance = np.eye(3) - 0.4 * hessian, np.zeros((3, 3))
    for n in range(1, 7):
        covariance = step @ covariance @ step + 0.16 * noise
        if n in (1, 6):
            found = np.cov(np.asarray(ends[:, n]).T)
            bound = np.sqrt(2 * np.outer(np.diag(covariance), np.diag(covariance)) / PATHS)
            assert (np.abs(found - covariance) < 4 * bound).all()


def test_what_has_no_diffusion_says_so():
    """One noise for two directions of unlike curvature: no real equation has this law."""
    H = jnp.diag(jnp.array([0.25, 2.25]))

    def loss(x):
        return x @ H @ x / 2

    def end(h, noise):
        return flows.solve(
            loss,
            jnp.ones(2),
            flows.SGD(h, noise=noise),
            flows.StochasticModifiedFlow("principal"),
            3,
            key=KEY,
            throw=False,
        )

    assert end(0.4, np.ones((2, 2))).result == flows.RESULTS.no_real_diffusion
    assert end(0.4, np.eye(2)).successful
    beyond = end(0.5, np.eye(2))
    assert beyond.result == flows.RESULTS.sharpness_beyond_one
    assert int(beyond.last_step) == 0
    assert "Stopped after step 0 of 3" in beyond.message
    at_one = end(1 / 2.25, np.eye(2))
    assert at_one.result == flows.RESULTS.sharpness_beyond_one
    with pytest.raises(flows.RunFailedError, match="learning rate times the sharpness is 1 or mor"):
        flows.solve(
            loss,
            jnp.ones(2),
            flows.SGD(0.5, noise=1.0),
            flows.StochasticModifiedFlow("principal"),
            3,
            key=KEY,
        )


def test_a_path_that_leaves_the_model_says_so():
    """On x^4/4 noise carries a path to where h lambda is 1, within a step and within a substep.

    On the root of x, which is concave, a path ends where there is no loss: that is divergence.
    """

    def loss(x, convex):
        root = jnp.sqrt(jnp.where(convex, 1.0, x))
        return jnp.where(convex, x**4 / 4, root)

    @jax.jit
    @jax.vmap
    def stopped(key, convex):
        run = flows.solve(
            loss,
            jnp.array(0.5),
            flows.SGD(0.5, noise=1.0),
            flows.StochasticModifiedFlow("principal"),
            20,
            args=convex,
            key=key,
            save_params=False,
            throw=False,
        )
        named = [run.result == flows.RESULTS.sharpness_beyond_one]
        return *named, run.result == flows.RESULTS.diverged, run.last_step

    convex = np.arange(128) < 64
    beyond, diverged, steps = stopped(jr.split(KEY, 128), convex)
    # The middle of the paths: that one of 64 is left within the edge after 20 steps is likely.
    assert np.median(steps[convex]) < 20
    assert (beyond == (steps < 20))[convex].all()
    assert not diverged[convex].any()
    assert (diverged == (steps < 20))[~convex].all()
    assert diverged[~convex].sum() > 32


def test_noise_in_one_direction_of_three():
    """With equal curvatures the diffusion is a multiple of the noise, whatever that is: by hand.

    Two of its eigenvalues are zero, and rounding puts them on either side.
    """
    h, curvature, along = 0.4, 0.5, np.array([1.0, 0.3, -0.7])
    optimizer = flows.SGD(h, noise=np.outer(along, along))
    flow = flows.StochasticModifiedFlow("principal")
    problem, start = make_problem(lambda x: curvature * jnp.sum(x**2) / 2, jnp.zeros(3), optimizer)
    columns = jax.vmap(lambda w: flow.diffusion(problem, None, start, w))(jnp.eye(3))
    square = (1 - h * curvature) ** 2
    # Per step, which takes the time h.
    expected = h**2 * np.log(square) / (square - 1) * np.outer(along, along)
    # Roots of what rounding leaves, 1e-17, are 1e-9; their squares are not seen.
    np.testing.assert_allclose(columns.T @ columns, expected, atol=1e-13)


# Weak orders, without sampling: on a circle, with expectations as Fourier series.

POINTS = 48
GRID = 2 * np.pi * np.arange(POINTS) / POINTS
PULLS = jnp.array([0.0, 1.0, 2.5])


def circle(x, pulls):
    return jnp.mean(1 - jnp.cos(x - pulls)) + 0.3 * jnp.sin(2 * x) / 2


def interpolation(at):
    """The matrix from values on the grid to those of the trigonometric interpolant elsewhere."""
    modes = np.fft.fftfreq(POINTS, 1 / POINTS)
    coefficients = np.fft.fft(np.eye(POINTS), axis=0) / POINTS
    return np.real(np.exp(1j * np.outer(at, modes)) @ coefficients)


def expectations(order, h, time):
    """``E phi`` from every point of the grid: by all batches, or by the flow's own generator."""
    test = np.exp(np.cos(GRID - 0.4))
    if order is None:
        single = jax.vmap(jax.grad(circle), (0, None))
        steps = [interpolation(GRID - h * np.asarray(single(GRID, pull[None]))) for pull in PULLS]
        return np.linalg.matrix_power(np.mean(steps, axis=0), round(time / h)) @ test
    optimizer, flow = flows.SGD(h, batch_size=1), flows.StochasticModifiedFlow(order)
    problem, _ = make_problem(circle, jnp.array(0.0), optimizer, PULLS)
    points = jnp.asarray(GRID)
    drift = jax.vmap(lambda x: flow.vector_field(problem)(0.0, x, None))(points)
    # Per square root of a step, which takes the time h.
    image = lambda x, w: flow.diffusion(problem, None, x, (w, None)) / h**0.5  # noqa: E731
    columns = jax.vmap(jax.vmap(image, (None, 0)), (0, None))(points, jnp.eye(3))
    variance = np.sum(np.asarray(columns) ** 2, axis=1)
    modes = np.fft.fftfreq(POINTS, 1 / POINTS) * (np.arange(POINTS) != POINTS // 2)
    waves = 1j * modes[:, None] * np.fft.fft(np.eye(POINTS), axis=0)
    derivative = np.real(np.fft.ifft(waves, axis=0))
    generator = np.diag(drift) @ derivative + np.diag(variance / 2) @ derivative @ derivative
    return scipy.linalg.expm(time * generator) @ test


@pytest.mark.parametrize(("order", "slope"), [(1, 1), (2, 2)])
def test_weak_orders(order, slope):
    """Minibatch noise, which depends on the point, on a loss that is not quadratic."""
    errors = [
        np.abs(expectations(order, h, 1.0) - expectations(None, h, 1.0)).max()
        for h in (0.02, 0.01, 0.005)
    ]
    slopes = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(slopes, slope, atol=0.15)
    assert errors[-1] < {1: 1e-2, 2: 1e-4}[order]


def test_paths_have_the_law_of_the_generator():
    """The integrator against the Fourier series, with noise that depends on the point."""
    flow = flows.StochasticModifiedFlow(2, substeps=8)
    ends = jax.vmap(
        lambda key: (
            flows.solve(
                circle,
                jnp.array(GRID[5]),
                flows.SGD(0.1, batch_size=1),
                flow,
                10,
                args=PULLS,
                key=key,
            ).final_params
        )
    )(jr.split(KEY, PATHS))
    values = np.exp(np.cos(np.asarray(ends) - 0.4))
    error = values.std() / PATHS**0.5
    assert abs(values.mean() - expectations(2, 0.1, 1.0)[5]) < 3 * error


@pytest.mark.parametrize("solver", [dfx.ShARK(), dfx.Euler(), dfx.Heun()])
def test_solvers(solver):
    """All of diffrax's explicit ones, at their order without noise; in law, the variance."""

    def end(key, substeps, noise):
        return flows.solve(
            parabola,
            jnp.array(1.0),
            flows.SGD(0.4, noise=noise),
            flows.StochasticModifiedFlow(1, substeps=substeps),
            3,
            key=key,
            solver=solver,
        ).final_params

    errors = [float(end(KEY, substeps, 0.0)) - math.exp(-1.2) for substeps in (8, 16)]
    order = 1 if isinstance(solver, dfx.Euler) else 2
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.15)
    ends = jax.vmap(lambda key: end(key, 16, 1.0))(jr.split(KEY, 4000))
    exact = 0.2 * (1 - math.exp(-2.4))
    assert float(jnp.var(ends)) == pytest.approx(exact, rel=4 * (2 / 4000) ** 0.5)


def test_the_area_of_the_noise():
    """One substep of ShARK on a parabola by hand: ``(1 - z / 2) (W - z H)``, with the area ``H``
    of a twelfth of the variance of ``W``; an area of another size would show in the variance."""
    z = 0.8
    ends = jax.vmap(
        lambda key: (
            flows.solve(
                parabola,
                jnp.array(0.0),
                flows.SGD(z, noise=1.0),
                flows.StochasticModifiedFlow(1, substeps=1),
                1,
                key=key,
            ).final_params
        )
    )(jr.split(KEY, 40_000))
    exact = z**2 * (1 - z / 2) ** 2 * (1 + z**2 / 12)
    assert float(jnp.var(ends)) == pytest.approx(exact, rel=3 * (2 / 40_000) ** 0.5)


def test_one_key_one_path(windows_of):
    """Under jit, vmap, and in windows of another length."""
    data = (jnp.arange(12.0).reshape(4, 3) / 10, jnp.ones(4))

    def loss(w, data):
        return jnp.mean(jnp.tanh(data[0] @ w - data[1]) ** 2)

    def path(key):
        return flows.solve(
            loss,
            jnp.ones(3),
            flows.SGD(0.1, batch_size=2, noise=0.1),
            flows.StochasticModifiedFlow(2),
            20,
            args=data,
            key=key,
        ).params

    keys = jr.split(KEY, 2)
    alone = [path(key) for key in keys]
    compiled, together = jax.jit(path), jax.vmap(path)(keys)
    for one, key, row in zip(alone, keys, together, strict=True):
        assert_close(compiled(key), one, rtol=1e-12)
        assert_close(row, one, rtol=1e-12)
    windows_of(7)
    assert_close(path(keys[0]), alone[0], rtol=1e-12)


def test_gradients_pass_through_a_path():
    def end(h):
        return flows.solve(
            lambda x: jnp.sum(jnp.cos(x)),
            jnp.ones(2),
            flows.SGD(h, noise=0.2),
            flows.StochasticModifiedFlow(1),
            4,
            key=KEY,
        ).final_params[0]

    step = 1e-6
    numeric = (end(0.2 + step) - end(0.2 - step)) / (2 * step)
    assert float(jax.grad(end)(0.2)) == pytest.approx(float(numeric), rel=1e-6)


def test_rotations_rotate_the_law():
    """Fields and covariances of a rotated problem are those of the problem, rotated."""
    X = jnp.asarray(np.random.default_rng(2).normal(size=(5, 3)))
    R = jnp.asarray(ROTATION)

    def loss(w, x):
        return jnp.mean(jnp.cos(x @ w)) + jnp.sum(w**2)

    def parts(order, start, data):
        optimizer, flow = flows.SGD(0.1, batch_size=2), flows.StochasticModifiedFlow(order)
        problem, params = make_problem(loss, start, optimizer, data)
        drift = flows.vector_field(loss, start, optimizer, flow, args=data)
        example = flow.draw(problem, None, params, KEY)
        size = sum(leaf.size for leaf in jax.tree.leaves(example))
        unit = jax.vmap(lambda e: jax.tree.map(lambda leaf: e.reshape(leaf.shape), example))
        columns = jax.vmap(lambda w: flow.diffusion(problem, None, params, w))(unit(jnp.eye(size)))
        return drift, columns.T @ columns

    start = jnp.array([0.3, -0.2, 0.5])
    for order in ORDERS:
        drift, covariance = parts(order, start, X)
        turned, turned_covariance = parts(order, R @ start, X @ R.T)
        np.testing.assert_allclose(turned, R @ drift, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(turned_covariance, R @ covariance @ R.T, rtol=1e-8, atol=1e-12)


def test_weight_decay_is_a_part_of_the_loss():
    def loss(x):
        return jnp.sum(jnp.cos(x))

    def decayed(x):
        return jnp.sum(jnp.cos(x)) + 0.15 * jnp.sum(x**2)

    start = jnp.array([0.5, 1.5])
    for order in ORDERS:
        flow = flows.StochasticModifiedFlow(order)
        one = flows.vector_field(loss, start, flows.SGD(0.1, noise=1.0, weight_decay=0.3), flow)
        two = flows.vector_field(decayed, start, flows.SGD(0.1, noise=1.0), flow)
        np.testing.assert_allclose(one, two, rtol=1e-12)


# Epochs in random order.

TILES = jnp.array([[1.0, 0.2], [-0.4, 1.0], [0.7, -0.9]])


def tiles(w, data):
    return jnp.mean(jnp.log(jnp.cosh(data @ w - 0.5)) + jnp.cos(w[0] * data[:, 1]))


def test_reshuffling_has_local_order_three():
    """Against the mean over all six orders of an epoch, each made by hand."""
    start = jnp.array([0.6, -0.8])
    single = jax.grad(lambda w, row: tiles(w, row[None]))

    def error(h, flow=None):
        ends = []
        for order in it.permutations(range(3)):
            w = start
            for i in order:
                w = w - h * single(w, TILES[i])
            ends.append(w)
        optimizer = flows.SGD(h, batch_size=1, sampling="reshuffling")
        end = flows.solve(
            tiles, start, optimizer, flows.ReshufflingFlow(), 3, args=TILES
        ).final_params
        return float(jnp.linalg.norm(jnp.mean(jnp.stack(ends), axis=0) - end))

    errors = [error(h) for h in (0.1, 0.05, 0.025)]
    slopes = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(slopes, 3, atol=0.3)


def test_reshuffled_batches_of_two():
    """The modified loss by hand, averaged over all batches of two of four examples."""
    data = jnp.asarray(np.random.default_rng(3).normal(size=(4, 2)))
    h = 0.1

    def modified(w):
        batches = [data[jnp.array(pair)] for pair in it.combinations(range(4), 2)]
        squares = [jnp.sum(jax.grad(tiles)(w, batch) ** 2) for batch in batches]
        return tiles(w, data) + h / 4 * jnp.mean(jnp.stack(squares))

    start = jnp.array([0.2, 0.7])
    optimizer = flows.SGD(h, batch_size=2, sampling="reshuffling")
    velocity = flows.vector_field(tiles, start, optimizer, flows.ReshufflingFlow(), args=data)
    np.testing.assert_allclose(velocity, -jax.grad(modified)(start), rtol=1e-12)


def test_what_is_refused():
    data, start = jnp.ones((4, 2)), jnp.ones(2)

    def solve(optimizer, flow, **options):
        options = {"key": KEY, "args": data, **options}
        return flows.solve(tiles, start, optimizer, flow, 1, **options)

    flow = flows.StochasticModifiedFlow()
    with pytest.raises(
        flows.InvalidOptionError, match="order must be one of 1, 2, 'principal'; go"
    ):
        flows.StochasticModifiedFlow(3)
    with pytest.raises(flows.InvalidOptionError, match="substeps must be an integer >= 1, got 0"):
        flows.StochasticModifiedFlow(substeps=0)
    with pytest.raises(flows.InvalidOptionError, match="draws random numbers, so it needs a key"):
        solve(flows.SGD(0.1, batch_size=2), flow, key=None)
    with pytest.raises(flows.IncompatibleFlowError, match="models SGD, not GradientDescent"):
        solve(flows.GradientDescent(0.1), flow)
    with pytest.raises(flows.IncompatibleFlowError, match=r"there is flows\.IntrinsicFlow\(\)"):
        solve(flows.SGD(0.1, batch_size=2), flows.GradientFlow())
    for options in ({"momentum": 0.5}, {"repeats": 2}):
        with pytest.raises(flows.IncompatibleFlowError, match="without momentum and without repea"):
            solve(flows.SGD(0.1, batch_size=2, **options), flow)
    for sampling in ("reshuffling", "in order"):
        with pytest.raises(flows.IncompatibleFlowError, match="models independent batches, but th"):
            solve(flows.SGD(0.1, batch_size=2, sampling=sampling), flow)
    for optimizer in (flows.SGD(0.1, batch_size=2), flows.SGD(0.1, noise=1.0)):
        with pytest.raises(
            flows.IncompatibleFlowError, match="models epochs in random order and n"
        ):
            solve(optimizer, flows.ReshufflingFlow())
    with pytest.raises(flows.InvalidOptionError, match="integrated in equal parts of an optimizer"):
        solve(flows.SGD(0.1, batch_size=2), flow, dt0=0.01)
    with pytest.raises(flows.InvalidSolverError, match="must be an explicit one of diffrax, got"):
        solve(flows.SGD(0.1, batch_size=2), flow, solver=dfx.ImplicitEuler())
    with pytest.raises(flows.IncompatibleFlowError, match="forms the Hessian, for up to 512 param"):
        flows.solve(
            lambda x: jnp.sum(x**2),
            jnp.ones(600),
            flows.SGD(0.1, noise=1.0),
            flows.StochasticModifiedFlow("principal"),
            1,
            key=KEY,
        )
