"""Draw the documentation's figures of the principal flow: python docs/figures.py."""

import pathlib
import sys

import jax

jax.config.update("jax_enable_x64", True)
HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from helpers import tanh_network  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

import flows  # noqa: E402
from flows.plotting import plot_indicator, plot_spectrum  # noqa: E402


def main():
    loss, start = tanh_network()
    optimizer = flows.GradientDescent(0.5)
    run = flows.compare(loss, start, optimizer, flows.PrincipalFlow(), 200, mode="per_step")
    # Where the sharpest direction has grown past the edge of stability.
    at = flows.stability_coefficients(loss, run.iterates.params[150], optimizer)
    for name, draw, what in (("indicator", plot_indicator, run), ("spectrum", plot_spectrum, at)):
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        draw(what, figure.subplots())
        figure.savefig(HERE / "figures" / f"{name}.png", dpi=160)


if __name__ == "__main__":
    main()
