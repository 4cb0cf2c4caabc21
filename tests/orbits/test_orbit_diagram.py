"""Bifurcation diagrams against plain loops, and their pictures."""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest

import flows
from flows import plotting

ORDERLY = np.array([0.2, 0.7, 1.1, 1.22, 1.26, 1.29])
START = jnp.array(0.5)


def well(x):
    return (x**2 - 1) ** 2 / 4


def pair(w):
    return (w[0] * w[1] - 1) ** 2 / 2


def first(w):
    return w[0]


@pytest.fixture(scope="module")
def diagram():
    rates = np.concatenate([np.linspace(0.85, 1.95, 40), [2.1, 2.2]])
    return flows.bifurcation_diagram(well, START, rates, keep=50)


def test_points_are_those_of_a_plain_loop():
    diagram = flows.bifurcation_diagram(
        well, START, ORDERLY, transient=3000, steps=160, keep=300, max_period=32
    )
    x = np.full(ORDERLY.shape, 0.5)
    expected = []
    for _ in range(3000 + 160 + 300):
        x = x - ORDERLY * (x**3 - x)
        expected.append(x)
    np.testing.assert_allclose(diagram.values, np.array(expected[-300:]).T, atol=1e-9)
    assert diagram.periods.tolist() == [1, 1, 2, 2, 4, 8]
    assert diagram.label == "parameter"
    np.testing.assert_allclose(diagram.limits.params, expected[-1], atol=1e-9)


def test_kinds_exponents_and_where_they_change(diagram):
    assert diagram.kinds[0] == "converged"
    assert set(diagram.kinds[-2:]) == {"diverged"}
    assert np.isnan(diagram.values[-2:]).all()
    assert np.isfinite(diagram.values[:-2]).all()
    two = diagram.periods == 2
    exact = np.log(np.abs(9 - 2 * (1 + diagram.learning_rates[two]) ** 2)) / 2
    np.testing.assert_allclose(diagram.lyapunov[two], exact, atol=1e-6)
    changes = diagram.changes()
    low, high, before, after = changes[0]
    assert (before, after) == ("converged", "period 2")
    assert low < 1 < high
    assert changes[-1][2:] == ("chaotic", "diverged")
    assert "2 diverged" in str(diagram)
    assert str(diagram).startswith("42 learning rates from 0.85 to 2.2: ")


def test_the_chaotic_band_of_the_polynomial():
    """At h = 0.3 from near 2; its ends are images of the extreme of the step map."""
    slope = np.polynomial.Polynomial([-12, 34, -54, 56, -30, 6])
    extreme = next(r.real for r in (slope.deriv() - 1 / 0.3).roots() if 1.8 < r.real < 2)
    high = extreme - 0.3 * slope(extreme)
    low = high - 0.3 * slope(high)
    np.testing.assert_allclose([low, high], [1.70510, 2.09000], atol=6e-6)
    diagram = flows.bifurcation_diagram(
        flows.problems.nar_sastry().loss, jnp.array(1.95), [0.3, 0.35], keep=3000
    )
    assert low - 1e-9 <= diagram.values[0].min() < low + 1e-3
    assert high - 1e-3 < diagram.values[0].max() <= high + 1e-9
    assert diagram.kinds.tolist() == ["chaotic", "converged"]
    assert float(diagram.limits.params[1]) == pytest.approx(1, abs=1e-9)


def test_chunks_and_order_change_nothing():
    whole = flows.bifurcation_diagram(well, START, ORDERLY, keep=9)
    for rates, chunk in ((ORDERLY, 1), (ORDERLY[::-1], 4)):
        part = flows.bifurcation_diagram(well, START, rates, keep=9, chunk=chunk)
        order = np.argsort(part.learning_rates)
        np.testing.assert_allclose(part.values[order], whole.values, rtol=1e-12)
        assert part.periods[order].tolist() == whole.periods.tolist()
        np.testing.assert_allclose(part.lyapunov[order], whole.lyapunov, atol=1e-9)


def test_memory_is_that_of_a_chunk(monkeypatch):
    """As many rates at once as fit into the bound, all chunks of one length."""
    from flows.drivers import _chunks

    lengths = []
    monkeypatch.setattr(_chunks, "_CHUNK_BYTES", 8 * (8 + 4 * 128) * 10)
    original = _chunks.jnp.asarray
    assert _chunks.chunk_length(None, 42, 8 + 4 * 128, 8) == 9
    done = _chunks.in_chunks(
        lambda x: lengths.append(len(x)) or original(x) * 2,
        np.arange(42.0),
        9,
        progress=False,
        label="",
        unit="",
    )
    assert lengths == [9] * 5
    np.testing.assert_array_equal(done, 2 * np.arange(42.0))


def test_observables():
    start, rates = jnp.array([1.3, 0.8]), [0.5, 1.05]
    options = {"transient": 500, "steps": 160, "keep": 6}
    loss = flows.bifurcation_diagram(pair, start, rates, **options)
    assert loss.label == "loss"
    np.testing.assert_allclose(loss.values[0], 0, atol=1e-12)
    x = np.array([0.8728715609, 1.0910894512])
    expected = np.sort((x**2 - 1) ** 2 / 2)
    np.testing.assert_allclose(np.unique(loss.values[1].round(8)), expected, atol=1e-8)
    one = flows.bifurcation_diagram(pair, start, rates, observe=first, **options)
    assert one.label == "first"
    np.testing.assert_allclose(np.unique(one.values[1].round(8)), x, atol=1e-8)


def test_any_optimizer():
    """x -> x - h (x^3 - x), given as a map, with the step time as the learning rate."""

    def optimizer(h):
        return flows.StepMap(lambda x: x - h * (x**3 - x), step_time=h)

    made = flows.bifurcation_diagram(well, START, ORDERLY, optimizer=optimizer, keep=4)
    plain = flows.bifurcation_diagram(well, START, ORDERLY, keep=4)
    np.testing.assert_allclose(made.values, plain.values, rtol=1e-12)


def test_a_progress_bar(capsys):
    flows.bifurcation_diagram(well, START, ORDERLY, keep=9, chunk=4, progress=True)
    assert "learning rates" in capsys.readouterr().err


def test_other_numbers_compile_nothing():
    traces = []

    def counted(x):
        traces.append(1)
        return well(x)

    flows.bifurcation_diagram(counted, START, ORDERLY, transient=50, steps=32)
    before = len(traces)
    flows.bifurcation_diagram(counted, START + 0.1, ORDERLY + 0.01, transient=80, steps=64)
    assert len(traces) == before


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"learning_rates": 0.1}, flows.InvalidLearningRateError, r"got shape \(\)"),
        ({"learning_rates": []}, flows.InvalidLearningRateError, r"got shape \(0,\)"),
        ({"learning_rates": ["a"]}, flows.InvalidLearningRateError, r"got \['a'\]"),
        ({"learning_rates": [[1], [1, 2]]}, flows.InvalidLearningRateError, "must be a list of"),
        ({"learning_rates": [0.1, -1]}, flows.InvalidLearningRateError, "-1.0.* is among them"),
        ({"observe": 3}, flows.InvalidOptionError, "observe must be a function"),
        ({"observe": lambda x: x > 0}, flows.InvalidOptionError, "must return one real number"),
        ({"observe": lambda x: {"x": x}}, flows.InvalidOptionError, "real number, got a dict"),
        ({"keep": 0}, flows.InvalidOptionError, "keep must be an integer >= 1, got 0"),
        ({"chunk": 0}, flows.InvalidOptionError, "chunk must be an integer >= 1, got 0"),
        ({"optimizer": flows.GradientDescent(0.1)}, flows.InvalidOptimizerError, "Pass a function"),
    ],
)
def test_bad_input(changed, error, message):
    with pytest.raises(error, match=message):
        flows.bifurcation_diagram(
            **{"loss": well, "start": START, "learning_rates": ORDERLY, **changed}
        )


def test_it_runs_on_the_host():
    with pytest.raises(flows.InvalidOptionError, match=r"inside use flows\.classify_limit"):
        jax.jit(lambda x: flows.bifurcation_diagram(well, x, ORDERLY).lyapunov)(START)
    with pytest.raises(flows.InvalidLearningRateError, match=r"jax\.vmap of flows\.classify_limit"):
        jax.jit(lambda h: flows.bifurcation_diagram(well, START, h).lyapunov)(ORDERLY)


@pytest.mark.usefixtures("nothing_left_of_pictures")
def test_the_picture(diagram):
    ax = diagram.plot()
    assert ax.get_xlabel() == "learning rate $h$ (flow time)"
    assert ax.get_ylabel() == "parameter"
    drawn = sum(len(dots.get_offsets()) for dots in ax.collections)
    assert drawn == 40 * 50  # nothing of what diverged
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[:3] == ["converged", "periodic", "chaotic"]
    assert labels[-1] == "diverged"
    _, given = plt.subplots()
    assert plotting.plot_bifurcation(diagram, given, show="lyapunov") is given
    assert given.get_ylabel() == r"Lyapunov exponent $\Lambda$ (per step)"


@pytest.mark.usefixtures("nothing_left_of_pictures")
def test_divergence_is_shaded_where_it_is_whatever_the_order_of_the_rates():
    """On x^2 / 2 a step of 3 diverges; the shade begins half way from the next rate."""
    diagram = flows.bifurcation_diagram(
        lambda x: x**2 / 2, jnp.array(1.0), [3.0, 0.5, 1.0], keep=4, max_period=2
    )
    (shade,) = diagram.plot().patches
    assert (shade.get_x(), shade.get_width()) == (2.0, 1.0)


@pytest.mark.usefixtures("nothing_left_of_pictures")
def test_what_cannot_be_drawn(diagram):
    with pytest.raises(flows.InvalidOptionError, match="show must be one of 'attractor'"):
        plotting.plot_bifurcation(diagram, show="exponent")
    gone = flows.bifurcation_diagram(well, START, [2.1, 2.2], keep=50)
    with pytest.raises(flows.InvalidOptionError, match="every orbit diverged"):
        gone.plot()
