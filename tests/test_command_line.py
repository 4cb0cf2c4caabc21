"""`python -m flows`, in this process and once in one of its own."""

import dataclasses
import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from helpers import by_hand

import flows
from flows.__main__ import NAMED_FLOWS, PIPE_CLOSED, _save, main


@pytest.fixture(autouse=True)
def _restore_precision():
    yield
    jax.config.update("jax_enable_x64", True)


def test_the_example_of_the_issue(tmp_path):
    figure = tmp_path / "figure.png"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "flows", "compare", "rosenbrock", "--learning-rate", "1e-3"),
            *("--steps", "50", "--flow", "gradient", "--flow", "modified"),
            *("--mode", "per-step", "--save", str(figure)),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "XLA_FLAGS"},
    )
    assert done.returncode == 0, done.stderr
    assert "mode per_step; 2 parameters, float64" in done.stdout
    assert "GradientFlow" in done.stdout
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert "Warning" not in done.stderr


def test_json_is_what_the_library_says(capsys):
    code = main(["compare", "rosenbrock", "--learning-rate", "1e-3", "--steps", "5", "--json"])
    printed = json.loads(capsys.readouterr().out)
    problem = flows.problems.rosenbrock()
    run = flows.compare(
        problem.loss,
        problem.start,
        flows.GradientDescent(1e-3),
        [flows.GradientFlow(), flows.ModifiedFlow(), flows.PrincipalFlow()],
        5,
        args=problem.args,
    )
    assert code == 0
    assert printed["problem"] == "rosenbrock"
    assert printed["learning_rate"] == 1e-3
    assert printed["flows"] == run.summary()["flows"]


def test_flows_and_files_are_chosen(tmp_path, capsys):
    path = tmp_path / "run.npz"
    arguments = ["compare", "quadratic", "--steps", "3", "--flow", "gradient", "--save", str(path)]
    assert main([*arguments, "--save", str(tmp_path / "figure.pdf")]) == 0
    assert list(flows.load(path).errors) == ["GradientFlow"]
    assert (tmp_path / "figure.pdf").read_bytes().startswith(b"%PDF")
    out, err = capsys.readouterr()
    assert "ModifiedFlow" not in out
    assert "wrote" in err


def test_flows_are_what_their_names_say():
    for name, make in NAMED_FLOWS.items():
        kind, *rest = name.split("-", 1)
        flow, detail = make(), "".join(rest)
        if kind == "modified":
            assert flow == flows.ModifiedFlow(order=int(detail or 2))
    expected = {
        "principal": ("continued", None),
        "principal-third-order": ("continued", "third-order"),
        "principal-cubic": ("continued", "cubic"),
        "principal-two-step": ("real", "cubic"),
        "principal-published": ("principal", None),
        "principal-real": ("real", None),
    }
    principal = {name: make() for name, make in NAMED_FLOWS.items() if name.startswith("principal")}
    assert {name: (flow.branch, flow.correction) for name, flow in principal.items()} == expected
    assert NAMED_FLOWS["gradient"]() == flows.GradientFlow()


@pytest.mark.parametrize(("parameters", "left"), [(2, "plot_contours"), (3, "plot_losses")])
def test_contours_are_drawn_of_two_parameters(parameters, left, tmp_path, monkeypatch):
    drawn = []
    for name in ("plot_contours", "plot_losses", "plot_errors"):
        monkeypatch.setattr(
            f"flows.plotting.{name}", lambda *args, name=name, **options: drawn.append(name)
        )
    run = by_hand(np.zeros(4))
    settings = {**dict(run.settings), "parameters": str(parameters)}
    run = dataclasses.replace(run, settings=tuple(settings.items()))
    _save(run, flows.problems.rosenbrock(), tmp_path / "figure.svg")
    assert drawn == [left, "plot_errors"]


def test_single_precision(capsys):
    assert main(["compare", "cosine", "--steps", "3", "--float32"]) == 0
    assert "float32" in capsys.readouterr().out


def test_problems_are_listed(capsys):
    assert main(["problems"]) == 0
    text = capsys.readouterr().out
    for name in flows.problems.PROBLEMS:
        assert name in text
    assert main(["problems", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in listed] == list(flows.problems.PROBLEMS)
    assert all(one["source"] and np.isfinite(one["learning_rate"]) for one in listed)


def test_problems_are_listed_without_the_packages_that_some_need(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    assert main(["problems"]) == 0
    shown = capsys.readouterr().out
    assert "rosenbrock" in shown
    assert "breast_cancer" in shown
    assert "pip install 'descentflows[examples]'" in shown
    assert main(["problems", "--json"]) == 0
    listed = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert set(listed) == set(flows.problems.PROBLEMS)
    assert "Install it" in listed["breast_cancer"]["missing"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "rosenbrok"], "rosenbrock"),
        (["compare", "cosine", "--flow", "gradeint"], "Did you mean gradient"),
        (["compare", "cosine", "--flow", "xyz"], "There are: central, gradient, modified"),
        (["compare", "cosine", "--mode", "per-stp"], "Did you mean per_step?"),
        (["compare", "cosine", "--learning-rate", "-1"], "one positive finite number, got -1"),
        (["compare", "cosine", "--steps", "-1"], "0 or more, got -1"),
        (["compare", "cosine", "--save", "figure.bmp"], "one of the suffixes .png"),
        (["compare", "cosine", "--save", "no/such/folder/figure.png"], "there is no folder"),
    ],
)
def test_misuse_says_what_to_do(arguments, message, capsys):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "COMMAND"),
        (["compare"], "problem"),
        (["comparee", "cosine"], "compare"),
        (["compare", "cosine", "--step", "1.5"], "invalid int value"),
        (["compare", "cosine", "--learning-rate", "fast"], "invalid float value"),
    ],
)
def test_misuse_of_the_syntax(arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert "--help" in error


def test_a_failed_run_is_shown_and_exits_with_one(tmp_path, capsys):
    path = tmp_path / "run.npz"
    arguments = ["compare", "quartic", "--learning-rate", "9", "--steps", "20", "--save", str(path)]
    assert main(arguments) == 1
    assert "Iterates: Stopped after step" in capsys.readouterr().out
    assert not flows.load(path).successful
    assert main(["compare", "quartic", "--learning-rate", "9", "--steps", "20", "--json"]) == 1
    assert "no longer a finite" in json.loads(capsys.readouterr().out)["iterates"]["result"]


def test_a_reader_may_close_the_pipe():
    """As `head` does: here the pipe is closed before the first line."""
    for module, arguments in (("flows", ["problems"]), ("symbolic", ["--cases"])):
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        process.stdout.close()
        said = process.stderr.read()
        process.stderr.close()
        assert process.wait() == PIPE_CLOSED
        assert said == ""
