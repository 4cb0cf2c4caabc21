# %% [markdown]
# # SGD and stochastic equations
#
# **This tutorial answers:** which stochastic differential equation has the law of SGD, and how
# closely? What is the mean of reshuffled epochs? And when is there no such equation at all?
#
# After Li, Tai and E (2017, arXiv:1511.06251) and Smith et al. (2021, arXiv:2101.12176).

# %%
import itertools as it

import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import jax.random as jr
import matplotlib.pyplot as plt
import numpy as np

import flows
import flows.plotting

orders = (1, 2, "principal")
models = [flows.StochasticModifiedFlow(order) for order in orders]
colors = {model.name: flows.plotting.color_of(model.name) for model in models}

# %% [markdown]
# ## How wide is the law in the end?
#
# A parabola of curvature $\lambda = 1$, and noise of variance 1 added to each gradient. SGD ends
# with the variance $h / (2\lambda - h\lambda^2)$. Each flow has a formula of its own (lines); the
# bars are three standard errors of 4000 paths, drawn a little apart.

# %%
paths = 4000
formulas = {
    "StochasticModifiedFlow(1)": lambda z: z / 2,
    "StochasticModifiedFlow(2)": lambda z: z / (2 + z),
    "StochasticModifiedFlow(principal)": lambda z: z / (2 - z),
}
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
fine = np.linspace(0.02, 0.95, 200)
for name, formula in formulas.items():
    ax.plot(fine, formula(fine) / fine, color=colors[name], label=name)
ax.plot([], [], "o", color=flows.plotting.color_of("iterates"), ms=5, label="SGD")
for h in (0.3, 0.7):
    steps = int(8 / h)
    run = flows.compare_in_law(
        lambda x: x**2 / 2,
        jnp.array(0.0),
        flows.SGD(h, noise=1.0),
        models,
        steps,
        key=jr.key(0),
        paths=paths,
        every=steps,
    )
    expected = {"iterates": formulas["StochasticModifiedFlow(principal)"](h)}
    expected |= {name: formula(h) for name, formula in formulas.items()}
    for shift, (name, part) in enumerate({"iterates": run.iterates, **run.flows}.items()):
        place = part.names.index("params")
        found, error = part.variance[-1, place], part.variance_error[-1, place]
        is_sgd = name == "iterates"
        color = flows.plotting.color_of("iterates") if is_sgd else colors[name]
        style = {"marker": "o" if is_sgd else "none", "ms": 5, "capsize": 3}
        ax.errorbar(h + 0.012 * shift, found / h, 3 * error / h, color=color, **style)
        assert abs(found - expected[name]) < 4 * error
ax.set(
    xlabel=r"learning rate times curvature, $h\lambda$ (a pure number)",
    ylabel=r"stationary variance / $h$",
)
ax.legend(frameon=False)

# %% [markdown]
# Order 2 is *further* from SGD here than order 1. That is no contradiction: it is of second order
# for expectations at a fixed time, and the error of the width is itself of second order.
#
# ## A law through time
#
# Now batches: three examples, one a step, in a loss that is not quadratic. `noise` is not given;
# the flows take the covariance of the examples' gradients wherever they are.

# %%
pulls = jnp.array([0.0, 0.5, 1.25])


def three_pulls(x, pulls):
    return jnp.mean(1 - jnp.cos(x - pulls)) + 0.15 * jnp.sin(2 * x)


run = flows.compare_in_law(
    three_pulls,
    jnp.array(-1.0),
    flows.SGD(0.5, batch_size=1),
    models,
    24,
    args=pulls,
    key=jr.key(1),
    paths=3000,
)
print(run)
figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
flows.plotting.plot_ensembles(run, axes[0], of="params")
axes[0].set_ylabel("$x$")
axes[0].legend(frameon=False, fontsize=8)
place = run.iterates.names.index("params")
for name, distance in run.distances.items():
    axes[1].semilogy(run.iterates.steps[1:], distance[1:, place], color=colors[name], label=name)
floor = run.distance_floor[1:, place]
axes[1].semilogy(run.iterates.steps[1:], floor, ":", color="0.4", label="floor: equal laws")
axes[1].set(xlabel="step", ylabel="Wasserstein distance of $x$ from SGD")
axes[1].legend(frameon=False, fontsize=8)

# %% [markdown]
# The distance of two finite samples is never zero, so the dotted line says what two samples of
# *one* law would show: below it nothing can be told apart.

# %%
early = slice(1, 9)
gaps = {n: np.abs(f.mean - run.iterates.mean)[early, place].mean() for n, f in run.flows.items()}
early_distance = {n: d[early, place].mean() for n, d in run.distances.items()}
early_floor = run.distance_floor[early, place].mean()
print({name: round(float(gap), 4) for name, gap in gaps.items()}, "mean")
print({name: round(float(far), 4) for name, far in early_distance.items()}, "distance")
print(f"floor {early_floor:.4f}")
assert run.successful
assert gaps["StochasticModifiedFlow(2)"] < gaps["StochasticModifiedFlow(1)"] / 3
assert early_distance["StochasticModifiedFlow(2)"] < early_distance["StochasticModifiedFlow(1)"]
assert early_distance["StochasticModifiedFlow(1)"] > 5 * early_floor

# %% [markdown]
# ## Epochs in random order
#
# Batches of one epoch are not independent, and the equations above refuse them. The mean over all
# orders has a flow, and no noise: `ReshufflingFlow`. With three examples there are six orders, so
# the mean can be made exactly. One epoch, against the learning rate:

# %%
data = jnp.array([[1.0, 0.3], [-0.4, 1.2], [0.5, -0.9]])
start = jnp.array([0.6, -0.8])


def tiles(w, data):
    return jnp.mean(jnp.log(jnp.cosh(data @ w - 0.5)) + jnp.cos(w[0] * data[:, 1]))


rates = np.array([0.2, 0.1, 0.05, 0.025])
errors = {"GradientFlow": [], "ReshufflingFlow": []}
for h in rates:
    in_order = flows.SGD(h, batch_size=1, sampling="in order")
    ends = [
        flows.iterate(tiles, start, in_order, 3, args=data[jnp.array(order)], key=jr.key(0))
        for order in it.permutations(range(3))
    ]
    mean = jnp.mean(jnp.stack([end.final_params for end in ends]), axis=0)
    shuffled = flows.SGD(h, batch_size=1, sampling="reshuffling")
    for flow, optimizer in (
        (flows.GradientFlow(), flows.GradientDescent(h)),
        (flows.ReshufflingFlow(), shuffled),
    ):
        end = flows.solve(tiles, start, optimizer, flow, 3, args=data).final_params
        errors[flow.name].append(float(jnp.linalg.norm(end - mean)))
figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
for name, error in errors.items():
    slope = np.log2(error[-2] / error[-1])
    label = f"{name}: order {slope:.2f}"
    ax.loglog(rates, error, "o-", color=flows.plotting.color_of(name), label=label)
ax.set(
    xlabel="learning rate $h$ (flow time)",
    ylabel="distance from the mean of\nall orders after one epoch (parameters)",
)
ax.legend(frameon=False)
slopes = {name: np.log2(error[-2] / error[-1]) for name, error in errors.items()}
assert abs(slopes["GradientFlow"] - 2) < 0.2
assert abs(slopes["ReshufflingFlow"] - 3) < 0.3

# %% [markdown]
# ## What no real equation does
#
# On a quadratic the principal equation has the law of SGD at every step, if its diffusion is real.
# With $a_i = 1 - h\lambda_i$ it must be
# $(DD^\top)_{ij} = h\,\Sigma_{ij} \log(a_i a_j) / (a_i a_j - 1)$. Where noise and Hessian do not
# commute, that may have a negative eigenvalue. Two directions, one with $a_1 = 0.9$, with noise of
# correlation $\rho$: how large may $\rho$ be?


# %%
def part(product):
    return np.log(product) / (product - 1)


def largest_correlation(a, b):
    return np.sqrt(part(a * a) * part(b * b)) / part(a * b)


a = np.array([0.9, 0.1])
matrix = part(np.outer(a, a))
smallest = np.linalg.eigvalsh(matrix)[0]
print(f"smallest eigenvalue of D D^T / h at correlation 1: {smallest:.2f}")
limit = largest_correlation(*a)
print(f"largest correlation there: {limit:.4f}")
assert round(smallest, 2) == -0.30

h = 0.4
hessian = jnp.diag(jnp.asarray((1 - a) / h))
results = {}
for rho in (0.0, limit - 0.01, limit + 0.01, 1.0):
    end = flows.solve(
        lambda x: x @ hessian @ x / 2,
        jnp.ones(2),
        flows.SGD(h, noise=np.array([[1.0, rho], [rho, 1.0]])),
        flows.StochasticModifiedFlow("principal"),
        3,
        key=jr.key(0),
        throw=False,
    )
    results[rho] = bool(end.result == flows.RESULTS.no_real_diffusion)
    assert bool(end.successful) != results[rho]
assert list(results.values()) == [False, False, True, True]
print(end.message)

figure, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
b = np.geomspace(1e-3, 0.89, 300)
bound = largest_correlation(0.9, b)
color = flows.plotting.color_of("StochasticModifiedFlow(principal)")
ax.plot(b, bound, color="0.3", lw=1)
ax.fill_between(b, 0, bound, color=color, alpha=0.2, lw=0, label="a real equation has the law")
ax.fill_between(b, bound, 1, color="0.85", lw=0, label="none with this drift has it")
for rho, failed in results.items():
    look = ("x", "black") if failed else ("o", color)
    label = {0.0: "solved", 1.0: "no_real_diffusion"}.get(rho)
    ax.plot(0.1, rho, look[0], color=look[1], ms=7, clip_on=False, zorder=3, label=label)
ax.set(
    xscale="log",
    ylim=(0, 1),
    xlabel="$a_2 = 1 - h\\lambda_2$ (a pure number), at $a_1 = 0.9$",
    ylabel=r"correlation $\rho$ of the noise",
)
ax.legend(frameon=False, loc="lower right")
assert np.all(bound < 1)

# %% [markdown]
# The run ends with a result that has a name, rather than with a wrong law; likewise beyond
# $h\lambda = 1$, with `sharpness_beyond_one`.
#
# ## What this does not answer
#
# * Third moments: Gaussian noise stands for that of batches.
# * Beyond $h\lambda = 1$ no equation here is meant, and momentum and repeated batches have none.
# * The spread of reshuffled epochs; only their mean has a flow.
# * Weight decay with normalisation, where the noise sets the pace:
#   [the intrinsic learning rate](05_intrinsic_learning_rate.ipynb).
