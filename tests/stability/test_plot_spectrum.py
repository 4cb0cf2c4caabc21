"""The picture of a spectrum, from its artists."""

import jax
import jax.numpy as jnp
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

import flows
from flows.plotting.stability import plot_spectrum
from flows.stability import REGIMES, stability_coefficients

pytestmark = pytest.mark.usefixtures("nothing_left_of_pictures")
RATE = 0.25
# One eigenvalue for each regime, as multiples of 1 / h.
Z = jnp.array([-0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0])


def loss(x):
    # The flat direction is tilted, so that the gradient has a component there.
    return jnp.sum(Z / RATE * x**2) / 2 + x[1]


@pytest.fixture(scope="module")
def at():
    return stability_coefficients(loss, jnp.ones(7), flows.GradientDescent(RATE))


def points(ax):
    """The dots by regime."""
    return {dots.get_label(): dots.get_offsets() for dots in ax.collections}


def test_every_direction_stands_in_its_regime(at):
    ax = plot_spectrum(at)
    assert isinstance(ax.figure, mpl.figure.Figure)
    assert list(points(ax)) == list(REGIMES[:-1])
    for regime, z in zip(REGIMES[:-1], Z, strict=True):
        component = 1.0 if z == 0 else abs(z / RATE)
        assert np.allclose(points(ax)[regime], [[z / RATE, component]])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(REGIMES[:-1])
    # Told apart by colour, and without it by shape (or by size, where both are round).
    looks = {
        (
            tuple(dots.get_facecolor()[0]),
            dots.get_paths()[0].vertices.tobytes(),
            dots.get_sizes()[0],
        )
        for dots in ax.collections
    }
    assert len(looks) == 7
    assert len({color for color, _, _ in looks}) == 7
    assert len({(shape, size) for _, shape, size in looks}) == 7


def test_axes_and_thresholds(at):
    ax = plot_spectrum(at)
    assert (ax.get_xscale(), ax.get_yscale()) == ("symlog", "log")
    assert ax.get_xlabel() == r"eigenvalue $\lambda_i$ of the Hessian"
    assert ax.get_ylabel() == r"gradient component $|g \cdot u_i|$"
    assert [line.get_xdata()[0] for line in ax.lines] == [1 / RATE, 2 / RATE]
    labels = {text.get_text(): text.get_position()[0] for text in ax.texts}
    assert labels == {"$1/h$": 1 / RATE, "$2/h$": 2 / RATE}
    left, right = ax.get_xlim()
    assert left < -0.5 / RATE
    assert right > 3 / RATE


def test_both_thresholds_are_seen_even_if_all_eigenvalues_are_small():
    at = stability_coefficients(loss, jnp.ones(7), flows.GradientDescent(RATE / 100))
    left, right = plot_spectrum(at).get_xlim()
    assert left < 0 < 200 / RATE < right


def test_draws_where_it_is_told(at):
    _, ax = plt.subplots()
    assert plot_spectrum(at, ax) is ax
    assert len(plt.get_fignums()) == 1


def test_directions_without_gradient_are_left_out(at):
    at = stability_coefficients(loss, jnp.zeros(7), flows.GradientDescent(RATE))
    ax = plot_spectrum(at)
    assert list(points(ax)) == ["flat"]
    at = stability_coefficients(lambda x: jnp.sum(x**2), jnp.zeros(2), flows.GradientDescent(RATE))
    ax = plot_spectrum(at)
    assert points(ax) == {}
    assert ax.get_legend() is None


def test_it_can_be_rendered(at, tmp_path):
    plot_spectrum(at).figure.savefig(tmp_path / "spectrum.png")
    assert (tmp_path / "spectrum.png").stat().st_size > 5000


def test_batch_is_refused(at):
    batch = jax.tree.map(lambda x: jnp.stack([x, x]), at)
    with pytest.raises(flows.InvalidOptionError, match=r"Take one of them: jax.tree.map"):
        plot_spectrum(batch)
    assert plt.get_fignums() == []
