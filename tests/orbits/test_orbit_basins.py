"""Shares of basins on the landscapes for large steps, against exact intervals and plain loops."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import sympy

import flows
import symbolic
from flows.orbits._places import name_points

LAND = flows.problems.rational_landscape().loss
VALLEY = flows.problems.sharp_valley().loss
POLYNOMIAL = flows.problems.nar_sastry().loss
EXACT = symbolic.landscapes.rational_landscape()
STARTS = jr.uniform(jr.key(7), (4000,), minval=-12.0, maxval=12.0)


def sharp_side(x):
    return (x > 4.0) & (x < 7.0)


def in_valley(x):
    return (x >= 2.0) & (x <= 3.0)


def in_flat(x):
    return (x > 8.4) & (x < 8.6)


def rational(h, starts=STARTS, **options):
    options = {"minima": {"0": 0.0, "5": 5.0}, "regions": {"sharp": sharp_side}, **options}
    return flows.basin_shares(LAND, starts, flows.GradientDescent(h), **options)


def agree(shares, outcome, expected, errors=3, page_error=0.0):
    """Within so many standard errors; a page's share has an error of its own."""
    sigma = np.hypot(shares.error(outcome), page_error)
    assert abs(shares.share(outcome) - expected) < errors * sigma, (outcome, str(shares))


def page_error(share, starts):
    return np.sqrt(share * (1 - share) / starts)


@pytest.mark.parametrize(
    ("h", "right", "outcome"),
    [
        # A small step keeps the flow's basins: everything right of the maximum 22/5.
        (0.02, 7.6 / 24, "to 5"),
        (0.099, 7.6 / 24, "to 5"),
        (0.101, 7.6 / 24, "trapped in sharp"),
        (0.163, 7.6 / 24, "trapped in sharp"),
        (0.2, 0.0, "to 5"),
        (0.4, 0.0, "to 5"),
        (1.99, 0.0, "to 5"),
    ],
)
def test_the_rational_landscape_on_either_side_of_its_steps(h, right, outcome):
    shares = rational(h)
    agree(shares, outcome, right)
    agree(shares, "to 0", 1 - right)
    assert len(shares.outcomes) == (2 if right else 1)


def test_nothing_converges_beyond_the_last_step():
    shares = rational(2.01)
    assert shares.share("to 0") == 0
    assert shares.share("diverged") + shares.share("chaotic") == pytest.approx(1)


def test_the_exact_steps_are_those_of_the_certificates():
    """The four numbers of the exact half, each seen from both sides."""
    steps = [
        EXACT.local_threshold,
        EXACT.opening_step,
        EXACT.expansion_step,
        EXACT.global_threshold,
    ]
    assert steps == [
        sympy.Rational(1, 10),
        sympy.Rational(41, 250),
        (sympy.sqrt(21) - 1) / 10,
        2,
    ]
    local, opening, expansion, last = (float(step) for step in steps)
    near = jr.uniform(jr.key(1), (400,), minval=4.41, maxval=5.2)
    assert rational(0.995 * local, near).share("to 5") == 1
    assert rational(1.005 * local, near).share("trapped in sharp") == 1
    assert rational(0.999 * opening, near).share("trapped in sharp") == 1
    assert rational(1.005 * opening, near, transient=30_000).share("to 0") == 1
    assert rational(0.995 * last, near).share("to 0") == 1
    assert rational(1.005 * last, near).share("to 0") == 0

    def returns(h):
        """Whether any orbit that left [4, 100/19] for the right comes back to it."""
        x = jnp.concatenate([jnp.linspace(4.0, 100 / 19, 4001), jnp.array([4.8])])
        step = jax.jit(jax.vmap(lambda x: x - h * jax.grad(LAND)(x)))
        left = x > jnp.inf
        for _ in range(60):
            x = step(x)
            if bool(jnp.any(left & (x > 4.0) & (x < 100 / 19))):
                return True
            left = left | (x > 100 / 19)
        return False

    assert returns(0.999 * expansion)
    assert not returns(1.001 * expansion)


def test_certificates_hold_for_the_simulation():
    """Contraction to the flat minimum and expulsion from the sharp one, step by step."""
    h = sympy.Rational(3, 10)
    flat = symbolic.landscapes.certify(EXACT.loss, at=0, interval=(-4, 4))
    sharp = symbolic.landscapes.certify(
        EXACT.loss, at=5, interval=(sympy.Rational(24, 5), sympy.Rational(100, 19))
    )
    assert sharp.escape_step == EXACT.local_threshold < h < flat.contraction_step
    starts = jnp.linspace(4.85, 5.25, 400)
    path = jax.vmap(lambda x: flows.iterate(LAND, x, flows.GradientDescent(float(h)), 40).params)(
        starts
    )
    before, after = np.asarray(path[:, :-1]).ravel(), np.asarray(path[:, 1:]).ravel()
    inside = (before >= 4.8) & (before <= 100 / 19)
    factor = float(sharp.expansion(h)) - 1e-9
    assert (np.abs(after - 5) >= factor * np.abs(before - 5))[inside].all()
    near = np.abs(before) <= 4
    factor = float(flat.contraction(h)) + 1e-9
    assert (np.abs(after) <= factor * np.abs(before))[near].all()
    assert near.sum() > 1000 < inside.sum() * 1000


def test_flow_against_descent():
    """The gradient flow from 8 ends in the sharp minimum, over which a large step jumps."""
    start, descent = jnp.array(8.0), flows.GradientDescent(0.3)
    flow = flows.solve(LAND, start, descent, flows.GradientFlow(), 60)
    assert float(flow.final_params) == pytest.approx(5, abs=1e-6)
    run = flows.iterate(LAND, start, descent, 60)
    assert float(run.final_params) == pytest.approx(0, abs=1e-6)


VALLEY_TABLE = [
    (1e-4, {"to 0": 0.574, "to 2.5": 0.204, "in flat piece": 0.222}),
    (9e-4, {"to 0": 0.563, "to 2.5": 0.298, "in flat piece": 0.139}),
    (1e-3, {"to 0": 0.557, "trapped in valley": 0.314, "in flat piece": 0.129}),
    (2e-3, {"to 0": 0.935, "in flat piece": 0.065}),
    (1e-2, {"to 0": 0.987, "in flat piece": 0.013}),
    (4.9e-2, {"to 0": 0.13, "in flat piece": 0.87}),
    (5.1e-2, {"diverged": 0.864, "in flat piece": 0.136}),
]


@pytest.mark.parametrize(("h", "expected"), VALLEY_TABLE)
def test_the_sharp_valley(h, expected):
    starts = jr.uniform(jr.key(3), (2000,), minval=-15.0, maxval=15.0)
    shares = flows.basin_shares(
        VALLEY,
        starts,
        flows.GradientDescent(h),
        minima={"0": 0.0, "2.5": 2.5},
        regions={"flat piece": in_flat, "valley": in_valley},
        transient=8000,
    )
    assert set(shares.outcomes) == set(expected)
    for outcome, share in expected.items():
        agree(shares, outcome, share, page_error=page_error(share, 3000))


def test_shares_of_a_small_step_are_lengths_of_intervals():
    """The flow's own basins: up to the maximum 2.0353, to the flat piece's left end, and beyond."""
    starts = jnp.linspace(-15.0, 15.0, 3001)
    shares = flows.basin_shares(
        VALLEY,
        starts,
        flows.GradientDescent(1e-4),
        minima={"0": 0.0, "2.5": 2.5},
        regions={"flat piece": in_flat},
        transient=8000,
    )
    assert shares.share("to 0") == pytest.approx(17.0353102 / 30, abs=1e-3)
    assert shares.share("to 2.5") == pytest.approx((8.4 - 2.0353102) / 30, abs=1e-3)
    assert shares.share("in flat piece") == pytest.approx(6.6 / 30, abs=1e-3)


@pytest.mark.parametrize(
    ("h", "expected"),
    [
        (0.05, {"to 1": 0.648, "to 2": 0.352}),
        (0.19, {"to 1": 0.627, "to 2": 0.316, "diverged": 0.057}),
        (0.21, {"to 1": 0.610, "period 2": 0.318, "diverged": 0.072}),
        (0.3, {"to 1": 0.503, "chaotic": 0.320, "diverged": 0.177}),
        (0.34, {"to 1": 0.789, "diverged": 0.211}),
        (0.49, {"to 1": 0.526, "diverged": 0.474}),
        (0.51, {"period 2": 0.496, "diverged": 0.504}),
    ],
)
def test_the_polynomial_of_nar_and_sastry(h, expected):
    starts = jr.uniform(jr.key(5), (4000,), minval=0.0, maxval=2.5)
    shares = flows.basin_shares(
        POLYNOMIAL, starts, flows.GradientDescent(h), transient=4000, steps=2000
    )
    assert set(shares.outcomes) == set(expected)
    for outcome, share in expected.items():
        agree(shares, outcome, share, page_error=page_error(share, 20_000))


def test_the_basin_of_the_quartic_is_an_interval():
    """x^2/2 + x^4/4 converges exactly from |x| < sqrt((2 - h) / h)."""
    h = 1.5
    edge = np.sqrt((2 - h) / h)
    starts = edge * jnp.array([-1.001, -0.999, 0.999, 1.001])
    shares = flows.basin_shares(lambda x: x**2 / 2 + x**4 / 4, starts, flows.GradientDescent(h))
    ended = [shares.outcomes[i] for i in shares.outcome_of]
    assert ended == ["diverged", "to 0", "to 0", "diverged"]


def test_the_basin_of_the_catapult_is_a_disc():
    """(x y)^2 / 2 diverges exactly from |w|^2 > 4 / h."""
    h = 0.4
    angles = jr.uniform(jr.key(2), (500,), minval=0.0, maxval=2 * jnp.pi)
    circle = 2 / jnp.sqrt(h) * jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)

    def shares(factor):
        return flows.basin_shares(
            lambda w: (w[0] * w[1]) ** 2 / 2, factor * circle, flows.GradientDescent(h)
        )

    assert shares(1.03).share("diverged") == 1
    inside = shares(0.97)  # some creep along to the origin, where the loss is of fourth order
    assert inside.share("diverged") == inside.share("chaotic") == 0
    assert (np.asarray(inside.limits.reason_codes) <= 1).all()


def test_table_order_and_binomial_errors():
    shares = rational(0.101)
    n = shares.starts
    assert n == 4000
    assert shares.outcomes == ("to 0", "trapped in sharp")
    p = shares.share("to 0")
    assert shares.error("to 0") == pytest.approx(np.sqrt(p * (1 - p) / n), rel=1e-3)
    assert shares.error("to 5") == pytest.approx(1 / (2 * n), rel=1e-3)  # none is not surely none
    assert sum(shares.shares.values()) == pytest.approx(1)
    assert set(shares.errors) == set(shares.shares)
    lines = str(shares).splitlines()
    assert lines[0] == "4000 starts"
    assert lines[2].split() == ["outcome", "starts", "share", "standard", "error"]
    assert len(lines) == 5
    assert shares.counts.sum() == n
    where = np.asarray(shares.limits.params)[shares.outcome_of == 0]
    np.testing.assert_allclose(where, 0, atol=1e-6)


def test_points_without_a_name_are_found_and_named():
    shares = flows.basin_shares(
        lambda w: jnp.sum((w**2 - 1) ** 2) / 4,
        jnp.array([[0.5, 0.5], [0.4, 0.6], [-0.5, 0.5], [0.0, 0.5]]),
        flows.GradientDescent(0.5),
    )
    assert shares.shares == {"to (1, 1)": 0.5, "to (-1, 1)": 0.25, "to (0, 1)": 0.25}
    assert shares.outcomes == ("to (1, 1)", "to (-1, 1)", "to (0, 1)")  # most starts first
    many = flows.basin_shares(
        lambda w: 0 * w, jnp.arange(40.0), flows.GradientDescent(0.5), transient=10, steps=16
    )
    assert many.share("to a point elsewhere") == pytest.approx(32 / 40)
    long = flows.basin_shares(
        lambda w: jnp.sum(w**2), jnp.ones((3, 6)), flows.GradientDescent(0.5), steps=16
    )
    assert long.outcomes == ("to point 1 at (0, 0, 0, ...)",)


def test_the_radius_is_in_units_of_the_parameters():
    known = {"to far": np.array([3e4, 4e4]), "to near": np.array([0.1, 0.0])}
    points = np.array([[3e4, 4e4 + 9e-4], [3e4, 4e4 + 11e-4], [0.1, 0.0009], [0.1, 0.0011]])
    names = name_points(points, known, 1e-3).tolist()
    assert [name in known for name in names] == [True, False, True, False]


def test_chunks_change_nothing():
    whole = rational(0.099)
    parts = rational(0.099, chunk=1500)
    assert whole.outcomes == parts.outcomes
    np.testing.assert_array_equal(whole.outcome_of, parts.outcome_of)


class NoisyDescent(flows.AbstractOptimizer):
    """Descent with the noise h sigma xi; its random key, one for each start, is in its state."""

    learning_rate: jax.Array
    sigma: jax.Array

    def time_of_step(self, n):
        return self.learning_rate

    def init(self, params):
        seed = params["seed"].astype(int)
        return params, jr.fold_in(jr.key(11), seed)

    def step(self, problem, state, gradient=None):
        params, key = state
        key, now = jr.split(key)
        slope = problem.gradient(params)["x"] + self.sigma * jr.normal(now)
        return {"x": params["x"] - self.learning_rate * slope, "seed": params["seed"]}, key

    def params(self, state):
        return state[0]


def noisy_loss(params):
    return LAND(params["x"])


def left_share(h, sigma, steps, starts):
    """The share of chains left of the barrier in the end."""
    optimizer = NoisyDescent(jnp.asarray(h), jnp.asarray(sigma))
    x = jr.uniform(jr.key(13), (starts,), minval=-12.0, maxval=12.0)
    shares = flows.basin_shares(
        noisy_loss,
        {"x": x, "seed": jnp.arange(float(starts))},
        optimizer,
        transient=steps - 18,
        steps=16,
        max_period=1,
    )
    return float(np.mean(np.asarray(shares.limits.params["x"]) < 4.4))


NOISE = {
    (0.02, 20_000): (0.682, 0.678, 0.690, 1.000, 0.881),
    (0.05, 8000): (0.684, 0.681, 1.000, 0.990, 0.787),
    (0.3, 2000): (1.000, 1.000, 0.999, 0.821, 0.632),
}
SIGMAS = (0.0, 1.0, 3.0, 10.0, 30.0)


def check_noise(h, steps, columns, starts):
    for sigma, expected in zip(SIGMAS, NOISE[h, steps], strict=True):
        if sigma in columns:
            share = left_share(h, sigma, steps, starts)
            error = np.hypot(page_error(expected, starts), page_error(expected, 20_000))
            assert abs(share - expected) < 3 * error + 1e-3, (h, sigma, share)


def test_noise_against_the_step():
    check_noise(0.3, 2000, (1.0, 30.0), 1000)


@pytest.mark.slow
@pytest.mark.parametrize(("h", "steps"), list(NOISE))
def test_the_whole_table_of_noise_against_the_step(h, steps):
    check_noise(h, steps, SIGMAS, 1500)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"starts": jnp.array(1.0)}, flows.InvalidParametersError, r"one leading axis .* \[\(\)\]"),
        ({"minima": [0.0]}, flows.InvalidOptionError, "minima must be a dictionary .* got list"),
        ({"minima": {"0": [0.0, 1.0]}}, flows.InvalidOptionError, "minimum '0' has 2 numbers"),
        ({"regions": {"a": 3.0}}, flows.InvalidOptionError, "regions must be a dictionary from"),
        ({"regions": {"a": lambda x: x}}, flows.InvalidOptionError, "'a' must return one True or"),
        ({"regions": {"a": lambda x: None}}, flows.InvalidOptionError, "False, got a NoneType"),
        ({"radius": -1.0}, flows.InvalidOptionError, "radius must be one positive number"),
        ({"chunk": 1.5}, flows.InvalidOptionError, "chunk must be an integer >= 1, got 1.5"),
        ({"optimizer": 0.1}, flows.InvalidOptimizerError, "must be one of this library's"),
    ],
)
def test_bad_input(changed, error, message):
    given = {"loss": LAND, "starts": STARTS[:9], "optimizer": flows.GradientDescent(0.1)}
    with pytest.raises(error, match=message):
        flows.basin_shares(**{**given, **changed})


def test_it_runs_on_the_host():
    with pytest.raises(flows.InvalidOptionError, match="basin_shares works in chunks"):
        jax.jit(lambda x: flows.basin_shares(LAND, x, flows.GradientDescent(0.1)).counts)(STARTS)


def test_trapped_in_two_regions_is_named_after_the_first():
    """A step of 2 on x^2 / 2 turns 1 into -1 and back."""
    shares = flows.basin_shares(
        lambda x: x**2 / 2,
        jnp.ones(1),
        flows.GradientDescent(2.0),
        regions={"disc": lambda x: abs(x) < 2, "line": lambda x: abs(x) < 9},
        transient=16,
        steps=16,
        max_period=4,
    )
    assert shares.outcomes == ("trapped in disc",)
