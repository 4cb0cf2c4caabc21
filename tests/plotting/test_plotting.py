"""Pictures: what is drawn, from the artists themselves."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
from helpers import by_hand, quartic, rosenbrock

import flows
from flows import plotting
from flows.plotting.indicator import _rank_correlation

pytestmark = pytest.mark.usefixtures("nothing_left_of_pictures")
BOTH = (flows.GradientFlow(), flows.ModifiedFlow(order=2))
START = jnp.array([-0.5, 0.5])
DESCENT = flows.GradientDescent(1e-3)


@pytest.fixture(scope="module")
def run():
    return flows.compare(rosenbrock, START, DESCENT, BOTH, 10)


@pytest.fixture(scope="module")
def per_step():
    return flows.compare(rosenbrock, START, DESCENT, BOTH, 10, mode="per_step")


def lines(ax):
    return {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_errors(run):
    ax = run.plot()
    assert ax.get_yscale() == "log"
    assert ax.get_xlabel() == "step"
    assert ax.get_ylabel() == "distance from the iterates (parameters)"
    assert legend(ax) == ["GradientFlow", "ModifiedFlow(2)"]
    for name, line in lines(ax).items():
        steps, error = line.get_data()
        assert list(steps) == list(range(1, 11))  # the start, where the error is zero, is left out
        assert np.array_equal(error, run.errors[name][1:])


def test_errors_per_step_and_relative(per_step):
    assert per_step.plot().get_ylabel() == "error of one step (parameters)"
    ax = plotting.plot_errors(per_step, relative=True)
    assert ax.get_ylabel() == "error over the length of the step"
    assert np.allclose(
        lines(ax)["GradientFlow"].get_ydata(), per_step.relative_errors["GradientFlow"][1:]
    )


def test_averages_are_over_the_path_so_far():
    run = by_hand([0.0, 3.0, 6.0, 2.0])
    run = dataclasses.replace(
        run, iterates=dataclasses.replace(run.iterates, loss=jnp.array([4.0, 2.0, 3.0, 1.0]))
    )
    loss, _, distance = plotting.plot_averages(run, window=2)
    (line,) = distance.lines
    assert [list(numbers) for numbers in line.get_data()] == [[1, 2, 3], [3, 2, 0.5]]
    assert list(loss.lines[1].get_ydata()) == [3, 2.5, 2]


def test_ranks_are_not_the_order_of_the_entries():
    """Of 3, 1, 2, 4 the ranks are themselves, while their order is 2, 3, 1, 4."""
    x, y = np.array([3.0, 1.0, 2.0, 4.0]), np.array([1.0, 4.0, 3.0, 2.0])
    expected = 1 - 6 * np.sum((x - y) ** 2) / (4 * 15)  # Spearman's formula
    assert _rank_correlation(10**x, -1 / y) == pytest.approx(expected)


def test_losses(run):
    ax = plotting.plot_losses(run)
    assert legend(ax) == ["iterates", "GradientFlow", "ModifiedFlow(2)"]
    assert np.array_equal(lines(ax)["iterates"].get_ydata(), run.iterates.loss)
    assert ax.get_yscale() == "log"


def test_losses_that_are_negative_are_drawn_on_a_linear_scale():
    run = flows.compare(lambda x: jnp.sum(jnp.cos(x)), jnp.ones(1), DESCENT, BOTH[0], 3)
    assert plotting.plot_losses(run).get_yscale() == "log"
    run = flows.compare(lambda x: -jnp.sum(jnp.cos(x)), jnp.ones(1), DESCENT, BOTH[0], 3)
    assert plotting.plot_losses(run).get_yscale() == "linear"


@pytest.mark.parametrize("mode", ["run", "per_step"])
def test_contours(mode, request):
    run = request.getfixturevalue(mode)
    ax = plotting.plot_contours(run, rosenbrock)
    points = lines(ax)["iterates"]
    assert np.array_equal(np.column_stack(points.get_data()), run.iterates.params)
    assert points.get_linestyle() == "None"
    curve = np.column_stack(lines(ax)["GradientFlow"].get_data())
    if mode == "run":
        assert np.array_equal(curve, run.trajectories["GradientFlow"].params)
    else:
        assert np.array_equal(curve[0], run.iterates.params[0])
        assert np.array_equal(curve[1], run.trajectories["GradientFlow"].params[1])
    assert len(ax.collections) >= 1  # the contours
    assert sorted(legend(ax)) == ["GradientFlow", "ModifiedFlow(2)", "iterates"]


def test_contours_of_two_numbers_in_a_tree():
    def loss(p):
        return p["x"] ** 2 + jnp.sum(p["y"] ** 4)

    run = flows.compare(loss, {"x": 1.0, "y": jnp.ones(1)}, DESCENT, BOTH, 3)
    ax = plotting.plot_contours(run, loss)
    assert len(ax.collections) >= 1


def test_contours_of_complex_parameters_show_the_real_part():
    def loss(x):
        return x[0] ** 2 + 0.01 * x[1] ** 2

    run = flows.compare(
        loss, jnp.ones(2), flows.GradientDescent(0.9), flows.PrincipalFlow(), steps=2
    )
    ax = plotting.plot_contours(run, loss)
    curve = np.column_stack(lines(ax)["PrincipalFlow"].get_data())
    assert np.array_equal(curve, run.trajectories["PrincipalFlow"].params.real)


def test_contours_with_data():
    def loss(x, scale):
        return scale * jnp.sum(x**2)

    run = flows.compare(loss, START, DESCENT, BOTH, 3, args=jnp.array(2.0))
    assert plotting.plot_contours(run, loss, args=jnp.array(2.0)).get_xlabel() == "first parameter"


def test_axes_in_axes_out(run):
    figure, axes = plt.subplots(1, 3)
    assert run.plot(ax=axes[0]) is axes[0]
    assert plotting.plot_losses(run, axes[1]) is axes[1]
    assert plotting.plot_contours(run, rosenbrock, axes[2]) is axes[2]
    assert len(plt.get_fignums()) == 1
    figure.canvas.draw()


def test_one_colour_a_flow_in_every_picture(run):
    for ax in (run.plot(), plotting.plot_losses(run), plotting.plot_contours(run, rosenbrock)):
        for name, line in lines(ax).items():
            assert line.get_color() == plotting.color_of(name)
    names = ["iterates", "GradientFlow", "ModifiedFlow(2)", "PrincipalFlow", "GradientFlow #2"]
    assert len({plotting.color_of(name) for name in names}) == len(names)


def test_an_early_end_is_marked():
    run = flows.compare(
        quartic, jnp.array([3.0]), flows.GradientDescent(0.5), BOTH, 20, throw=False
    )
    crosses = [line for line in plotting.plot_losses(run).lines if line.get_marker() == "x"]
    assert list(crosses[0].get_xdata()) == [5]
    assert run.plot().get_yscale() == "log"


def test_pictures_that_cannot_be_drawn(run):
    three = flows.compare(quartic, jnp.ones(3), DESCENT, BOTH, 2)
    with pytest.raises(flows.InvalidOptionError, match=r"needs two parameters\. For more"):
        plotting.plot_contours(three, quartic)
    lost = flows.compare(rosenbrock, START, DESCENT, BOTH, 2, save_params=False)
    with pytest.raises(flows.InvalidOptionError, match="Compare again with save_params=True"):
        plotting.plot_contours(lost, rosenbrock)
    batch = jax.tree.map(lambda x: jnp.stack([x, x]), run)
    for draw in (
        plotting.plot_errors,
        plotting.plot_losses,
        lambda runs: plotting.plot_contours(runs, rosenbrock),
    ):
        with pytest.raises(flows.InvalidOptionError, match="batch of runs"):
            draw(batch)


@pytest.mark.parametrize(
    ("draw", "wanted", "maker"),
    [
        (plotting.plot_errors, "a flows.Comparison", "flows.compare("),
        (plotting.plot_losses, "a flows.Comparison", "flows.compare("),
        (plotting.plot_indicator, "a flows.Comparison", "flows.compare("),
        (plotting.plot_averages, "a flows.Comparison", "flows.compare("),
        (lambda run: plotting.plot_contours(run, rosenbrock), "a flows.Comparison", "flows.comp"),
        (plotting.plot_ensembles, "a flows.EnsembleComparison", "flows.compare_in_law("),
        (plotting.plot_regimes, "a flows.RegimeReport", "flows.track("),
        (plotting.plot_bifurcation, "a flows.BifurcationDiagram", "flows.bifurcation_diagram("),
        (plotting.plot_spectrum, "StabilityCoefficients", "flows.stability_coefficients("),
    ],
)
def test_what_a_picture_cannot_draw(run, draw, wanted, maker):
    for value, name in ((run.iterates, "a Trajectory"), ([run], "a list")):
        message = rf"{re.escape(wanted)}, got {name}\. Pass what {re.escape(maker)}.* returned\.$"
        with pytest.raises(flows.InvalidOptionError, match=message):
            draw(value)


def test_rates_are_given_by_name():
    with pytest.raises(flows.InvalidOptionError, match="from names to numbers, got a ndarray"):
        plotting.plot_effective_rates(np.ones(3))
    with pytest.raises(flows.InvalidOptionError, match="from names to numbers, got a float"):
        plotting.plot_effective_rates({"SGD": np.ones(3)}, 0.5)
