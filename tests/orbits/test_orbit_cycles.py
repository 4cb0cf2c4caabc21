"""Cycles and their multipliers against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flows


def well(x, size=1.0):
    return ((x / size) ** 2 - 1) ** 2 * size**2 / 4


def power(x, p):
    return jnp.abs(x) ** p / p


def product(w):
    return (w[0] * w[1] - 1) ** 2 / 2


def find(loss, start, rate, period, **options):
    return flows.find_cycle(
        loss, jnp.asarray(start), flows.GradientDescent(rate), period, **options
    )


def sorted_points(cycle):
    return np.sort(np.asarray(cycle.points))


def test_the_two_cycle_of_the_double_well():
    """Of any size: far from the origin rounding is more than the tolerance near it."""
    rates = np.array([1.01, 1.1213203, 1.2, 1.3, 1.7])

    @jax.jit
    def all_of(size):
        at = lambda h: find(well, 1.15 * size, h, 2, args=size)  # noqa: E731
        return jax.vmap(at)(jnp.asarray(rates))

    middle, width = np.sqrt((3 + rates) / rates), np.sqrt((rates - 1) / rates)
    for size in (1.0, 3e6):
        cycles = all_of(size)
        assert cycles.converged.all()
        points = np.sort(np.asarray(cycles.points), axis=1) / size
        np.testing.assert_allclose(points[:, 0], (middle - width) / 2, atol=1e-12)
        np.testing.assert_allclose(points[:, 1], (middle + width) / 2, atol=1e-12)
        expected = 9 - 2 * (1 + rates) ** 2
        np.testing.assert_allclose(cycles.multipliers[:, 0].real, expected, atol=1e-10)
        assert cycles.stable.tolist() == [True, True, True, False, False]
        assert (cycles.residual < 1e-14 * size).all()


@pytest.mark.parametrize("p", [1.2, 1.5, 3.0, 4.0])
def test_the_two_cycle_of_a_power(p):
    """At (h/2)^(1/(2-p)), one-step multiplier 3 - 2p: stable for p < 2, else the basin's edge."""
    h = 0.5
    at = (h / 2) ** (1 / (2 - p))
    cycle = find(power, 1.02 * at, h, 2, args=jnp.asarray(p))
    np.testing.assert_allclose(sorted_points(cycle), [-at, at], rtol=1e-11)
    assert float(cycle.multipliers[0].real) == pytest.approx((3 - 2 * p) ** 2, abs=1e-8)
    assert bool(cycle.stable) == (p < 2)


def quartics(x, sign):
    return x**2 / 2 + sign * x**4 / 4


@pytest.mark.parametrize(("sign", "h"), [(-1.0, 2.5), (-1.0, 3.2), (1.0, 1.5)])
def test_the_symmetric_cycles_of_quartics(sign, h):
    at = np.sqrt(sign * (2 - h) / h)
    cycle = find(quartics, 1.05 * at, h, 2, args=jnp.asarray(sign))
    np.testing.assert_allclose(sorted_points(cycle), [-at, at], rtol=1e-12)
    assert float(cycle.multipliers[0].real) == pytest.approx((2 * h - 5) ** 2, abs=1e-10)
    assert bool(cycle.stable) == (abs(2 * h - 5) < 1)


def test_the_edge_of_the_double_wells_basin():
    h = 1.3
    at = np.sqrt((2 + h) / h)
    cycle = find(well, 1.02 * at, h, 2)
    np.testing.assert_allclose(sorted_points(cycle), [-at, at], rtol=1e-12)
    assert float(cycle.multipliers[0].real) == pytest.approx((2 * h + 5) ** 2, rel=1e-12)
    assert str(cycle) == "unstable 2-cycle, largest |multiplier| 57.76"


def test_longer_cycles_of_the_logistic_map():
    """x -> (1 + h) x - h (x + x^2) is r z (1 - z): at r = 4, z = sin^2(pi t) doubles t."""
    period = 5
    turns = 3 / (2**period - 1) * 2.0 ** np.arange(period)
    z = np.sin(np.pi * turns) ** 2
    expected = 4 * z / 3 - 1  # z = h (x + 1) / (1 + h)
    cycle = find(lambda x: x**2 / 2 + x**3 / 3, expected[0] + 1e-3, 3.0, period)
    np.testing.assert_allclose(cycle.points, expected, atol=1e-12)
    assert cycle.minimal_period == period
    assert abs(cycle.multipliers[0]) == pytest.approx(2.0**period, rel=1e-9)


def test_both_multipliers_of_a_product():
    """The balanced cycle: along x = y that of the double well, across it 3 - 2h."""
    h = 1.05
    cycle = find(product, [1.3, 0.8], h, 2, transient=300)
    expected = sorted([9 - 2 * (1 + h) ** 2, 3 - 2 * h], key=abs, reverse=True)
    np.testing.assert_allclose(cycle.multipliers, expected, atol=1e-9)
    np.testing.assert_allclose(
        np.sort(cycle.points[:, 0]), [0.8728715609, 1.0910894512], atol=1e-10
    )
    np.testing.assert_allclose(cycle.points[:, 0], cycle.points[:, 1], atol=1e-12)


def test_minima_that_fill_a_curve_are_neutral():
    cycle = find(product, [1.3, 0.9], 0.3, 1)
    x, y = np.asarray(cycle.points[0])
    assert x * y == pytest.approx(1, abs=1e-12)
    assert bool(cycle.neutral)
    assert not bool(cycle.stable)
    expected = [1, 1 - 0.3 * (x**2 + y**2)]
    np.testing.assert_allclose(cycle.multipliers, sorted(expected, key=abs)[::-1], atol=1e-12)
    assert str(cycle) == "neutral fixed point, largest |multiplier| 1"


def test_a_search_that_lands_on_a_shorter_cycle_says_so():
    cycle = find(well, 1.1, 1.1, 4)
    assert bool(cycle.converged)
    assert cycle.minimal_period == 2
    assert str(cycle) == (
        "stable 2-cycle, found where period 4 was sought, largest |multiplier| over 4 steps 0.0324"
    )


def test_a_cycle_far_out_is_found_within_the_rounding_there():
    """The double well in units of 1e-6, so that a residual of 1e-10 is rounding."""

    def far_well(x, unit):
        return unit**2 * well(x / unit)

    h, unit = np.linspace(1.05, 1.2, 8), 1e6
    cycles = jax.vmap(lambda h: find(far_well, 1.15 * unit, h, 2, args=jnp.asarray(unit)))(
        jnp.asarray(h)
    )
    high = unit * (np.sqrt((3 + h) / h) + np.sqrt((h - 1) / h)) / 2
    np.testing.assert_allclose(np.max(cycles.points, axis=1), high, rtol=1e-13)
    assert cycles.converged.all()
    assert (cycles.minimal_periods == 2).all()


def test_a_search_without_an_answer_says_so():
    cycle = find(lambda x: x, 1.0, 0.5, 3)  # every step goes left
    assert not bool(cycle.converged)
    assert not bool(cycle.stable)
    assert "no cycle of period 3 found: the steps still miss by" in str(cycle)


def test_complex_multipliers_of_momentum():
    def heavy_ball(state):
        x, before = state
        return jnp.stack([x - 1.1 * x + 0.9 * (x - before), x])

    cycle = flows.find_cycle(jnp.sum, jnp.array([0.2, 0.1]), flows.StepMap(heavy_ball), 1)
    np.testing.assert_allclose(cycle.points, np.zeros((1, 2)), atol=1e-14)
    expected = np.roots([1, -(1 + 0.9 - 1.1), 0.9])
    np.testing.assert_allclose(np.sort_complex(cycle.multipliers), np.sort_complex(expected))


def copies(tree, curvatures):
    return jnp.sum(curvatures * (tree["x"] ** 2 - 1) ** 2) / 4


RATES = np.linspace(1.02, 1.22, 600)  # multipliers from 0.84 down to -0.86


@pytest.fixture(scope="module")
def cycle_of_many():
    start, optimizer = {"x": jnp.full(600, 1.12)}, flows.GradientDescent(1.0)
    return flows.find_cycle(copies, start, optimizer, 2, args=jnp.asarray(RATES), k=4)


def test_many_parameters_without_a_matrix(cycle_of_many):
    """Copies of the double well with rates of their own: the multipliers are known one by one."""
    h, cycle = RATES, cycle_of_many
    assert bool(cycle.converged)
    assert bool(cycle.stable)
    high = (np.sqrt((3 + h) / h) + np.sqrt((h - 1) / h)) / 2
    np.testing.assert_allclose(np.max(cycle.points["x"], axis=0), high, atol=1e-10)
    largest = np.max(np.abs(9 - 2 * (1 + h) ** 2))
    assert abs(cycle.multipliers[0]) == pytest.approx(largest, abs=3e-3)
    assert abs(abs(cycle.multipliers[0]) - largest) <= float(cycle.multiplier_residuals[0]) + 1e-12


def test_multipliers_and_their_residuals_by_numpy(cycle_of_many):
    """Ritz values from the same 48 products, and ``|M v - mu v|`` of their vectors themselves."""
    exact = 9 - 2 * (1 + RATES) ** 2
    column = np.asarray(jax.random.normal(jax.random.key(0), (600,)))
    basis = np.empty((600, 0))
    for _ in range(48):
        for _ in range(2):
            column = column - basis @ (basis.T @ column)
        basis = np.column_stack([basis, column / np.linalg.norm(column)])
        column = exact * basis[:, -1]
    values, inner = np.linalg.eigh(basis.T @ (exact[:, None] * basis))
    vectors = basis @ inner
    true = np.linalg.norm(exact[:, None] * vectors - vectors * values, axis=0)
    order = np.argsort(-np.abs(values))[:4]
    np.testing.assert_allclose(cycle_of_many.multipliers, values[order], atol=1e-9)
    np.testing.assert_allclose(cycle_of_many.multiplier_residuals, true[order], rtol=1e-5)
    assert true[order].min() > 1e-6  # they are not converged


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"period": 0}, "period must be an integer >= 1, got 0"),
        ({"period": 2, "max_steps": 0}, "max_steps must be an integer >= 1"),
        ({"period": 2, "k": True}, "k must be an integer >= 1, got True"),
        ({"period": 2, "tolerance": 0.0}, "tolerance must be one positive number, got 0.0"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(flows.InvalidOptionError, match=message):
        flows.find_cycle(well, jnp.array(1.1), flows.GradientDescent(1.1), **options)


def test_words_need_a_single_cycle():
    cycles = jax.vmap(lambda h: find(well, 1.15, h, 2))(jnp.array([1.1, 1.2]))
    with pytest.raises(flows.InvalidOptionError, match="those of a single cycle"):
        _ = cycles.minimal_period


def root_of_square(x):
    """Its value and gradient are finite at 0, where jax.hessian is 0 times infinity."""
    return jnp.sum(jnp.where(jnp.abs(x) < 1e-3, 0 * jnp.abs(x) ** 1.5, x**2 / 2))


@pytest.mark.parametrize("period", [1, 2])
def test_without_a_hessian_nobody_can_tell_whether_it_is_stable(period):
    cycle = find(root_of_square, [0.0, 0.0], 0.1, period)
    assert bool(cycle.converged)
    assert np.isnan(cycle.multipliers).any()
    assert not bool(cycle.stable)
    assert not bool(cycle.neutral)
    assert str(cycle).startswith("fixed point")
    assert "whether it is stable cannot be told: the derivative of the step is not a" in str(cycle)
    limit = flows.classify_limit(
        root_of_square, jnp.zeros(2), flows.GradientDescent(0.1), transient=10, steps=16
    )
    assert str(limit) == "converged, no Lyapunov exponent"
