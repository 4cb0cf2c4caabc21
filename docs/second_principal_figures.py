"""Draw the figures of the second principal flow: python docs/second_principal_figures.py [NAME...].

Minutes on two cores. Prints the tables of docs/second_principal_flow.md.
"""

import pathlib
import sys

import jax

jax.config.update("jax_enable_x64", True)
HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

import diffrax as dfx  # noqa: E402
import jax.flatten_util  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from helpers import tanh_network  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

import flows  # noqa: E402
from flows.plotting._style import ITERATES, looks, tidy  # noqa: E402

EVERY_FLOW = [
    flows.GradientFlow(),
    *(flows.ModifiedFlow(order) for order in (2, 3, 4, 5)),
    flows.PrincipalFlow("principal"),
    flows.PrincipalFlow(),
    flows.PrincipalFlow("real"),
    flows.PrincipalFlow(correction="third-order"),
    flows.PrincipalFlow(correction="cubic"),
    flows.PrincipalFlow("real", "cubic"),
]
THROUGH = [
    flows.GradientFlow(),
    flows.PrincipalFlow("real"),
    flows.PrincipalFlow("real", "cubic"),
    flows.CentralFlow(),
    flows.RodFlow(),
]


def small():
    """The 36-parameter network: loss, start, and what is shown of it."""
    loss, start = tanh_network()
    return loss, start, {"h": 0.5, "point": 20, "begin": 500, "steps": 120}


def breast_cancer():
    """321 parameters on real data."""
    loss, start = flat(flows.problems.breast_cancer())
    return loss, start, {"h": 0.3, "point": 60, "begin": 140, "steps": 320}


def edge_of_stability():
    """484 parameters, three directions at the edge in the end."""
    loss, start = flat(flows.problems.edge_of_stability())
    return loss, start, {"h": 0.2, "point": 60, "begin": 176, "steps": 200}


def flat(problem):
    start, unravel = jax.flatten_util.ravel_pytree(problem.start)
    return lambda x: problem.loss(unravel(x), problem.args), start


NETWORKS = {
    "small": small,
    "breast_cancer": breast_cancer,
    "edge_of_stability": edge_of_stability,
}


def iterate_at(loss, start, h, step):
    return flows.iterate(loss, start, flows.GradientDescent(h), step).final_params


def errors_against_learning_rate(name, loss, start, what):
    """One step (two, of a flow of every second iterate) from one trained point, at any rate."""
    x = iterate_at(loss, start, what["h"], what["point"])
    sharpness = float(jnp.linalg.eigvalsh(jax.hessian(loss)(x))[-1])
    axis = np.concatenate([np.linspace(0.05, 0.95, 13), np.linspace(1.05, 2.45, 15)])

    def at(h):
        step = {"solver": dfx.Tsit5(), "stepsize_controller": dfx.ConstantStepSize()}
        run = flows.compare(
            loss, x, flows.GradientDescent(h), EVERY_FLOW, 2, dt0=1 / 8, throw=False, **step
        )
        length = jnp.linalg.norm(run.iterates.params[1] - run.iterates.params[0])
        stride = {key: path.stride for key, path in run.trajectories.items()}
        return {key: e[stride[key]] / length for key, e in run.errors.items()}

    found = jax.lax.map(at, jnp.asarray(axis / sharpness))
    figure = Figure(figsize=(7.2, 4.8), layout="constrained")
    axes = figure.subplots()
    for key, look in looks(found).items():
        axes.semilogy(axis, found[key], **look._asdict(), label=key)
    for edge in (1, 2):
        axes.axvline(edge, color="0.7", linewidth=0.8, zorder=0)
    axes.set(
        xlabel=r"$h \lambda_{\max}$",
        ylabel="error of one step over its length",
        ylim=(1e-10, 10),
        title=f"{len(start)} parameters, iterate {what['point']}",
    )
    axes.legend(fontsize="x-small", ncols=1, loc="center left", bbox_to_anchor=(1.01, 0.5))
    for each in figure.axes:
        tidy(each)
    figure.savefig(HERE / "figures" / f"second_principal_errors_{name}.png", dpi=160)
    print(f"\n{name}: error of a step over its length at h lambda = 0.5, 1.5, 2.2")
    for key, errors in found.items():
        print(f"  {key:<36}", *(f"{np.interp(z, axis, errors):9.1e}" for z in (0.5, 1.5, 2.2)))


def through_the_edge(name, loss, start, what):
    """Distance, sharpness and loss from before the first crossing of 2 on."""
    h = what["h"]
    x = iterate_at(loss, start, h, what["begin"])
    run = flows.compare(
        loss,
        x,
        flows.GradientDescent(h),
        THROUGH,
        what["steps"],
        throw=False,
        progress=True,
        solver=dfx.Tsit5(),
        stepsize_controller=dfx.ConstantStepSize(),
        dt0=1 / 3,
    )
    top = jax.jit(lambda x: h * jnp.linalg.eigvalsh(jax.hessian(loss)(x))[-1])
    paths = {"iterates": run.iterates, **run.trajectories}
    sharp = {key: np.array([top(jnp.real(x)) for x in path.params]) for key, path in paths.items()}
    lengths = np.cumsum(np.nan_to_num(run.iterates.diagnostics["step_length"]))
    steps = what["begin"] + np.arange(what["steps"] + 1)
    figure = Figure(figsize=(7.2, 7.2), layout="constrained")
    distance, sharpness, losses = figure.subplots(3, sharex=True)
    look = looks(run.trajectories)
    for key, path in paths.items():
        style = (
            {"color": ITERATES, "linewidth": 0.8} if path is run.iterates else look[key]._asdict()
        )
        shown = len(steps)
        if path is not run.iterates:
            away = np.asarray(run.errors[key]) / np.maximum(lengths, 1e-300)
            shown = int(np.argmax(np.append(away[1:] > 1, True))) + 1  # until it is lost
            distance.semilogy(steps[1:shown], away[1:shown], **style, label=key)
        sharpness.plot(steps[:shown], sharp[key][:shown], **style)
        losses.semilogy(steps[:shown], path.loss[:shown], **style, label=key)
    distance.set_title(f"{len(start)} parameters, h = {h}")
    sharpness.axhline(2, color="0.7", linewidth=0.8)
    span = sharp["iterates"].min(), sharp["iterates"].max()
    sharpness.set(ylabel=r"$h \lambda_{\max}$", ylim=(span[0] - 0.2, span[1] + 0.4))
    smallest, largest = run.iterates.loss.min(), run.iterates.loss.max()
    losses.set(ylabel="loss", xlabel="step", ylim=(smallest / 2, 3 * largest))
    distance.set(ylabel="distance / path length", ylim=(1e-8, 10))
    losses.legend(fontsize="small")
    for each in figure.axes:
        tidy(each)
    figure.savefig(HERE / "figures" / f"second_principal_edge_{name}.png", dpi=160)
    crossing = int(np.argmax(sharp["iterates"] > 2))
    spike = crossing + int(np.argmax(run.iterates.loss[crossing:]))
    after = spike + int(np.argmax(sharp["iterates"][spike:] < 2))
    print(
        f"\n{name}: from step {what['begin']}, crossing after {crossing}, spike at {spike}, ",
        f"below 2 again after {after}; messages {[p.message for p in paths.values()]}",
    )
    shown = [n for n in (crossing, spike, after, 200) if n <= what["steps"]]
    for key, errors in run.errors.items():
        print(f"  {key:<28}", *(f"{n}: {errors[n] / lengths[n]:8.1e}" for n in shown))
        print(" " * 30, *(f"{n}: {sharp[key][n]:.3f}/{sharp['iterates'][n]:.3f}" for n in shown))


def main():
    for name in sys.argv[1:] or NETWORKS:
        network = NETWORKS[name]()
        if name != "edge_of_stability":
            errors_against_learning_rate(name, *network)
        through_the_edge(name, *network)


if __name__ == "__main__":
    main()
