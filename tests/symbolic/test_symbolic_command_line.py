"""The command line: what it prints, and what it refuses."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

import symbolic
from symbolic.__main__ import main

SLIDES = "(x**2+1)*(x-1)**2*(x-2)**2"
ROOT = pathlib.Path(symbolic.__file__).parent.parent


def test_intervals_and_cases(capsys):
    assert main(["x**2/2 - sin(x)", "--between", "-3", "3"]) == 0
    assert "isolated" in capsys.readouterr().out
    assert main(["--cases"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(symbolic.cases.CASES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["__import__('os')"], "is not allowed"),
        (["x**2", "--symbols", "z"], "--symbols: 'z' does not occur. The loss has x"),
        (["x**2", "--positive", "z"], "--positive: 'z' does not occur. The loss has x"),
        (["cosine", "--symbols", "x"], "do not go with a name from --cases; cosine has its own"),
        (["x**2", "--between", "-inf", "inf"], "two numbers with a < b"),
        (["x**x**x"], "sympy cannot solve"),
        (["((x+1)**64+1)**64"], "degree 4096 and 4097 terms"),
        (["x**2/2 - sin(x)"], r"between=(-10, 10)"),
        (["3"], "has no symbols"),
        (["x**2", "--between", "a", "b"], "two numbers with a < b"),
        (["x**2", "--max-work", "0"], "max_work must be a whole number"),
    ],
)
def test_misuse_of_the_command_line(arguments, message, capsys):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["x", "--latex", "--json"], ["x", "--nonsense"]])
def test_wrong_options(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "Try: python -m symbolic --help" in capsys.readouterr().err


def run(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    ).stdout


def test_a_process_of_its_own():
    assert "two-cycle (supercritical)" in run("-m", "symbolic", SLIDES)


def test_nothing_heavy_is_imported():
    absent = ["jax", "matplotlib", "flows", "numpy", "scipy"]
    code = f"import sys, symbolic; print([m for m in {absent} if m in sys.modules])"
    assert run("-c", code).strip() == "[]"


def test_values_that_begin_with_a_minus(capsys):
    assert main(["-x**2"]) == 0
    assert "x = 0  maximum  -2" in capsys.readouterr().out
    assert main(["-x**2 + x**4", "--between", "-1e1", "1e1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["x", "=", "0", "maximum", "-2", "none", "-", "exact"]


def test_no_critical_points(capsys):
    assert main(["exp(x)"]) == 0
    assert capsys.readouterr().out == "no critical points\n"
    assert main(["exp(x)", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
