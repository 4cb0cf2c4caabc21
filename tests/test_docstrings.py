"""Every public name says what it is; every example runs, in single and in double precision."""

import doctest
import importlib
import inspect
import pathlib
import pkgutil
import re

import jax
import matplotlib.pyplot as plt
import pytest

import flows
import flows.plotting
import symbolic

REFERENCE = pathlib.Path(flows.__file__).parent.parent / "docs" / "api.md"
PUBLIC = {
    f"{module.__name__}.{name}": value
    for module in (
        flows,
        flows.problems,
        flows.plotting,
        flows.optimizers,
        flows.vector_fields,
        flows.scale_invariant,
    )
    for name, value in vars(module).items()
    if not name.startswith("_") and (inspect.isclass(value) or inspect.isfunction(value))
}
# These compute nothing, so there is no equation to give.
NO_FORMULA = {
    "flows.citation",
    "flows.load",
    "flows.problems.get",
    "flows.plotting.color_of",
    "flows.RESULTS",
    "flows.Trajectory",
    "flows.Comparison",
    "flows.At",
    "flows.Cost",
    "flows.flows_for",
    "flows.optimizers.make_problem",
    "flows.vector_fields.flows_for",
}
# Their subclasses and their users have the examples.
SUPPORTING = re.compile(r"Error$|\.Problem$|\.Abstract\w+$")
MODULES = [
    importlib.import_module(found.name)
    for package in (flows, symbolic)
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not found.name.endswith("__main__")
] + [flows, symbolic]


@pytest.mark.parametrize("name", PUBLIC)
def test_sections(name):
    text = inspect.getdoc(PUBLIC[name]) or ""
    assert len(text) > 40
    if SUPPORTING.search(name):
        return
    assert "Example:" in text, "one runnable example"
    assert ">>> " in text
    assert "References:" in text or "Source:" in text
    if name not in NO_FORMULA:
        assert ".. math::" in text, "the equation"
    if inspect.isfunction(PUBLIC[name]):
        assert re.search(r"Returns:|Arguments:", text)


@pytest.mark.parametrize(
    "x64",
    [pytest.param(True, id="float64"), pytest.param(False, id="float32", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_examples(module, x64):
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    with jax.enable_x64(x64):
        for example in finder.find(module):
            runner.run(example)
    plt.close("all")
    assert runner.failures == 0


def test_every_public_name_is_in_the_reference():
    assert {"flows.compare", "flows.iterate", "flows.solve", "flows.load"} <= set(PUBLIC)
    assert flows.__version__
    listed = set(re.findall(r"auto(?:class|function):: (\S+)", REFERENCE.read_text()))
    wanted = {
        f"{module.__name__}.{name}"
        for module in (flows, flows.problems, flows.plotting)
        for name, value in vars(module).items()
        if not name.startswith("_") and (inspect.isclass(value) or inspect.isfunction(value))
    }
    assert wanted - listed == {name for name in wanted if name.endswith("Error")}
    assert "automodule:: flows._errors" in REFERENCE.read_text()


def test_every_example_of_the_pages_names_what_exists():
    for page in REFERENCE.parent.glob("*.md"):
        code = "\n".join(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))
        for name in re.findall(r"\b(?:flows|symbolic)(?:\.[A-Za-z_]+)+", code):
            found = importlib.import_module(name.split(".")[0])
            for part in name.split(".")[1:]:
                assert hasattr(found, part), f"{page.name}: {name}"
                found = getattr(found, part)


def test_every_command_of_the_reproductions_can_be_run():
    root = REFERENCE.parent.parent
    commands = re.findall(r"\| `([^`]+)` \|", (REFERENCE.parent / "reproductions.md").read_text())
    assert len(commands) > 30
    for command in commands:
        program, *words = command.split()
        assert program in {"python", "pytest", "make"}
        for path in (word for word in words if word.endswith(".py")):
            assert (root / path).exists(), command
        if "-k" in words:
            tests = (root / next(word for word in words if word.endswith(".py"))).read_text()
            assert re.search(rf"def test_\w*{words[-1]}", tests), command
        if "notebooks/run.py" in words:
            assert len(list((root / "notebooks").glob(f"{words[-1]}_*.py"))) == 1, command
