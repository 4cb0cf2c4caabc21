"""The picture of effective learning rates."""

import numpy as np
import pytest
from matplotlib.figure import Figure

import flows
from flows.plotting import plot_effective_rates

RATES = {"one": np.array([0.1, 0.2, 0.3]), "two": np.array([0.4, 0.3, np.nan])}


@pytest.mark.usefixtures("nothing_left_of_pictures")
def test_runs_and_their_equilibria_share_a_colour():
    ax = Figure().add_subplot()
    assert plot_effective_rates(RATES, {"two": 0.25, "other": 0.2}, ax) is ax
    first, second, own, other = ax.get_lines()
    np.testing.assert_array_equal(first.get_ydata(), RATES["one"])
    assert own.get_color() == second.get_color() != first.get_color()
    assert own.get_ydata()[0] == 0.25
    assert other.get_color() == "#888888"
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["one", "two", "two: equilibrium", "other"]
    assert ax.get_yscale() == "log"
    assert len(plot_effective_rates(RATES).get_lines()) == 2


def test_bad_rates_are_refused_with_a_remedy():
    with pytest.raises(flows.InvalidOptionError, match="there are no rates to draw"):
        plot_effective_rates({})
    for wrong in (np.ones((2, 3)), np.zeros(3)):
        with pytest.raises(flows.InvalidOptionError, match=r"rates of 'a' must be positive.*jax"):
            plot_effective_rates({"a": wrong})
