"""Peak memory of long runs with a million parameters, and the time that an import takes."""

import json
import pathlib
import statistics
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.benchmark
HERE = pathlib.Path(__file__).parent


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("driver", "steps"), [("iterate", 2000), ("trajectory", 2000), ("per_step", 200)]
)
def test_memory(driver, steps, dtype):
    done = subprocess.run(
        [sys.executable, str(HERE / "million.py"), driver, str(steps), dtype],
        capture_output=True,
        text=True,
        check=True,
    )
    numbers = json.loads(done.stdout)
    print(
        f"\n{driver}, {steps} steps, {numbers['parameters']:,} parameters, {dtype}: "
        f"{numbers['peak'] - numbers['imported']:.0f} MiB above the import, "
        f"{numbers['seconds']:.0f} s"
    )


def test_import():
    contestants = {"jax, diffrax": "import jax, diffrax", "flows": "import flows"}
    seconds = {name: [] for name in contestants}
    for _ in range(9):
        for name, code in contestants.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(
        f"\nimport flows {medians['flows']:.2f} s, "
        f"jax and diffrax {medians['jax, diffrax']:.2f} s: "
        f"ratio {medians['flows'] / medians['jax, diffrax']:.3f}"
    )
