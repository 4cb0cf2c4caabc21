"""Critical points as a table, as LaTeX and as JSON."""

import json

import sympy
from plain import critical_points

import symbolic
from symbolic.__main__ import main

x, y, z = sympy.symbols("x y z", real=True)
SLIDES = (x**2 + 1) * (x - 1) ** 2 * (x - 2) ** 2
SLIDES = "(x**2+1)*(x-1)**2*(x-2)**2"


def test_lines_to_print():
    text = [str(p) for p in critical_points((x**2 + 1) * (x - 1) ** 2 * (x - 2) ** 2)]
    assert text[0] == "x = 1: minimum, sharpness 4, threshold 1/2, supercritical flip"
    assert text[1].startswith("x = 1.55613388")


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
    assert left["value"] == {"exact": "0", "decimal": 0.0}
    assert (top["closed_form"], top["threshold"], top["flip"]) == (False, None, None)
    assert main(["product", "--json"]) == 0
    saddle, manifold = json.loads(capsys.readouterr().out)
    assert saddle["kind"] == "saddle"
    assert manifold["best_threshold"]["exact"] == "1"
    assert {"x", "y"} == set(manifold["flattest"][0])


def test_a_subcritical_flip_is_a_two_cycle_too():
    """The fourth derivative at 0 is 24, so c = -(2/6) 24."""
    (point,) = critical_points(x**2 / 2 + x**4)
    assert point.flip.coefficient == -8
    assert symbolic.table([point]).splitlines()[1].endswith("two-cycle (subcritical)  exact")
