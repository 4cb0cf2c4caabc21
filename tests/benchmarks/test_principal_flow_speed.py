"""Run time and memory of the principal flow against the Hessian-vector products it is made of."""

import functools as ft
import json
import pathlib
import subprocess
import sys
import time

import diffrax as dfx
import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import pytest
from network import loss, network
from timing import medians, report

import flows
from flows.curvature.hessian import scaled_hessian
from flows.curvature.spectral_functions import alpha
from flows.optimizers import make_problem
from flows.vector_fields._complex_state import split

pytestmark = pytest.mark.benchmark
HERE = pathlib.Path(__file__).parent

MILLION = (64, 960, 960, 130, 1)  # 1,110,021 parameters
THOUSANDS = (29, 45, 45, 1)  # 3,466
HUNDRED_THOUSAND = (64, 260, 256, 64, 1)  # 100,229
MATVECS = 24
STEPS = 3
FLOWS = (
    flows.GradientFlow(),
    flows.ModifiedFlow(order=2),
    flows.ModifiedFlow(order=3),
    flows.PrincipalFlow(),
    flows.PrincipalFlow(correction="third-order"),
    flows.PrincipalFlow(branch="real"),
)


def at_a_point(widths, examples, dtype, kind):
    params, args = network(widths, examples, dtype)
    problem, params = make_problem(loss, params, flows.GradientDescent(0.1), args)
    if kind == "complex":
        params = jax.tree.map(lambda leaf: jax.lax.complex(leaf, 0 * leaf + 1e-3), params)
    return problem, params


@eqx.filter_jit
def field(flow, problem, params):
    y = params if flow.branch == "real" else split(params)
    return flow.vector_field(problem)(0.0, y, None)


@eqx.filter_jit
def image(problem, params):
    gradient, matvec = scaled_hessian(problem, problem.optimizer.learning_rate, params)
    return flows.Krylov().apply(alpha, matvec, gradient)


@eqx.filter_jit
def products(problem, params):
    """Products that feed each other. What they share is hoisted: the gradient is evaluated once."""

    def again(v, _):
        return problem.hessian_vector_product(params, v), None

    return jax.lax.scan(again, params, None, length=MATVECS)[0]


@eqx.filter_jit
def product(problem, params, v):
    return problem.hessian_vector_product(params, v)


def calls(problem, params):
    """The same products, one program after the other: nothing is shared."""
    v = params
    for _ in range(MATVECS):
        v = product(problem, params, v)
    return v


@eqx.filter_jit
def published(problem, params):
    """The whole Hessian and its complex eigenvectors."""
    gradient = problem.gradient(params)
    g, unravel = jax.flatten_util.ravel_pytree(gradient)
    at = jax.flatten_util.ravel_pytree(params)[0]
    flat = lambda p: jax.flatten_util.ravel_pytree(problem.gradient(unravel(p)))[0]  # noqa: E731
    A = (problem.optimizer.learning_rate * jax.jacfwd(flat)(at)).astype(complex)
    z, V = jnp.linalg.eig(A)
    return V @ (alpha(z) * jnp.linalg.solve(V, g.astype(complex)))


@pytest.mark.parametrize(
    ("dtype", "kind", "examples"),
    [
        ("float32", "real", 512),
        ("float32", "real", 1024),
        ("float64", "real", 512),
        ("float32", "complex", 512),
        ("float64", "complex", 512),
    ],
)
def test_field(dtype, kind, examples):
    problem, params = at_a_point(MILLION, examples, dtype, kind)
    flow = flows.PrincipalFlow(curvature=flows.Krylov(MATVECS, rtol=0.0))
    seconds = medians(
        5,
        products=lambda: products(problem, params),
        calls=lambda: calls(problem, params),
        field=lambda: field(flow, problem, params),
    )
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    report(f"{size:,} parameters, {examples} examples, {dtype}, {kind}", seconds, "products")


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_memory(dtype):
    done = subprocess.run(
        [sys.executable, str(HERE / "principal_memory.py"), dtype, "field"],
        capture_output=True,
        text=True,
        check=True,
    )
    numbers = json.loads(done.stdout)
    temporary = ", ".join(f"{name} {size:.1f}" for name, size in numbers["temporary"].items())
    print(
        f"\n{numbers['parameters']:,} parameters, {dtype}, in arrays of all of them: "
        f"{temporary}; peak {numbers['peak']:.1f} above what was there before"
    )
    assert numbers["temporary"]["field"] <= MATVECS + 12


def test_dense():
    problem, params = at_a_point(THOUSANDS, 256, "float64", "real")
    dense = flows.PrincipalFlow(curvature=flows.Dense())
    krylov = flows.PrincipalFlow(curvature=flows.Krylov(MATVECS, rtol=0.0))
    seconds = medians(3, krylov=lambda: field(krylov, problem, params))
    for name, run in (
        ("dense", lambda: field(dense, problem, params)),
        ("published", lambda: published(problem, params)),
    ):
        jax.block_until_ready(run())  # compiles; too long to be called often
        start = time.perf_counter()
        jax.block_until_ready(run())
        seconds[name] = time.perf_counter() - start
    report("3,466 parameters, float64", seconds, "krylov")


@pytest.mark.parametrize(
    ("widths", "h_lambda"),
    [(HUNDRED_THOUSAND, 0.5), (HUNDRED_THOUSAND, 1.7), (HUNDRED_THOUSAND, 2.1), (MILLION, 2.1)],
)
def test_cubic_term(widths, h_lambda):
    """In units of one Hessian-vector product, of a run of 24 in one program."""
    problem, params = at_a_point(widths, 128, "float32", "real")
    rate = h_lambda / float(jnp.max(image(problem, params).eigenvalues.real))
    problem = eqx.tree_at(lambda p: p.optimizer, problem, flows.GradientDescent(rate))
    contestants = {
        branch: flows.PrincipalFlow(branch, "cubic", flows.Krylov())
        for branch in ("continued", "real")
    }
    seconds = medians(
        3,
        products=lambda: products(problem, params),
        **{name: ft.partial(field, flow, problem, params) for name, flow in contestants.items()},
    )
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    report(f"cubic term, {size:,} parameters, float32, h lambda = {h_lambda}", seconds, "products")
    for name in contestants:
        print(f"  {name}: {seconds[name] / seconds['products'] * MATVECS:.0f} products")


@pytest.mark.parametrize("substeps", [None, 2], ids=["default", "two-substeps"])
@pytest.mark.parametrize("h_lambda", [0.5, 1.7])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_per_step_comparison(dtype, h_lambda, substeps):
    """A few steps, and what a hundred would take: the time of a step hardly changes."""
    params, args = network(HUNDRED_THOUSAND, 128, dtype)
    problem, moving = make_problem(loss, params, flows.GradientDescent(1.0), args)
    rate = h_lambda / float(jnp.max(image(problem, moving).eigenvalues.real))
    problem = eqx.tree_at(lambda p: p.optimizer, problem, flows.GradientDescent(rate))
    options = {}
    if substeps is not None:
        options = {"stepsize_controller": dfx.ConstantStepSize(), "dt0": 1 / substeps}
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    print(
        f"\n{size:,} parameters, 128 examples, {dtype}, h lambda = {h_lambda}: "
        f"{int(image(problem, moving).matvecs)} products in a field at the start"
    )
    total = 0.0
    for flow in FLOWS:
        compare = lambda flow=flow: flows.compare(  # noqa: E731
            loss, params, flows.GradientDescent(rate), [flow], STEPS, args=args, mode="per_step",
            save_params=False, throw=False, **options,
        )  # fmt: skip
        jax.block_until_ready(compare().errors)
        start = time.perf_counter()
        run = compare()
        jax.block_until_ready(run.errors)
        seconds = (time.perf_counter() - start) / STEPS
        total += seconds
        (trajectory,) = run.trajectories.values()
        print(
            f"  {flow.name:<30} {seconds:8.3f} s a step, "
            f"{int(trajectory.cost.steps) / STEPS:6.1f} solver steps, error "
            f"{float(run.relative_errors[flow.name][-1]):.3f} of the step"
        )
    print(f"  all flows, 100 steps: {total * 100 / 60:.1f} min")
