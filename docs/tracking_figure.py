"""Draw the figure of docs/tracking.md and print its tables: python docs/tracking_figure.py."""

import pathlib
import sys

import jax

jax.config.update("jax_enable_x64", True)

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from helpers import deep_linear_network, quartic  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

import flows  # noqa: E402
from flows.plotting import plot_regimes  # noqa: E402
from flows.plotting._style import tidy  # noqa: E402

RATES = 4.0 ** np.arange(-4, 2)
SHOWN = (0, 25, 50, 100, 200)
COLORS = {4.0**-4: "#CCCCCC", 4.0**-3: "#888888", 4.0**-2: "#444444", 4.0**-1: "#D55E00"}
ADJUSTED = "#009E73"
VARIANTS = {
    "DAL-1": {},
    "window": {"window": 10},
    "half": {"factor": 1.0},
    "half, successive": {"factor": 1.0, "form": "successive"},
    "quarter, window": {"factor": 0.5, "window": 10},
}


def run(loss, start, optimizer, steps, args):
    return flows.iterate(loss, start, optimizer, steps, args=args, throw=False).loss


def losses(name, loss, start, args=None, maximum=5.0):
    """Of drift-adjusted descent, and of descent with fixed rates."""
    steps = SHOWN[-1]
    adjusted = run(loss, start, flows.DriftAdjustedDescent(maximum=maximum), steps, args)
    fixed = {h: run(loss, start, flows.GradientDescent(h), steps, args) for h in RATES}
    print(f"\n{name}: loss after {SHOWN} steps")
    for h, what in (("adjusted", adjusted), *fixed.items()):
        print(h, *(f"{float(what[n]):.3g}" for n in SHOWN))
    return adjusted, fixed


def main():
    problem = flows.problems.edge_of_stability()
    h, args = problem.learning_rate, problem.args
    descent = flows.iterate(problem.loss, problem.start, flows.GradientDescent(h), 600, args=args)
    report = flows.track(problem.loss, descent, learning_rate=h, k=4, args=args)
    print(report)
    for name, options in VARIANTS.items():
        adjusted = flows.DriftAdjustedDescent(**options)
        loss = run(problem.loss, problem.start, adjusted, 600, args)
        print(name, f"{float(loss[100]):.2g} {float(loss[600]):.2g}")
    losses("edge of stability", problem.loss, problem.start, args)
    losses("quartic", quartic, jnp.linspace(1.0, 3.0, 10), maximum=1e3)
    adjusted, fixed = losses("deep linear", *deep_linear_network())

    figure = Figure(figsize=(10.5, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    plot_regimes(report, left)
    for rate, color in COLORS.items():
        loss = np.asarray(fixed[rate])
        right.plot(loss[loss < 1e4], color=color, label=f"fixed rate {rate:.3g}")
    right.plot(adjusted, color=ADJUSTED, linewidth=2, label="drift-adjusted, $p = 1$")
    right.set_yscale("log")
    right.set_ylim(0.2, 1000)
    right.set_xlabel("step")
    right.set_ylabel("loss")
    right.legend(frameon=False, ncols=2)
    tidy(right)
    figure.savefig(HERE / "figures" / "tracking.png", dpi=130)


if __name__ == "__main__":
    main()
