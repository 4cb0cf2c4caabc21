"""What all ready problems have in common, and the list of them."""

import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flows
import flows.problems
from flows._errors import InvalidOptionError

NAMES = list(flows.problems.PROBLEMS)


def norm(tree):
    return np.sqrt(sum(float(jnp.vdot(x, x)) for x in jax.tree.leaves(tree)))


def gradient_descent(problem, steps=200):
    return flows.iterate(
        problem.loss,
        problem.start,
        flows.GradientDescent(problem.learning_rate),
        steps,
        args=problem.args,
    )


def test_the_list_and_its_order():
    assert NAMES == [
        "quadratic",
        "quartic",
        "cosine",
        "double_well",
        "nar_sastry",
        "sharp_valley",
        "rational_landscape",
        "product",
        "rosenbrock",
        "scale_invariant_plane",
        "scale_invariant_sphere",
        "rayleigh_quotient",
        "mlp",
        "breast_cancer",
        "edge_of_stability",
        "normalised_network",
    ]
    for name, factory in flows.problems.PROBLEMS.items():
        assert getattr(flows.problems, name) is factory


@pytest.mark.parametrize("name", NAMES)
def test_gradient_descent_descends_in_every_step(name):
    run = gradient_descent(flows.problems.get(name))
    # At a minimum the loss is constant up to rounding.
    assert bool(jnp.all(jnp.diff(run.loss) <= 1e-14))
    assert run.loss[-1] < 0.5 * run.loss[0]


@pytest.mark.parametrize("name", NAMES)
def test_one_step_of_the_gradient_flow_differs_visibly(name):
    """By Taylor's formula the first error is h^2 |H g| / 2 out of a step of h |g|."""
    problem = flows.problems.get(name)
    data = () if problem.args is None else (problem.args,)
    gradient = jax.jit(jax.grad(problem.loss))
    g = gradient(problem.start, *data)
    Hg = jax.jvp(lambda p: gradient(p, *data), (problem.start,), (g,))[1]
    ratio = problem.learning_rate * norm(Hg) / norm(g) / 2
    assert 0.02 < ratio < 1


def test_a_problem_goes_into_a_comparison_as_it_is():
    problem = flows.problems.rosenbrock()
    run = flows.compare(
        problem.loss,
        problem.start,
        flows.GradientDescent(problem.learning_rate),
        [flows.GradientFlow()],
        steps=3,
        args=problem.args,
    )
    moved = float(jnp.sum(run.iterates.diagnostics["step_length"][1:]))
    assert 0.01 * moved < float(run.errors["GradientFlow"][-1]) < 0.5 * moved


@pytest.mark.parametrize("name", NAMES)
def test_a_problem_says_what_it_is(name):
    problem = flows.problems.get(name)
    assert problem.name == name
    assert isinstance(problem, flows.problems.Example)
    assert isinstance(problem.learning_rate, float)
    assert any(character.isdigit() for character in problem.source) or name in ("mlp", "quartic")
    assert "\n" not in problem.description
    assert len(problem.description) > 5


@pytest.mark.parametrize("name", NAMES)
def test_a_second_call_gives_the_same_loss_and_compiles_nothing(name):
    one, two = flows.problems.get(name), flows.problems.get(name)
    assert one.loss is two.loss
    traces = []

    @eqx.filter_jit
    def value(problem):
        traces.append(1)
        return problem.loss(problem.start, *(() if problem.args is None else (problem.args,)))

    assert float(value(one)) == float(value(two))
    assert len(traces) == 1
    assert eqx.tree_equal(one, two)


@pytest.mark.parametrize("name", NAMES)
def test_start_and_data_are_those_of_float64_rounded(name):
    double = flows.problems.get(name)
    with jax.enable_x64(False):
        single = flows.problems.get(name)
    assert single.learning_rate == double.learning_rate
    doubles = jax.tree.leaves((double.start, double.args))
    singles = jax.tree.leaves((single.start, single.args))
    assert doubles
    for d, s in zip(doubles, singles, strict=True):
        assert d.dtype == np.float64
        assert s.dtype == np.float32
        np.testing.assert_array_equal(np.asarray(s), np.asarray(d).astype(np.float32))


@pytest.mark.parametrize("name", NAMES)
def test_loss_and_gradient_are_float32_where_x64_is_off(name):
    def value_and_gradient(problem):
        data = () if problem.args is None else (problem.args,)
        return jax.jit(jax.value_and_grad(problem.loss))(problem.start, *data)

    double = value_and_gradient(flows.problems.get(name))
    with jax.enable_x64(False):
        single = value_and_gradient(flows.problems.get(name))
    assert {leaf.dtype for leaf in jax.tree.leaves(single)} == {np.dtype(np.float32)}
    for d, s in zip(jax.tree.leaves(double), jax.tree.leaves(single), strict=True):
        # Ten square roots of eps is 3.5e-3; these sums are shorter.
        scale = np.max(np.abs(d))
        np.testing.assert_allclose(np.asarray(s), np.asarray(d), atol=1e-4 * scale, rtol=0)


def test_an_unknown_name_is_refused_with_the_near_ones():
    with pytest.raises(InvalidOptionError, match=r"no problem 'Rosenbrok'.*'rosenbrock'\?"):
        flows.problems.get("Rosenbrok")
    with pytest.raises(InvalidOptionError, match=r"'quadratic'.*list\(flows.problems.PROBLEMS\)"):
        flows.problems.get("quadratics")
    with pytest.raises(InvalidOptionError, match=r"no problem 'zzz'\. All names: list"):
        flows.problems.get("zzz")
    with pytest.raises(InvalidOptionError, match=r"no problem \['mlp'\]"):
        flows.problems.get(["mlp"])


def test_importing_the_problems_imports_no_extra():
    code = (
        "import sys, flows.problems; "
        "print(*{'sklearn', 'sympy', 'matplotlib', 'flax'}.intersection(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
