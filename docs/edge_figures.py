"""Draw the figures of the flows at the edge of stability: python docs/edge_figures.py.

Two minutes on two cores. Prints the tables of docs/edge_of_stability.md.
"""

import pathlib

import numpy as np
from matplotlib.figure import Figure

import flows
from flows.plotting import plot_averages

HERE = pathlib.Path(__file__).parent
DESCENT = [
    flows.GradientFlow(),
    flows.CentralFlow(),
    flows.CentralFlow("modified"),
    flows.RodFlow(),
]


def main():
    problem = flows.problems.edge_of_stability()
    for name, optimizer, models, steps in (
        ("descent", flows.GradientDescent(0.2), DESCENT, 600),
        ("rmsprop", flows.RMSProp(3.5e-4, 0.9, 1e-8), [flows.CentralFlow(size=12)], 2000),
    ):
        run = flows.compare(
            problem.loss, problem.start, optimizer, models, steps, args=problem.args
        )
        figure = Figure(figsize=(6.4, 8.0), layout="constrained")
        plot_averages(run, list(figure.subplots(3, sharex=True)))
        figure.savefig(HERE / "figures" / f"edge_{name}.png", dpi=160)
        print(run, "\n")
        mean = np.convolve(run.iterates.loss, np.ones(50) / 50, "valid")
        lengths = np.cumsum(run.iterates.diagnostics["step_length"])
        for n in range(0, steps - 50, steps // 12):
            cells = [f"{n:5d}  iterates {mean[n]:.4f}"]
            for key, path in run.trajectories.items():
                loss = path.diagnostics.get("predicted_loss", path.loss)
                away = run.errors[key][n] / max(lengths[n], 1e-30)
                cells.append(f"{key} {np.mean(loss[n : n + 50]):.4f} ({away:.1e})")
            print("  ".join(cells))


if __name__ == "__main__":
    main()
