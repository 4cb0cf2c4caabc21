"""Descent in direction and norm: against plain arithmetic, the law of steps, and underflow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close

import flows

PLANE = flows.problems.scale_invariant_plane()
SPHERE = flows.problems.scale_invariant_sphere()
QUOTIENT = flows.problems.rayleigh_quotient()
LAWS = flows.scale_invariant
# A schedule that warms up and decays, and a weight decay that is switched on late.
RATES = 0.3 * np.concatenate([np.linspace(0.1, 1, 20), np.geomspace(1, 0.05, 40)])
DECAYS = np.where(np.arange(60) < 10, 0.0, 0.4 + 0.2 * np.sin(np.arange(60)))


def plane_gradient(w):
    x, y = w
    return 2 * x * y / (x * x + y * y) ** 2 * np.array([y, -x])


def quotient_gradient(w):
    A, square = np.diag([3.0, 1.0, 0.2]), w @ w
    return 2 * (A @ w - (w @ A @ w) / square * w) / square


def plain(gradient, start, rates, decays):
    """Descent with coupled weight decay, in NumPy; returns all parameters."""
    path = [np.asarray(start, float)]
    for eta, decay in zip(rates, decays, strict=True):
        path.append((1 - eta * decay) * path[-1] - eta * gradient(path[-1]))
    return np.stack(path)


def iterate(problem, rates, decays=0.0, steps=60, start=None, **options):
    optimizer = flows.ScaleInvariantDescent(rates, decays, **options)
    start = problem.start if start is None else jnp.asarray(start)
    return flows.iterate(problem.loss, start, optimizer, steps, args=problem.args)


@pytest.mark.parametrize(
    ("problem", "gradient"), [(PLANE, plane_gradient), (QUOTIENT, quotient_gradient)]
)
@pytest.mark.parametrize("scheduled", [True, False])
def test_it_is_gradient_descent_with_weight_decay(problem, gradient, scheduled):
    """1e-10, absolute: sixty steps, of which some are at the edge of stability."""
    rates, decays = (RATES, DECAYS) if scheduled else (0.2, 0.3)
    expected = plain(
        gradient, problem.start, np.broadcast_to(rates, 60), np.broadcast_to(decays, 60)
    )
    run = iterate(problem, rates, decays)
    assert_close(run.params, jnp.asarray(expected), rtol=0, atol=1e-10)


def test_a_schedule_may_be_a_function_and_its_last_value_holds():
    halved = iterate(PLANE, lambda n: 0.4 * 0.5**n, lambda n: jnp.where(n > 2, 0.1, 0.0), steps=6)
    listed = iterate(PLANE, 0.4 * 0.5 ** np.arange(7), [0.0, 0.0, 0.0, 0.1], steps=6)
    assert_close(halved.params, listed.params, rtol=1e-14)
    assert_close(
        halved.diagnostics["effective_learning_rate"],
        0.4 * 0.5 ** jnp.arange(7.0) / halved.diagnostics["norm"] ** 2,
        rtol=1e-14,
    )


@pytest.mark.parametrize("problem", [PLANE, SPHERE, QUOTIENT], ids=lambda p: p.name)
def test_pythagoras_and_the_effective_step_law_hold_for_any_schedule(problem):
    run = iterate(problem, RATES, DECAYS)
    r = np.asarray(run.diagnostics["norm"])
    g = r * np.asarray(run.grad_norm)  # on the unit sphere
    a = 1 - RATES * DECAYS
    np.testing.assert_allclose(
        r[1:] ** 2, a**2 * r[:-1] ** 2 + RATES**2 * g[:-1] ** 2 / r[:-1] ** 2, rtol=1e-12
    )
    phi = np.asarray(LAWS.effective_step(r[:-1], RATES, DECAYS))
    np.testing.assert_allclose(phi, RATES / (a * r[:-1] ** 2), rtol=1e-14)
    B = RATES[1:] / (RATES[:-1] * a[:-1] * a[1:])
    np.testing.assert_allclose(phi[1:], B * phi[:-1] / (1 + (phi * g[:-1])[:-1] ** 2), rtol=1e-12)
    # Contraction: where the schedule's factor is at most 1, the effective step never grows; where
    # it is larger, exactly if the gradient is short.
    short = phi[:-1] * g[:-2] < np.sqrt(np.maximum(B - 1, 0))
    assert (B <= 1).any()
    assert (B > 1).any()
    np.testing.assert_array_equal(phi[1:] > phi[:-1], short)
    measured = LAWS.path_measures(run.params, np.append(RATES, RATES[-1]))
    for name in ("norm", "effective_learning_rate"):
        assert_close(measured[name], run.diagnostics[name], rtol=1e-12)
    assert_close(measured["angle"], run.diagnostics["angle"], rtol=1e-7, atol=1e-15)
    np.testing.assert_allclose(
        np.tan(run.diagnostics["angle"][1:]), phi * g[:-1], rtol=1e-9, atol=1e-14
    )


def test_the_gradient_is_tangential_and_scales_with_one_over_the_norm():
    for problem in (PLANE, SPHERE, QUOTIENT):
        data = () if problem.args is None else (problem.args,)
        gradient = jax.jit(jax.grad(problem.loss))
        w = problem.start
        hessian = jax.jit(jax.hessian(problem.loss))
        g, H = gradient(w, *data), hessian(w, *data)
        assert abs(float(w @ g)) < 1e-14
        assert_close(gradient(3 * w, *data), g / 3, rtol=1e-12, atol=1e-15)
        assert_close(hessian(3 * w, *data), H / 9, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("power", [0, 1])
def test_the_law_of_homogeneous_optimizers(power):
    """Adam without its eps is of power 0, momentum of power 1."""
    eta, decay = 0.05, 0.3
    w, m, v = np.array([1.0, 0.7, -0.4]), np.zeros(3), np.zeros(3)
    a, norms, growths = 1 - eta * decay, [], []
    for n in range(40):
        g, r = quotient_gradient(w), np.linalg.norm(w)
        m = 0.9 * m + (g if power else 0.1 * g)
        v = 0.99 * v + 0.01 * g**2
        update = m if power else m / (1 - 0.9 ** (n + 1)) / np.sqrt(v / (1 - 0.99 ** (n + 1)))
        psi = float(LAWS.effective_step(jnp.array([r]), eta, decay, power=power)[0])
        norms.append(r)
        growths.append(np.linalg.norm(w / r - psi * r**power * update))
        w = a * w - eta * update
    psi = np.asarray(LAWS.effective_step(np.array(norms), eta, decay, power=power))
    B = 1 / a ** (1 + power)
    np.testing.assert_allclose(
        psi[1:], B * psi[:-1] / np.array(growths[:-1]) ** (1 + power), rtol=1e-13
    )


def test_time_means_balance_weight_decay():
    """The mean of log(1 + Phi^2 |g|^2) is -2 log(1 - q) on any orbit of bounded norm."""
    run = iterate(PLANE, 0.1, 0.5, steps=400_000)
    r = np.asarray(run.diagnostics["norm"])
    phi = 0.1 / (0.95 * r**2)
    mean = np.mean(np.log1p((phi * r * np.asarray(run.grad_norm))[:-1] ** 2))
    assert mean == pytest.approx(0.102580, abs=2e-6)
    assert mean == pytest.approx(-2 * np.log1p(-0.05), abs=4 * np.log(10) / 4e5)
    late = slice(1000, None)
    loss = np.asarray(run.loss)[late]
    # How far the orbit has wandered depends on how long one looks, and on rounding.
    assert loss.min() < 1e-18
    assert 0.55 < loss.max() < 0.7
    assert loss.mean() == pytest.approx(0.0260, abs=3e-4)
    assert np.min(r[late] ** 2) == pytest.approx(0.0199, abs=1e-3)
    assert np.max(r[late] ** 2) == pytest.approx(0.3, abs=0.03)


def test_a_smaller_weight_decay_swings_further_and_none_converges():
    swinging = iterate(PLANE, 0.1, 0.1, steps=100_000)
    loss = np.asarray(swinging.loss)[1000:]
    assert loss.min() < 1e-68
    assert 0.45 < loss.max() < 0.6
    assert loss.mean() == pytest.approx(0.0052, abs=1e-4)
    still = iterate(PLANE, 0.1, 0.0, steps=20_000)
    norms = np.asarray(still.diagnostics["norm"])
    assert float(still.loss[-1]) == 0
    assert norms[-1] ** 2 == pytest.approx(1.0990130122, abs=1e-10)
    assert (np.diff(norms) >= 0).all()


def test_underflow_of_the_gradient_does_not_stop_the_orbit():
    eta, decay, steps = 0.1, 0.01, 60_000
    path = plain(plane_gradient, PLANE.start, np.full(steps, eta), np.full(steps, decay))
    # What goes wrong otherwise: the gradient is 0 for good, and the norm decays to 0.
    assert not plane_gradient(path[-1]).any()
    assert np.linalg.norm(path[-1]) < 1e-20
    run = iterate(PLANE, eta, decay, steps)
    r = np.asarray(run.diagnostics["norm"])
    clamped = np.asarray(run.diagnostics["clamped"])
    first = int(np.argmax(clamped))
    np.testing.assert_allclose(run.params[:200], path[:200], rtol=0, atol=1e-10)
    assert 0 < clamped.sum() < steps / 20
    assert first > 200
    # The edge of stability is Phi L'' = 2, |w|^2 = eta; the orbit keeps coming back.
    assert 0.01 < r[-steps // 2 :].min() ** 2 < eta < r[-steps // 2 :].max() ** 2 < 1
    assert np.asarray(run.loss)[-steps // 2 :].max() > 0.3
    higher = iterate(PLANE, eta, decay, steps, floor=1e-6)
    assert float(higher.diagnostics["clamped"].sum()) > clamped.sum()
    # Kept from going as deep, it does not have to come back from there.
    assert float(higher.diagnostics["norm"][1000:].min()) > r[1000:].min()


def test_norms_of_any_size_can_be_run():
    """Directions see Phi only: scaled by 1e-60 the run is the same."""
    c = 1e-60
    run = iterate(PLANE, 0.1, 0.5)
    tiny = iterate(PLANE, 0.1 * c**2, 0.5 / c**2, start=c * PLANE.start)
    np.testing.assert_allclose(np.asarray(tiny.params) / c, run.params, atol=1e-10)


def test_it_works_under_jit_vmap_and_grad():
    def final(rate):
        run = flows.iterate(PLANE.loss, PLANE.start, flows.ScaleInvariantDescent(rate, 0.5), 5)
        return run.final_params

    rates = jnp.array([0.1, 0.2])
    batch = jax.jit(jax.vmap(final))(rates)
    assert_close(batch, jnp.stack([final(rate) for rate in rates]), rtol=1e-12)
    derivative = jax.jacrev(final)(rates[0])
    eps = 6e-6
    difference = (final(rates[0] + eps) - final(rates[0] - eps)) / (2 * eps)
    assert_close(derivative, difference, rtol=1e-6)
    # At a minimum, where the gradient is zero, derivatives are numbers too.
    at_rest = lambda rate: flows.iterate(  # noqa: E731
        PLANE.loss, jnp.array([0.0, 1.0]), flows.ScaleInvariantDescent(rate, 0.5), 2
    ).final_params[1]
    assert float(jax.grad(at_rest)(0.1)) == pytest.approx(-2 * 0.5 * 0.95, rel=1e-12)


def test_another_rate_compiles_nothing():
    traces = []

    def counted(w):
        traces.append(1)
        return w[0] ** 2 / jnp.sum(w**2)

    for rates in ((0.1, 0.5), (0.2, 0.3)):
        flows.iterate(counted, PLANE.start, flows.ScaleInvariantDescent(*rates), 5)
        first = len(traces) if rates[0] == 0.1 else first
    assert len(traces) == first


def test_single_precision():
    start = PLANE.start.astype(jnp.float32)
    run = flows.iterate(PLANE.loss, start, flows.ScaleInvariantDescent(0.1, 0.5), 20)
    assert run.params.dtype == jnp.float32
    expected = plain(plane_gradient, PLANE.start, np.full(20, 0.1), np.full(20, 0.5))
    np.testing.assert_allclose(run.params, expected, atol=2e-5)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: flows.ScaleInvariantDescent(0.0),
            flows.InvalidLearningRateError,
            "learning_rate must be finite and > 0, got 0.0.*lambda step: 0.1",
        ),
        (
            lambda: flows.ScaleInvariantDescent([[0.1]]),
            flows.InvalidLearningRateError,
            r"one a step, or a function of the step; got shape \(1, 1\)",
        ),
        (
            lambda: flows.ScaleInvariantDescent("fast"),
            flows.InvalidLearningRateError,
            "learning_rate must hold numbers, got 'fast'",
        ),
        (
            lambda: flows.ScaleInvariantDescent(lambda step: jnp.ones(2)),
            flows.InvalidLearningRateError,
            r"learning_rate\(step\) must be one number, got shape \(2,\)",
        ),
        (
            lambda: flows.ScaleInvariantDescent(0.1, [0.1, -0.1]),
            flows.InvalidOptionError,
            "weight_decay must be finite and >= 0",
        ),
        (
            lambda: flows.ScaleInvariantDescent(0.1, 0.1, floor=-1.0),
            flows.InvalidOptionError,
            "floor must be one finite number >= 0, got -1.0",
        ),
    ],
)
def test_bad_rates_are_refused_with_a_remedy(make, error, message):
    with pytest.raises(error, match=message):
        make()
