"""Equilibria, norms and mean directions: closed forms against simulations and the symbolic half."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from helpers import assert_close

import flows
import symbolic

LAWS = flows.scale_invariant
EXACT = symbolic.scale_invariant
ETA, DECAY, LENGTH = 0.2, 0.25, 1.7


@pytest.mark.parametrize("rates", [(0.2, 0.25, 1.7), (0.1, 0.05, 1.0), (1.5, 1.2, 0.3)])
def test_the_equilibrium_is_that_of_the_symbolic_half(rates):
    found, sde = LAWS.equilibrium(*rates), LAWS.equilibrium(*rates, model="sde")
    exact = EXACT.equilibrium(*rates)
    assert float(found.norm_fourth) == pytest.approx(float(exact.norm_fourth), rel=1e-13)
    assert float(sde.norm_fourth) == pytest.approx(float(exact.sde_norm_fourth), rel=1e-13)
    assert float(found.slope) == pytest.approx(float(exact.slope), rel=1e-12)
    assert float(found.cosine) == pytest.approx(float(exact.cosine), rel=1e-13, abs=1e-15)
    assert float(found.effective_learning_rate) == pytest.approx(
        float(exact.effective_rate), rel=1e-13
    )
    q = rates[0] * rates[1]
    assert float(found.norm_fourth / sde.norm_fourth) == pytest.approx(2 / (2 - q), rel=1e-13)
    for balance in (found, sde):
        assert float(jnp.cos(balance.angle)) == pytest.approx(float(balance.cosine), rel=1e-12)
        assert float(balance.relaxation_time) == pytest.approx(
            -1 / np.log(abs(float(balance.slope))), rel=1e-11
        )


def test_the_values_of_the_reference():
    found = LAWS.equilibrium(ETA, DECAY, LENGTH)
    assert float(found.norm_fourth) == pytest.approx(1.18564, abs=5e-6)
    assert float(found.slope) == pytest.approx(0.805, abs=5e-13)
    assert float(found.cosine) == pytest.approx(0.95, abs=1e-15)
    sde = LAWS.equilibrium(ETA, DECAY, LENGTH, model="sde")
    assert float(sde.norm_fourth) == pytest.approx(1.156, abs=1e-12)
    # Small rates: angle sqrt(2 q), time 1 / (4 q), effective rate sqrt(2 q) / s.
    small = LAWS.equilibrium(0.1, 1e-7, 2.0)
    q = 1e-8
    assert float(small.angle) == pytest.approx(np.sqrt(2 * q), rel=2 * q)
    assert float(small.relaxation_time) == pytest.approx(1 / (4 * q), rel=2 * q)
    assert float(small.effective_learning_rate) == pytest.approx(np.sqrt(2 * q) / 2, rel=2 * q)


def test_the_norm_map_is_monotone_up_to_its_bound_and_stable_but_at_one():
    """At q = 1 the map is |w|^2 -> eta^2 s^2 / |w|^2, which goes back and forth for ever."""
    edge = 1 - 1 / np.sqrt(2)
    slope = lambda q: float(LAWS.equilibrium(1.0, q, 1.0).slope)  # noqa: E731
    assert slope(edge) == pytest.approx(0, abs=1e-14)
    assert slope(0.9 * edge) > 0 > slope(1.1 * edge)
    assert all(abs(slope(q)) < 1 for q in (1e-3, 0.99, 1.01, 1.999))
    assert slope(1.0) == -1
    path = LAWS.norm_path(2.0, 1.0, 1.0, 1.0, 50)
    np.testing.assert_allclose(path[::2], 2.0, rtol=1e-14)
    np.testing.assert_allclose(path[1::2], 0.5, rtol=1e-14)


def test_the_slope_and_the_relaxation_time_are_those_of_the_map():
    for model in ("discrete", "sde"):
        balance = LAWS.equilibrium(ETA, DECAY, LENGTH, model=model)
        start = (1.001 * balance.norm_fourth) ** 0.25
        path = LAWS.norm_path(start, ETA, DECAY, LENGTH, 40, model=model) ** 4
        off = np.asarray(path / balance.norm_fourth - 1)
        assert off[20] / off[19] == pytest.approx(float(balance.slope), rel=1e-3)
        assert off[40] / off[0] == pytest.approx(
            np.exp(-40 / float(balance.relaxation_time)), rel=1e-2
        )


def test_norms_after_some_steps():
    squares = np.asarray(LAWS.norm_path(1.5, ETA, DECAY, LENGTH, 40)) ** 2
    expected = {0: 2.25, 1: 2.0820027778, 10: 1.2878697425, 40: 1.0892020963}
    for n, value in expected.items():
        assert squares[n] == pytest.approx(value, abs=5e-11)


def test_random_tangential_steps_keep_to_norms_and_mean_directions():
    """20000 chains in three dimensions; NumPy, seed 0."""
    random = np.random.default_rng(0)
    balance = LAWS.equilibrium(ETA, DECAY, LENGTH)
    for norm in (float(balance.norm_fourth) ** 0.25, 1.5):
        w = np.zeros((20_000, 3))
        w[:, 0] = norm
        norms = np.asarray(LAWS.norm_path(norm, ETA, DECAY, LENGTH, 30))
        cosines = np.asarray(LAWS.mean_alignment(norm, ETA, DECAY, LENGTH, 30))
        for n in range(1, 31):
            z = random.standard_normal(w.shape)
            square = np.sum(w**2, axis=1, keepdims=True)
            z -= np.sum(z * w, axis=1, keepdims=True) / square * w
            z /= np.linalg.norm(z, axis=1, keepdims=True)
            before = w
            w = (1 - ETA * DECAY) * w - ETA * LENGTH * z / np.sqrt(square)
            r = np.linalg.norm(w, axis=1)
            np.testing.assert_allclose(r, norms[n], rtol=1e-11)
            first = w[:, 0] / r
            error = first.std() / np.sqrt(len(first))
            assert abs(first.mean() - cosines[n]) < 5 * error + 1e-12  # the first cosine is exact
        if norm != 1.5:
            cosine = np.sum(w * before, axis=1) / r / np.linalg.norm(before, axis=1)
            np.testing.assert_allclose(cosine, float(balance.cosine), rtol=1e-12)
            np.testing.assert_allclose(cosines, 0.95 ** np.arange(31), rtol=1e-13)
            expected = {5: 0.77378, 15: 0.4633, 30: 0.21464}
            for n, value in expected.items():
                assert cosines[n] == pytest.approx(value, abs=5e-5)
    sde = LAWS.equilibrium(ETA, DECAY, LENGTH, model="sde").norm_fourth ** 0.25
    forgotten = LAWS.mean_alignment(sde, ETA, DECAY, LENGTH, 30, model="sde")
    for n, value in {5: 0.77880, 15: 0.4724, 30: 0.22313}.items():
        assert float(forgotten[n]) == pytest.approx(value, abs=5e-5)


# d = 6, sigma = 1.3, eta = 0.1, lambda = 0.5, |W_0| = 2: the reference's table.
TABLE = {
    10: (2.8960, 0.9299),
    20: (1.1226, 0.7148),
    30: (0.8826, 0.4604),
    40: (0.8501, 0.2819),
    50: (0.8457, 0.1712),
    60: (0.8451, 0.1039),
}


def test_isotropic_noise_in_the_sde():
    """Closed forms, and an Euler-Maruyama simulation of 4000 paths (NumPy, seed 1, dt = 0.02)."""
    eta, decay, sigma, d, dt = 0.1, 0.5, 1.3, 6, 0.02
    length = sigma * np.sqrt(d - 1)
    fourth = np.asarray(LAWS.norm_path(2.0, eta, decay, length, 60, model="sde")) ** 4
    cosines = np.asarray(LAWS.mean_alignment(2.0, eta, decay, length, 60, model="sde"))
    time = EXACT.TIME
    for t, (norm_fourth, cosine) in TABLE.items():
        assert fourth[t] == pytest.approx(norm_fourth, abs=5.1e-5)
        assert cosines[t] == pytest.approx(cosine, abs=5.1e-5)
        exact = EXACT.norm_fourth(2, length**2, eta, decay).subs(time, t)
        assert fourth[t] == pytest.approx(float(exact), rel=1e-12)
        exact = EXACT.mean_alignment(2, length**2, eta, decay).subs(time, t)
        assert cosines[t] == pytest.approx(float(exact), rel=1e-12)
    balance = LAWS.equilibrium(eta, decay, length, model="sde")
    assert float(balance.effective_learning_rate) == pytest.approx(0.1087857, abs=5e-8)

    random = np.random.default_rng(1)
    W = np.zeros((4000, d))
    W[:, 0] = 2.0
    for n in range(1, int(60 / dt) + 1):
        z = np.sqrt(dt) * random.standard_normal(W.shape)
        square = np.einsum("ij,ij->i", W, W)[:, None]
        z -= np.einsum("ij,ij->i", z, W)[:, None] / square * W
        W += -eta * decay * dt * W + eta * sigma / np.sqrt(square) * z
        if n * dt in TABLE:
            square = np.einsum("ij,ij->i", W, W)
            u = W[:, 0] / np.sqrt(square)
            t = round(n * dt)
            # The scheme's own error is O(dt): it spreads a norm that has no noise.
            assert np.mean(square**2) == pytest.approx(fourth[t], rel=3e-3)
            assert abs(u.mean() - cosines[t]) < 5 * u.std() / np.sqrt(len(u))
    assert np.std(square**2) == pytest.approx(0.024, abs=2e-3)


def test_the_stationary_law_on_the_circle():
    """L = -mu cos(theta): von Mises. Euler-Maruyama, 4000 paths (NumPy, seed 2, dt = 0.1)."""
    eta, decay, sigma, mu, dt = 0.1, 0.5, 1.0, 0.4, 0.1
    G = float(LAWS.equilibrium(eta, decay, sigma, model="sde").effective_learning_rate)
    assert pytest.approx(0.3162278, abs=5e-8) == G
    kappa = 2 * mu / (G * sigma**2)
    exact = EXACT.circle_equilibrium(0.4, 1, 0.1, 0.5)
    assert kappa == pytest.approx(2.5298221, abs=5e-8)
    assert kappa == pytest.approx(float(exact.concentration), rel=1e-12)
    mean = scipy.special.iv(1, kappa) / scipy.special.iv(0, kappa)
    assert mean == pytest.approx(0.7682, abs=5e-5)
    assert mean == pytest.approx(float(exact.mean_cosine), rel=1e-12)
    random = np.random.default_rng(2)
    W = np.zeros((4000, 2))
    W[:, 1] = 0.5
    for _ in range(int(150 / dt)):
        r = np.linalg.norm(W, axis=1, keepdims=True)
        tangent = np.stack([-W[:, 1], W[:, 0]], axis=1) / r
        slope = mu * W[:, 1:] / r  # L' = mu sin(theta) on the circle
        dB = np.sqrt(dt) * random.standard_normal((len(W), 1))
        W = W - eta * decay * dt * W - eta / r * tangent * (slope * dt - sigma * dB)
    cosine = W[:, 0] / np.linalg.norm(W, axis=1)
    error = cosine.std() / np.sqrt(len(cosine))
    assert abs(cosine.mean() - mean) < 5 * error


def test_decays_of_rate_and_weight_decay():
    """A tenth of the rate: at once a tenth of the effective rate, later its root; a tenth of the
    weight decay: nothing at once, and the same later."""
    steps = 4000
    late = np.arange(steps) >= 2000
    before = float(LAWS.equilibrium(0.1, 0.05, 1.0, model="sde").norm_fourth) ** 0.25
    lower_rate = np.where(late, 0.01, 0.1)
    norms = np.asarray(LAWS.norm_path(before, lower_rate, 0.05, 1.0, steps, model="sde"))[:-1]
    effective = lower_rate / norms**2
    assert effective[[0, 1999, 2000]] == pytest.approx([0.1, 0.1, 0.01], rel=1e-10)
    # It takes a few times 1 / (4 eta lambda) = 500 steps.
    assert effective[-1] == pytest.approx(0.0316228, rel=0.1)
    longer = LAWS.norm_path(norms[2000], 0.01, 0.05, 1.0, 20_000, model="sde")
    assert float(0.01 / longer[-1] ** 2) == pytest.approx(0.0316228, abs=5e-8)
    lower_decay = np.where(late, 0.005, 0.05)
    norms = np.asarray(LAWS.norm_path(before, 0.1, lower_decay, 1.0, steps, model="sde"))
    assert 0.1 / norms[2000] ** 2 == pytest.approx(0.1, rel=1e-10)
    longer = LAWS.norm_path(norms[2000], 0.1, 0.005, 1.0, 20_000, model="sde")
    assert float(0.1 / longer[-1] ** 2) == pytest.approx(0.0316228, abs=5e-8)


@pytest.mark.parametrize("norm", [0.05, 3.0])
def test_the_time_to_equilibrium(norm):
    balance = LAWS.equilibrium(0.1, 0.05, 1.0, model="sde")
    time = float(balance.time_from(norm, rtol=0.1))
    n = int(np.ceil(time))
    rates = 0.1 / LAWS.norm_path(norm, 0.1, 0.05, 1.0, n, model="sde") ** 2
    off = np.abs(np.asarray(rates / balance.effective_learning_rate) - 1)
    assert off[n] <= 0.1 < off[n - 1]
    there = balance.norm_fourth**0.25
    assert float(balance.time_from(there)) == 0


def test_norms_without_weight_decay_only_grow():
    for model in ("discrete", "sde"):
        norms = np.asarray(LAWS.norm_path(1.0, 0.1, 0.0, 1.0, 100, model=model))
        assert (np.diff(norms) > 0).all()
    # |W|^4 = 1 + 2 eta^2 s^2 t
    assert norms[-1] ** 4 == pytest.approx(1 + 2 * 0.01 * 100, rel=1e-13)


def test_transforms():
    rates = jnp.array([0.1, 0.2])
    batch = jax.jit(jax.vmap(lambda h: LAWS.equilibrium(h, 0.05, 1.0).norm_fourth))(rates)
    assert_close(batch, rates / (0.05 * (2 - 0.05 * rates)), rtol=1e-13)
    for model in ("discrete", "sde"):
        f = lambda h, m=model: LAWS.mean_alignment(2.0, h, 0.05, 1.0, 9, model=m)[-1]  # noqa: E731
        slope = jax.jit(jax.grad(f))(0.1)
        assert float(slope) == pytest.approx(float(f(0.1 + 6e-6) - f(0.1 - 6e-6)) / 12e-6, rel=1e-6)
    relaxation = lambda q: LAWS.equilibrium(1.0, q, 1.0).relaxation_time  # noqa: E731
    for q in (0.1, 0.5):
        slope = float(relaxation(q + 6e-6) - relaxation(q - 6e-6)) / 12e-6
        assert float(jax.grad(relaxation)(q)) == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: LAWS.equilibrium(0.1, 0.0, 1.0),
            flows.InvalidOptionError,
            r"above 0 and below 2, got 0\. Write for example weight_decay=0\.1",
        ),
        (lambda: LAWS.equilibrium(1.0, 2.0, 1.0), flows.InvalidOptionError, "below 2, got 2"),
        (
            lambda: LAWS.equilibrium(1.0, 0.1, 1.0, model="ode"),
            flows.InvalidOptionError,
            "model must be one of 'discrete', 'sde'; got 'ode'",
        ),
        (
            lambda: LAWS.norm_path(-1.0, 0.1, 0.1, 1.0, 3),
            flows.InvalidLearningRateError,
            "norm must be one positive finite number",
        ),
        (
            lambda: LAWS.path_measures(jnp.array(1.0), 0.1),
            flows.InvalidOptionError,
            "params must be a tree of arrays with one leading axis.*save_params=True",
        ),
        (
            lambda: LAWS.effective_step(jnp.ones(3), 0.1, power=2),
            flows.InvalidOptionError,
            "power must be an integer from 0 to 1",
        ),
        (
            lambda: LAWS.effective_step(jnp.array(1.0), 0.1),
            flows.InvalidOptionError,
            r"norms must have one axis, the steps, got shape \(\)",
        ),
    ],
)
def test_bad_options_are_refused_with_a_remedy(make, error, message):
    with pytest.raises(error, match=message):
        make()
