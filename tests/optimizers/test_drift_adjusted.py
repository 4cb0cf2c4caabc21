"""Drift-adjusted learning in optax' loops and in `iterate`, against loops by hand."""

import functools as ft
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers import deep_linear_network, quartic, tanh_network

import flows
from flows.optimizers._drift import DriftAverage

LOSS, START = tanh_network()
SEPARATED = jnp.array([3.0, 1.0, 0.2])


def separated(x):
    return jnp.sum(SEPARATED * x**2) / 2


def dense_drift(loss, x):
    H, g = np.asarray(jax.hessian(loss)(x)), np.asarray(jax.grad(loss)(x))
    return np.linalg.norm(H @ g) / np.linalg.norm(g)


def run_optax(loss, start, steps, *, needs_loss=True, momentum=None, **options):
    """A plain optax loop: parameters, rates and drifts of every step."""
    transformation = flows.drift_adjusted(**options)
    if momentum is not None:
        transformation = optax.chain(transformation, optax.trace(momentum))
    extra = {"value_fn": loss} if needs_loss else {}

    @jax.jit
    def step(params, state):
        grads = jax.grad(loss)(params)
        updates, state = transformation.update(grads, state, params, **extra)
        return optax.apply_updates(params, updates), state

    params, state, rows = start, transformation.init(start), []
    for _ in range(steps):
        before = params
        params, state = step(params, state)
        own = state if momentum is None else state[0]
        rows.append((before, float(own.learning_rate), float(own.drift)))
    points, rates, drifts = zip(*rows, strict=True)
    return [*points, params], np.array(rates), np.array(drifts), own


@pytest.fixture(scope="module")
def product():
    return run_optax(LOSS, START, 30)


@pytest.fixture(scope="module")
def dense(product):
    return np.array([dense_drift(LOSS, x) for x in product[0][:-1:6]])


def test_optax_loop_by_hand(product, dense):
    points, rates, drifts, _ = product
    np.testing.assert_allclose(drifts[::6], dense, rtol=1e-9)
    np.testing.assert_allclose(rates, np.minimum(2 / drifts, 5), rtol=1e-12)
    for i in (0, 7, 29):
        step = np.asarray(points[i] - rates[i] * jax.grad(LOSS)(points[i]))
        np.testing.assert_allclose(points[i + 1], step, rtol=1e-12, atol=1e-14)


def test_iterate_is_the_optax_loop(product):
    run = flows.iterate(LOSS, START, flows.DriftAdjustedDescent(), 30)
    np.testing.assert_allclose(run.params, np.stack(product[0]), rtol=1e-8, atol=1e-10)
    assert run.ts[-1] == 30
    assert run.loss[-1] < 0.2 * run.loss[0]
    tree = flows.iterate(
        lambda p: LOSS(jnp.concatenate([p["a"], p["b"]])),
        {"a": START[:20], "b": START[20:]},
        flows.DriftAdjustedDescent(),
        30,
    )
    np.testing.assert_allclose(tree.loss, run.loss, rtol=1e-8)


def test_the_two_forms_agree_to_1e_3(product):
    # Measured at the same points, so that chaos has no say; and along runs of their own.
    by_product, by_difference = (
        jax.jit(ft.partial(_drift_at, flows.drift_adjusted(form=form)))
        for form in ("product", "difference")
    )
    for x in product[0][::3]:
        assert abs(by_difference(x) / by_product(x) - 1) < 1e-6
    _, rates, _, _ = run_optax(LOSS, START, 30, form="difference")
    np.testing.assert_allclose(rates, product[1], rtol=1e-3)
    single = run_optax(
        lambda x: LOSS(x.astype(jnp.float64)).astype(jnp.float32),
        START.astype(jnp.float32),
        5,
        form="difference",
    )
    assert single[0][-1].dtype == jnp.float32
    np.testing.assert_allclose(single[1], product[1][:5], rtol=3e-3)


def _drift_at(transformation, x):
    state = transformation.init(x)
    return transformation.update(jax.grad(LOSS)(x), state, x, value_fn=LOSS)[1].drift


def test_successive_gradients_tell_the_last_drift_of_a_quadratic():
    options = {"form": "successive", "needs_loss": False, "learning_rate": 0.1, "power": 0.5}
    points, rates, drifts, _ = run_optax(separated, jnp.ones(3), 8, **options)
    assert rates[0] == 0.1
    assert drifts[0] == 0
    exact = [dense_drift(separated, x) for x in points[:7]]
    np.testing.assert_allclose(drifts[1:], exact, rtol=1e-9)
    np.testing.assert_allclose(rates[1:], 2 / np.sqrt(exact), rtol=1e-9)
    run = flows.iterate(
        separated,
        jnp.ones(3),
        flows.DriftAdjustedDescent(0.5, form="successive", learning_rate=0.1),
        8,
    )
    np.testing.assert_allclose(run.final_params, points[-1], rtol=1e-9)


def test_successive_gradients_elsewhere_within_a_short_step():
    # A mean of the curvature over the step: as much off as the Hessian changes, of order h.
    at = flows.drift(LOSS, START)
    errors = []
    for h in (1e-3, 1e-4, 1e-5):
        rates = run_optax(
            LOSS, START, 2, needs_loss=False, form="successive", learning_rate=h, active=(0, 2)
        )[2]
        errors.append(abs(rates[1] / at - 1))
    assert errors[0] < 1e-2
    assert errors[1] < 1e-3
    assert errors[2] < 1e-4


def test_successive_gradients_train_at_half_the_rate():
    problem = flows.problems.edge_of_stability()
    descent = flows.DriftAdjustedDescent(form="successive", factor=1.0)
    run = flows.iterate(problem.loss, problem.start, descent, 100, args=problem.args)
    assert jnp.max(run.loss) == run.loss[0]
    # At the full rate, as with fixed rates, it is above 0.3 here, or has diverged.
    assert run.loss[-1] < 0.15


def test_the_factor():
    _, rates, drifts, _ = run_optax(separated, jnp.ones(3), 3, factor=0.5)
    np.testing.assert_allclose(rates, 0.5 / drifts, rtol=1e-12)


def test_a_window_averages_drifts(product):
    _, rates, drifts, _ = run_optax(LOSS, START, 8, window=3)
    means = [np.mean(drifts[max(0, i - 2) : i + 1]) for i in range(8)]
    np.testing.assert_allclose(rates, np.minimum(2 / np.array(means), 5), rtol=1e-12)
    assert rates[0] == pytest.approx(product[1][0], rel=1e-12)


def test_powers_and_maximum():
    _, rates, drifts, _ = run_optax(LOSS, START, 3, power=0.3, maximum=1.5)
    np.testing.assert_allclose(rates, np.minimum(2 / drifts**0.3, 1.5), rtol=1e-12)
    _, rates, _, _ = run_optax(LOSS, START, 2, power=0.0)
    np.testing.assert_array_equal(rates, 2)


def test_active_steps():
    _, rates, drifts, _ = run_optax(separated, jnp.ones(3), 6, active=(2, 4), learning_rate=0.05)
    np.testing.assert_array_equal(rates[[0, 1, 4, 5]], 0.05)
    np.testing.assert_allclose(rates[2:4], 2 / drifts[2:4], rtol=1e-12)
    # The maximum holds before them, too.
    options = {"active": (1, None), "learning_rate": 0.05, "maximum": 0.04}
    assert run_optax(separated, jnp.ones(3), 1, **options)[1] == 0.04


def test_momentum_goes_behind_in_a_chain():
    points = run_optax(separated, jnp.ones(3), 4, momentum=0.5)[0]
    velocity, x = 0, np.ones(3)
    for i in range(4):
        np.testing.assert_allclose(points[i], x, rtol=1e-12)
        velocity = 0.5 * velocity - 2 / dense_drift(separated, jnp.asarray(x)) * SEPARATED * x
        x = x + velocity


def test_what_is_not_finite_is_left_out():
    # sqrt has no second derivative at 0, where the gradient of this is finite all the same.
    def kinked(x):
        return jnp.sum(jnp.where(x > 0, x, 0) ** 1.5) + jnp.sum(x)

    _, rates, drifts, state = run_optax(kinked, jnp.zeros(2), 1, learning_rate=0.2)
    finite = np.isfinite(drifts).all() and np.isfinite(rates).all()
    assert finite
    average = DriftAverage.empty(2, jnp.float64).with_drift(jnp.asarray(4.0))
    average = average.with_drift(jnp.asarray(jnp.nan)).with_drift(jnp.asarray(jnp.inf))
    assert (int(average.count), int(average.skipped), float(average.mean)) == (1, 2, 4.0)
    # A gradient that is not finite is seen, and forgotten when it is finite again.
    transformation = flows.drift_adjusted(form="successive", learning_rate=0.25)
    state = transformation.init(jnp.ones(2))
    updates, state = transformation.update(jnp.array([jnp.nan, 1.0]), state, jnp.ones(2))
    assert np.isnan(updates[0])
    updates, state = transformation.update(jnp.ones(2), state, jnp.ones(2) / 2)
    np.testing.assert_array_equal(updates, -0.25)
    assert int(state.skipped) == 1


def test_zero_gradient_and_zero_drift_take_the_maximum():
    for form in ("product", "difference"):
        _, rates, drifts, _ = run_optax(jnp.sum, jnp.zeros(2), 2, form=form, maximum=3.0)
        np.testing.assert_allclose(drifts, 0, atol=1e-12)
        np.testing.assert_array_equal(rates, 3)
        points, rates, _, _ = run_optax(separated, jnp.zeros(3), 1, form=form, maximum=3.0)
        np.testing.assert_array_equal(points[-1], 0)
        np.testing.assert_array_equal(rates, 3)


def test_vmap_over_powers_and_no_second_compilation():
    traced = []

    def counted(x):
        traced.append(1)
        return quartic(x)

    for power, maximum in ((1.0, 5.0), (0.5, 1.0)):
        descent = flows.DriftAdjustedDescent(power, maximum)
        flows.iterate(counted, jnp.ones(2), descent, 3)
        first = traced[:] if power == 1.0 else first
    assert traced == first

    def final_loss(power, maximum):
        run = flows.iterate(
            quartic, jnp.array([1.0, 2.0]), flows.DriftAdjustedDescent(power, maximum), 10
        )
        return run.loss[-1]

    powers = jnp.array([1.0, 0.9])
    together = jax.vmap(final_loss, in_axes=(0, None))(powers, 100.0)
    np.testing.assert_allclose(together, [final_loss(p, 100.0) for p in powers], rtol=1e-10)


# Fixed rates by factors of 4, from far too small to far too large.
RATES = 4.0 ** np.arange(-6, 2)


def trained(name):
    """Loss, start, data, steps, maximum, and how much better than any fixed rate it shall be."""
    if name == "edge of stability":
        problem = flows.problems.edge_of_stability()
        return problem.loss, problem.start, problem.args, 100, 5.0, 1.5
    if name == "deep linear":
        return *deep_linear_network(), None, 100, 5.0, 3.0
    return quartic, jnp.linspace(1.0, 3.0, 10), None, 30, 1e3, 1e3


@pytest.mark.parametrize("name", ["edge of stability", "deep linear", "quartic"])
def test_it_trains_where_fixed_rates_a_factor_4_apart_diverge_or_crawl(name):
    loss, start, args, steps, maximum, factor = trained(name)
    optimizer = flows.DriftAdjustedDescent(maximum=maximum)
    adjusted = flows.iterate(loss, start, optimizer, steps, args=args)
    assert adjusted.loss[-1] < 0.2 * adjusted.loss[0]
    assert jnp.max(adjusted.loss) < 2 * adjusted.loss[0]

    def fixed(h):
        descent = flows.GradientDescent(h)
        run = flows.iterate(loss, start, descent, steps, args=args, throw=False, save_params=False)
        return run.loss[-1]

    finals = np.asarray(jax.vmap(fixed)(jnp.asarray(RATES)))
    assert not finals[-1] < 1e9
    diverged_or_slow = ~(finals < factor * float(adjusted.loss[-1]))
    assert diverged_or_slow.all(), dict(zip(RATES, finals, strict=True))


def test_what_is_refused(monkeypatch):
    for option, value, match in (
        ("power", -1.0, "power must be"),
        ("maximum", 0.0, "maximum must be"),
        ("factor", 0.0, "factor must be"),
        ("form", "hvp", "form must be one of 'product', 'difference', 'successive'"),
        ("window", 0, "window must be an integer >= 1"),
        ("learning_rate", -1.0, "learning_rate must be"),
    ):
        for make in (flows.drift_adjusted, flows.DriftAdjustedDescent):
            with pytest.raises(flows.FlowsError, match=match):
                make(**{option: value})
    for active in (3, (5, 5), (-1, None), (0.0, None)):
        with pytest.raises(flows.InvalidOptionError, match="active must be a pair"):
            flows.drift_adjusted(active=active)
    x = jnp.ones(2)
    transformation = flows.drift_adjusted()
    state = transformation.init(x)
    with pytest.raises(flows.InvalidOptionError, match="needs the parameters"):
        transformation.update(x, state)
    with pytest.raises(flows.InvalidOptionError, match="needs the loss"):
        transformation.update(x, state, x)
    with pytest.raises(flows.IncompatibleFlowError):
        flows.solve(quartic, x, flows.DriftAdjustedDescent(), flows.GradientFlow(), 1)
    monkeypatch.setitem(sys.modules, "optax", None)
    with pytest.raises(flows.MissingDependencyError, match="pip install"):
        flows.drift_adjusted()


@pytest.mark.parametrize("form", ["product", "difference"])
@pytest.mark.parametrize("wrapper", ["masked", "partition"])
def test_a_part_of_the_parameters_behind_a_mask(form, wrapper):
    """The rate is 2 over the drift of the part's own Hessian, where the rest stands now."""

    def loss(params):
        return (params["a"] @ params["b"] - 1) ** 2 / 2 + jnp.sum(params["a"] ** 4)

    part = flows.drift_adjusted(form=form, maximum=1e6, factor=0.5)
    if wrapper == "masked":
        optimizer = optax.masked(part, {"a": True, "b": False})
    else:
        optimizer = optax.partition({"dal": part, "sgd": optax.sgd(0.1)}, {"a": "dal", "b": "sgd"})
    params = {"a": jnp.array([0.7, -0.4]), "b": jnp.array([1.3, 0.5])}
    state = optimizer.init(params)

    @jax.jit
    def update(state, params):
        gradient = jax.grad(loss)(params)
        return optimizer.update(gradient, state, params, value_fn=loss, whole_params=params)

    for _ in range(3):
        g = jax.grad(loss)(params)
        H = jax.hessian(lambda a, b=params["b"]: loss({"a": a, "b": b}))(params["a"])
        rate = 0.5 * jnp.linalg.norm(g["a"]) / jnp.linalg.norm(H @ g["a"])
        updates, state = update(state, params)
        np.testing.assert_allclose(updates["a"], -rate * g["a"], rtol=1e-6)
        expected = g["b"] if wrapper == "masked" else -0.1 * g["b"]
        np.testing.assert_allclose(updates["b"], expected, rtol=1e-12)
        params = {name: params[name] + 0.5 * updates[name] for name in params}
    with pytest.raises(flows.InvalidOptionError, match="whole_params=params"):
        optimizer.update(g, state, params, value_fn=loss)


def test_successive_gradients_behind_a_mask_need_no_loss():
    """With and without a mask that hides nothing of what moves: the same updates."""
    a, g = {"a": jnp.array([1.0, 2.0])}, {"a": jnp.array([0.3, -0.1])}
    part = flows.drift_adjusted(form="successive", factor=1.0)
    masked = optax.masked(part, {"a": True, "b": False})
    state, hidden = part.init(a), masked.init({**a, "b": jnp.ones(3)})
    for scale in (1.0, 0.5):
        grads = jax.tree.map(lambda leaf, s=scale: s * leaf, g)
        point = jax.tree.map(lambda leaf, s=scale: s * leaf, a)
        expected, state = part.update(grads, state, point)
        rest = {"b": jnp.ones(3)}
        updates, hidden = masked.update(grads | rest, hidden, point | rest)
        np.testing.assert_array_equal(updates["a"], expected["a"])
        np.testing.assert_array_equal(updates["b"], rest["b"])
