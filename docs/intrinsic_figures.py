"""Draw the figures of docs/intrinsic_learning_rate.md: python docs/intrinsic_figures.py.

A minute on two cores. Prints the numbers of that page.
"""

import pathlib

import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

import flows  # noqa: E402
from flows.plotting import plot_effective_rates  # noqa: E402
from flows.plotting._style import tidy  # noqa: E402
from flows.scale_invariant import equilibrium, path_measures, rayleigh_flow  # noqa: E402

HERE = pathlib.Path(__file__).parent
INTRINSIC = 2e-3
# Learning rate and number of steps, one part after the other; the weight decay makes up for it.
SCHEDULES = {
    "rate 0.5": [(0.5, 6000)],
    "rate 0.05": [(0.05, 6000)],
    "rate 1, then 0.1": [(1.0, 1500), (0.1, 4500)],
}


def train(problem, parts):
    """SGD in parts of constant rates: effective rates, and the gradient's length in the last."""
    params, rates, length = problem.start, [], None
    for number, (eta, steps) in enumerate(parts):
        optimizer = flows.SGD(eta, batch_size=32, weight_decay=INTRINSIC / eta)
        run = flows.iterate(
            problem.loss, params, optimizer, steps, args=problem.args, key=jax.random.key(number)
        )
        found = path_measures(run.params, eta)
        rates.append(np.asarray(found["effective_learning_rate"])[:-1])
        params = run.final_params
        # Pythagoras, backwards: the length on the sphere from the growth of the norm.
        r = np.asarray(found["norm"])[steps // 2 :]
        length = np.sqrt(
            np.mean((r[1:] ** 2 - (1 - INTRINSIC) ** 2 * r[:-1] ** 2) * r[:-1] ** 2) / eta**2
        )
    return np.concatenate(rates), length


def network(ax):
    problem = flows.problems.normalised_network()
    rates, predicted = {}, {}
    for name, parts in SCHEDULES.items():
        rates[name], length = train(problem, parts)
        eta = parts[-1][0]
        balance = equilibrium(eta, INTRINSIC / eta, length)
        predicted[name] = float(balance.effective_learning_rate)
        reached = rates[name][-3000:].mean()
        print(f"{name:17s} predicted {predicted[name]:.5f} reached {reached:.5f} s {length:.3f}")
    print("relaxation", float(balance.relaxation_time))
    # They differ by two parts in a hundred, for gradients differ between minima: one line.
    plot_effective_rates(rates, {"equilibrium": np.mean(list(predicted.values()))}, ax)


def plane(ax):
    problem, eta, decay = flows.problems.scale_invariant_plane(), 0.1, 0.5
    run = flows.iterate(
        problem.loss, problem.start, flows.ScaleInvariantDescent(eta, decay), steps=400
    )
    flow = rayleigh_flow(
        jnp.diag(jnp.array([1.0, 0.0])), problem.start, eta, decay, jnp.arange(40.0)
    )
    ax.semilogy(run.loss, color="#000000", linewidth=1, label="descent with weight decay")
    ax.semilogy(
        jax.vmap(problem.loss)(flow), color="#0072B2", linewidth=1.6, label="its gradient flow"
    )
    ax.axhline(eta * decay / 2, color="#888888", linewidth=1, label="the 2-cycle")
    ax.set_ylim(1e-22, 10)
    ax.set_xlabel("step")
    ax.set_ylabel("loss $x^2 / (x^2 + y^2)$")
    ax.legend(frameon=False, fontsize="small")
    tidy(ax)


def main():
    figure = Figure(figsize=(10.5, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    plane(left)
    network(right)
    figure.savefig(HERE / "figures" / "intrinsic.png", dpi=130)


if __name__ == "__main__":
    main()
