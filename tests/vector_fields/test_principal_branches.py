"""One dimension past h * lambda = 1: the branches of the logarithm, and what |Im theta| tells."""

import dataclasses

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import flows
from flows.plotting import plot_indicator

CONTINUED = flows.PrincipalFlow(curvature=flows.Dense())


def landscape(x, weights):
    """-cos x, log cosh x, the double well (x^2 - 1)^2 / 4 and x^4 / 4, weighted."""
    a, b, c, d = weights
    return -a * jnp.cos(x) + b * jnp.log(jnp.cosh(x)) + c * (x**2 - 1) ** 2 / 4 + d * x**4 / 4


COSINE, LOG_COSH, WELL, QUARTIC = np.eye(4)
# loss, start, learning rate, then one step of: descent, the continued branch, the principal one,
# the real one (None where the path chatters and the print is of one way to integrate it).
TABLE = [
    (COSINE, 0.5, 1.5, -0.219138, -0.238751 + 0.010998j, 0.245266j, 0.201834),
    (COSINE, 1.0, 2.5, -1.103677, -1.334162 + 1.127746j, 1.341359j, 0.696209),
    (LOG_COSH, 0.3, 1.5, -0.136969, -0.145446 + 0.004588j, 0.148689j, 0.128568),
    (LOG_COSH, 0.3, 2.5, -0.428282, -0.465312 - 0.016680j, 0.463836j, 0.375711),
    (WELL, 1.2, 0.6, 0.883200, 0.973118 + 0.240988j, 1.198202, 1.198165),
    # The real path crosses the singularity: by mpmath's quadrature of dt = dx / f(x).
    (QUARTIC, 1.0, 0.5, 0.500000, 0.872680 + 0.308089j, 0.622955, 0.622950446),
    (QUARTIC, 1.0, 0.6, 0.400000, 0.952755 + 0.593479j, 0.816429, 0.816330),
]
# The rows in which the path meets the continued branch's cut and slides along it.
SLIDING = np.array([1, 4, 5, 6])


def one_step(flow, **options):
    """Of every row of the table: where descent and the flow end."""

    def step(weights, start, rate):
        run = flows.compare(
            landscape,
            start,
            flows.GradientDescent(rate),
            flow,
            1,
            args=weights,
            throw=False,
            **options,
        )
        return run.iterates.final_params, run.trajectories[flow.name].final_params

    columns = [jnp.asarray(np.array([row[place] for row in TABLE])) for place in range(3)]
    descent, end = jax.jit(jax.vmap(step))(*columns)
    assert np.asarray(descent) == pytest.approx(np.array([row[3] for row in TABLE]), abs=1e-6)
    return np.asarray(end)


def test_the_continued_branch_takes_one_step():
    end, printed = one_step(CONTINUED), np.array([row[4] for row in TABLE])
    smooth = np.setdiff1d(np.arange(len(TABLE)), SLIDING)
    assert np.abs(end - printed)[smooth].max() < 1e-6
    # On the cut the flow is rounded off within two thousandths of a radian.
    assert np.abs(end - printed)[SLIDING].max() < 2e-3


def test_the_real_branch_takes_one_step():
    # By hand, since the drivers ask it for every second step only.
    flow = flows.PrincipalFlow("real", curvature=flows.Dense())

    @jax.jit
    @jax.vmap
    def step(weights, start, rate):
        problem = flows.Problem(flows.Objective(landscape, weights), flows.GradientDescent(rate))
        return dfx.diffeqsolve(
            dfx.ODETerm(flow.vector_field(problem)),
            dfx.Dopri8(),
            0.0,
            rate,
            None,
            start,
            stepsize_controller=dfx.PIDController(rtol=1e-11, atol=1e-11),
        ).ys[0]

    end = step(*(jnp.asarray(np.array([row[place] for row in TABLE])) for place in range(3)))
    assert np.asarray(end) == pytest.approx(np.array([row[6] for row in TABLE]), abs=2e-6)


def test_the_principal_branch_chatters_as_published():
    # Explicit Euler with small constant steps, as in the paper's code: where both sides of the cut
    # push towards it, the path is that of the real branch; otherwise it sticks to Re x = 0.
    options = {
        "solver": dfx.Euler(),
        "stepsize_controller": dfx.ConstantStepSize(),
        "dt0": 1 / 16_000,
    }
    end = one_step(flows.PrincipalFlow("principal", curvature=flows.Dense()), **options)
    printed = np.array([row[5] for row in TABLE], complex)
    # Chattering leaves an error of about one Euler step.
    assert np.abs(end - printed).max() < 2e-3


@pytest.mark.parametrize(
    ("mode", "max_steps", "bound"),
    [
        ("trajectory", 300, 300),
        pytest.param("per_step", None, 2048, marks=pytest.mark.slow),
    ],
)
def test_chattering_is_bounded_and_says_so(mode, max_steps, bound):
    run = flows.compare(
        landscape,
        jnp.array(1.0),
        flows.GradientDescent(0.5),
        [flows.PrincipalFlow("principal"), flows.GradientFlow()],
        5,
        args=QUARTIC,
        mode=mode,
        max_steps=max_steps,
        throw=False,
    )
    flow = run.trajectories["PrincipalFlow(principal)"]
    assert flow.result == flows.RESULTS.max_steps_reached
    assert bound <= int(flow.cost.steps) < 1.05 * bound
    assert "Stopped after step 0 of 5" in flow.message
    assert run.trajectories["GradientFlow"].successful


@pytest.mark.slow
def test_long_runs_follow_and_then_leave():
    def run(weights, start, rate):
        return flows.compare(
            landscape, start, flows.GradientDescent(rate), CONTINUED, 8, args=weights, throw=False
        )

    followed = run(LOG_COSH, jnp.array(0.3), 1.5)
    assert followed.successful
    printed = [-0.1454 + 0.0046j, 0.0722 - 0.0028j, -0.0360 + 0.0014j, 0.0180 - 0.0007j]
    flow = np.asarray(followed.trajectories["PrincipalFlow"].params)
    assert flow[1:5] == pytest.approx(np.array(printed), abs=6e-5)

    left = run(COSINE, jnp.array(0.5), 2.2)
    flow = np.asarray(left.trajectories["PrincipalFlow"].params)
    printed = [-0.6117 - 0.0130j, 0.7537 + 0.0459j, -0.9207 - 0.1311j, 1.2033 - 0.7092j]
    assert flow[1:4] == pytest.approx(np.array(printed[:3]), abs=6e-5)
    assert flow[4] == pytest.approx(printed[3], abs=2e-3)
    # It runs off along the imaginary axis, where the indicator has long said so.
    imaginary = np.asarray(left.trajectories["PrincipalFlow"].diagnostics["imaginary_part"])
    assert imaginary[8] > 40 > 1 > imaginary[3] > 10 * imaginary[1]


def test_a_run_into_a_pole_ends_with_what_it_had():
    run = flows.compare(
        landscape,
        jnp.array(0.3),
        flows.GradientDescent(2.5),
        CONTINUED,
        8,
        args=LOG_COSH,
        max_steps=2000,
        throw=False,
    )
    flow = run.trajectories["PrincipalFlow"]
    assert not flow.successful
    last = int(flow.last_step)
    assert 3 <= last < 8
    assert np.isfinite(np.asarray(run.errors["PrincipalFlow"])[: last + 1]).all()
    assert np.isnan(np.asarray(run.errors["PrincipalFlow"])[last + 1 :]).all()
    assert f"Stopped after step {last} of 8" in flow.message
    assert int(flow.cost.steps) <= 2000


@pytest.fixture(scope="module")
def random_steps():
    """One step from 120 random starts with h * lambda in (1.15, 2.3)."""
    rng = np.random.default_rng(0)
    z = rng.uniform(1.15, 2.3, 120)
    kind = np.repeat([0, 1, 2], 40)
    low, high = np.array([[0.2, 0.2, 0.8], [1.2, 1.0, 1.5]])[:, kind]
    start = rng.uniform(low, high)
    curvature = np.choose(kind, [np.cos(start), np.cosh(start) ** -2, 3 * start**2 - 1])

    def step(weights, start, rate):
        run = flows.compare(
            landscape, start, flows.GradientDescent(rate), CONTINUED, 1, args=weights, throw=False
        )
        flow = run.trajectories["PrincipalFlow"]
        return run.errors["PrincipalFlow"][1], flow.diagnostics["imaginary_part"][1]

    arguments = (np.eye(4)[kind], start, z / curvature)
    error, imaginary = jax.jit(jax.vmap(step))(*map(jnp.asarray, arguments))
    return np.asarray(error), np.asarray(imaginary)


def test_the_imaginary_part_indicates_the_error(random_steps):
    error, imaginary = random_steps
    assert np.isfinite(error).all()
    rank = scipy.stats.spearmanr(error, imaginary).statistic
    assert rank >= 0.85
    # It is what the model owes at least: descent is real.
    assert (error >= imaginary * (1 - 1e-9)).all()
    assert 1 < np.median(error / imaginary) < 2


@pytest.mark.usefixtures("nothing_left_of_pictures")
def test_the_indicator_as_a_picture():
    run = flows.compare(
        landscape,
        jnp.array(0.5),
        flows.GradientDescent(1.5),
        [CONTINUED, flows.GradientFlow()],
        8,
        args=COSINE,
        mode="per_step",
    )
    ax = plot_indicator(run)
    error = np.asarray(run.errors["PrincipalFlow"])[1:]
    imaginary = np.asarray(run.trajectories["PrincipalFlow"].diagnostics["imaginary_part"])[1:]
    (points,) = ax.collections  # the gradient flow has none
    assert np.asarray(points.get_offsets()) == pytest.approx(np.stack([imaginary, error], axis=1))
    rank = scipy.stats.spearmanr(error, imaginary).statistic
    assert ax.get_legend().get_texts()[0].get_text().endswith(f"{rank:.2f}")

    real = {"GradientFlow": run.trajectories["GradientFlow"]}
    with pytest.raises(flows.InvalidOptionError, match="no flow in this comparison has an imagin"):
        plot_indicator(dataclasses.replace(run, trajectories=real))
