"""What an import brings in, seen in a fresh process; and that imports inside run one way."""

import ast
import pathlib
import subprocess
import sys

import pytest

import flows

ROOT = pathlib.Path(flows.__file__).parent
LAYERS = {
    # A module may import those of its own number or a smaller one.
    "_custom_types": 0,
    "_errors": 0,
    "_vectors": 0,
    "_checks": 1,
    "_continuation": 1,
    "_schedules": 2,
    "_invariance": 3,
    "_problem": 2,
    "_complex_state": 3,
    "curvature": 3,
    "optimizers": 3,
    "stability": 4,
    "scale_invariant": 4,
    "vector_fields": 4,
    "_citations": 5,
    "_results": 5,
    "_progress": 0,
    "_windows": 5,
    "_step_size": 1,
    "_integrator": 5,
    "_measure": 5,
    "_regime_report": 5,
    "_substeps": 6,
    "_noisy": 6,
    "_chunks": 2,
    "_ensemble": 6,
    "_ensemble_table": 7,
    "_compare_in_law": 8,
    "_table": 6,
    "_storage": 7,
    "_iterate": 6,
    "_track": 6,
    "_tracker": 5,
    "_solve": 7,
    "_vector_field": 8,
    "_per_step": 8,
    "_compare": 9,
    "orbits": 7,
    "problems": 9,
    "plotting": 9,
    "__init__": 10,
    "__main__": 10,
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


def imports_of(path):
    """Modules of this package that a file imports when it is imported."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            inside = len(path.relative_to(ROOT).parts) - 1
            if node.level > inside:  # at the top of the package
                names |= {(node.module or alias.name).split(".")[0] for alias in node.names}
    return names


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_arrows_run_one_way(path):
    here = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for name in imports_of(path):
        assert LAYERS[name] <= LAYERS[here], f"{here} must not import {name}"
