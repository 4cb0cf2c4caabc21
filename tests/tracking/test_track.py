"""Following a run: against NumPy on dense Hessians, closed forms, and a loop by hand."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import assert_close

import flows
from flows.stability import REGIMES

pytestmark = pytest.mark.usefixtures("nothing_left_of_pictures")
H = 0.15
STEPS = 120
EVERY = 3
K = 3


def small_network():
    """67 parameters as a tree, one number apart from the arrays: loss, start, data."""
    random = np.random.default_rng(3)
    X, Y = random.standard_normal((20, 4)), random.standard_normal((20, 1))
    start = {
        "first": jnp.asarray(random.standard_normal((4, 11)) / 2),
        "second": [jnp.asarray(random.standard_normal((11, 2)) / 3)],
        "shift": jnp.asarray(0.1),
    }

    def loss(params, data):
        X, Y = data
        hidden = jnp.tanh(X @ params["first"])
        out = jnp.sum(hidden @ params["second"][0], axis=1, keepdims=True)
        return jnp.mean((out + params["shift"] - Y) ** 2)

    return loss, start, (jnp.asarray(X), jnp.asarray(Y))


LOSS, START, DATA = small_network()
_, UNRAVEL = jax.flatten_util.ravel_pytree(START)
DENSE = jax.jit(jax.hessian(lambda x: LOSS(UNRAVEL(x), DATA)))
GRADIENT = jax.jit(jax.grad(lambda x: LOSS(UNRAVEL(x), DATA)))


@pytest.fixture(scope="module")
def run():
    return flows.iterate(LOSS, START, flows.GradientDescent(H), STEPS, args=DATA)


@pytest.fixture(scope="module")
def report(run):
    return flows.track(LOSS, run, learning_rate=H, k=K, every=EVERY, args=DATA)


def point(run, step):
    return jax.flatten_util.ravel_pytree(jax.tree.map(lambda leaf: leaf[step], run.params))[0]


def test_against_dense_hessians(run, report):
    assert report.steps.tolist() == list(range(0, STEPS + 1, EVERY))
    assert bool(jnp.all(report.converged))
    assert report.parameters == 67
    for row, step in enumerate(report.steps.tolist()):
        x = point(run, step)
        A, g = np.asarray(DENSE(x)), np.asarray(GRADIENT(x))
        values, vectors = np.linalg.eigh(A)
        values, vectors = values[::-1][:K], vectors[:, ::-1][:, :K]
        scale = np.abs(values).max()
        # The residuals are at most 1e-6 of the scale, and the gaps more than 1e-2 of it.
        np.testing.assert_allclose(report.eigenvalues[row], values, atol=1e-9 * scale)
        components = np.abs(vectors.T @ g)
        found = np.abs(report.gradient_components[row])
        np.testing.assert_allclose(found, components, atol=1e-3 * np.linalg.norm(g))
        drift = np.linalg.norm(A @ g) / np.linalg.norm(g)
        np.testing.assert_allclose(report.drift[row], drift, rtol=1e-10)
    np.testing.assert_allclose(report.loss, run.loss[::EVERY], rtol=1e-12)
    np.testing.assert_allclose(report.grad_norm, run.grad_norm[::EVERY], rtol=1e-12)
    np.testing.assert_array_equal(report.sharpness, report.eigenvalues[:, 0])
    np.testing.assert_array_equal(report.thresholds, 2 / H)


def test_signs_follow_the_vectors(run, report):
    """As those of dense eigenvectors that are turned towards the ones before."""
    assert (report.gradient_components[0] > 0).all()
    before = None
    for row, step in enumerate(report.steps.tolist()[:20]):
        x = point(run, step)
        u, g = np.linalg.eigh(np.asarray(DENSE(x)))[1][:, -1], np.asarray(GRADIENT(x))
        u = u * np.sign(u @ (g if before is None else before))
        np.testing.assert_allclose(
            report.gradient_components[row, 0], u @ g, atol=1e-4 * np.linalg.norm(g)
        )
        before = u


def test_residuals_are_those_of_the_vectors(run):
    tracker = flows.track(LOSS, learning_rate=H, k=K, args=DATA)
    for step in (0, EVERY):
        tracker.record(jax.tree.map(lambda leaf, n=step: leaf[n], run.params))
    report = tracker.report()
    vectors = jax.vmap(lambda v: jax.flatten_util.ravel_pytree(v)[0])(tracker._pairs.vectors)
    vectors, A = np.asarray(vectors)[:K], np.asarray(DENSE(point(run, EVERY)))
    true = np.linalg.norm(vectors @ A - report.eigenvalues[-1][:, None] * vectors, axis=1)
    np.testing.assert_allclose(report.residuals[-1], true, atol=1e-13)
    assert true.max() > 1e-12  # more than rounding: there is something to see


def bowl(x, matrix):
    return x @ matrix @ x / 2


def test_every_second_step_has_its_own_rate_and_the_sign_that_was_followed():
    """Two eigenvectors turn by 40 degrees a row and change places at each."""
    tracker = flows.track(bowl, learning_rate=lambda n: 1 / (1 + n), k=2, every=2, args=np.eye(4))
    x, expected = np.array([0.9, 0.2, 0.0, 0.0]), []
    for row in range(10):
        angle = np.deg2rad(40 * row)
        turning = np.zeros((2, 4))
        turning[:, :2] = [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
        if row == 0:  # there the gradient decides
            signs = np.sign(turning @ x)
        values = np.array([3.0, 2.0] if row % 2 == 0 else [2.0, 3.0])
        matrix = (turning.T * values) @ turning + np.diag([0, 0, 0.5, -1])
        tracker.record(jnp.asarray(x), args=jnp.asarray(matrix))
        tracker.record(jnp.asarray(-x), args=jnp.asarray(-matrix))  # not looked at
        expected.append((signs * values * (turning @ x))[np.argsort(-values)])
    report = tracker.report()
    assert report.steps.tolist() == list(range(0, 20, 2))
    np.testing.assert_allclose(report.learning_rates, 1 / np.arange(1, 21, 2), rtol=1e-15)
    np.testing.assert_allclose(report.thresholds, 2 * np.arange(1, 21, 2), rtol=1e-15)
    np.testing.assert_allclose(report.eigenvalues, np.tile([3.0, 2.0], (10, 1)), rtol=1e-12)
    # A residual of 1e-6 of the scale, over a gap of 1.
    np.testing.assert_allclose(report.gradient_components, expected, atol=1e-5)


def by_hand(rates, eigenvalues, residuals):
    """A report of these numbers, and the rest blank."""
    rates, eigenvalues = np.asarray(rates), np.asarray(eigenvalues)
    blank = jnp.ones(len(rates))
    return flows.RegimeReport(
        steps=jnp.arange(len(rates)),
        learning_rates=jnp.asarray(rates),
        loss=blank,
        grad_norm=blank,
        drift=blank,
        eigenvalues=jnp.asarray(eigenvalues),
        gradient_components=jnp.ones(eigenvalues.shape),
        residuals=jnp.full(eigenvalues.shape, residuals),
        converged=blank > 0,
        matvecs=jnp.arange(len(rates)),
        parameters=eigenvalues.shape[1],
    )


def test_a_residual_is_a_curvature_and_not_a_pure_number():
    """At a threshold of h lambda: within h times the residual, whatever unit h is in."""
    h, r = np.array([[100.0], [0.01]]), 1e-5
    for code, threshold in enumerate((0.0, 1.0, 2.0)):
        report = by_hand(h[:, 0], threshold / h + r * np.array([2, 0.5, -0.5, -2]), r)
        codes = 2 * code + np.array([2, 1, 1, 0])
        np.testing.assert_array_equal(report.regime_codes, [codes, codes])


def test_rounding_is_relative():
    """2 / h within a few roundings is the edge, and a part of 1e-9 more or less is not."""
    h, eps = np.array([[1e6], [1e-6]]), np.finfo(float).eps
    report = by_hand(h[:, 0], 2 / h * (1 + np.array([1e-9, 4 * eps, -4 * eps, -1e-9])), 0.0)
    np.testing.assert_array_equal(report.regime_codes, [[6, 5, 5, 4]] * 2)


def test_coefficients_and_regimes_are_those_of_stability_coefficients(run, report):
    row = 7
    params = jax.tree.map(lambda leaf: leaf[EVERY * row], run.params)
    at = flows.stability_coefficients(LOSS, params, flows.GradientDescent(H), K, args=DATA)
    np.testing.assert_allclose(report.alpha[row], at.alpha, rtol=1e-7)
    np.testing.assert_allclose(report.loss_rates[row], at.loss_rates, rtol=1e-3, atol=1e-9)
    np.testing.assert_allclose(
        np.abs(report.coefficients[row]), np.abs(at.coefficients), rtol=1e-3, atol=1e-7
    )
    assert report.regimes[row] == at.regimes
    assert report.regime_codes.shape == (len(report.steps), K)


def five_lines(loss, params, steps):
    """An optax loop of momentum, which is none of this library's business."""
    optimizer = optax.sgd(0.1, momentum=0.9)
    state = optimizer.init(params)
    tracker = flows.track(loss, learning_rate=0.1, k=1, every=2)
    for _ in range(steps):
        tracker.record(params)
        updates, state = optimizer.update(jax.grad(loss)(params), state)
        params = optax.apply_updates(params, updates)
    return tracker.report()


def quartic(x):
    return jnp.sum(x**4) / 4


def test_an_optax_loop():
    report = five_lines(quartic, jnp.array([1.0, 0.5]), 6)
    assert report.steps.tolist() == [0, 2, 4]
    points, velocity, x = [], 0, np.array([1.0, 0.5])
    for _ in range(6):
        points.append(x)
        velocity = x**3 + 0.9 * velocity
        x = x - 0.1 * velocity
    for row, x in enumerate(points[::2]):
        np.testing.assert_allclose(report.sharpness[row], 3 * np.max(x**2), rtol=1e-12)
        drift = np.linalg.norm(3 * x**5) / np.linalg.norm(x**3)
        np.testing.assert_allclose(report.drift[row], drift, rtol=1e-12)


def diagonal(x, values):
    return jnp.sum(values * x**2) / 2


def test_every_regime_by_its_closed_form():
    z = jnp.array([-0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0])
    x = jnp.arange(1.0, 8.0)
    report = flows.track(diagonal, x[None], learning_rate=0.25, k=7, args=z / 0.25)
    assert report.regimes == [tuple(reversed(REGIMES[:-1]))]
    components = np.abs(z / 0.25 * x)[::-1]
    np.testing.assert_allclose(report.gradient_components[0], components, rtol=1e-9, atol=1e-9)
    assert report.unstable.tolist() in ([1], [2])  # 2 itself is decided by rounding


def test_iterables_arrays_schedules_and_data_of_the_step():
    points = np.array([[1.0, 1.0], [0.5, 1.0], [0.25, 1.0]])
    values = jnp.array([3.0, 1.0])
    schedule = optax.exponential_decay(0.1, 1, 0.5)
    one = flows.track(diagonal, points, learning_rate=schedule, k=2, args=values)
    two = flows.track(diagonal, (p for p in points), learning_rate=schedule, k=2, args=values)
    np.testing.assert_array_equal(one.eigenvalues, two.eigenvalues)
    np.testing.assert_allclose(one.learning_rates, [0.1, 0.05, 0.025])
    np.testing.assert_allclose(one.thresholds, [20, 40, 80])
    tracker = flows.track(diagonal, learning_rate=0.1, k=1, args=values)
    tracker.record(points[0])
    tracker.record(points[0], learning_rate=0.3, args=2 * values)
    np.testing.assert_allclose(tracker.report().sharpness, [3, 6])
    np.testing.assert_allclose(tracker.report().learning_rates, [0.1, 0.3])


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (lambda x: jnp.sum(x), 0.0),
        (lambda x: -jnp.sum(x**2), -2.0),
        (lambda x: jnp.sum(x**2), 2.0),
        (lambda x: x[0] ** 2, 2.0),
    ],
    ids=["flat", "negative", "repeated", "rank one"],
)
def test_degenerate_hessians_and_a_zero_gradient(loss, expected):
    report = flows.track(loss, jnp.array([[0.0] * 5, [1.0] * 5]), learning_rate=0.1, k=2)
    np.testing.assert_allclose(report.sharpness, expected, atol=1e-12)
    assert np.isfinite(report.eigenvalues).all()
    assert np.isfinite(report.coefficients).all()
    assert report.converged.all()
    assert report.drift[0] == (0 if report.grad_norm[0] == 0 else report.drift[1])


def test_one_parameter():
    report = flows.track(lambda x: 3 * x**2, [jnp.asarray(2.0)], learning_rate=0.1, k=1)
    assert_close(report.sharpness, jnp.array([6.0]))


def test_nan_midway_is_a_gap_and_not_an_end():
    def loss(x):
        return jnp.sum(jnp.where(jnp.any(x > 9), jnp.nan, 1.0) * x**4) / 4

    points = [np.array([1.0, 2]), np.array([10.0, 2]), np.array([np.nan, 1]), np.array([1.0, 3])]
    report = flows.track(loss, points, learning_rate=0.1, k=2)
    assert report.finite.tolist() == [True, False, False, True]
    assert report.converged.tolist() == [True, False, False, True]
    np.testing.assert_allclose(report.sharpness[3], 27, rtol=1e-12)
    assert np.isnan(report.eigenvalues[1:3]).all()
    assert np.isnan(report.drift[1:3]).all()
    assert report.regimes[1] == ("not finite", "not finite")
    assert "not finite at 2 steps, first at step 1" in str(report)
    report.plot()
    # The first point may be one of these, too.
    late = flows.track(loss, points[1:2] + points[3:], learning_rate=0.1, k=2)
    np.testing.assert_allclose(late.sharpness[1], 27, rtol=1e-12)


def test_a_run_that_stopped_is_followed_to_its_last_step():
    run = flows.iterate(quartic, jnp.array([3.0, 0.5]), flows.GradientDescent(0.5), 20, throw=False)
    last = int(run.last_step)
    assert last < 20
    report = flows.track(quartic, run, learning_rate=0.5, k=1)
    assert report.steps.tolist() == list(range(last + 1))
    assert report.finite.all()


def test_float32(run):
    run32 = jax.tree.map(lambda leaf: leaf[::40].astype(jnp.float32), run.params)
    points = [jax.tree.map(lambda leaf, n=n: leaf[n], run32) for n in range(4)]
    data = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), DATA)
    found = flows.track(LOSS, points, learning_rate=H, k=K, args=data)
    assert found.eigenvalues.dtype == found.drift.dtype == found.learning_rates.dtype == jnp.float32
    assert found.converged.all()
    # Residuals of 3e-4: errors of their square over the gaps.
    expected = np.asarray(
        flows.track(LOSS, run, learning_rate=H, k=K, every=40, args=DATA).sharpness
    )
    np.testing.assert_allclose(found.sharpness, expected, rtol=1e-4)


def test_another_point_compiles_nothing():
    traced = []

    def loss(x, c):
        traced.append(1)
        return c * jnp.sum(x**4)

    tracker = flows.track(loss, learning_rate=0.1, k=1, args=1.0)
    tracker.record(jnp.ones(3))
    first = len(traced)
    tracker.record(2 * jnp.ones(3), learning_rate=jnp.asarray(0.2), args=2.0)
    tracker.record(np.ones(3))
    assert len(traced) == first


def test_the_table(report):
    lines = str(report).splitlines()
    assert lines[0].startswith(f"{len(report.steps)} steps of 67 parameters, 3 directions; ")
    assert lines[2].split()[:3] == ["step", "h", "loss"]
    assert len(lines) == 3 + 12 + 2
    assert lines[3].split()[0] == "0"
    assert lines[-3].split()[0] == str(STEPS)
    first = int(report.steps[np.flatnonzero(report.unstable)[0]]) if report.unstable.any() else None
    assert (f"first at step {first}" if first is not None else "No eigenvalue") in lines[-1]
    assert repr(report) == "<RegimeReport of 41 steps, 3 directions>"


def test_what_has_not_converged_is_said():
    n = 200
    values = jnp.linspace(1.0, 1.0 + 1e-4, n)
    x = jnp.asarray(np.random.default_rng(0).standard_normal((2, n)))
    report = flows.track(diagonal, x, learning_rate=0.1, k=1, args=values, rtol=1e-18)
    assert not report.converged.any()
    assert "Not all eigenpairs converged at 2 steps, first at step 0" in str(report)


def test_save_and_load(report, tmp_path):
    again = flows.load(report.save(tmp_path / "report"))
    assert isinstance(again, flows.RegimeReport)
    for name, column in vars(report).items():
        np.testing.assert_array_equal(getattr(again, name), column)
        assert getattr(again, name).dtype == column.dtype if name != "parameters" else True
    assert again.parameters == 67


def test_the_picture(report):
    ax = report.plot()
    lines = {line.get_label(): line for line in ax.lines}
    np.testing.assert_array_equal(lines["sharpness"].get_ydata(), report.sharpness)
    np.testing.assert_array_equal(lines["sharpness"].get_xdata(), report.steps)
    np.testing.assert_array_equal(lines["$2/h$"].get_ydata(), 2 / H)
    np.testing.assert_array_equal(lines["drift"].get_ydata(), report.drift)
    assert len(ax.lines) == K + 2
    again = flows.plotting.plot_regimes(report, ax=ax, drift=False)
    assert again is ax
    assert ax.get_xlabel() == "step"
    assert ax.get_ylabel() == "eigenvalue of the Hessian"


def test_what_is_refused(run):
    x = jnp.ones((1, 2))
    for option, match in (
        ({"k": 0}, "k must be an integer >= 1"),
        ({"every": 1.5}, "every must be an integer >= 1"),
        ({"rtol": 2.0}, "rtol must be a number between 0 and 1"),
        ({"k": 3}, "k must be an integer from 1 to 2"),
    ):
        with pytest.raises(flows.InvalidOptionError, match=match):
            flows.track(quartic, x, learning_rate=0.1, **{"k": 1, **option})
    with pytest.raises(flows.InvalidLearningRateError, match="learning_rate must be"):
        flows.track(quartic, x, learning_rate=0.0)
    with pytest.raises(flows.InvalidLossError, match="cannot be called"):
        flows.track(LOSS, x, learning_rate=0.1)
    for iterates in ({"a": x}, 3.0):
        with pytest.raises(flows.InvalidOptionError, match="iterates must be a flows"):
            flows.track(quartic, iterates, learning_rate=0.1)
    bare = flows.iterate(LOSS, START, flows.GradientDescent(H), STEPS, args=DATA, save_params=False)
    with pytest.raises(flows.InvalidOptionError, match="save_params=True"):
        flows.track(LOSS, bare, learning_rate=0.1, args=DATA)
    batch = jax.tree.map(lambda leaf: leaf[None], run)
    with pytest.raises(flows.InvalidOptionError, match="batch of runs"):
        flows.track(LOSS, batch, learning_rate=0.1, args=DATA)
    with pytest.raises(flows.InvalidOptionError, match="nothing was recorded"):
        flows.track(quartic, [], learning_rate=0.1)
    tracker = flows.track(quartic, learning_rate=0.1, k=1)
    with pytest.raises(flows.InvalidParametersError, match="not finite at the start"):
        tracker.record(jnp.array([jnp.nan]))
    with pytest.raises(flows.InvalidOptionError, match="outside of jit"):
        jax.jit(lambda x: flows.track(quartic, learning_rate=0.1, k=1).record(x))(x[0])
    # The layers of a network are an iterable, but not of points.
    layers = [jnp.ones(2), jnp.ones(3)]
    with pytest.raises(flows.InvalidParametersError, match="unlike those at first"):
        flows.track(quartic, layers, learning_rate=0.1, k=1)


@jax.tree_util.register_pytree_with_keys_class
class Layer:
    """A node of a user's own, whose objects are equal to nothing but themselves."""

    def __init__(self, weight):
        self.weight = weight

    def tree_flatten_with_keys(self):
        return ((jax.tree_util.GetAttrKey("weight"), self.weight),), None

    @classmethod
    def tree_unflatten(cls, _, children):
        return cls(*children)


def test_nodes_that_cannot_be_compared():
    """The eigenvalues of a diagonal quadratic, at every step; another shape is still refused."""
    curvatures = jnp.array([1.0, 4.0, 9.0])

    def loss(layer):
        return jnp.sum(curvatures * layer.weight**2) / 2

    start = Layer(jnp.ones(3))
    run = flows.iterate(loss, start, flows.GradientDescent(0.1), steps=2)
    tracker = flows.track(loss, learning_rate=0.1, k=2)
    for step in range(3):
        tracker.record(jax.tree.map(lambda leaf, n=step: leaf[n], run.params))
    np.testing.assert_allclose(tracker.report().eigenvalues, [[9.0, 4.0]] * 3, rtol=1e-9)
    with pytest.raises(flows.InvalidParametersError, match="unlike those at first"):
        tracker.record(Layer(jnp.ones(4)))
    with pytest.raises(flows.InvalidParametersError, match="unlike those at first"):
        tracker.record([jnp.ones(3)])


def test_a_leaf_without_numbers():
    """What is measured is what the other leaf has; the empty one comes along."""
    curvatures = jnp.array([1.0, 4.0, 9.0])

    def loss(params):
        return jnp.sum(curvatures * params["some"] ** 2) / 2 + jnp.sum(params["none"])

    start = {"none": jnp.zeros((0, 2)), "some": jnp.ones(3)}
    optimizer = flows.GradientDescent(0.1)
    assert float(flows.sharpness(loss, start)) == pytest.approx(9.0, rel=1e-9)
    pairs = flows.top_eigenpairs(loss, start, 2)
    np.testing.assert_allclose(pairs.values, [9.0, 4.0], rtol=1e-9)
    assert pairs.vectors["none"].shape == (2, 0, 2)
    run = flows.compare(loss, start, optimizer, flows.CentralFlow(), steps=2)
    report = flows.track(loss, run.iterates, learning_rate=0.1, k=2)
    np.testing.assert_allclose(report.eigenvalues, [[9.0, 4.0]] * 3, rtol=1e-9)


def test_a_leaf_without_numbers_in_windows_of_a_program(windows_of):
    """Under jit the windows' records are joined inside the program."""
    windows_of(2)
    start = {"none": jnp.zeros((0, 2)), "some": jnp.ones(3)}

    def final(start):
        return flows.iterate(
            lambda params: jnp.sum(params["some"] ** 2) / 2 + jnp.sum(params["none"]),
            start,
            flows.GradientDescent(0.5),
            steps=5,
        ).params

    params = jax.jit(final)(start)
    assert params["none"].shape == (6, 0, 2)
    np.testing.assert_allclose(params["some"][:, 0], 0.5 ** np.arange(6))


@pytest.mark.parametrize("zero", [0, 0.0, np.float32(0), jnp.zeros(())], ids=repr)
def test_a_warm_up_from_rate_zero(zero, tmp_path):
    """At rate 0 no eigenvalue is too large, and each direction has that of the gradient flow."""
    curvatures = jnp.array([1.0, 4.0, 9.0])
    tracker = flows.track(
        lambda x: jnp.sum(curvatures * x**2) / 2,
        learning_rate=lambda step: zero if step == 0 else 0.3,
        k=2,
    )
    for _ in range(2):
        tracker.record(jnp.ones(3))
    report = flows.load(tracker.report().save(tmp_path / "report"))
    assert report.learning_rates.tolist() == [0.0, 0.3]
    assert report.thresholds[0] == jnp.inf
    assert report.unstable.tolist() == [0, 1]
    assert report.regimes[0] == ("flat", "flat")
    np.testing.assert_allclose(report.loss_rates[0], [-81.0, -16.0], rtol=1e-9)
    assert str(report).splitlines()[3].split()[:2] == ["0", "0"]
    report.plot()
    with pytest.raises(flows.InvalidLearningRateError, match="learning_rate must be"):
        tracker.record(jnp.ones(3), learning_rate=-0.1)
