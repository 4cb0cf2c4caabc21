"""What an import brings in, seen in a fresh process; and that imports inside run one way."""

import ast
import graphlib
import pathlib
import subprocess
import sys

import pytest

import flows
import symbolic

# From the bottom up: a file may import from rooms above its own in these lists, and from its own.
LAYERS = {
    flows: (
        *("_custom_types", "_errors", "_vectors", "_checks", "_continuation", "_objective"),
        *("curvature", "optimizers", "stability", "scale_invariant", "vector_fields"),
        *("plotting", "results", "tracking", "drivers", "orbits", "problems"),
        *("__init__", "__main__"),
    ),
    symbolic: (
        *("_errors", "_checks", "roots", "thresholds", "orbits", "methods"),
        *("landscapes", "networks", "scale_invariant", "text", "cases"),
        *("__init__", "__main__"),
    ),
}


@pytest.mark.parametrize(
    ("package", "absent"),
    [
        ("flows", ["matplotlib", "sympy", "sklearn", "tqdm", "symbolic", "flax", "optax"]),
        ("symbolic", ["jax", "matplotlib", "flows"]),
        ("flows.problems", ["sklearn", "matplotlib", "sympy"]),
    ],
)
def test_what_is_not_imported(package, absent):
    code = f"import sys, {package}; print([m for m in {absent} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_importing_changes_no_settings():
    code = (
        "import jax; before = dict(jax.config.values); import flows, flows.problems; "
        "assert jax.config.values == before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class Imports:
    """Which file of a package imports which, from the syntax trees: nothing is run.

    Imports for types alone and those inside functions count like all others. Names are those of
    modules; a folder's name stands for its ``__init__.py``, its face.
    """

    def __init__(self, root):
        self.root = root
        self.trees = {}
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root.parent).with_suffix("").parts
            is_face = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if is_face else parts)
            self.trees[name] = (ast.parse(path.read_text()), is_face)
        self.names = {name: dict(self._names_in(name)) for name in self.trees}

    def _names_in(self, module):
        """Each name that a file imports from its package: where from, and as what."""
        tree, is_face = self.trees[module]
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                source = node.module or ""
                if node.level:
                    up = module.split(".")[: len(module.split(".")) - node.level + is_face]
                    source = ".".join([*up, *([source] if source else [])])
                if source.split(".")[0] == self.root.name:
                    yield from ((a.asname or a.name, (source, a.name)) for a in node.names)
            elif isinstance(node, ast.Import):
                yield from ((a.name, (a.name, "")) for a in node.names if a.name in self.trees)

    def defined_in(self, source, name):
        """The file that defines what is imported from there."""
        further = self.names.get(source, {}).get(name)
        if further and further != (source, name):  # a face imports the files of its own folder
            return self.defined_in(*further)
        return f"{source}.{name}" if f"{source}.{name}" in self.trees else source

    def by_definition(self):
        """Every import followed to the file in which the name is defined."""
        found = {m: {self.defined_in(*of) for of in self.names[m].values()} for m in self.trees}
        return {module: imported - {module} for module, imported in found.items()}

    def by_face(self):
        """Every import as it stands: what comes through a folder's face needs all of the folder."""
        found = {}
        for module, names in self.names.items():
            places = {f"{s}.{n}" if f"{s}.{n}" in self.trees else s for s, n in names.values()}
            found[module] = places - {module}
        return found


def circle_in(graph):
    """Files that import each other in a circle, the first again at the end; None without one."""
    try:
        tuple(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        return error.args[1]
    return None


@pytest.mark.parametrize("package", LAYERS, ids=lambda package: package.__name__)
def test_no_circle_among_files(package):
    imports = Imports(pathlib.Path(package.__file__).parent)
    assert circle_in(imports.by_definition()) is None
    assert circle_in(imports.by_face()) is None


@pytest.mark.parametrize(
    "back",
    [
        "from .room import top",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .room.top import top",
        "def late():\n    from .room import top as it\n    return it",
        "from planted.room.top import top",
        "import planted.room.top",
    ],
)
def test_a_planted_circle_is_found(tmp_path, back):
    package = tmp_path / "planted"
    (package / "room").mkdir(parents=True)
    (package / "__init__.py").write_text("from .room import top as top")
    (package / "room" / "__init__.py").write_text("from .top import top as top")
    (package / "room" / "top.py").write_text("from ..bottom import bottom\n\ntop = bottom")
    (package / "bottom.py").write_text("bottom = 1")
    assert circle_in(Imports(package).by_definition()) is None
    assert circle_in(Imports(package).by_face()) is None
    (package / "bottom.py").write_text(f"{back}\n\nbottom = 1")
    assert {"planted.bottom", "planted.room.top"} <= set(
        circle_in(Imports(package).by_definition())
    )
    assert circle_in(Imports(package).by_face())


@pytest.mark.parametrize("package", LAYERS, ids=lambda package: package.__name__)
def test_arrows_run_one_way(package):
    imports = Imports(pathlib.Path(package.__file__).parent)
    order = LAYERS[package]

    def layer(module):
        return order.index(module.split(".")[1] if "." in module else "__init__")

    wrong = [
        (module, imported)
        for module, all_imported in imports.by_definition().items()
        for imported in all_imported
        if layer(imported) > layer(module)
    ]
    assert not wrong


@pytest.mark.parametrize(("package", "most"), [(flows, 20), (symbolic, 14)])
def test_the_root_stays_small(package, most):
    entries = [
        path.name
        for path in pathlib.Path(package.__file__).parent.iterdir()
        if path.name != "__pycache__"
    ]
    assert len(entries) <= most, "a new file belongs in one of the folders"
