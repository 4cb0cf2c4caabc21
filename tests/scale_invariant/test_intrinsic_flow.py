"""The SDE in direction and norm against its closed forms, and against SGD in law."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.special

import flows
from flows.optimizers import make_problem
from flows.vector_fields.intrinsic import IntrinsicState

LAWS = flows.scale_invariant
ETA, DECAY, SIGMA = 0.1, 0.5, 1.3


def along(w, x):
    """Mean of x_i . u: the gradients at u are the tangential parts of the x_i."""
    return jnp.mean(x @ w) / jnp.linalg.norm(w)


def isotropic(d, sigma, mean=0.0):
    """Examples that make Sigma_u = sigma^2 (I - u u^T) for batches of one, and a mean of them."""
    axes = sigma * np.sqrt(d) * np.concatenate([np.eye(d), -np.eye(d)])
    axes[:, 0] += mean
    return jnp.asarray(axes)


def ends(flow, start, sgd, steps, paths, args, key=0):
    """Final parameters of many paths."""

    @jax.jit
    def one(key):
        run = flows.solve(along, start, sgd, flow, steps, args=args, key=key, save_params=False)
        return run.final_params, run.diagnostics["norm"]

    return jax.vmap(one)(jr.split(jr.key(key), paths))


def test_isotropic_noise_without_a_loss():
    """The reference's table, d = 6; 1000 paths, two substeps a step."""
    d, steps, paths = 6, 60, 1000
    start = 2.0 * jnp.eye(d)[0]
    sgd = flows.SGD(ETA, batch_size=1, weight_decay=DECAY)
    w, norms = ends(flows.IntrinsicFlow(2), start, sgd, steps, paths, isotropic(d, SIGMA))
    length = SIGMA * np.sqrt(d - 1)
    exact = np.asarray(LAWS.norm_path(2.0, ETA, DECAY, length, steps, model="sde"))
    # Norms are deterministic, in the numbers too; their error is that of the solver alone.
    assert float(jnp.max(jnp.std(norms, axis=0))) < 1e-12
    np.testing.assert_allclose(norms[0], exact, rtol=1e-3)
    for t, fourth in {10: 2.8960, 20: 1.1226, 40: 0.8501, 60: 0.8451}.items():
        assert float(norms[0, t]) ** 4 == pytest.approx(fourth, rel=3e-3)
    cosines = LAWS.mean_alignment(2.0, ETA, DECAY, length, steps, model="sde")
    u = np.asarray(w)[:, 0] / np.linalg.norm(w, axis=1)
    assert abs(u.mean() - float(cosines[steps])) < 5 * u.std() / np.sqrt(paths)


def test_the_noise_is_that_of_the_norm_in_the_middle_of_a_substep():
    """By hand at one state: |w|^4 solves a linear equation, whatever the direction does."""
    rng = np.random.default_rng(5)
    data, ray, fourth, h = rng.normal(size=(7, 3)), np.array([0.9, -0.6, 0.8]), 1.7, 0.5
    draws = rng.normal(size=7)
    unit = ray / np.linalg.norm(ray)
    # At a unit vector the gradients are the tangential parts; a batch has two of seven examples.
    gradients = data - np.outer(data @ unit, unit)
    deviations = gradients - gradients.mean(axis=0)
    c = (7 - 2) / (2 * (7 - 1))
    trace = c * np.mean(np.sum(deviations**2, axis=1))
    noise = np.sqrt(c / 7) * draws @ deviations

    @jax.jit
    def diffusion(decay, state):
        found = []
        for substeps in (1, 3):
            flow = flows.IntrinsicFlow(substeps)
            sgd = flows.SGD(h, batch_size=2, sampling="no replacement", weight_decay=decay)
            problem, _ = make_problem(along, state.ray, sgd, jnp.asarray(data))
            found.append(flow.diffusion(problem, None, state, (jnp.asarray(draws), None)))
        return found

    state = IntrinsicState(jnp.asarray(ray), jnp.log(fourth) / 2)
    for decay in (0.0, 0.8):
        for substeps, found in zip((1, 3), diffusion(decay, state), strict=True):
            t = h / substeps / 2
            # d |w|^4 / dt = -4 lambda |w|^4 + 2 h Tr Sigma
            x = 4 * decay * t
            grown = (1 - np.exp(-x)) / (4 * decay) if decay else t
            middle = np.exp(-x) * fourth + 2 * h * trace * grown
            expected = h / np.sqrt(middle) * noise * np.linalg.norm(ray)
            np.testing.assert_allclose(found.ray, expected, rtol=1e-12)
            assert float(found.log_square) == 0


def test_the_stationary_law_on_the_circle():
    """Von Mises; 1000 paths of 150 steps, mu = 0.4, sigma = 1."""
    sgd = flows.SGD(ETA, batch_size=1, weight_decay=DECAY)
    start = 0.5 * jnp.eye(2)[1]
    w, norms = ends(flows.IntrinsicFlow(2), start, sgd, 150, 1000, isotropic(2, 1.0, mean=-0.4))
    kappa = 2 * 0.4 / np.sqrt(2 * ETA * DECAY)
    expected = scipy.special.iv(1, kappa) / scipy.special.iv(0, kappa)
    assert expected == pytest.approx(0.7682, abs=5e-5)
    cosine = np.asarray(w)[:, 0] / np.linalg.norm(w, axis=1)
    assert abs(cosine.mean() - expected) < 5 * cosine.std() / np.sqrt(1000)
    assert float(ETA / norms[0, -1] ** 2) == pytest.approx(0.3162278, rel=1e-4)


def test_without_batches_it_is_the_gradient_flow_with_weight_decay():
    problem = flows.problems.rayleigh_quotient()
    run = flows.solve(
        problem.loss,
        problem.start,
        flows.SGD(0.02, weight_decay=0.2),
        flows.IntrinsicFlow(2),
        75,
        args=problem.args,
        key=jr.key(0),
    )
    times = jnp.arange(76.0)
    exact = LAWS.rayleigh_flow(problem.args, problem.start, 0.02, 0.2, times)
    np.testing.assert_allclose(run.params, exact, atol=1e-4)
    assert float(run.ts[-1]) == pytest.approx(1.5)
    np.testing.assert_allclose(
        run.diagnostics["effective_learning_rate"], 0.02 / run.diagnostics["norm"] ** 2, rtol=1e-12
    )


def test_it_has_the_law_of_sgd_up_to_the_intrinsic_rate():
    """Norms at equilibrium differ by q / 4 in the effective rate, and by sampling."""
    d, sgd = 6, flows.SGD(ETA, batch_size=2, weight_decay=0.2)
    args, start = isotropic(d, SIGMA), 0.7 * jnp.eye(d)[0]
    _, norms = ends(flows.IntrinsicFlow(1), start, sgd, 100, 20, args)

    @jax.jit
    def path(key):
        run = flows.iterate(along, start, sgd, 100, args=args, key=key)
        return run.params

    w = jax.vmap(path)(jr.split(jr.key(1), 500))
    fourth = np.mean(np.linalg.norm(w, axis=2)[:, -20:] ** 4)
    length = SIGMA * np.sqrt((d - 1) / 2)
    sde, steps = (
        float(LAWS.equilibrium(ETA, 0.2, length, model=model).norm_fourth)
        for model in ("sde", "discrete")
    )
    assert float(norms[0, -1]) ** 4 == pytest.approx(sde, rel=1e-3)
    assert fourth == pytest.approx(steps, rel=0.03)


def test_parameters_may_be_any_tree():
    problem = flows.problems.normalised_network(hidden=11)
    few = jax.tree.map(lambda leaf: leaf[:32], problem.args)
    sgd = flows.SGD(0.5, batch_size=4, weight_decay=0.01)
    first = jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in problem.start))
    # The drift of the norm, from gradients of single images one by one.
    unit = jax.tree.map(lambda leaf: leaf / first, problem.start)
    single = lambda image: jax.grad(problem.loss)(unit, jax.tree.map(lambda x: x[None], image))  # noqa: E731
    gradients = jax.jit(jax.vmap(single))(few)
    rows = np.concatenate([np.reshape(leaf, (32, -1)) for leaf in gradients], axis=1)
    trace = np.mean(np.sum((rows - np.mean(rows, axis=0)) ** 2, axis=1)) / 4
    velocity = flows.vector_field(problem.loss, problem.start, sgd, flows.IntrinsicFlow(), args=few)
    radial = sum(float(jnp.vdot(v, u)) for v, u in zip(velocity, unit, strict=True))
    expected = -0.01 * float(first) + 0.5 * trace / (2 * float(first) ** 3)
    assert radial == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("sgd", "message"),
    [
        (flows.SGD(0.1, batch_size=1, momentum=0.9), "IntrinsicFlow models SGD without momentum"),
        (flows.SGD(0.1, noise=1.0), "noise of independent batches.*noise=None"),
        (flows.SGD(0.1, batch_size=1, sampling="reshuffling"), "noise of independent batches"),
    ],
)
def test_other_optimizers_are_refused(sgd, message):
    with pytest.raises(flows.IncompatibleFlowError, match=message):
        flows.solve(
            along, jnp.ones(2), sgd, flows.IntrinsicFlow(), 1, args=jnp.eye(2), key=jr.key(0)
        )


def test_other_losses_and_options_are_refused():
    with pytest.raises(flows.NotScaleInvariantError, match="not scale invariant"):
        flows.solve(
            lambda w, x: jnp.mean(x @ w),
            jnp.ones(2),
            flows.SGD(0.1, batch_size=1),
            flows.IntrinsicFlow(),
            1,
            args=jnp.eye(2),
            key=jr.key(0),
        )
    with pytest.raises(flows.InvalidOptionError, match="substeps must be an integer >= 1, got 0"):
        flows.IntrinsicFlow(substeps=0)
