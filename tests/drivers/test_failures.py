"""Runs that go wrong: a result code with the step, everything until then, never a silent NaN."""

import copy
import pickle

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import quartic

import flows

BOTH = (flows.GradientFlow(), flows.ModifiedFlow(order=2))
FIXED = {
    "solver": dfx.Heun(),
    "stepsize_controller": dfx.ConstantStepSize(),
    "dt0": 0.05,
}


def parabola(x):
    return jnp.sum(x**2) / 2


def cliff(x):
    """A parabola whose gradient is NaN below 0.4."""
    return jnp.where(x[0] > 0.4, 1.0, jnp.nan) * jnp.sum(x**2) / 2


def hill(x):
    """Descended, x' = x^3 reaches infinity at t = 1 / (2 x0^2)."""
    return -jnp.sum(x**4) / 4


def last_finite(values):
    return int(np.flatnonzero(np.isfinite(np.asarray(values)))[-1])


def test_overflow_of_a_quartic():
    # By hand: x -> x (1 - x^2 / 2) from 3; the loss overflows first.
    x, step = np.float64(3), 0
    with np.errstate(over="ignore"):
        while np.isfinite(x**4 / 4) and np.isfinite(x**3):
            good, step = x, step + 1
            x = x - x**3 / 2
    run = flows.iterate(quartic, jnp.array(3.0), flows.GradientDescent(0.5), 50, throw=False)
    assert run.result == flows.RESULTS.diverged
    assert not run.successful
    assert int(run.last_step) == step - 1 == last_finite(run.loss)
    assert float(run.final_params) == pytest.approx(good, rel=1e-12)
    assert np.isfinite(run.loss[:step]).all()
    assert np.isnan(run.loss[step:]).all()
    assert np.isnan(run.params[step:]).all()
    assert run.message == (
        f"Stopped after step {step - 1} of 50 (t = {0.5 * (step - 1):.6g}): "
        "The loss or its gradient is no longer a finite number. Try a smaller learning rate."
    )


def test_a_learning_rate_beyond_the_edge_diverges_at_the_predicted_step():
    # |x_n| = 1.5^n; the squared norm of the gradient, 1.5^(2n), overflows first.
    expected = int(np.floor(np.log(np.finfo(float).max) / (2 * np.log(1.5))))
    run = flows.iterate(parabola, jnp.ones(1), flows.GradientDescent(2.5), 2000, throw=False)
    assert run.result == flows.RESULTS.diverged
    assert int(run.last_step) == expected


@pytest.mark.parametrize("mode", ["trajectory", "per_step"])
def test_a_comparison_ends_where_the_iterates_diverge(mode):
    arguments = (quartic, jnp.array(3.0), flows.GradientDescent(0.5), BOTH, 12)
    run = flows.compare(*arguments, mode=mode, throw=False)
    last = int(run.iterates.last_step)
    assert not run.successful
    assert run.iterates.result == flows.RESULTS.diverged
    assert last_finite(run.iterates.loss) == last < 12
    assert run.message.startswith(f"Iterates: Stopped after step {last} of 12")
    for flow in run.trajectories.values():
        if flow.result != flows.RESULTS.flow_ended:  # one restarted at 1e23 may blow up itself
            assert flow.result == flows.RESULTS.iterates_ended
            assert int(flow.last_step) == last
            assert flow.message.endswith(
                "The iterates ended here, so there was nothing to compare with."
            )
    known = np.isfinite(run.errors["GradientFlow"])
    assert known[: last + 1].all() or mode == "per_step"
    assert not known[last + 1 :].any()
    with pytest.raises(flows.RunFailedError, match="Iterates: Stopped after step") as caught:
        flows.compare(*arguments, mode=mode)
    assert str(caught.value) == run.message
    assert int(caught.value.partial.iterates.last_step) == last


@pytest.mark.parametrize("options", [{}, FIXED], ids=["adaptive", "fixed"])
def test_a_flow_that_blows_up(options):
    # x' = x^3 from 1 is at infinity at t = 1/2, after four and a half steps.
    h = 1 / 9
    run = flows.solve(
        hill, jnp.ones(1), flows.GradientDescent(h), BOTH[0], 30, throw=False, **options
    )
    expected = flows.RESULTS.diverged if options else flows.RESULTS.flow_ended
    assert run.result == expected
    last = int(run.last_step)
    assert last == last_finite(run.loss)
    if not options:
        assert last == 4
        assert float(run.final_params[0]) == pytest.approx((1 - 2 * 4 * h) ** -0.5, rel=1e-7)
    assert float(run.loss[last]) == pytest.approx(float(hill(run.final_params)), rel=1e-12)
    with pytest.raises(flows.RunFailedError, match=f"Stopped after step {last} of 30"):
        flows.solve(hill, jnp.ones(1), flows.GradientDescent(h), BOTH[0], 30, **options)


@pytest.mark.parametrize("options", [{}, FIXED], ids=["adaptive", "fixed"])
@pytest.mark.parametrize("mode", ["trajectory", "per_step"])
def test_nan_in_the_middle_is_never_a_success(mode, options):
    h = 0.2
    run = flows.compare(
        cliff, jnp.ones(1), flows.GradientDescent(h), BOTH, 20, mode=mode, throw=False, **options
    )
    # (1 - h)^n falls below 0.4 at n = 5, where the loss is NaN.
    assert run.iterates.result == flows.RESULTS.diverged
    assert int(run.iterates.last_step) == 4
    for trajectory in run.trajectories.values():
        assert np.isnan(trajectory.loss[5:]).all()
        assert np.isfinite(trajectory.loss[: int(trajectory.last_step) + 1]).all()


@pytest.mark.parametrize("options", [{}, FIXED], ids=["adaptive", "fixed"])
def test_nan_in_the_middle_of_a_solve(options):
    run = flows.solve(
        cliff, jnp.ones(1), flows.GradientDescent(0.2), BOTH[0], 20, throw=False, **options
    )
    # exp(-0.2 n) falls below 0.4 at t = 0.92, after step 4.
    assert not run.successful
    assert int(run.last_step) == 4
    assert float(run.final_params[0]) == pytest.approx(np.exp(-0.8), rel=1e-3)


def test_a_failing_flow_does_not_stop_the_others(windows_of):
    windows_of(2)  # it fails a window before the last
    # Along E = -x^4/4 the iterates stay finite for longer than the flow, which is at infinity.
    run = flows.compare(hill, jnp.ones(1), flows.GradientDescent(0.2), BOTH[0], 5, throw=False)
    flow = run.trajectories["GradientFlow"]
    assert run.iterates.successful
    assert not flow.successful
    assert int(flow.last_step) == 2
    assert np.isfinite(run.iterates.loss).all()
    assert run.message.startswith("GradientFlow: Stopped after step 2 of 5 (t = 0.4)")


def test_per_step_goes_on_after_a_step_that_fails():
    # The field is NaN in a gap that the first step jumps over and the flow cannot cross.
    def gap(x):
        inside = (x[0] > 0.7) & (x[0] < 0.9)
        return jnp.where(inside, jnp.nan, 1.0) * jnp.sum(x**2) / 2

    run = flows.compare(
        gap, jnp.ones(1), flows.GradientDescent(0.5), BOTH[0], 4, mode="per_step", throw=False
    )
    flow = run.trajectories["GradientFlow"]
    assert run.iterates.successful
    assert flow.result == flows.RESULTS.flow_ended
    assert int(flow.last_step) == 0
    error = np.asarray(run.errors["GradientFlow"])
    assert np.isnan(error[1])
    expected = 0.5 ** np.arange(1, 4) * (np.exp(-0.5) - 0.5)
    assert error[2:] == pytest.approx(expected, rel=1e-7)


def barred(x, places):
    """The parabola, with a field that is not a number at one place and a loss at another."""
    at_wall = jnp.abs(x[0] - places[0]) < 0.05
    at_pit = jnp.abs(x[0] - places[1]) < 0.01
    return jnp.where(at_wall, jnp.nan, 1.0) * parabola(x) + jnp.where(at_pit, jnp.nan, 0.0)


@pytest.mark.parametrize("order", ["field, value", "value, field"])
def test_per_step_keeps_the_first_failure(order):
    """The iterates jump from 1 to 0.5 to 0.25; flows from there cross 0.8 and 0.4.

    A field that is not a number cannot be crossed; a loss that is none where the flow arrives, at
    0.61 or 0.30, makes it diverge.
    """
    first = order == "field, value"
    wall, pit = (0.8, 0.5 * np.exp(-0.5)) if first else (0.4, np.exp(-0.5))

    run = flows.compare(
        barred, jnp.ones(1), flows.GradientDescent(0.5), BOTH[0], 4,
        args=jnp.array([wall, pit]), mode="per_step", throw=False,
    )  # fmt: skip
    flow = run.trajectories["GradientFlow"]
    assert run.iterates.successful
    assert np.isnan(run.errors["GradientFlow"]).tolist() == [False, True, True, False, False]
    assert flow.result == (flows.RESULTS.flow_ended if first else flows.RESULTS.diverged)
    assert int(flow.last_step) == 0


def test_the_solver_runs_out_of_steps():
    run = flows.solve(
        quartic,
        jnp.ones(3),
        flows.GradientDescent(0.5),
        BOTH[0],
        40,
        max_steps=2,
        throw=False,
    )
    assert run.result == flows.RESULTS.max_steps_reached
    assert int(run.cost.steps) == 2
    assert int(run.last_step) < 40
    with pytest.raises(flows.RunFailedError, match=r"maximum number of solver steps"):
        flows.solve(quartic, jnp.ones(3), flows.GradientDescent(0.5), BOTH[0], 40, max_steps=2)


def test_a_loss_that_is_not_finite_at_the_start():
    run = flows.compare(
        lambda x: jnp.log(-jnp.sum(x**2)), jnp.ones(2), flows.GradientDescent(0.1), BOTH, 5,
        throw=False,
    )  # fmt: skip
    assert run.iterates.result == flows.RESULTS.diverged
    assert int(run.iterates.last_step) == 0
    assert "Stopped after step 0 of 5" in run.message


def test_failure_under_jit_raises_when_it_runs():
    def final(start):
        return flows.iterate(quartic, start, flows.GradientDescent(0.5), 50).grad_norm[-1]

    with pytest.raises(RuntimeError, match="no longer a finite number"):
        jax.jit(final)(jnp.array(3.0)).block_until_ready()
    assert np.isfinite(jax.jit(final)(jnp.array(0.3)))


@pytest.mark.parametrize("mode", ["trajectory", "per_step"])
def test_failure_of_one_member_under_vmap(mode):
    def run(start):
        return flows.compare(
            quartic, start, flows.GradientDescent(0.5), BOTH, 12, mode=mode, throw=False
        )

    runs = jax.vmap(run)(jnp.array([0.3, 3.0, 0.9]))
    # From 3 the loss is 1.7e281 after step 5, and infinite after the next.
    assert (runs.iterates.last_step == jnp.array([12, 5, 12])).all()
    good = run(jnp.array(0.9))
    for name, error in good.errors.items():
        assert np.asarray(runs.errors[name][2]) == pytest.approx(np.asarray(error), rel=1e-6)
    with pytest.raises(flows.InvalidOptionError, match="batch of runs of shape"):
        str(runs)
    one = jax.tree.map(lambda x: x[1], runs)
    assert one.message.startswith("Iterates: Stopped after step 5 of 12")


@pytest.mark.parametrize("again", [lambda x: pickle.loads(pickle.dumps(x)), copy.copy])
def test_errors_reach_another_process(again):
    """Whatever a worker raises, and all that was computed until then."""
    kinds = [kind for kind in vars(flows).values() if isinstance(kind, type)]
    for kind in kinds:
        if issubclass(kind, flows.FlowsError):
            extra = {flows.RunFailedError: ["all"], flows.NotScaleInvariantError: [0.5]}
            error = again(kind("what happened", *extra.get(kind, [])))
            assert type(error) is kind
            assert str(error) == "what happened"
    with pytest.raises(flows.RunFailedError) as caught:
        flows.iterate(quartic, jnp.array(3.0), flows.GradientDescent(0.5), 50)
    error = again(caught.value)
    assert str(error) == str(caught.value)
    assert error.partial.result == flows.RESULTS.diverged
    np.testing.assert_array_equal(error.partial.loss, caught.value.partial.loss)
    assert again(flows.NotScaleInvariantError("by", 0.5)).violation == 0.5
