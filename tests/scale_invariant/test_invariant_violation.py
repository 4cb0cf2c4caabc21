"""Losses that are scale invariant and those that are not, with what was measured."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flows

MEASURE = flows.scale_invariant.scale_violation
REQUIRE = flows.scale_invariant.require_scale_invariance
NAMES = (
    "scale_invariant_plane",
    "scale_invariant_sphere",
    "rayleigh_quotient",
    "normalised_network",
)


@pytest.mark.parametrize("name", NAMES)
def test_the_ready_problems_are_scale_invariant(name):
    problem = flows.problems.get(name)
    assert float(MEASURE(problem.loss, problem.start, args=problem.args)) < 1e-14
    REQUIRE(problem.loss, problem.start, args=problem.args)


def test_single_precision_is_judged_by_its_own_rounding():
    problem = flows.problems.rayleigh_quotient()
    w, A = problem.start.astype(jnp.float32), problem.args.astype(jnp.float32)
    assert 1e-10 < float(MEASURE(problem.loss, w, args=A)) < 1e-5
    REQUIRE(problem.loss, w, args=A)


def test_every_layer_of_the_network_is_by_itself():
    problem = flows.problems.normalised_network(hidden=11, seed=3)
    first, second = problem.start
    value = problem.loss(problem.start, problem.args)
    for scaled in ([5 * first, second], [first, 0.1 * second], [2 * first, 3 * second]):
        assert float(problem.loss(scaled, problem.args)) == pytest.approx(float(value), rel=1e-13)


def test_the_network_against_a_forward_pass_in_numpy():
    problem = flows.problems.normalised_network()
    x, y = (np.asarray(problem.args[name]) for name in ("inputs", "targets"))
    assert x.shape == (1797, 64)
    assert y.shape == (1797, 10)
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_array_equal(y.sum(axis=1), 1)
    first, second = (np.asarray(weight) for weight in problem.start)
    readout = np.cos(np.pi * np.outer((np.arange(16) + 0.5) / 16, np.arange(1, 11))) / np.sqrt(8)
    np.testing.assert_allclose(readout.T @ readout, np.eye(10), atol=1e-14)
    total = 0.0
    for image, wanted in zip(x, y, strict=True):
        h = image @ first
        h = np.tanh((h - h.mean()) / h.std())
        z = h @ second
        logits = ((z - z.mean()) / z.std()) @ readout
        total += np.log(np.exp(logits).sum()) - logits[wanted.argmax()]
    assert float(problem.loss(problem.start, problem.args)) == pytest.approx(
        total / 1797, rel=1e-12
    )


@pytest.mark.parametrize("amount", [1e-6, 1e-2, 1.0])
def test_the_violation_is_measured(amount):
    """Of L = log-norm of weight c: w . grad L = c, on a loss that is 0 otherwise."""
    quotient = flows.problems.rayleigh_quotient()

    def loss(w, matrix):
        return quotient.loss(w, matrix) + amount * jnp.log(jnp.sum(w**2)) / 2

    measured = float(MEASURE(loss, quotient.start, args=quotient.args))
    assert 0.02 * amount < measured <= 2 * amount
    with pytest.raises(flows.NotScaleInvariantError, match="not scale invariant") as caught:
        REQUIRE(loss, quotient.start, args=quotient.args)
    assert caught.value.violation == measured
    assert f"{measured:.3g}" in str(caught.value)


def test_a_minimum_tells_as_much_as_any_point():
    """There loss and gradient are rounding errors; a regularised loss is found out all the same."""
    plane = flows.problems.scale_invariant_plane().loss
    bottom = jnp.array([1e-9, 1.0])
    REQUIRE(lambda w: 1 - jnp.sqrt(1 - plane(w)), bottom)
    with pytest.raises(flows.NotScaleInvariantError):
        REQUIRE(lambda w: plane(w) + 0.01 * jnp.sum(w**2), bottom)
    REQUIRE(lambda w: 0.0 * jnp.sum(w), bottom)


def test_the_drivers_refuse_other_losses():
    optimizer = flows.ScaleInvariantDescent(0.1, 0.5)
    with pytest.raises(
        flows.NotScaleInvariantError, match=r"changes by \d.*Leave regularisation out"
    ) as caught:
        flows.iterate(lambda w: jnp.sum(w**2), jnp.ones(2), optimizer, 3)
    assert isinstance(caught.value, ValueError)
    assert caught.value.violation > 0.5
    with pytest.raises(flows.NotScaleInvariantError):
        flows.find_cycle(lambda w: jnp.sum(w**2), jnp.ones(2), optimizer, period=2)
    with pytest.raises(flows.InvalidParametersError, match="params are all zero"):
        flows.iterate(flows.problems.scale_invariant_plane().loss, jnp.zeros(2), optimizer, 3)
    with pytest.raises(flows.NotScaleInvariantError, match="by nan"):
        REQUIRE(lambda w: jnp.sum(jnp.log(w)), -jnp.ones(2))


def test_nothing_is_asked_under_a_transformation():
    optimizer = flows.ScaleInvariantDescent(0.1, 0.5)
    run = jax.jit(lambda w: flows.iterate(lambda w: jnp.sum(w**2), w, optimizer, 1).final_params)
    assert bool(jnp.all(jnp.isfinite(run(jnp.ones(2)))))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: flows.problems.scale_invariant_plane((0.0, 0.0)), "start must not be zero"),
        (lambda: flows.problems.scale_invariant_plane((1.0,)), "start must hold 2 numbers"),
        (lambda: flows.problems.scale_invariant_sphere((0, 0, 1)), "start must not be a pole"),
        (lambda: flows.problems.rayleigh_quotient([[1.0, 2.0], [0.0, 1.0]]), "must be symmetric"),
        (lambda: flows.problems.normalised_network(hidden=10), "hidden must be an integer >= 11"),
        (lambda: flows.problems.normalised_network(seed=-1), "seed must be an integer >= 0"),
    ],
)
def test_bad_options_are_refused_with_a_remedy(make, message):
    with pytest.raises(flows.InvalidOptionError, match=message):
        make()


def test_without_scikit_learn_the_error_says_how_to_install_it(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(flows.MissingDependencyError, match=r"'descentflows\[examples\]'"):
        flows.problems.normalised_network()
