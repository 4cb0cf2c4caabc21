"""What the documentation shows is what comes out; every public name is documented."""

import contextlib
import inspect
import io
import pathlib
import re

import pytest

import symbolic
from symbolic import cases, landscapes, networks, scale_invariant

ROOT = pathlib.Path(symbolic.__file__).parent.parent
PAGE = ROOT / "docs" / "thresholds.md"
MODULES = (symbolic, cases, landscapes, networks, scale_invariant)
PUBLIC = {
    f"{module.__name__}.{name}": value
    for module in MODULES
    for name, value in vars(module).items()
    if not name.startswith("_")
    and (inspect.isclass(value) or inspect.isfunction(value))
    and value.__module__.startswith("symbolic")
    and (module is symbolic or value.__module__.startswith(module.__name__))
}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_say_what_they_are(name):
    value, text = PUBLIC[name], inspect.getdoc(PUBLIC[name]) or ""
    if inspect.isclass(value) and issubclass(value, Exception):
        assert len(text) > 30
        return
    assert "Example:" in text
    assert ">>> " in text
    assert "References:" in text
    if inspect.isfunction(value):
        assert ".. math::" in text
        assert re.search(r"Returns:", text)


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_in_the_reference(name):
    listed = (ROOT / "docs" / "api.md").read_text()
    if name.endswith(("Error", "Warning")):
        assert "automodule:: symbolic._errors" in listed
    else:
        assert re.search(rf"auto\w+:: {re.escape(name)}$", listed, re.MULTILINE), name


def test_the_page_of_thresholds_runs():
    text = PAGE.read_text()
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "thresholds.md", "exec"), {})  # our own page
    lines = printed.getvalue().splitlines()
    shown = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    for line in lines[:4] + lines[-1:]:
        assert line.strip() in shown
    assert lines[4] == "0.3306047846"
    assert lines[5:7] == ["False", "True"]
