"""Execute the tutorials: python notebooks/run.py [NUMBER...] [--write | --check].

The source of a tutorial is its .py file, with cells in jupytext's percent format; the .ipynb
beside it has the same cells and no outputs, and `--write` makes it anew; `--check`, a part of
`make lint`, says which are not in step. Without either every tutorial (or those whose names begin
with a NUMBER) is checked to be in step with its source and executed from top to bottom in a kernel
of its own. A warning is an error, and so is anything printed to stderr. What passed goes to
docs/tutorials, which `make docs` shows; that executes the tutorials that are missing there.

Prints the seconds of each, by the clock and of computing. More than 60 by the clock are reported,
and are no failure.
"""

import argparse
import os
import pathlib
import resource
import sys
import time

import jupytext
import nbclient
import nbformat

HERE = pathlib.Path(__file__).parent
EXECUTED = HERE.parent / "docs" / "tutorials"
LIMIT = 60  # seconds on two cores
TIMEOUT = 600  # seconds for one cell
# For the small complex matrices here LAPACK's own threads cost more than they give: a third of the
# time without them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
STRICT = """
import warnings
warnings.simplefilter("error")
warnings.filterwarnings("default", module="ipykernel")  # its own, when it shuts down
"""


def tutorials(numbers):
    """The sources, in reading order."""
    sources = sorted(HERE.glob("[0-9][0-9]_*.py"))
    return [path for path in sources if not numbers or path.name.startswith(tuple(numbers))]


def from_source(path):
    """The notebook that a source describes: without outputs, the same at every call."""
    notebook = jupytext.read(path)
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for place, cell in enumerate(notebook.cells):
        cell.id = f"cell-{place}"
        cell.metadata = nbformat.from_dict({})
    return notebook


def write(path):
    """Write the .ipynb of a source."""
    nbformat.write(from_source(path), path.with_suffix(".ipynb"))


def cells_of(notebook):
    """What two notebooks must have in common."""
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def out_of_step(path):
    """What is wrong with the .ipynb of a source, and the remedy; or nothing."""
    pair = path.with_suffix(".ipynb")
    remedy = "python notebooks/run.py --write"
    if not pair.exists():
        return f"{pair.name} is missing: {remedy}"
    notebook = nbformat.read(pair, as_version=4)
    if any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells):
        return f"{pair.name} holds outputs: {remedy}"
    if cells_of(notebook) != cells_of(from_source(path)):
        return f"{pair.name} is not in step with {path.name}: {remedy}"
    return None


def execute(path):
    """Run a tutorial; its notebook with outputs, and what was wrong."""
    notebook = from_source(path)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(STRICT))
    client = nbclient.NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],  # not that it talks to this process unencrypted
    )
    wrong = None
    try:
        client.execute(cwd=str(HERE))
    except nbclient.exceptions.CellExecutionError as error:
        wrong = str(error)
    printed = [
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream" and output.name == "stderr"
    ]
    del notebook.cells[0]
    return notebook, wrong or "".join(printed)


def run(path):
    """Check and execute a tutorial, and keep what passed; what was wrong."""
    shown = EXECUTED / f"{path.stem}.ipynb"
    shown.unlink(missing_ok=True)
    wrong = out_of_step(path)
    if wrong:
        return wrong
    notebook, wrong = execute(path)
    if not wrong:
        EXECUTED.mkdir(exist_ok=True)
        nbformat.write(notebook, shown)
    return wrong


def computing():
    """The processor's seconds in the kernels that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_missing():
    """Execute what docs/tutorials lacks, or has from another source; raise if one fails."""
    for path in tutorials([]):
        shown = EXECUTED / f"{path.stem}.ipynb"
        cells = cells_of(from_source(path))
        if not shown.exists() or cells_of(nbformat.read(shown, as_version=4)) != cells:
            wrong = run(path)
            if wrong:
                raise RuntimeError(f"{path.stem}: {wrong}")


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("numbers", nargs="*", help="only those whose names begin so")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--write", action="store_true", help="write the .ipynb, execute nothing")
    instead.add_argument(
        "--check", action="store_true", help="say which .ipynb are out of step, execute nothing"
    )
    options = parser.parse_args()
    if options.check:
        sys.exit("\n".join(filter(None, map(out_of_step, tutorials(options.numbers)))) or None)
    failed, slow = [], []
    for path in tutorials(options.numbers):
        if options.write:
            write(path)
            continue
        before, computed = time.perf_counter(), computing()
        wrong = run(path)
        seconds, computed = time.perf_counter() - before, computing() - computed
        ending = "FAILED" if wrong else "passed"
        print(f"{path.stem:<28} {seconds:6.1f} s ({computed:5.1f} s)  {ending}", flush=True)
        if wrong:
            failed.append(path.stem)
            print(wrong, flush=True)
        if seconds > LIMIT:
            slow.append(path.stem)
    if slow:
        print(f"longer than {LIMIT} s here: {', '.join(slow)}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
