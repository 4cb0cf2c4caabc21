"""Tables, LaTeX, JSON, the command line, the catalogue, and the way to JAX."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import sympy

import symbolic
from symbolic.__main__ import main

x, y = sympy.symbols("x y", real=True)
SLIDES = "(x**2+1)*(x-1)**2*(x-2)**2"
ROOT = pathlib.Path(symbolic.__file__).parent.parent


def test_the_table(capsys):
    assert main([SLIDES]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "where",
        "kind",
        "sharpness",
        "threshold",
        "just",
        "past",
        "it",
        "form",
    ]
    assert lines[1].split()[:6] == ["x", "=", "1", "minimum", "4", "1/2"]
    assert lines[1].endswith("two-cycle (supercritical)  exact")
    assert lines[2].split()[3:6] == ["maximum", "-3.51531094193", "none"]
    assert lines[2].endswith("isolated")
    assert lines[3].split()[:6] == ["x", "=", "2", "minimum", "10", "1/5"]


def test_latex(capsys):
    assert main([SLIDES, "--latex"]) == 0
    text = capsys.readouterr().out
    assert r"$x = 2$ & minimum & $10$ & $\frac{1}{5}$ \\" in text
    assert "CRootOf" not in text
    assert main(["(x*y-mu)**2/2", "--symbols", "x,y", "--positive", "mu", "--latex"]) == 0
    assert r"$- \mu + x y = 0$ & minimum & $x^{2} + y^{2}$" in capsys.readouterr().out


def test_json(capsys):
    assert main([SLIDES, "--json"]) == 0
    left, top, _ = json.loads(capsys.readouterr().out)
    assert left["threshold"] == {"exact": "1/2", "decimal": 0.5}
    assert left["flip"]["coefficient"]["exact"] == "11"
    assert (top["closed_form"], top["threshold"], top["flip"]) == (False, None, None)
    assert main(["product", "--json"]) == 0
    saddle, manifold = json.loads(capsys.readouterr().out)
    assert saddle["kind"] == "saddle"
    assert manifold["best_threshold"]["exact"] == "1"
    assert {"x", "y"} == set(manifold["flattest"][0])


def test_intervals_and_cases(capsys):
    assert main(["x**2/2 - sin(x)", "--between", "-3", "3"]) == 0
    assert "isolated" in capsys.readouterr().out
    assert main(["--cases"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(symbolic.cases.CASES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["__import__('os')"], "is not allowed"),
        (["x**2", "--symbols", "z"], "'z' does not occur. The loss has x"),
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


def test_without_jax(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(symbolic.MissingPackageError, match="pip install jax"):
        symbolic.to_jax(x**2)


@pytest.mark.parametrize("case", symbolic.cases.CASES.values(), ids=lambda case: case.name)
def test_the_catalogue(case):
    assert case.source
    assert sympy.simplify(symbolic.threshold(case.loss, case.minimum) / case.threshold) in {
        1,
        sympy.nan,  # infinite thresholds
    }
    if case.threshold is sympy.oo:
        assert symbolic.threshold(case.loss, case.minimum) is sympy.oo


@pytest.mark.parametrize("case", symbolic.cases.CASES.values(), ids=lambda case: case.name)
def test_the_catalogue_in_jax(case):
    jax = pytest.importorskip("jax")
    scalar = len(case.symbols) == 1
    function = symbolic.to_jax(case.loss, case.symbols[0] if scalar else case.symbols)
    for point in ([0.3, 0.9], [1.7, -0.4], [0.05, 2.2]):
        with jax.enable_x64(True):
            check_derivatives(jax, case, function, point)


def check_derivatives(jax, case, function, point):
    scalar = len(case.symbols) == 1
    values = dict(zip(case.symbols, point, strict=False))
    argument = jax.numpy.asarray(point[0] if scalar else point)
    gradient = [case.loss.diff(s).subs(values).evalf() for s in case.symbols]
    hessian = sympy.hessian(case.loss, case.symbols).subs(values).evalf().tolist()
    expected = (
        float(case.loss.subs(values)),
        np.array(gradient, float).squeeze(),
        np.array(hessian, float).squeeze(),
    )
    derivatives = (function, jax.grad(function), jax.hessian(function))
    for derivative, value in zip(derivatives, expected, strict=True):
        # One formula computed two ways: 10 sqrt(eps).
        np.testing.assert_allclose(jax.jit(derivative)(argument), value, rtol=1.5e-7, atol=1.5e-7)


def test_jax_details():
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    constant = symbolic.to_jax(sympy.Integer(7), x)
    assert constant(jnp.float32(2)).dtype == jnp.float32
    big = symbolic.to_jax(sympy.factorial(25) * x)
    assert float(big(jnp.float32(1))) == pytest.approx(1.5511210043330986e25, rel=1e-6)
    batch = jax.vmap(symbolic.to_jax(x * y))(jnp.ones((4, 2), jnp.float32))
    assert batch.shape == (4,)
    assert float(jax.jit(symbolic.to_jax(sympy.erf(x)))(jnp.float32(0.5))) == pytest.approx(
        0.5204999
    )
    with pytest.raises(symbolic.InvalidSymbolsError, match="where y is taken from"):
        symbolic.to_jax(x * y, [x])
    with pytest.raises(symbolic.NotSolvedError, match="no counterpart"):
        symbolic.to_jax(sympy.polylog(2, x))


BASINS = {
    "double_well": (lambda v: v**3 - v, (0.3, 0.9, 1.5)),
    "subcritical": (lambda v: v + v**3, (0.3, 1.0, 1.8)),
    "quartic": (lambda v: v**3, (0.1, 1.0, 4.0)),
}


def test_exact_basins_by_simulation():
    assert {c.name for c in symbolic.cases.CASES.values() if c.basin is not None} == set(BASINS)
    for name, (slope, steps) in BASINS.items():
        for step in steps:
            edge = float(symbolic.cases.CASES[name].basin.subs(symbolic.cases.STEP, step))
            for start, inside in ((0.99 * edge, True), (1.01 * edge, False)):
                v = start
                for _ in range(4000):
                    v -= step * slope(v)
                    if abs(v) > 1e6:
                        break
                assert (abs(v) <= edge) == inside
