"""The network problems against an independent forward pass, and their data."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flows
import flows.problems
from flows._errors import InvalidOptionError, MissingDependencyError
from tests.helpers import assert_close

NETWORKS = {
    "mlp": (flows.problems.mlp, np.tanh),
    "mlp, no hidden layer": (lambda: flows.problems.mlp((3, 2)), None),
    "mlp, deep": (lambda: flows.problems.mlp((2, 4, 3, 2), samples=7, activation=jnp.sin), np.sin),
    "breast_cancer": (flows.problems.breast_cancer, np.tanh),
    "breast_cancer, small": (lambda: flows.problems.breast_cancer(hidden=2, seed=3), np.tanh),
}


def numpy_loss(params, inputs, targets, activation):
    """One sample and one unit at a time, in float64."""
    total = 0.0
    for sample, wanted in zip(np.asarray(inputs), np.asarray(targets), strict=True):
        values = sample
        for place, layer in enumerate(params):
            weight, bias = np.asarray(layer["weight"]), np.asarray(layer["bias"])
            values = np.array([bias[j] + values @ weight[:, j] for j in range(bias.size)])
            if place < len(params) - 1:
                values = activation(values)
        total += np.mean((values - wanted) ** 2)
    return total / len(inputs)


def moved(params):
    """The start with every number changed, biases too."""
    random = np.random.default_rng(11)
    return jax.tree.map(lambda p: p + jnp.asarray(random.standard_normal(p.shape)), params)


@pytest.mark.parametrize("case", NETWORKS)
def test_the_loss_is_that_of_an_independent_forward_pass(case):
    make, activation = NETWORKS[case]
    problem = make()
    for params in (problem.start, moved(problem.start)):
        expected = numpy_loss(params, problem.args["inputs"], problem.args["targets"], activation)
        assert_close(jax.jit(problem.loss)(params, problem.args), np.float64(expected), rtol=1e-12)


@pytest.mark.parametrize("case", ["mlp, deep", "breast_cancer, small"])
def test_the_gradient_is_that_of_finite_differences(case):
    make, activation = NETWORKS[case]
    problem = make()
    params = moved(problem.start)
    gradient = jax.jit(jax.grad(problem.loss))(params, problem.args)
    data = (problem.args["inputs"], problem.args["targets"], activation)
    direction = moved(jax.tree.map(jnp.zeros_like, params))
    eps = np.finfo(float).eps ** (1 / 3)
    ahead, behind = (
        numpy_loss(jax.tree.map(lambda p, d, s=s: p + s * eps * d, params, direction), *data)
        for s in (1, -1)
    )
    slope = sum(
        jnp.vdot(g, d)
        for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True)
    )
    assert_close(slope, np.float64((ahead - behind) / (2 * eps)), rtol=1e-6)


def test_the_synthetic_data_follow_their_law():
    problem = flows.problems.mlp(widths=(4, 3, 2), samples=50, seed=5)
    random = np.random.default_rng([5, 0])
    inputs, mixing = random.standard_normal((50, 4)), random.standard_normal((4, 2))
    targets = np.tanh(inputs @ mixing) + 0.5 * np.sin(2 * inputs[:, 0])[:, None]
    assert_close(problem.args["inputs"], jnp.asarray(inputs), rtol=0)
    assert_close(problem.args["targets"], jnp.asarray(targets), rtol=1e-14)


def test_the_data_do_not_depend_on_the_hidden_widths():
    a, b = flows.problems.mlp((5, 5, 1)), flows.problems.mlp((5, 9, 4, 1))
    assert_close(a.args["inputs"], b.args["inputs"], rtol=0)
    assert_close(a.args["targets"], b.args["targets"], rtol=0)


@pytest.mark.parametrize("factory", [flows.problems.mlp, flows.problems.breast_cancer])
def test_the_seed_decides_the_start(factory):
    a, b, c = factory(), factory(seed=0), factory(seed=1)
    assert_close(a.start, b.start, rtol=0)
    weights = [np.asarray(problem.start[0]["weight"]) for problem in (a, c)]
    assert np.min(np.abs(weights[0] - weights[1])) > 0


def test_the_start_is_scaled_by_the_inputs_and_small_at_the_end():
    start = flows.problems.mlp((100, 400, 50)).start
    # Five standard errors of the standard deviation of n Gaussians: 5 / sqrt(2 n).
    for layer, expected in zip(start, (1 / 10, 0.1 / 20), strict=True):
        n = layer["weight"].size
        spread = float(jnp.std(layer["weight"])) / expected
        assert abs(spread - 1) < 5 / np.sqrt(2 * n)
        assert not layer["bias"].any()


def test_the_breast_cancer_table_is_standardised_and_labelled():
    args = flows.problems.breast_cancer().args
    inputs, targets = np.asarray(args["inputs"]), np.asarray(args["targets"])
    assert inputs.shape == (569, 30)
    np.testing.assert_allclose(inputs.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(inputs.var(axis=0), 1, rtol=1e-12)
    assert targets.shape == (569, 1)
    assert sorted(np.unique(targets)) == [-1, 1]
    # 357 benign and 212 malignant; malignant nuclei are larger (feature 0, mean radius).
    assert (targets == 1).sum() == 357
    assert inputs[targets[:, 0] == -1, 0].mean() > inputs[targets[:, 0] == 1, 0].mean() + 1


def test_the_sharpness_of_the_breast_cancer_run_passes_one():
    """What its documentation says of it."""
    problem = flows.problems.breast_cancer()
    h = problem.learning_rate
    run = flows.iterate(
        problem.loss, problem.start, flows.GradientDescent(h), 200, args=problem.args
    )
    vector, unravel = jax.flatten_util.ravel_pytree(problem.start)
    hessian = jax.jit(jax.hessian(lambda p: problem.loss(unravel(p), problem.args)))
    expected = {0: 0.877, 20: 0.919, 70: 0.997, 80: 1.009, 200: 1.086}
    assert vector.size == 321
    for step, value in expected.items():
        at = jax.tree.map(lambda p, n=step: p[n], run.params)
        eigenvalues = h * np.linalg.eigvalsh(hessian(jax.flatten_util.ravel_pytree(at)[0]))
        assert eigenvalues[-1] == pytest.approx(value, abs=1e-3)
        assert step == 0 or eigenvalues[-2] < 0.4
    assert bool(jnp.all(jnp.diff(run.loss) < 0))
    assert run.loss[-1] == pytest.approx(0.0596, abs=1e-4)


@pytest.mark.parametrize(
    "make",
    [
        lambda: flows.problems.mlp((3, 1)),
        lambda: flows.problems.mlp((5, 20, 20, 1), seed=1),
        lambda: flows.problems.mlp((2, 100, 2)),
        lambda: flows.problems.breast_cancer(hidden=1),
        lambda: flows.problems.breast_cancer(hidden=40, seed=2),
    ],
)
def test_the_learning_rate_follows_the_widths(make):
    problem = make()
    run = flows.iterate(
        problem.loss,
        problem.start,
        flows.GradientDescent(problem.learning_rate),
        200,
        args=problem.args,
    )
    assert bool(jnp.all(jnp.diff(run.loss) <= 1e-14))
    assert run.loss[-1] < 0.75 * run.loss[0]


def test_the_loss_can_be_jitted_and_differs_between_activations():
    tanh, sine = flows.problems.mlp(), flows.problems.mlp(activation=jnp.sin)
    assert tanh.loss is sine.loss is flows.problems.breast_cancer().loss
    jitted = jax.jit(tanh.loss)
    values = [float(jitted(problem.start, problem.args)) for problem in (tanh, sine)]
    expected = [
        numpy_loss(problem.start, problem.args["inputs"], problem.args["targets"], activation)
        for problem, activation in ((tanh, np.tanh), (sine, np.sin))
    ]
    np.testing.assert_allclose(values, expected, rtol=1e-12)
    assert abs(values[0] - values[1]) > 1e-6


@pytest.mark.parametrize("missing", ["sklearn", "sklearn.datasets"])
def test_without_scikit_learn_the_error_says_how_to_install_it(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(
        MissingDependencyError, match=r"pip install 'descentflows\[examples\]'"
    ) as caught:
        flows.problems.breast_cancer()
    assert isinstance(caught.value.__cause__, ImportError)
    assert flows.problems.mlp().name == "mlp"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: flows.problems.mlp((5,)), r"widths must list .*got \(5,\).*widths=\(5, 5, 1\)"),
        (lambda: flows.problems.mlp(5), "widths must list"),  # pyright: ignore[reportArgumentType]
        (lambda: flows.problems.mlp((5, 0, 1)), r"widths\[1\] must be an integer >= 1, got 0"),
        (lambda: flows.problems.mlp((5, 2.5, 1)), r"widths\[1\] must be an integer >= 1, got 2.5"),
        (lambda: flows.problems.mlp(samples=0), "samples must be an integer >= 1.*samples=60"),
        (lambda: flows.problems.mlp(samples=True), "samples must be an integer >= 1, got True"),
        (lambda: flows.problems.mlp(seed=-1), "seed must be an integer >= 0, got -1.*seed=0"),
        (lambda: flows.problems.mlp(activation="tanh"), "activation must be a function.*jnp.tanh"),
        (lambda: flows.problems.breast_cancer(hidden=0), "hidden must be an integer >= 1.*=10"),
        (lambda: flows.problems.breast_cancer(seed=0.5), "seed must be an integer >= 0, got 0.5"),
    ],
)
def test_bad_options_are_refused_with_a_remedy(make, message):
    with pytest.raises(InvalidOptionError, match=message):
        make()
