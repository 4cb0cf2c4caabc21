"""Schedules that lead the same way, on every scale-invariant loss."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flows
import symbolic

EQUIVALENT = flows.scale_invariant.equivalent_schedule
PROBLEMS = (
    flows.problems.scale_invariant_plane(),
    flows.problems.scale_invariant_sphere(),
    flows.problems.rayleigh_quotient(),
)
STEPS = 60
CHANGING = (
    0.2 * np.geomspace(1, 0.1, STEPS),
    np.where(np.arange(STEPS) < 20, 0.5, 0.1 * np.arange(STEPS) / STEPS),
)


def directions(problem, rates, decays, scale=1.0):
    """Of plain descent with weight decay, by a loop that knows nothing of directions."""
    data = () if problem.args is None else (problem.args,)
    gradient = jax.jit(jax.grad(problem.loss))
    w, path = scale * np.asarray(problem.start), []
    for eta, decay in zip(
        np.broadcast_to(rates, STEPS), np.broadcast_to(decays, STEPS), strict=True
    ):
        w = (1 - eta * decay) * w - eta * np.asarray(gradient(jnp.asarray(w), *data))
        path.append(w / np.linalg.norm(w))
    return np.stack(path)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: p.name)
@pytest.mark.parametrize("rates", [(0.2, 0.3), CHANGING], ids=["constant", "changing"])
def test_the_same_directions_for_sixty_steps(problem, rates):
    expected = directions(problem, *rates)
    grown = EQUIVALENT(*rates, STEPS)
    np.testing.assert_allclose(directions(problem, grown, 0.0), expected, rtol=0, atol=1e-10)
    other = EQUIVALENT(*rates, STEPS, new_weight_decay=0.1, scale=3.0)
    np.testing.assert_allclose(
        directions(problem, other, 0.1, scale=3.0), expected, rtol=0, atol=1e-10
    )
    # The library's own descent, on the exponential schedule.
    run = flows.iterate(
        problem.loss, problem.start, flows.ScaleInvariantDescent(grown), STEPS, args=problem.args
    )
    units = np.asarray(run.params / run.diagnostics["norm"][:, None])[1:]
    np.testing.assert_allclose(units, expected, rtol=0, atol=1e-10)


def test_the_exponential_schedule_is_that_of_the_symbolic_half():
    rates = np.asarray(EQUIVALENT(0.2, 0.3, 50))
    t = np.arange(50)
    np.testing.assert_allclose(rates, 0.2 * 0.94 ** (-2.0 * t - 1), rtol=1e-13)
    exact = symbolic.scale_invariant.exponential_schedule(0.2, 0.3, 7)
    assert rates[7] == pytest.approx(float(exact), rel=1e-13)


def test_rescaling_is_a_special_case():
    c = 7.0
    rates = EQUIVALENT(0.2, 0.3, 50, new_weight_decay=0.3 / c**2, scale=c)
    np.testing.assert_allclose(rates, 0.2 * c**2, rtol=1e-12)
    same = EQUIVALENT(*CHANGING, STEPS, new_weight_decay=CHANGING[1])
    np.testing.assert_allclose(same, CHANGING[0], rtol=1e-12)


def test_there_and_back():
    rates, decays = CHANGING
    away = EQUIVALENT(rates, decays, STEPS, new_weight_decay=0.7, scale=0.3)
    back = EQUIVALENT(away, 0.7, STEPS, new_weight_decay=decays, scale=1 / 0.3)
    np.testing.assert_allclose(back, rates, rtol=1e-12)


def test_rates_that_overflow_are_refused_and_some_decay_keeps_them_bounded():
    with pytest.raises(
        flows.InvalidOptionError, match=r"overflow float64 at step 354\d of 4000.*steps=354\d"
    ):
        EQUIVALENT(1.0, 0.09516258196404048, 4000)  # a = exp(-1/10): 709 = n / 5 + 1/10
    bounded = EQUIVALENT(1.0, 0.1, 4000, new_weight_decay=0.05)
    np.testing.assert_allclose(bounded[-1], 2.0, rtol=1e-10)  # of the same eta lambda
    assert not np.isfinite(jax.jit(lambda: EQUIVALENT(1.0, 0.1, 4000))()[-1])


def test_it_works_under_jit_vmap_and_grad():
    f = lambda h: EQUIVALENT(h, 0.3, 5, new_weight_decay=0.1)  # noqa: E731
    batch = jax.jit(jax.vmap(f))(jnp.array([0.1, 0.2]))
    np.testing.assert_allclose(batch[1], f(0.2), rtol=1e-13)
    slope = (f(0.1 + 6e-6) - f(0.1 - 6e-6)) / 12e-6
    np.testing.assert_allclose(jax.jacfwd(f)(0.1), slope, rtol=1e-6)
    without = jax.jacrev(lambda h: EQUIVALENT(h, 0.3, 2))(0.1)
    np.testing.assert_allclose(without[0], 1 / 0.97**2, rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: EQUIVALENT(0.5, 2.0, 3),
            flows.InvalidOptionError,
            "learning_rate . weight_decay must be below 1, got 1.*smaller",
        ),
        (
            lambda: EQUIVALENT(0.5, 0.1, 3, scale=0.0),
            flows.InvalidLearningRateError,
            "scale must be one positive finite number",
        ),
        (
            lambda: EQUIVALENT(0.5, 0.1, 3, new_weight_decay=-1.0),
            flows.InvalidOptionError,
            "new_weight_decay must be finite and >= 0",
        ),
        (lambda: EQUIVALENT(0.5, 0.1, -3), flows.InvalidStepsError, "steps must be 0 or more"),
    ],
)
def test_bad_options_are_refused_with_a_remedy(make, error, message):
    with pytest.raises(error, match=message):
        make()
