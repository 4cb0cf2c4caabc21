"""How fast many orbits are followed in one dimension, and that memory is that of a chunk."""

import json
import subprocess
import sys
import time

import jax.numpy as jnp
import jax.random as jr
import pytest

import flows

pytestmark = pytest.mark.benchmark
# A fresh process, as peak memory never falls: five times the learning rates in the same chunks.
MEMORY = """
import json, pathlib
import jax, numpy as np
import flows
jax.config.update("jax_enable_x64", True)
status = pathlib.Path("/proc/self/status")  # not getrusage, which begins with the parent's peak
peak = lambda: int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
well, peaks = flows.problems.double_well().loss, []
for rates in (2000, 2000, 10000):
    diagram = flows.bifurcation_diagram(
        well, np.full(200, 0.5), np.linspace(0.8, 1.9, rates), transient=100, steps=96, keep=8,
        max_period=4, chunk=1000,
    )
    peaks.append(peak())
print(json.dumps(peaks))
"""


def timed(run):
    """Seconds of the first call, with compilation, and the least of three more."""
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return seconds[0], min(seconds[1:])


@pytest.mark.parametrize("name", ["double_well", "nar_sastry"])
def test_a_diagram_of_two_thousand_rates_and_steps(name):
    loss = flows.problems.get(name).loss
    low, high = (0.8, 2.1) if name == "double_well" else (0.1, 0.5)
    rates = jnp.linspace(low, high, 2000)
    first, later = timed(
        lambda: flows.bifurcation_diagram(
            loss, jnp.array(1.7), rates, transient=1000, steps=800, keep=200
        )
    )
    print(f"\n{name}: 2000 rates x 2000 steps: {later:.3f} s, first call {first:.2f} s")
    assert later < 5


def test_shares_of_twenty_thousand_starts():
    loss = flows.problems.rational_landscape().loss
    starts = jr.uniform(jr.key(0), (20_000,), minval=-12.0, maxval=12.0)
    first, later = timed(
        lambda: flows.basin_shares(
            loss, starts, flows.GradientDescent(0.12), transient=2000, steps=800
        )
    )
    print(f"\n20,000 starts x 2928 steps: {later:.2f} s, first call {first:.2f} s")
    assert later < 20


def test_memory_does_not_grow_with_the_number_of_chunks():
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True
    )
    first, again, more = json.loads(done.stdout)
    # 8000 more rates return 200 parameters and 8 values each: 13 MiB, twice while they are joined.
    print(f"\npeak: {first:.0f} MiB, again {again:.0f}, five times as many rates {more:.0f}")
    assert more - again < 60
