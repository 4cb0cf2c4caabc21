"""Draw the documentation's figures of stochastic flows: python docs/stochastic_figures.py."""

import pathlib

import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp  # noqa: E402
import jax.random as jr  # noqa: E402
import numpy as np  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

import flows  # noqa: E402
from flows.plotting import color_of, plot_ensembles  # noqa: E402

FIGURES = pathlib.Path(__file__).parent / "figures"
ORDERS = (1, 2, "principal")


def variance(order, z):
    """Stationary, over h^2 times that of the noise; the curvature is z / h."""
    return {1: 1 / (2 * z), 2: 1 / (2 * z + z**2), "principal": 1 / (z * (2 - z))}[order]


def draw():
    """Stationary variance on a parabola, and the law on a loss of three examples."""
    figure = Figure(figsize=(9.6, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    fine = np.linspace(0.02, 0.95, 200)
    models = [flows.StochasticModifiedFlow(order) for order in ORDERS]
    for h in np.linspace(0.1, 0.9, 9):
        steps = int(8 / h)
        run = flows.compare_in_law(
            lambda x: x**2 / 2,
            jnp.array(0.0),
            flows.SGD(h, noise=1.0),
            models,
            steps,
            key=jr.key(0),
            paths=4000,
            every=steps,
        )
        parts = {"iterates": run.iterates, **run.flows}
        for name, part in parts.items():
            left.errorbar(
                h,
                part.variance[-1, 1] / h,
                3 * part.variance_error[-1, 1] / h,
                color=color_of(name),
                marker="o" if name == "iterates" else "none",
                markersize=4,
                capsize=2,
            )
    for model, order in zip(models, ORDERS, strict=True):
        left.plot(fine, fine * variance(order, fine), color=color_of(model.name), label=model.name)
    left.plot([], [], "o", color=color_of("iterates"), markersize=4, label="SGD")
    left.set_xlabel(r"learning rate times curvature, $h\lambda$")
    left.set_ylabel("stationary variance / $h$")
    left.legend(fontsize=8)

    pulls = jnp.array([0.0, 1.0, 2.5])
    run = flows.compare_in_law(
        lambda x, pulls: jnp.mean(1 - jnp.cos(x - pulls)) + 0.15 * jnp.sin(2 * x),
        jnp.array(-1.5),
        flows.SGD(0.5, batch_size=1),
        models[:2],
        30,
        args=pulls,
        key=jr.key(1),
        paths=4000,
    )
    plot_ensembles(run, right)
    right.set_ylabel("$x$")
    right.legend(fontsize=8)
    figure.savefig(FIGURES / "stochastic.png", dpi=160)


if __name__ == "__main__":
    draw()
