"""Draw the documentation's figures of orbits and basins: python docs/orbit_figures.py."""

import pathlib

import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp  # noqa: E402
import jax.random as jr  # noqa: E402
import numpy as np  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

import flows  # noqa: E402
from flows.plotting import plot_bifurcation  # noqa: E402

FIGURES = pathlib.Path(__file__).parent / "figures"
KNOWN = {
    "$1$": 1.0,
    r"$\sqrt{5}-1$": 5**0.5 - 1,
    r"$\frac{3\sqrt{3}}{2}-1$": 1.5 * 3**0.5 - 1,
    "$2$": 2.0,
}


def orbits():
    """The double well: attractor and exponent, with the steps that are known exactly."""
    diagram = flows.bifurcation_diagram(
        flows.problems.double_well().loss,
        jnp.array(0.5),
        np.linspace(0.9, 2.05, 1600),
        transient=4000,
        steps=4000,
    )
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    plot_bifurcation(diagram, above, size=0.15)
    plot_bifurcation(diagram, below, show="lyapunov", size=1.0)
    below.get_legend().remove()
    below.set_ylim(-1.5, 1.3)
    above.set_xlabel("")
    above.set_ylabel("$x$")
    below.set_ylabel(r"exponent $\Lambda$ (per step)")
    below.axhline(np.log(3), color="#555555", linewidth=0.8, linestyle=":")
    below.text(0.91, np.log(3), r"$\log 3$", va="bottom", fontsize=8)
    for label, step in KNOWN.items():
        for ax in (above, below):
            ax.axvline(step, color="#555555", linewidth=0.8, linestyle="--", zorder=1)
        where = above.get_xaxis_transform()
        above.text(step, 1.01, label, transform=where, ha="center", va="bottom", fontsize=8)
    figure.savefig(FIGURES / "orbits.png", dpi=160)


def basins():
    """The sharp valley: where 1000 random starts end, against the learning rate."""
    example = flows.problems.sharp_valley()
    starts = jr.uniform(jr.key(0), (1000,), minval=-15.0, maxval=15.0)
    rates = np.geomspace(2e-4, 5.6e-2, 40)
    looks = {
        "to 0": ("#0072B2", "o", "flat minimum 0"),
        "to 2.5": ("#D55E00", "s", "sharp minimum 2.5"),
        "trapped in valley": ("#E69F00", "^", "trapped about 2.5"),
        "in flat piece": ("#999999", "v", "flat piece at 8.5"),
        "diverged": ("#000000", "x", "diverged"),
    }
    found = [
        flows.basin_shares(
            example.loss,
            starts,
            flows.GradientDescent(rate),
            minima={"0": 0.0, "2.5": 2.5},
            regions={"flat piece": _flat, "valley": _valley},
            transient=6000,
        )
        for rate in rates
    ]
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    ax = figure.subplots()
    for outcome, (colour, marker, label) in looks.items():
        share = [shares.share(outcome) for shares in found]
        error = [shares.error(outcome) for shares in found]
        ax.errorbar(rates, share, error, color=colour, marker=marker, ms=3.5, lw=0.9, label=label)
    for step, label in ((1 / 1020, "1/1020"), (1.53373402e-3, "escape"), (1 / 20, "1/20")):
        ax.axvline(step, color="#555555", linewidth=0.8, linestyle="--", zorder=1)
        side = "right" if label == "1/1020" else "left" if label == "escape" else "center"
        where = ax.get_xaxis_transform()
        ax.text(step, 1.01, label, transform=where, ha=side, va="bottom", fontsize=8)
    ax.set_xscale("log")
    ax.set_xlabel("learning rate $h$ (flow time)")
    ax.set_ylabel("share of 1000 random starts")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize=8, loc="center", bbox_to_anchor=(0.64, 0.5))
    figure.savefig(FIGURES / "basins.png", dpi=160)


def _flat(x):
    return (x > 8.4) & (x < 8.6)


def _valley(x):
    return (x >= 2.0) & (x <= 3.0)


if __name__ == "__main__":
    orbits()
    basins()
