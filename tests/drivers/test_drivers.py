"""iterate, solve and compare: what they return, and that it does not depend on how they walk."""

import typing

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
from helpers import Clock, assert_close, quartic, rosenbrock, tanh_network

import flows

BOTH = (flows.GradientFlow(), flows.ModifiedFlow(order=2))
START = jnp.array([-0.5, 0.5])
DESCENT = flows.GradientDescent(1e-3)
STEPS = 13  # the same in many tests: one program


def compared(mode="trajectory", **options):
    return flows.compare(rosenbrock, START, DESCENT, BOTH, STEPS, mode=mode, **options)


def plain_descent(loss, x, rate, steps):
    """Gradient descent without the library: points, losses and gradient norms."""
    points, losses, norms = [np.asarray(x)], [float(loss(x))], []
    for _ in range(steps):
        g = np.asarray(jax.grad(loss)(jnp.asarray(points[-1])))
        norms.append(np.linalg.norm(g))
        points.append(points[-1] - rate * g)
        losses.append(float(loss(jnp.asarray(points[-1]))))
    norms.append(np.linalg.norm(jax.grad(loss)(jnp.asarray(points[-1]))))
    return np.array(points), np.array(losses), np.array(norms)


def test_iterate_is_gradient_descent():
    points, losses, norms = plain_descent(rosenbrock, START, 1e-3, 30)
    run = flows.iterate(rosenbrock, START, DESCENT, 30)
    assert_close(run.params, jnp.asarray(points), rtol=1e-13)
    assert_close(run.final_params, jnp.asarray(points[-1]), rtol=1e-13)
    assert_close(run.loss, jnp.asarray(losses), rtol=1e-12)
    assert_close(run.grad_norm, jnp.asarray(norms), rtol=1e-12)
    lengths = np.concatenate([[0], np.linalg.norm(np.diff(points, axis=0), axis=1)])
    assert_close(run.diagnostics["step_length"], jnp.asarray(lengths), rtol=1e-12)
    assert_close(run.ts, 1e-3 * jnp.arange(31.0), rtol=1e-15)
    assert run.steps == 30
    assert int(run.last_step) == 30
    assert run.successful
    assert run.message == "All 30 steps were made."


def test_the_two_parts_of_compare_are_iterate_and_solve():
    run = compared()
    assert_close(run.iterates, flows.iterate(rosenbrock, START, DESCENT, STEPS), rtol=1e-14)
    for flow in BOTH:
        alone = flows.solve(rosenbrock, START, DESCENT, flow, STEPS)
        together = run.trajectories[flow.name]
        # An error estimate of a few rounding units decides how many solver steps are made.
        together = eqx.tree_at(lambda run: run.cost, together, alone.cost)
        assert_close(together, alone, rtol=1e-11)
        distance = np.linalg.norm(alone.params - run.iterates.params, axis=1)
        assert_close(run.errors[flow.name], jnp.asarray(distance), rtol=1e-9, atol=1e-16)


@pytest.mark.parametrize("flow", BOTH, ids=lambda flow: flow.name)
def test_solve_agrees_with_scipy(flow):
    loss, start = tanh_network()
    gradient, hessian = jax.jit(jax.grad(loss)), jax.jit(jax.hessian(loss))
    h = 0.4

    def field(t, y):
        g = np.asarray(gradient(jnp.asarray(y)))
        correction = h / 2 * np.asarray(hessian(jnp.asarray(y))) @ g
        return -g - (correction if isinstance(flow, flows.ModifiedFlow) else 0)

    theirs = scipy.integrate.solve_ivp(
        field, (0, 8 * h), np.asarray(start), "DOP853", h * np.arange(9), rtol=1e-12, atol=1e-13
    )
    ours = flows.solve(loss, start, flows.GradientDescent(h), flow, 8)
    assert_close(ours.params, jnp.asarray(theirs.y.T), rtol=1e-8, atol=1e-9)
    assert_close(ours.loss, jax.vmap(loss)(jnp.asarray(theirs.y.T)), rtol=1e-8)


def test_per_step_restarts_from_every_iterate():
    run = compared("per_step")
    for flow in BOTH:
        error = run.errors[flow.name]
        assert error[0] == 0
        for n in (0, 2, 5):
            single = flows.solve(rosenbrock, run.iterates.params[n], DESCENT, flow, 1)
            miss = np.linalg.norm(single.final_params - run.iterates.params[n + 1])
            assert float(error[n + 1]) == pytest.approx(miss, rel=1e-6)
            arrived = run.trajectories[flow.name].params[n + 1]
            assert_close(arrived, single.final_params, rtol=1e-9)
            assert_close(run.trajectories[flow.name].loss[n + 1], rosenbrock(arrived), rtol=1e-12)


def test_both_modes_agree_on_the_first_step():
    runs = [compared(mode) for mode in ("trajectory", "per_step")]
    for flow in BOTH:
        first, second = (float(run.errors[flow.name][1]) for run in runs)
        assert first == pytest.approx(second, rel=1e-6)


@pytest.mark.parametrize("mode", ["trajectory", "per_step"])
def test_the_windows_do_not_show(mode, windows_of):
    whole = compared(mode)
    # Three windows of five steps: the last one overruns by two.
    windows_of(5)
    pieces = compared(mode)
    assert_close(pieces.iterates, whole.iterates, rtol=1e-14)
    for name, trajectory in pieces.trajectories.items():
        assert_close(trajectory.params, whole.trajectories[name].params, rtol=1e-8)
        assert_close(trajectory.loss, whole.trajectories[name].loss, rtol=1e-7)
        assert int(trajectory.last_step) == STEPS
        assert_close(pieces.errors[name], whole.errors[name], rtol=1e-5)


def test_iterate_and_solve_in_windows(windows_of):
    whole = flows.iterate(quartic, START, DESCENT, 20)
    flow = flows.solve(quartic, START, DESCENT, flows.GradientFlow(), 20)
    windows_of(7)
    assert_close(flows.iterate(quartic, START, DESCENT, 20), whole, rtol=1e-15)
    pieces = flows.solve(quartic, START, DESCENT, flows.GradientFlow(), 20)
    assert_close(pieces.params, flow.params, rtol=1e-9)
    # No solver step goes beyond a whole step, so that all windows together have 20 at least.
    assert int(pieces.cost.accepted) >= 20


def test_large_parameters_make_short_windows(monkeypatch):
    whole = compared()
    monkeypatch.setattr(
        "flows.drivers._windows._WINDOW_BYTES", 3 * 2 * 8 * 4
    )  # four points of each
    pieces = compared(save_params=False)
    assert_close(pieces.errors["GradientFlow"], whole.errors["GradientFlow"], rtol=1e-6, atol=1e-16)


@pytest.mark.parametrize("keep", [True, False, "auto"])
def test_keeping_the_parameters(keep, monkeypatch, windows_of):
    # "auto" keeps three trajectories of seven points of two numbers, but not of eight.
    monkeypatch.setattr("flows.drivers._windows._AUTO_SAVE_BYTES", 3 * 7 * 2 * 8)
    windows_of(2)  # so that both compile the same windows
    for steps in (6, 7):
        kept = keep is True or (keep == "auto" and steps == 6)
        run = flows.compare(rosenbrock, START, DESCENT, BOTH, steps, save_params=keep)
        for trajectory in (run.iterates, *run.trajectories.values()):
            assert (trajectory.params is not None) == kept
            if kept:
                assert trajectory.params.shape == (steps + 1, 2)
                assert_close(trajectory.params[-1], trajectory.final_params, rtol=1e-15)


def test_no_steps():
    run = flows.compare(rosenbrock, START, DESCENT, BOTH, 0)
    assert run.iterates.ts.shape == (1,)
    assert_close(run.iterates.final_params, START)
    assert run.successful
    assert float(run.errors["GradientFlow"][0]) == 0
    assert "0 steps" in str(run)


def test_two_flows_of_one_name():
    run = flows.compare(rosenbrock, START, DESCENT, (BOTH[0], BOTH[1], BOTH[0]), 2)
    assert list(run.errors) == ["GradientFlow", "ModifiedFlow(2)", "GradientFlow #2"]
    assert_close(run.errors["GradientFlow"], run.errors["GradientFlow #2"], rtol=1e-12)


def test_relative_errors():
    run = compared()
    points = np.asarray(run.iterates.params)
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    error = np.asarray(run.errors["GradientFlow"])
    along = np.concatenate([[0], error[1:] / np.cumsum(lengths)])
    assert_close(run.relative_errors["GradientFlow"], jnp.asarray(along), rtol=1e-12)
    run = compared("per_step")
    error = np.asarray(run.errors["GradientFlow"])
    each = np.concatenate([[0], error[1:] / lengths])
    assert_close(run.relative_errors["GradientFlow"], jnp.asarray(each), rtol=1e-12)


def test_nothing_moves_at_a_critical_point():
    for mode in ("trajectory", "per_step"):
        run = flows.compare(rosenbrock, jnp.ones(2), DESCENT, BOTH, STEPS, mode=mode)
        assert run.successful
        assert float(run.errors["ModifiedFlow(2)"].max()) == 0
        assert float(run.relative_errors["ModifiedFlow(2)"].max()) == 0


def test_users_own_solver_and_controller_are_used_untouched():
    controller = dfx.PIDController(rtol=1e-5, atol=1e-7, pcoeff=0.3, icoeff=0.4)
    steps, h = 20, 1e-3
    ours = flows.solve(
        rosenbrock,
        START,
        DESCENT,
        flows.GradientFlow(),
        steps,
        solver=dfx.Bosh3(),
        stepsize_controller=controller,
        dt0=1 / 3,
    )
    theirs = dfx.diffeqsolve(
        dfx.ODETerm(lambda t, y, args: -jax.grad(rosenbrock)(y)),
        dfx.Bosh3(),
        0.0,
        steps * h,
        h / 3,
        START,
        saveat=dfx.SaveAt(ts=h * jnp.arange(1.0, steps + 1)),
        stepsize_controller=controller,
    )
    assert_close(ours.params[1:], theirs.ys, rtol=1e-12)
    assert ours.cost.steps == theirs.stats["num_steps"]
    assert ours.cost.accepted == theirs.stats["num_accepted_steps"]
    assert ours.cost.rejected == theirs.stats["num_rejected_steps"]


def test_one_euler_step_for_every_step_is_gradient_descent():
    for mode in ("trajectory", "per_step"):
        run = flows.compare(
            rosenbrock,
            START,
            DESCENT,
            flows.GradientFlow(),
            15,
            mode=mode,
            solver=dfx.Euler(),
            stepsize_controller=dfx.ConstantStepSize(),
            dt0=1.0,
        )
        assert float(run.errors["GradientFlow"].max()) <= 1e-13
        assert np.isposinf(run.trajectories["GradientFlow"].cost.integration_error)


@pytest.mark.parametrize(
    "options", [{}, {"stepsize_controller": dfx.PIDController(rtol=1e-9, atol=1e-9)}]
)
def test_an_implicit_solver(options):
    run = flows.solve(
        rosenbrock,
        START,
        DESCENT,
        flows.GradientFlow(),
        10,
        solver=dfx.Kvaerno5(),
        **options,
    )
    default = flows.solve(rosenbrock, START, DESCENT, flows.GradientFlow(), 10)
    assert_close(run.params, default.params, rtol=1e-6)


def test_progress_shows_a_bar_over_the_steps(capsys):
    for run in (
        lambda: flows.iterate(rosenbrock, START, DESCENT, STEPS, progress=True),
        lambda: flows.solve(rosenbrock, START, DESCENT, BOTH[0], STEPS, progress=True),
        lambda: compared(progress=True),
    ):
        run()
        assert "13/13" in capsys.readouterr().err
    flows.iterate(rosenbrock, START, DESCENT, STEPS)
    assert capsys.readouterr().err == ""


def test_vector_field_of_any_tree():
    tree = {"a": jnp.array(0.5), "b": [jnp.array([1.0, -2.0])]}

    def loss(tree):
        return 3 * tree["a"] ** 2 / 2 + jnp.sum(tree["b"][0] ** 2) / 2

    velocity = flows.vector_field(loss, tree, flows.GradientDescent(0.2), BOTH[1])
    assert_close(
        velocity,
        {"a": jnp.array(-1.5 * 1.3), "b": [jnp.array([-1.1, 2.2])]},
        rtol=1e-14,
    )


@pytest.mark.parametrize("mode", ["trajectory", "per_step"])
def test_the_field_is_told_the_time_since_the_start(mode, windows_of):
    windows_of(4)
    h = 0.1
    run = flows.compare(
        rosenbrock, jnp.ones(2), flows.GradientDescent(h), Clock(), 10, mode=mode, throw=False
    )
    n = np.arange(11)
    moved = (h * n) ** 2 / 2
    if mode == "per_step":
        moved -= (h * np.maximum(n - 1, 0)) ** 2 / 2
    trajectory = run.trajectories["Clock"]
    # The iterates rest at the minimum, so that the flow's own path is the error.
    assert_close(run.errors["Clock"], jnp.asarray(moved * 2**0.5), rtol=1e-9)
    assert_close(trajectory.diagnostics["first"], jnp.asarray(1 + moved), rtol=1e-9)


def test_another_number_of_steps_with_the_same_windows_compiles_nothing(windows_of):
    windows_of(5)
    traces = []

    def loss(x):
        traces.append(x)
        return jnp.sum(x**2)

    flows.iterate(loss, START, DESCENT, 10)
    count = len(traces)
    assert flows.iterate(loss, START, DESCENT, 15).steps == 15
    assert len(traces) == count


@pytest.mark.parametrize(
    "driver",
    [flows.compare, flows.compare_in_law, flows.iterate, flows.solve, flows.vector_field],
    ids=lambda driver: driver.__name__,
)
def test_signatures_say_what_goes_in_and_comes_out(driver):
    hints = typing.get_type_hints(driver)
    del hints["loss"]  # a function of whatever its parameters are
    for hint in hints.values():
        assert typing.Any not in (hint, *typing.get_args(hint))
