"""The second principal flow against the products it is made of, at 100,000 parameters.

Inputs whose scales fall, as those of real data do, leave one direction beyond ``h lambda = 1``;
with inputs of one scale there are ten.
"""

import json
import pathlib
import subprocess
import sys

import equinox as eqx
import jax.numpy as jnp
import pytest
from network import loss, network
from test_principal_flow_speed import HUNDRED_THOUSAND, MATVECS, field, image, products
from timing import medians

import flows
from flows.optimizers import make_problem

pytestmark = pytest.mark.benchmark


def trained(falling):
    """A point after 200 steps at h lambda = 1.5, and its sharpness."""
    params, (x, y) = network(HUNDRED_THOUSAND, 128, "float32")
    if falling:
        x = x / jnp.arange(1, x.shape[1] + 1, dtype=x.dtype)[None]
    problem, moving = make_problem(loss, params, flows.GradientDescent(1.0), (x, y))
    sharpness = jnp.max(image(problem, moving).eigenvalues)
    descent = flows.GradientDescent(1.5 / sharpness)
    params = flows.iterate(loss, params, descent, 200, args=(x, y)).final_params
    problem, moving = make_problem(loss, params, flows.GradientDescent(1.0), (x, y))
    return problem, moving, float(jnp.max(image(problem, moving).eigenvalues))


@pytest.mark.parametrize("falling", [True, False])
def test_an_evaluation_against_products(falling):
    problem, params, sharpness = trained(falling)
    for z in (0.5, 1.7, 2.1):
        problem = eqx.tree_at(lambda p: p.optimizer, problem, flows.GradientDescent(z / sharpness))
        at = jnp.sum(image(problem, params).eigenvalues > 1)
        for branch in ("continued", "real"):
            flow = flows.PrincipalFlow(branch, "cubic", flows.Krylov())
            seconds = medians(
                3,
                products=lambda problem=problem: products(problem, params),
                field=lambda problem=problem, flow=flow: field(flow, problem, params),
            )
            ratio = MATVECS * seconds["field"] / seconds["products"]
            print(f"\nh lambda = {z}, {int(at)} beyond 1, {branch}: {ratio:.0f} products")
            assert ratio < 400 or int(at) > 3


def test_a_million_parameters():
    """It runs; time and memory of one evaluation."""
    program = pathlib.Path(__file__).parent / "principal_memory.py"
    done = subprocess.run(
        [sys.executable, str(program), "float32", "second"],
        capture_output=True,
        text=True,
        check=True,
    )
    numbers = json.loads(done.stdout)
    print(
        f"\n{numbers['parameters']:,} parameters: {numbers['seconds']:.1f} s; in arrays of all of "
        f"them the program sets aside {numbers['temporary']['second']:.0f}, peak "
        f"{numbers['peak']:.0f} above what was there before"
    )
    assert numbers["finite"]
