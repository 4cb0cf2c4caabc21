"""The normalised network reaches the effective learning rate that its intrinsic one predicts."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import flows

NETWORK = flows.problems.normalised_network()
LAWS = flows.scale_invariant
STEPS, BATCH, Q = 6000, 32, 2e-3


def norm(tree):
    return jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in tree))


@jax.jit
def sgd(rates, decays):
    """Plain SGD with weight decay; the norm, and the gradient's length on the unit sphere."""

    def step(w, at):
        eta, decay, key = at
        seen = jr.randint(key, (BATCH,), 0, 1797)
        batch = jax.tree.map(lambda leaf: leaf[seen], NETWORK.args)
        g = jax.grad(NETWORK.loss)(w, batch)
        r = norm(w)
        moved = jax.tree.map(lambda x, slope: (1 - eta * decay) * x - eta * slope, w, g)
        return moved, (r, r * norm(g))

    w, path = jax.lax.scan(step, NETWORK.start, (rates, decays, jr.split(jr.key(1), STEPS)))
    return w, *path


def schedules():
    """Learning rates; the intrinsic rate is the same but in the first quarter of the third."""
    early = np.arange(STEPS) < STEPS // 4
    rates = {
        "large": np.full(STEPS, 0.5),
        "small": np.full(STEPS, 0.05),
        "decayed": np.where(early, 1.0, 0.1),
    }
    decays = {name: Q / eta for name, eta in rates.items()}
    decays["decayed"] = np.where(early, 0.008, Q / 0.1)
    return rates, decays


@pytest.fixture(scope="module")
def runs():
    rates, decays = schedules()
    return {name: sgd(jnp.asarray(rates[name]), jnp.asarray(decays[name])) for name in rates}


def test_three_schedules_of_one_intrinsic_rate_reach_one_effective_rate(runs):
    rates, decays = schedules()
    reached = {}
    for name, (_, r, s) in runs.items():
        effective = rates[name] / np.asarray(r) ** 2
        late = slice(STEPS // 2, None)  # twelve relaxation times after the last change
        length = float(np.sqrt(np.mean(np.asarray(s)[late] ** 2)))
        balance = LAWS.equilibrium(rates[name][-1], decays[name][-1], length)
        reached[name] = effective[late].mean()
        assert reached[name] == pytest.approx(float(balance.effective_learning_rate), rel=0.02)
    # What is left is that the gradients of different minima are of different length.
    assert max(reached.values()) / min(reached.values()) < 1.08
    effective = {name: rates[name] / np.asarray(runs[name][1]) ** 2 for name in rates}
    assert effective["large"][0] == pytest.approx(10 * effective["small"][0], rel=1e-12)
    # At four times the intrinsic rate, twice the effective one; the decay by ten is felt at once.
    before, after = effective["decayed"][STEPS // 4 - 1 : STEPS // 4 + 1]
    assert effective["decayed"][1000:1500].mean() == pytest.approx(2 * reached["large"], rel=0.2)
    assert after == pytest.approx(before / 10, rel=0.05)


def test_norms_follow_from_the_lengths_of_the_gradients(runs):
    rates, decays = schedules()
    for name, (_, r, s) in runs.items():
        found = LAWS.norm_path(r[0], rates[name], decays[name], s, STEPS)
        np.testing.assert_allclose(found[:-1], r, rtol=1e-12)


def test_time_to_equilibrium(runs):
    """From a tenth of the effective rate, by the SDE's law with the length at equilibrium."""
    rates, decays = schedules()
    _, r, s = runs["small"]
    length = float(np.sqrt(np.mean(np.asarray(s)[STEPS // 2 :] ** 2)))
    balance = LAWS.equilibrium(rates["small"][0], decays["small"][0], length)
    predicted = float(balance.time_from(r[0], rtol=0.2))
    effective = rates["small"] / np.asarray(r) ** 2
    there = np.argmax(effective > 0.8 * float(balance.effective_learning_rate))
    assert 0.7 < there / predicted < 1.4


def test_angles_per_step_are_those_of_the_equilibrium(runs):
    rates, decays = schedules()
    name = "large"
    _, r, s = (jnp.asarray(part) if not isinstance(part, list) else part for part in runs[name])
    balance = LAWS.equilibrium(0.5, decays[name][-1], 1.0)
    phi = LAWS.effective_step(r, rates[name], decays[name])
    angles = np.arctan(np.asarray(phi * s))[STEPS // 2 :]
    assert np.sqrt(np.mean(angles**2)) == pytest.approx(float(balance.angle), rel=0.02)


def test_the_full_batch_keeps_the_time_mean_too():
    """Descent in direction and norm: the mean of log(1 + Phi^2 |g|^2) is -2 log(1 - q)."""
    q, eta, steps = 0.01, 0.5, 300
    run = flows.iterate(
        NETWORK.loss,
        NETWORK.start,
        flows.ScaleInvariantDescent(eta, q / eta),
        steps,
        args=NETWORK.args,
        save_params=False,
    )
    r = np.asarray(run.diagnostics["norm"])
    turned = np.log1p(np.tan(np.asarray(run.diagnostics["angle"][1:])) ** 2)
    # Exactly, with what the norm gained from start to end.
    gained = 2 * np.log(r[-1] / r[0]) / steps
    assert turned.mean() == pytest.approx(-2 * np.log1p(-q) + gained, rel=1e-10)
    assert float(run.loss[-1]) < 0.5 * float(run.loss[0])
