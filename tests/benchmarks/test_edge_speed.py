"""Run time of the flows at the edge of stability against the gradient descent that they model."""

import time

import jax
import jax.numpy as jnp
import pytest
from network import loss, network

import flows

pytestmark = pytest.mark.benchmark


def seconds(run):
    """The second of two runs, and the first, which compiles."""
    times = []
    for _ in range(2):
        start = time.perf_counter()
        jax.block_until_ready(run().loss)
        times.append(time.perf_counter() - start)
    return times[1], times[0]


@pytest.mark.parametrize("flow", [flows.CentralFlow(), flows.RodFlow()], ids=["central", "rod"])
def test_600_steps_of_the_benchmark_problem_in_float32(flow):
    """Lines: 2.5 s for the central flow and 0.3 s for the rod flow, on one thread."""
    problem = flows.problems.edge_of_stability()
    start = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), problem.start)
    args = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), problem.args)
    optimizer = flows.GradientDescent(0.2)
    ours, compiling = seconds(
        lambda: flows.solve(problem.loss, start, optimizer, flow, 600, args=args)
    )
    tracker = flows.CentralFlow(substeps=1)
    descent, _ = seconds(lambda: flows.iterate(problem.loss, start, optimizer, 600, args=args))
    tracked, _ = seconds(
        lambda: flows.solve(problem.loss, start, optimizer, tracker, 180, args=args)
    )
    print(
        f"\n{flow.name}: {ours:.2f} s (and {compiling - ours:.1f} s of compiling), "
        f"{ours / descent:.0f} x descent, {ours / (tracked * 600 / 180):.2f} x one Euler step with "
        "tracked eigenvalues for each of descent's"
    )


def test_100_000_parameters_at_the_edge():
    """Line: 200 steps with up to 8 critical directions in 10 minutes."""
    params, (x, y) = network((64, 260, 256, 64, 1), 128, "float32")
    args = (x, y)
    sharpness = flows.sharpness(loss, params, args=args)
    descent = flows.GradientDescent(1.99 / sharpness)
    flow = flows.CentralFlow(size=10)
    ours, compiling = seconds(
        lambda: flows.solve(loss, params, descent, flow, 200, args=args, throw=False)
    )
    run = flows.solve(loss, params, descent, flow, 200, args=args, throw=False)
    critical = jnp.nanmax(run.diagnostics["critical"])
    print(
        f"\n100,229 parameters, 200 steps: {ours:.0f} s (and {compiling - ours:.0f} s of "
        f"compiling), up to {int(critical)} critical directions, {run.message}"
    )
