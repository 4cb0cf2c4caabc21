"""The default step-size control, and the value of the error estimate that a run reports."""

import math
from typing import Any

import diffrax as dfx
import equinox as eqx
import jax.numpy as jnp
import pytest
from helpers import assert_close

import flows

FLOW = flows.GradientFlow()
COPIES = 100  # of one problem: what is measured in root mean square is that of one


def parabola(x):
    return jnp.sum(x**2) / 2


def test_the_estimate_is_the_sum_over_the_steps_of_the_solver(windows_of):
    """Heun's method on x' = -x differs from Euler's by dt^2 x / 2 in a step."""
    windows_of(2)
    h = 2e-8  # dt^2 / 2 is then less than the rounding that is allowed: one step of the solver each
    run = flows.solve(
        parabola, jnp.ones(COPIES), flows.GradientDescent(h), FLOW, 6, solver=dfx.Heun()
    )
    assert int(run.cost.accepted) == 6
    # The difference is one of numbers that agree to 2e-8: its rounding is 1e-8 of it.
    expected = COPIES**0.5 * 6 * h**2 / 2
    assert float(run.cost.integration_error) == pytest.approx(expected, rel=1e-6, abs=0)


def test_the_estimate_with_a_controller_of_ones_own():
    """The accepted steps times the tolerance, which is one of the root mean square."""
    for rtol, atol in ((0.0, 1e-6), (1e-6, 0.0)):
        run = flows.solve(
            parabola,
            jnp.ones(COPIES),
            flows.GradientDescent(1.0),
            FLOW,
            2,
            solver=dfx.Bosh3(),
            stepsize_controller=dfx.PIDController(rtol=rtol, atol=atol),
            dt0=0.5,  # too long for the first step
        )
        assert int(run.cost.rejected) > 0
        # Relative to the start, which is the largest point of the run.
        expected = int(run.cost.accepted) * 1e-6 * COPIES**0.5
        assert float(run.cost.integration_error) == pytest.approx(expected, rel=1e-12)


def ending(x, unit):
    """The flow x' = 1 + 3/2 sqrt(1 - x) gets to 1, after 4/3 - 8/9 log(5/2) = 0.52, and no further.

    So where the loss is measured in this unit.
    """
    return unit * jnp.sum((1 - x) ** 1.5 - x)


def test_the_steps_of_the_solver_do_not_depend_on_the_unit_of_the_loss():
    h = 0.1
    runs = [
        flows.solve(
            ending,
            jnp.zeros(1),
            flows.GradientDescent(h / unit),
            FLOW,
            8,
            args=jnp.asarray(unit),
            throw=False,
        )
        for unit in (2.0**-10, 1.0, 2.0**10)  # powers of two, which round to nothing
    ]
    for run in runs:
        # Given up after as many steps, too.
        assert run.result == flows.RESULTS.flow_ended
        assert int(run.last_step) == 5
        assert_close(run.params, runs[1].params, rtol=1e-15)
        assert_close(run.cost, runs[1].cost, rtol=1e-15)
    # Of the steps that were rejected, there at the end, the estimate says nothing: no accepted one
    # has an error above 1e-11 of the optimizer's step, where it is longest, and rounding.
    assert int(run.cost.rejected) > 0
    most = int(run.cost.accepted) * (1e-11 * 2.5 * h + 1e-15)
    assert 0 < float(run.cost.integration_error) <= most


class Average(eqx.Module):
    """A state of two units, as a user may write one."""

    w: Any
    nu: Any
    empty: Any  # a part without numbers, as is the next
    spare: Any = None


class Memory(flows.AbstractFlow):
    """``w' = -12 w`` beside ``nu' = s``, which knows nothing of `w`."""

    slope: Any
    as_dict: bool = eqx.field(static=True, default=False)

    @property
    def name(self):
        return "Memory"

    def refusal(self, optimizer):
        return None

    def start(self, problem, state, at):
        params = problem.optimizer.params(state)
        nu = jnp.zeros((), params.dtype)
        return {"nu": nu, "w": params} if self.as_dict else Average(params, nu, params[:0])

    def velocity(self, problem, at, y):
        h = problem.optimizer.learning_rate.astype(at.part.dtype)
        slope = h * self.slope.astype(h.dtype)
        if self.as_dict:
            return {"nu": slope, "w": -12 * h * y["w"]}
        return Average(-12 * h * y.w, slope, y.empty)

    def params(self, problem, at, y):
        return y["w"] if self.as_dict else y.w

    def report(self, problem, at, y, iterate=None):
        return {"nu": y["nu"] if self.as_dict else y.nu}


@pytest.mark.parametrize("as_dict", [False, True])
def test_a_fast_part_in_other_units_excuses_no_error(as_dict):
    """Three steps of 1/2 from (1, 2): exp(-18) of it, whatever the slope of the other part is."""
    start, exact = jnp.array([1.0, 2.0]), math.exp(-18) * jnp.array([1.0, 2.0])

    def worst(slope, dtype):
        run = flows.solve(
            parabola,
            start.astype(dtype),
            flows.GradientDescent(0.5),
            Memory(jnp.asarray(slope), as_dict),
            3,
        )
        assert float(run.diagnostics["nu"][-1]) == pytest.approx(1.5 * slope, rel=1e-6)
        return float(jnp.max(jnp.abs(run.final_params.astype(float) / exact - 1)))

    for dtype, most in ((jnp.float64, 1e-7), (jnp.float32, 1e-2)):
        errors = [worst(slope, dtype) for slope in (0.0, 1.0, 1e4, 1e8)]
        assert max(errors) < most
        assert max(errors) <= 2 * min(errors)
