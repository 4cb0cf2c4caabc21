"""jit, vmap and grad of the drivers; and that new numbers compile nothing."""

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close, quartic, tanh_network

import flows

BOTH = (flows.GradientFlow(), flows.ModifiedFlow(order=2))
LOSS, START = tanh_network()
MODES = ("trajectory", "per_step")


def errors(start, rate, mode, flows_compared=BOTH, **options):
    run = flows.compare(
        LOSS, start, flows.GradientDescent(rate), flows_compared, 5, mode=mode, **options
    )
    return jnp.stack(list(run.errors.values()))


def smooth_error(start, rate, mode, flow):
    """With four constant steps a step, a smooth function of its arguments: for differences."""
    options = {"stepsize_controller": dfx.ConstantStepSize(), "dt0": 1 / 4}
    return errors(start, rate, mode, flow, **options)[0]


@pytest.mark.parametrize("mode", MODES)
def test_jit(mode):
    direct = errors(START, 0.4, mode)
    assert_close(jax.jit(lambda x, h: errors(x, h, mode))(START, 0.4), direct, rtol=1e-6)
    if mode == "per_step":  # the next test has the other one
        assert_close(eqx.filter_jit(errors)(START, 0.4, mode), direct, rtol=1e-6)


def test_a_whole_comparison_comes_out_of_filter_jit():
    @eqx.filter_jit
    def run(x):
        return flows.compare(LOSS, x, flows.GradientDescent(0.4), BOTH, 5)

    inside = run(START)
    outside = flows.compare(LOSS, START, flows.GradientDescent(0.4), BOTH, 5)
    for name, error in outside.errors.items():
        assert_close(inside.errors[name], error, rtol=1e-6)
    assert inside.summary()["flows"]["GradientFlow"]["final_error"] == pytest.approx(
        outside.summary()["flows"]["GradientFlow"]["final_error"], rel=1e-6
    )
    assert inside.successful


@pytest.mark.parametrize("mode", [MODES[0], pytest.param(MODES[1], marks=pytest.mark.slow)])
def test_vmap_over_starts(mode):
    starts = jnp.stack([0.9 * START, START, 1.1 * START])
    together = jax.vmap(lambda x: errors(x, 0.4, mode))(starts)
    for start, error in zip(starts, together, strict=True):
        assert_close(error, errors(start, 0.4, mode), rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_vmap_over_learning_rates(mode):
    rates = jnp.array([0.1, 0.2, 0.4])
    together = jax.vmap(lambda h: errors(START, h, mode))(rates)
    mapped = jax.vmap(
        lambda optimizer: flows.compare(LOSS, START, optimizer, BOTH, 5, mode=mode).errors
    )(jax.vmap(flows.GradientDescent)(rates))
    for place, rate in enumerate(rates):
        assert_close(together[place], errors(START, rate, mode), rtol=1e-5, atol=1e-12)
        assert_close(mapped["GradientFlow"][place], together[place][0], rtol=1e-6, atol=1e-12)


def test_vmap_of_iterate_and_solve():
    starts = jnp.stack([START, 1.1 * START])
    optimizer = flows.GradientDescent(0.3)
    runs = jax.vmap(lambda x: flows.iterate(LOSS, x, optimizer, 4))(starts)
    solved = jax.vmap(lambda x: flows.solve(LOSS, x, optimizer, BOTH[1], 4))(starts)
    for place, start in enumerate(starts):
        alone = flows.iterate(LOSS, start, optimizer, 4)
        assert_close(runs.loss[place], alone.loss, rtol=1e-12)
        flow = flows.solve(LOSS, start, optimizer, BOTH[1], 4)
        assert_close(solved.loss[place], flow.loss, rtol=1e-8)


@pytest.mark.parametrize("mode", [MODES[0], pytest.param(MODES[1], marks=pytest.mark.slow)])
def test_several_windows_under_transformations(mode, windows_of):
    def final(rate):
        return errors(START, rate, mode, BOTH[0])[0]

    whole = errors(START, 0.4, mode)[0]
    windows_of(2)
    assert_close(jax.jit(final)(0.4), whole, rtol=1e-5)
    assert_close(jax.vmap(final)(jnp.array([0.4, 0.2]))[0], whole, rtol=1e-5, atol=1e-12)


def test_no_steps_under_jit():
    run = jax.jit(lambda x: flows.iterate(LOSS, x, flows.GradientDescent(0.1), 0).loss)
    assert run(START).shape == (1,)


def finite_difference(function, x, direction):
    step = np.finfo(float).eps ** (1 / 3)
    return (function(x + step * direction) - function(x - step * direction)) / (2 * step)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "flow"), [("trajectory", BOTH[0]), ("trajectory", BOTH[1]), ("per_step", BOTH[1])]
)
def test_gradient_of_the_final_error(mode, flow):
    @jax.jit
    def final(start, rate):
        return smooth_error(start, rate, mode, flow)[-1]

    by_start, by_rate = jax.jit(jax.grad(final, argnums=(0, 1)))(START, 0.4)
    direction = jnp.asarray(np.random.default_rng(0).standard_normal(36))
    expected = finite_difference(lambda x: final(x, 0.4), START, direction)
    assert float(by_start @ direction) == pytest.approx(float(expected), rel=1e-6)
    expected = finite_difference(lambda h: final(START, h), 0.4, 1.0)
    assert float(by_rate) == pytest.approx(float(expected), rel=1e-6)
    # The default solver, whose steps adapt, differentiates to the same.
    adaptive = jax.grad(lambda h: errors(START, h, mode, flow)[0, -1])(0.4)
    assert float(adaptive) == pytest.approx(float(by_rate), rel=1e-5)


def test_gradient_of_all_errors_is_finite_though_the_first_is_zero():
    gradient = jax.grad(lambda x: jnp.sum(smooth_error(x, 0.4, "trajectory", BOTH[0])))(START)
    assert np.isfinite(gradient).all()


def test_gradient_of_iterate_and_solve():
    def final(h):
        return flows.iterate(quartic, jnp.ones(2), flows.GradientDescent(h), 6).loss[-1]

    assert float(jax.grad(final)(0.1)) == pytest.approx(
        float(finite_difference(final, 0.1, 1.0)), rel=1e-7
    )

    def flow(h):
        optimizer = flows.GradientDescent(h)
        return flows.solve(quartic, jnp.ones(2), optimizer, flows.GradientFlow(), 6).loss[-1]

    # The flow is 1 / sqrt(1 + 2 t): the loss is 1 / (2 (1 + 2 t)^2) with t = 6 h.
    assert float(jax.grad(flow)(0.1)) == pytest.approx(-12 / (1 + 1.2) ** 3, rel=1e-6)


@pytest.mark.slow
def test_vmap_of_grad():
    gradient = jax.grad(lambda h: smooth_error(START, h, "trajectory", BOTH[0])[-1])
    rates = jnp.array([0.3, 0.4])
    together = jax.jit(jax.vmap(gradient))(rates)
    one_by_one = jax.jit(gradient)
    assert_close(together, jnp.stack([one_by_one(h) for h in rates]), rtol=1e-8)


def test_forward_mode_with_diffrax_own_adjoint():
    def final(h):
        run = flows.solve(
            quartic, jnp.ones(2), flows.GradientDescent(h), BOTH[0], 6, adjoint=dfx.ForwardMode()
        )
        return run.loss[-1]

    assert float(jax.jvp(final, (0.1,), (1.0,))[1]) == pytest.approx(-12 / 2.2**3, rel=1e-6)


def with_data(p, data):
    x, y = data
    return jnp.mean((jnp.tanh(x @ p["w"] + p["b"]) - y) ** 2)


@pytest.fixture
def compilations():
    """How many programs were compiled since the count was last cleared."""
    count = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, duration, **kwargs: (
            count.append(event) if event == "/jax/core/compile/backend_compile_duration" else None
        )
    )
    yield count
    jax.monitoring.clear_event_listeners()


@pytest.mark.parametrize("mode", MODES)
def test_new_numbers_compile_nothing(mode, compilations):
    rng = np.random.default_rng(0)

    def call(rate, tolerance):
        params = {"w": rng.standard_normal(3), "b": float(rng.standard_normal())}
        data = (rng.standard_normal((8, 3)), rng.standard_normal(8))
        run = flows.compare(
            with_data,
            params,
            flows.GradientDescent(rate),
            [flows.GradientFlow(), flows.ModifiedFlow(order=2)],
            7,
            args=data,
            mode=mode,
            stepsize_controller=dfx.PIDController(rtol=tolerance, atol=tolerance),
        )
        str(run)

    others = ((0.2, 1e-7), (np.float64(0.3), 1e-6), (jnp.asarray(0.4), 1e-8))
    call(0.1, 1e-6)
    assert compilations
    compilations.clear()
    for rate, tolerance in others:
        call(rate, tolerance)
    assert compilations == []
