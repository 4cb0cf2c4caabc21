"""The table, the summary, saving and loading."""

import dataclasses
import json

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from helpers import assert_close, by_hand, quartic, rosenbrock

import flows

BOTH = (flows.GradientFlow(), flows.ModifiedFlow(order=2))
DESCENT = flows.GradientDescent(1e-3)


@pytest.fixture(scope="module")
def run():
    return flows.compare(rosenbrock, jnp.array([-0.5, 0.5]), DESCENT, BOTH, 8)


@pytest.fixture(scope="module")
def failed():
    return flows.compare(
        quartic, jnp.array([3.0]), flows.GradientDescent(0.5), BOTH, 20, throw=False
    )


def test_summary(run):
    summary = json.loads(json.dumps(run.summary()))
    assert summary["mode"] == "trajectory"
    assert summary["settings"]["optimizer"] == "GradientDescent"
    assert summary["settings"]["parameters"] == "2"
    assert summary["settings"]["dtype"] == "float64"
    assert summary["settings"]["jax"] == jax.__version__
    assert summary["iterates"]["result"] == "successful"
    assert summary["iterates"]["final_loss"] == float(run.iterates.loss[-1])
    numbers = summary["flows"]["ModifiedFlow(2)"]
    error = np.asarray(run.errors["ModifiedFlow(2)"])
    assert numbers["final_error"] == error[-1]
    assert numbers["max_error"] == error.max()
    relative = np.asarray(run.relative_errors["ModifiedFlow(2)"])[1:]
    assert numbers["median_relative_error"] == pytest.approx(np.median(relative), rel=1e-14)
    assert 0 < numbers["integration_error"] < 0.1 * numbers["max_error"]


def test_the_printed_table(run):
    lines = str(run).splitlines()
    assert lines[0] == (
        "GradientDescent, step time 0.001, 8 steps, mode trajectory; 2 parameters, float64"
    )
    titles = "final error  largest error  median relative  integration  final loss  result"
    assert lines[2].split() == titles.split()
    assert [line.split()[0] for line in lines[3:]] == [
        "iterates",
        "GradientFlow",
        "ModifiedFlow(2)",
    ]
    assert f"{float(run.errors['GradientFlow'][-1]):.3e}" in lines[4]
    assert all(line.endswith("successful") for line in lines[3:])
    assert len({len(line) for line in lines[3:]}) == 1


def test_the_table_marks_where_the_solver_is_not_accurate_enough():
    import diffrax as dfx

    loose = flows.compare(
        rosenbrock,
        jnp.array([-0.5, 0.5]),
        DESCENT,
        BOTH,
        8,
        stepsize_controller=dfx.PIDController(rtol=1e-2, atol=1e-2),
    )
    assert " * " in str(loose).splitlines()[4]
    assert "pass a tighter stepsize_controller" in str(loose)


def test_last_and_largest_error_stand_in_their_columns():
    """The last is that of the last step that was reached; errors are over the path so far."""
    run = by_hand([0.0, 3.0, 1.0, np.nan], result="flow_ended", error=0.2)
    numbers = run.summary()["flows"]["GradientFlow"]
    assert (numbers["final_error"], numbers["max_error"]) == (1, 3)
    assert numbers["median_relative_error"] == pytest.approx((3 / 1 + 1 / 3) / 2)
    heads, row = str(run).splitlines()[2], str(run).splitlines()[4]
    for title, cell in (
        ("final error", "1.000e+00"),
        ("largest error", "3.000e+00"),
        ("median relative", "1.667e+00"),
        ("integration", "2.000e-01"),
    ):
        end = heads.index(title) + len(title)
        assert row[:end].endswith(cell), (title, row)


@pytest.mark.parametrize(("error", "marked"), [(0.29, False), (0.31, True)])
def test_a_solver_is_marked_from_a_tenth_of_the_largest_error_on(error, marked):
    run = by_hand([0.0, 3.0, 1.0, 1.0], error=error)
    assert ("pass a tighter stepsize_controller" in str(run)) == marked


def test_the_table_of_a_failed_run(failed):
    text = str(failed)
    assert "stopped after step 5" in text
    assert failed.message in text
    assert failed.summary()["iterates"]["final_loss"] == float(failed.iterates.loss[5])
    assert repr(failed) == (
        "<Comparison of GradientFlow, ModifiedFlow(2) over 20 steps, mode 'trajectory'>"
    )


def assert_same_run(loaded, run):
    """All but what was run, of which a file has the words."""
    assert loaded.settings == run.settings
    without = [dataclasses.replace(each, ran={}) for each in (loaded, run)]
    assert_close(*without, rtol=0)


@pytest.mark.parametrize("which", ["run", "failed"])
def test_what_is_saved_can_be_loaded(which, request, tmp_path):
    run = request.getfixturevalue(which)
    path = run.save(tmp_path / "run")
    assert path == tmp_path / "run.npz"
    again = flows.load(path)
    assert_same_run(again.iterates, run.iterates)
    for name, trajectory in run.trajectories.items():
        assert_same_run(again.trajectories[name], trajectory)
    assert_close(again.errors, run.errors, rtol=0)
    assert again.mode == run.mode
    assert again.settings == run.settings
    assert again.message == run.message
    assert str(again) == str(run)


def test_every_end_comes_back_from_a_file(run, tmp_path):
    """A comparison that failed in part: each flow with a code of its own."""
    codes = [getattr(flows.RESULTS, name) for name in flows.RESULTS._name_to_item]
    flow = run.trajectories["GradientFlow"]
    ended = {
        str(place): eqx.tree_at(
            lambda t: (t.result, t.last_step), flow, (code, jnp.asarray(place % 9))
        )
        for place, code in enumerate(codes)
    }
    parted = flows.Comparison(
        run.iterates, ended, dict.fromkeys(ended, run.errors["GradientFlow"]), "per_step", ()
    )
    again = flows.load(parted.save(tmp_path / "run"))
    assert again.iterates.successful
    assert len(codes) == 23
    for (name, part), code in zip(again.trajectories.items(), codes, strict=True):
        assert bool(part.result == code)
        assert part.message == ended[name].message
    assert again.message == parted.message


def test_a_trajectory_can_be_saved_too(run, tmp_path):
    again = flows.load(run.iterates.save(tmp_path / "iterates"))
    assert isinstance(again, flows.Trajectory)
    assert_same_run(again, run.iterates)


def test_the_file_is_numpy_and_json(run, tmp_path):
    with np.load(run.save(tmp_path / "run.npz"), allow_pickle=False) as archive:
        metadata = json.loads(str(archive["metadata"]))
        assert archive["error0"].shape == (9,)
    assert metadata["settings"]["descentflows"] == flows.__version__
    assert metadata["flows"] == ["GradientFlow", "ModifiedFlow(2)"]


def test_parameters_of_containers_come_back_as_they_were(tmp_path):
    start = {"b": [jnp.ones(2), None], "a": (jnp.array(0.5), {"c": jnp.zeros((2, 1))})}
    run = flows.compare(lambda p: jnp.sum(p["b"][0] ** 2) + p["a"][0] ** 2, start, DESCENT, BOTH, 2)
    again = flows.load(run.save(tmp_path / "run"))
    assert_close(again.iterates.params, run.iterates.params, rtol=0)
    assert_close(again.iterates.final_params, run.iterates.final_params, rtol=0)


def test_parameters_of_a_module_need_its_structure(tmp_path):
    model = eqx.nn.Linear(2, 1, key=jr.key(0))
    run = flows.compare(
        lambda m: jnp.sum(m(jnp.ones(2)) ** 2), model, DESCENT, BOTH, 2, save_params=False
    )
    path = run.save(tmp_path / "run")
    plain = flows.load(path)
    assert plain.iterates.params is None
    assert list(plain.iterates.final_params) == [".weight", ".bias"]
    whole = flows.load(path, like=model)
    assert isinstance(whole.iterates.final_params, eqx.nn.Linear)
    assert_close(whole.iterates.final_params.weight, run.iterates.final_params.weight, rtol=0)
    with pytest.raises(flows.StorageError, match="Pass parameters of the structure that was saved"):
        flows.load(path, like={"weight": jnp.ones(2)})


def test_like_has_the_shapes_that_were_saved(run, tmp_path):
    path = run.iterates.save(tmp_path / "run")
    assert flows.load(path, like=jnp.zeros(2)).params.shape == (9, 2)
    for other in (jnp.zeros(3), jnp.zeros((2, 1)), jnp.zeros(())):
        message = r"leaf params of like has shape .* but that in the file has \(2,\)\. Pass"
        with pytest.raises(flows.StorageError, match=message):
            flows.load(path, like=other)


def test_double_precision_is_not_cut_on_reading(run, tmp_path):
    """Neither of a trajectory, nor of a comparison, nor of a report."""
    report = flows.track(rosenbrock, run.iterates, learning_rate=1e-3, k=1, every=4)
    saved = [
        part.save(tmp_path / name)
        for name, part in (("run", run), ("iterates", run.iterates), ("report", report))
    ]
    with jax.enable_x64(False):
        for path in saved:
            with pytest.raises(flows.StorageError, match=r'float64.*"jax_enable_x64", True'):
                flows.load(path)
        small = flows.compare(
            rosenbrock, jnp.ones(2), flows.GradientDescent(1e-3), flows.GradientFlow(), 2
        )
        again = flows.load(small.save(tmp_path / "small"))
        assert_same_run(again.iterates, small.iterates)
        assert again.iterates.loss.dtype == np.float32
    # The other way round nothing is lost: it stays in single precision.
    assert flows.load(tmp_path / "small.npz").iterates.loss.dtype == np.float32


def test_load_refuses_other_files(tmp_path):
    np.savez(tmp_path / "other.npz", x=np.ones(2))
    (tmp_path / "text.npz").write_text("no archive")
    (tmp_path / "empty.npz").write_bytes(b"")
    later = json.dumps({"format": "descentflows-2", "kind": "Trajectory", "parts": []})
    np.savez(tmp_path / "later.npz", metadata=np.asarray(later))
    for name in ("other.npz", "text.npz", "empty.npz", "later.npz"):
        with pytest.raises(flows.StorageError, match="not written by this version"):
            flows.load(tmp_path / name)
    unknown = json.dumps({"format": "descentflows-1", "kind": "Recipe"})
    np.savez(tmp_path / "unknown.npz", metadata=np.asarray(unknown))
    with pytest.raises(flows.StorageError, match="holds a Recipe, which this version"):
        flows.load(tmp_path / "unknown.npz")
    damaged = json.dumps({"format": "descentflows-1", "kind": "Comparison"})
    np.savez(tmp_path / "damaged.npz", metadata=np.asarray(damaged))
    with pytest.raises(flows.StorageError, match=r"damaged, or of a later version.* 'parts'"):
        flows.load(tmp_path / "damaged.npz")
    with pytest.raises(FileNotFoundError):
        flows.load(tmp_path / "missing.npz")


def test_a_batch_is_refused(tmp_path):
    runs = jax.vmap(lambda x: flows.compare(quartic, x, DESCENT, BOTH, 2))(jnp.ones((2, 1)))
    for call in (str, flows.Comparison.summary, lambda runs: runs.save(tmp_path / "runs")):
        with pytest.raises(flows.InvalidOptionError, match=r"jax\.tree\.map\(lambda x: x\[0\]"):
            call(runs)
    assert runs.successful
    ended, made = flows.RESULTS.diverged, flows.RESULTS.successful
    codes = jax.vmap(lambda one: flows.RESULTS.where(one, ended, made))(jnp.array([True, False]))
    mixed = eqx.tree_at(lambda run: run.iterates.result, runs, codes)
    with pytest.raises(flows.InvalidOptionError, match="this is a batch of runs"):
        _ = mixed.message
    assert str(jax.tree.map(lambda x: x[0], runs))


def test_codes_have_sentences(failed):
    assert failed.iterates.sentence.startswith("The loss or its gradient is no longer")
    assert "blows up here" in flows.RESULTS[flows.RESULTS.flow_ended]
    assert failed.iterates.result != flows.RESULTS.successful


def test_a_notebook_shows_one_line():
    loss, start, rate = lambda x: jnp.sum(x**4) / 4, jnp.ones(2), flows.GradientDescent(0.5)
    run = flows.solve(loss, start, rate, flows.ModifiedFlow(3), 2)
    assert repr(run) == "<Trajectory: All 2 steps were made.>"
    assert run.settings["flow"] == "ModifiedFlow(order=3)"
    limit = flows.classify_limit(loss, start, rate)
    assert repr(limit) == f"<Limit: {limit}>"

    def batch(h):
        return flows.iterate(loss, h * start, flows.GradientDescent(0.5), 2, throw=False)

    runs = jax.vmap(batch)(jnp.array([1.0, 1e60]))
    assert repr(runs) == "<Trajectory of a batch>"
    seen = []
    jax.jit(lambda h: seen.append(repr(batch(h))))(jnp.ones(()))
    assert seen == ["<Trajectory, traced>"]


def test_a_run_says_what_was_run(tmp_path):
    """Options of optimizer, flow and solver, in the file too."""
    run = flows.compare(
        lambda x: jnp.sum(x**4) / 4,
        jnp.ones(2),
        flows.RMSProp(0.01, eps=1e-3),
        flows.CentralFlow(substeps=2),
        2,
        stepsize_controller=dfx.PIDController(rtol=1e-5, atol=1e-7),
        max_steps=99,
    )
    for result in (run, flows.load(run.save(tmp_path / "run"))):
        assert result.iterates.settings == {"optimizer": "RMSProp(learning_rate=0.01, eps=0.001)"}
        assert result.trajectories["CentralFlow"].settings == {
            "flow": "CentralFlow(substeps=2)",
            "method": "OwnSteps()",
        }
    controller = dfx.PIDController(rtol=1e-5, atol=1e-7)
    alone = flows.solve(
        *(quartic, jnp.ones(2), flows.GradientDescent(0.1), flows.GradientFlow(), 2),
        stepsize_controller=controller,
        max_steps=99,
    )
    method = alone.settings["method"]
    assert "stepsize_controller=PIDController(rtol=1e-05, atol=1e-07), max_steps=99" in method


def test_runs_that_differ_in_a_number_are_one_kind_of_tree():
    """They can be stacked, and a compiled function of them compiles once."""
    runs = [
        flows.solve(quartic, jnp.ones(2), flows.GradientDescent(h), flows.GradientFlow(), 2)
        for h in (0.1, 0.2)
    ]
    both = jax.tree.map(lambda *leaves: jnp.stack(leaves), *runs)
    assert both.loss.shape == (2, 3)
    traced = []
    last = jax.jit(lambda run: traced.append(1) or run.loss[-1])
    assert last(runs[0]) != last(runs[1])
    assert traced == [1]
