"""Comparison in law: statistics, their errors, chunks, storage, the table and the picture."""

import json

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats
from helpers import Clock

import flows
import flows.plotting
from flows._errors import code_names
from flows.results._ensemble_comparison import _wasserstein

KEY = jr.key(11)
DATA = jnp.asarray(np.random.default_rng(5).normal(size=(6, 2)))


def loss(w, data):
    return jnp.mean(jnp.log(jnp.cosh(data @ w["w"] - w["b"])))


START = {"w": jnp.ones(2), "b": jnp.array(0.5)}


def compare(paths=60, steps=12, optimizer=None, models=None, **options):
    optimizer = flows.SGD(0.3, batch_size=2) if optimizer is None else optimizer
    models = [flows.StochasticModifiedFlow(1)] if models is None else models
    options = {"key": KEY, "args": DATA, **options}
    return flows.compare_in_law(loss, START, optimizer, models, steps, paths=paths, **options)


@pytest.fixture(scope="module")
def run():
    return compare()


def test_names_steps_and_times(run):
    assert run.iterates.names == ("loss", "params['b']", "params['w'][0]", "params['w'][1]")
    assert run.iterates.steps.tolist() == list(range(13))
    np.testing.assert_allclose(run.iterates.ts, 0.3 * np.arange(13), rtol=1e-14)
    assert run.iterates.values.shape == (60, 13, 4)
    np.testing.assert_allclose(run.iterates.values[:, 0, 1:], [[0.5, 1.0, 1.0]] * 60)
    assert run.successful
    assert run.message == "All 60 paths made all 12 steps."
    assert repr(run) == "<EnsembleComparison of StochasticModifiedFlow(1) over 60 paths>"


def test_paths_are_those_of_the_drivers(run):
    """The first path of each, by `iterate` and `solve` with the key that it was given."""
    keys = jr.split(KEY, 2)
    optimizer = flows.SGD(0.3, batch_size=2)
    first = jr.split(keys[0], 60)[0]
    alone = flows.iterate(loss, START, optimizer, 12, args=DATA, key=first)
    np.testing.assert_allclose(run.iterates.values[0, :, 0], alone.loss, rtol=1e-12)
    first = jr.split(keys[1], 60)[0]
    flow = flows.StochasticModifiedFlow(1)
    alone = flows.solve(loss, START, optimizer, flow, 12, args=DATA, key=first)
    there = run.flows["StochasticModifiedFlow(1)"].values[0, :, 0]
    np.testing.assert_allclose(there, alone.loss, rtol=1e-12)


def test_chunks_and_marks_change_nothing(run):
    again = compare(chunk=7, every=5)
    assert again.iterates.steps.tolist() == [0, 5, 10, 12]
    for one, two in (
        (run.iterates, again.iterates),
        *zip(run.flows.values(), again.flows.values(), strict=False),
    ):
        np.testing.assert_allclose(two.values, one.values[:, [0, 5, 10, 12]], rtol=1e-12)


def test_statistics(run):
    values = run.iterates.values
    np.testing.assert_allclose(run.iterates.mean, values.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(run.iterates.variance, values.var(axis=0, ddof=1), rtol=1e-10)
    sem = scipy.stats.sem(values, axis=0)
    np.testing.assert_allclose(run.iterates.mean_error, sem, rtol=1e-10, atol=1e-15)
    expected = np.quantile(values, [0.1, 0.5], axis=0)
    np.testing.assert_allclose(run.iterates.quantiles([0.1, 0.5]), expected, rtol=1e-12)
    theirs = run.flows["StochasticModifiedFlow(1)"].values
    for step, column in ((5, 0), (12, 3)):
        exact = scipy.stats.wasserstein_distance(values[:, step, column], theirs[:, step, column])
        found = run.distances["StochasticModifiedFlow(1)"][step, column]
        assert found == pytest.approx(exact, rel=1e-12)


def test_error_bars_cover():
    """Of variances: two standard errors hold the truth 95 times of 100, for normal numbers too."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(400, 1000, 1))  # each "step" is an experiment of 400 paths
    steps = np.arange(1000)
    ensemble = flows.Ensemble(steps, steps * 1.0, values, ("x",), ("successful",) * 400)
    for found, error, truth in (
        (ensemble.mean, ensemble.mean_error, 0),
        (ensemble.variance, ensemble.variance_error, 1),
    ):
        covered = np.mean(np.abs(found - truth) < 2 * error)
        assert covered == pytest.approx(0.954, abs=0.025)


def test_all_parts_of_a_run_are_independent():
    """Without curvature both orders are one equation, and only their numbers can differ."""
    run = flows.compare_in_law(
        lambda x: x,
        jnp.array(0.0),
        flows.SGD(0.5, noise=1.0),
        [flows.StochasticModifiedFlow(order) for order in (1, 2)],
        1,
        key=KEY,
        paths=400,
    )
    ends = [part.values[:, -1, 0] for part in (run.iterates, *run.flows.values())]
    assert np.abs(np.corrcoef(ends) - np.eye(3)).max() < 4 / np.sqrt(400)


def test_the_floor_is_what_equal_laws_show():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(2, 500, 400, 1))
    steps = np.arange(400)
    ensembles = [
        flows.Ensemble(steps, steps * 1.0, v, ("x",), ("successful",) * 500) for v in values
    ]
    both = flows.EnsembleComparison(ensembles[0], {"same": ensembles[1]}, ())
    ratio = both.distances["same"].mean() / both.distance_floor.mean()
    assert ratio == pytest.approx(1, abs=0.05)
    shifted = _wasserstein(values[0], values[0] + 0.3)
    np.testing.assert_allclose(shifted, 0.3, rtol=1e-12)


def test_the_floor_of_an_odd_number_of_paths_leaves_one_out():
    """The halves 0, 2 and 5, 1: sorted they are 1 and 3 apart."""
    values = np.array([0.0, 2.0, 5.0, 1.0, 9.0])[:, None, None]
    five = flows.Ensemble(np.zeros(1, int), np.zeros(1), values, ("x",), ("successful",) * 5)
    floor = flows.EnsembleComparison(five, {}, ()).distance_floor
    np.testing.assert_allclose(floor, [[2 / np.sqrt(2)]], rtol=1e-15)


def test_observing_something_else():
    def product(params):
        return params["w"][0] * params["b"]

    one = compare(paths=5, observe=product)
    assert one.iterates.names == ("product",)
    np.testing.assert_allclose(one.iterates.values[:, 0, 0], 0.5)
    two = compare(paths=5, observe=lambda params: [params["w"][0], params["w"][1]])
    assert two.iterates.names == ("observed[0]", "observed[1]")
    mixed = compare(paths=5, observe=lambda p: (p["b"], 2.0, 3, p["b"].astype(jnp.float32)))
    assert mixed.iterates.names == tuple(f"observed[{i}]" for i in range(4))
    np.testing.assert_allclose(mixed.iterates.values[0, 0, 1:3], [2.0, 3.0])


def test_many_parameters_are_not_observed():
    run = flows.compare_in_law(
        lambda x: jnp.sum(x**2),
        jnp.ones(20),
        flows.SGD(0.1, noise=1.0),
        [flows.StochasticModifiedFlow(2)],
        3,
        key=KEY,
        paths=3,
    )
    assert run.iterates.names == ("loss",)


def test_the_flow_of_a_mean_has_one_path():
    optimizer = flows.SGD(0.1, batch_size=2, sampling="reshuffling")
    run = compare(optimizer=optimizer, models=flows.ReshufflingFlow(), paths=400, steps=9)
    flow = run.flows["ReshufflingFlow"]
    assert flow.values.shape[0] == 1
    alone = flows.solve(loss, START, optimizer, flows.ReshufflingFlow(), 9, args=DATA)
    np.testing.assert_allclose(flow.values[0, :, 0], alone.loss, rtol=1e-8)
    np.testing.assert_allclose(flow.variance, 0, atol=1e-30)
    # At the ends of epochs it is the mean, to the third order in the epoch's time.
    gap = np.abs(flow.mean - run.iterates.mean)[[3, 6, 9]]
    assert (gap < 4 * run.iterates.mean_error[[3, 6, 9]] + 2e-4).all()


def test_paths_that_diverge():
    def quartic(x):
        return jnp.sum(x**4) / 4

    options = {"key": KEY, "paths": 50}
    optimizer = flows.SGD(0.5, noise=4.0)
    models = [flows.StochasticModifiedFlow(1)]
    with pytest.raises(flows.RunFailedError, match="of 50 paths stopped early: The loss or its gr"):
        flows.compare_in_law(quartic, jnp.array(1.0), optimizer, models, 30, **options)
    arguments = (quartic, jnp.array(1.0), optimizer, models, 30)
    run = flows.compare_in_law(*arguments, throw=False, **options)
    assert not run.successful
    failed = np.array([result == "diverged" for result in run.iterates.results])
    assert failed.sum() > 0
    assert run.iterates.alive[0] == 1
    assert run.iterates.alive[-1] == pytest.approx(1 - failed.mean())
    left = run.iterates.values[~failed, -1]
    if len(left):
        np.testing.assert_allclose(run.iterates.mean[-1], left.mean(axis=0))
    assert run.message in str(run)


@pytest.fixture
def parted():
    """Four paths of one number, of which two have stopped; and a flow all of whose are left."""
    steps = np.arange(2)
    values = np.array([[5.0, 1.0], [5.0, 3.0], [5.0, np.nan], [5.0, np.inf]])[..., None]
    results = ("successful", "successful", "sharpness_beyond_one", "diverged")
    iterates = flows.Ensemble(steps, 0.5 * steps, values, ("x",), results)
    whole = flows.Ensemble(steps, 0.5 * steps, np.ones((4, 2, 1)), ("x",), ("successful",) * 4)
    settings = {"optimizer": "SGD", "step time": "0.5", "parameters": "1", "paths": "4"}
    return flows.EnsembleComparison(
        iterates, {"whole": whole}, tuple({**settings, "dtype": "float64"}.items())
    )


def test_statistics_are_of_the_paths_that_are_left(parted):
    """Of 1 and 3: mean 2, unbiased variance 2, and the root of 2/2 as the error of the mean."""
    iterates = parted.iterates
    assert iterates.alive.tolist() == [1, 0.5]
    assert iterates.mean.tolist() == [[5], [2]]
    assert iterates.variance.tolist() == [[0], [2]]
    np.testing.assert_allclose(iterates.mean_error, [[0], [1]], rtol=1e-15)
    assert iterates.quantiles([0, 0.25, 1])[:, 1, 0].tolist() == [1, 1.5, 3]
    assert np.isnan(parted.distances["whole"][:, 0]).tolist() == [False, True]
    # Of squares about the mean, both 1, the fourth moment leaves no spread.
    row = "iterates  2.000e+00 +- 1.0e+00  2.000e+00 +- 0.0e+00"
    assert str(parted).splitlines()[3] == row
    assert "successful" not in parted.message
    assert "whole" not in parted.message
    for code in ("sharpness_beyond_one", "diverged"):
        sentence = flows.RESULTS[getattr(flows.RESULTS, code)]
        assert f"1 of 4 paths stopped early: {sentence}" in parted.message


def test_every_path_ends_after_loading_as_it_did_before(parted, tmp_path):
    again = flows.load(parted.save(tmp_path / "run"))
    assert again.iterates.results == parted.iterates.results
    assert again.flows["whole"].results == ("successful",) * 4
    assert again.iterates.names == ("x",)
    np.testing.assert_array_equal(again.iterates.values, parted.iterates.values)
    np.testing.assert_array_equal(again.iterates.ts, parted.iterates.ts)
    assert str(again) == str(parted)


def test_a_path_that_stopped_does_not_come_back():
    """It would have the luck to: the way to the last mark is the shorter one."""

    def cliff(x):
        return jnp.where(x > 0.4, 1.0, jnp.nan) * x**2 / 2

    run = flows.compare_in_law(
        cliff, jnp.array(0.7), flows.SGD(0.2, noise=1.0), flows.StochasticModifiedFlow(1), 5,
        key=KEY, paths=200, every=3, throw=False,
    )  # fmt: skip
    for part in (run.iterates, run.flows["StochasticModifiedFlow(1)"]):
        finite = np.isfinite(part.values).all(axis=-1)
        assert 0 < finite[:, -1].sum() < finite[:, 1].sum() < 200
        assert (finite[:, 1:] <= finite[:, :-1]).all()
        assert [result == "successful" for result in part.results] == finite[:, -1].tolist()


def test_why_paths_stopped_is_said():
    """Beyond h lambda = 1, at 1.2, there is no principal flow; the optimizer does not mind."""
    run = flows.compare_in_law(
        lambda x: x**2,
        jnp.array(1.0),
        flows.SGD(0.6, noise=1.0),
        [flows.StochasticModifiedFlow("principal", substeps=1)],
        1,
        key=KEY,
        paths=2,
        throw=False,
    )
    flow = run.flows["StochasticModifiedFlow(principal)"]
    assert run.iterates.successful
    assert flow.results == ("sharpness_beyond_one",) * 2
    assert "learning rate times the sharpness is 1 or more" in flow.message
    assert np.isnan(flow.values[:, 1]).all()


def test_saving(run, tmp_path):
    again = flows.load(run.save(tmp_path / "run"))
    assert isinstance(again, flows.EnsembleComparison)
    assert str(again) == str(run)
    assert again.settings == run.settings
    np.testing.assert_array_equal(again.iterates.values, run.iterates.values)
    assert again.iterates.results == run.iterates.results


def test_table_and_summary(run):
    lines = str(run).splitlines()
    assert lines[0] == "SGD, step time 0.3, 12 steps, 60 paths; 3 parameters, float64"
    assert lines[2].split() == ["loss", "mean", "variance", "distance", "(equal", "laws)"]
    assert lines[3].startswith("iterates")
    assert lines[4].startswith("StochasticModifiedFlow(1)")
    summary = json.loads(json.dumps(run.summary()))
    mean = summary["iterates"]["params['b']"]["mean"]
    assert mean == pytest.approx(run.iterates.mean[-1, 1])
    assert f"{mean:.3e}" in str(run)


def test_picture(run, nothing_left_of_pictures):
    ax = run.plot()
    assert ax.get_ylabel() == "params['w'][1]"
    assert run.plot(ax, of="loss") is ax
    means = [part.mean[:, 0] for part in (run.iterates, *run.flows.values())]
    ax = flows.plotting.plot_ensembles(run, of="loss")
    drawn = [line.get_ydata() for line in ax.lines if not line.get_label().startswith("_")]
    np.testing.assert_array_equal(drawn, means)
    labels = [text.get_text() for text in flows.plotting.plot_ensembles(run).get_legend().texts]
    assert labels == ["SGD, mean and middle 80 %", "StochasticModifiedFlow(1)"]
    with pytest.raises(flows.InvalidOptionError, match="of must be one of 'loss', "):
        flows.plotting.plot_ensembles(run, of="speed")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key": None}, "SGD draws random numbers, so it needs a key"),
        ({"paths": 1}, "paths must be an integer >= 2, got 1"),
        ({"every": 0}, "every must be an integer >= 1, got 0"),
        ({"chunk": 0}, "chunk must be an integer >= 1, got 0"),
        ({"observe": 3}, "observe must be a function of the parameters, got 3"),
        ({"observe": lambda p: jnp.ones((2, 2))}, r"got shape \(2, 2\), float64"),
        ({"observe": lambda p: jnp.array(1)}, r"got shape \(\), int64\. Write for example"),
        ({"observe": lambda p: p["w"][:0]}, r"got none at all\. Write for example"),
        ({"observe": lambda p: []}, "got none at all"),
        ({"observe": lambda p: p}, "got a dict"),
        ({"observe": lambda p: None}, "got a NoneType"),
        ({"observe": lambda p: "b"}, "got a str"),
        ({"observe": lambda p: [p["b"], "b"]}, "got a list with something else in it"),
        (
            {"observe": lambda p: [p["b"], p["w"]]},
            r"a list of shapes \[\(\), \(2,\)\]: use jnp\.conc",
        ),
        ({"observe": lambda p: (p["b"], 1j)}, "got a tuple with a complex number in it"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(flows.InvalidOptionError, match=message):
        compare(**options)


def test_each_comparison_names_the_other():
    flow = flows.StochasticModifiedFlow(1)
    with pytest.raises(flows.InvalidOptimizerError, match=r"flows\.compare_in_law\(loss, params"):
        flows.compare(loss, START, flows.SGD(0.3, batch_size=2), flow, 3, args=DATA)
    descent = flows.GradientDescent(0.3)
    with pytest.raises(flows.InvalidOptimizerError, match=r"no law: use flows\.compare\("):
        flows.compare_in_law(loss, START, descent, flows.GradientFlow(), 3, args=DATA, key=KEY)


def test_a_second_comparison_compiles_nothing(run, caplog):
    del run  # the first one
    with jax.log_compiles():
        compare(key=jr.key(12))
    assert not [r for r in caplog.records if "_paths" in r.getMessage()]


def test_a_wrong_solver_is_refused_before_any_path():
    seen = []

    def watched(params):
        jax.debug.callback(lambda: seen.append(1))
        return params["b"]

    with pytest.raises(flows.InvalidSolverError, match="must be an explicit one of diffrax"):
        compare(solver="Euler", observe=watched)
    assert not seen


def test_not_under_a_transformation():
    with pytest.raises(flows.InvalidOptionError, match="works in chunks on the host"):
        jax.jit(lambda key: compare(key=key).iterates.values)(KEY)


def test_every_result_code_can_be_saved():
    """Also those of flows that came later."""
    for name in flows.RESULTS._name_to_item:  # pyright: ignore[reportAttributeAccessIssue]
        assert code_names(getattr(flows.RESULTS, name)) == (name,)


class NoisyClock(flows.AbstractPointFlow, flows.AbstractStochasticFlow):
    """Beside it one of its drift, and no noise at all."""

    substeps: int = 3

    @property
    def name(self):
        return "NoisyClock"

    def refusal(self, optimizer):
        return None

    def velocity(self, problem, at, y):
        return Clock().velocity(problem, at, y)

    def draw(self, problem, at, y, key):
        return jnp.zeros_like(y)

    def diffusion(self, problem, at, y, draws):
        return draws


@pytest.mark.parametrize("mode", ["trajectory", "per_step"])
def test_a_flow_that_draws_is_not_compared_with_one_path(mode):
    with pytest.raises(flows.IncompatibleFlowError, match="NoisyClock draws random numbers"):
        flows.compare(jnp.sum, jnp.zeros(1), flows.GradientDescent(0.1), NoisyClock(), 2, mode=mode)


@pytest.mark.parametrize("every", [1, 3, 4])
def test_a_field_is_told_the_time_since_the_start(every):
    """y' = t is at t^2 / 2: in law, however far apart one looks, and along a noisy path."""
    arguments = (lambda x: jnp.sum(x**2), jnp.zeros(1), flows.SGD(0.25, noise=1.0))
    run = flows.compare_in_law(
        *arguments, [Clock(), NoisyClock()], 8, key=KEY, paths=2, every=every
    )
    for flow in run.flows.values():
        at = flow.values[:, :, run.iterates.names.index("params[0]")]
        np.testing.assert_allclose(at, np.broadcast_to(flow.ts**2 / 2, at.shape), rtol=1e-9)
    alone = flows.solve(*arguments, NoisyClock(), 8, key=KEY)
    np.testing.assert_allclose(alone.params[:, 0], alone.ts**2 / 2, rtol=1e-12)
