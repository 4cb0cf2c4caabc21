"""Plant faults one at a time in a copy of the repository, and see whether the tests notice.

    .venv/bin/python tests/plant_faults.py tests/faults/*.toml      # all of them
    .venv/bin/python tests/plant_faults.py tests/faults/drivers.toml --only "sign of"

A list is a TOML file of tables, one a fault:

    [[fault]]
    what = "momentum forgets its past"      # in a few words
    file = "flows/optimizers/sgd.py"
    old = "mu * velocity + noise"           # stands there exactly once
    new = "velocity + noise"
    tests = "tests/optimizers/test_sgd.py -k momentum" # arguments of pytest, run from the root

Prints a line for each: caught, SURVIVED, or what is wrong with its entry; exit code 1 if any fault
survived. The tests must pass without the fault: `--sound` runs them so. Not a test, and not in CI,
but for `--placed`, a part of `make lint`: which texts no longer stand there exactly once.
"""

import argparse
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent
PASSED, FAILED = 0, 1  # of pytest; all else is that no test ran, or that it was interrupted


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lists", nargs="+", type=pathlib.Path)
    parser.add_argument("--only", default="", help="faults whose description contains this")
    parser.add_argument("--sound", action="store_true", help="run the tests without the faults")
    parser.add_argument("--placed", action="store_true", help="run nothing, see if all are placed")
    options = parser.parse_args()
    faults = [fault for path in options.lists for fault in tomllib.loads(path.read_text())["fault"]]
    faults = [fault for fault in faults if options.only in fault["what"]]
    if options.placed:
        misplaced = [f"{fault['file']}: {fault['what']}" for fault in faults if places(fault) != 1]
        print(*misplaced, sep="\n", end="\n" if misplaced else "")
        return int(bool(misplaced))
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder)
        copy_tracked(copy)
        outcomes = [report(fault, copy, planted=not options.sound) for fault in faults]
    for outcome in sorted(set(outcomes)):
        print(f"{outcomes.count(outcome)} {outcome}")
    return int(set(outcomes) != {"passed" if options.sound else "caught"})


def places(fault, root=ROOT):
    """How often the text that a fault replaces stands in its file."""
    path = root / fault["file"]
    return path.read_text().count(fault["old"]) if path.exists() else 0


def copy_tracked(copy):
    """The files that git knows or would add, as they are in the working tree."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())


def report(fault, copy, *, planted):
    """Run the tests of a fault and print a line."""
    path = copy / fault["file"]
    start = time.perf_counter()
    if places(fault, copy) != 1:
        outcome, last = f"misplaced ({places(fault, copy)} places)", ""
    else:
        sound = path.read_text()
        if planted:
            path.write_text(sound.replace(fault["old"], fault["new"]))
        try:
            outcome, last = run(fault["tests"], copy, planted=planted)
        finally:
            path.write_text(sound)
    seconds = time.perf_counter() - start
    print(f"{outcome:9} {seconds:5.0f} s  {fault['file']}: {fault['what']}  {last}", flush=True)
    return outcome


def run(tests, copy, *, planted):
    """The outcome of a fault's tests, and the first that failed."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", *shlex.split(tests)]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}  # an old .pyc would hide a fault
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if done.returncode == PASSED:
        return ("SURVIVED", "") if planted else ("passed", "")
    # A fault that leaves nothing to import is noticed by any test, and ends with another code.
    if not failed or (done.returncode != FAILED and not failed[0].startswith("ERROR")):
        return "no tests", (done.stdout or done.stderr).strip().splitlines()[-1]
    return ("caught" if planted else "FAILED"), failed[0].split(" - ")[0] if failed else ""


if __name__ == "__main__":
    sys.exit(main())
