# %% [markdown]
# # Step size matters
#
# **This tutorial answers:** which minima can gradient descent reach with a given learning rate?
# How does depth shrink the largest one that works? And what do the iterates do when they cannot
# converge?
#
# The questions are those of Nar and Sastry (2018, arXiv:1805.08890). No flow is integrated here:
# it is the iterates themselves that are studied, in closed form (`symbolic`) and by running them
# (`flows`).

# %%
import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import jax.random as jr
import matplotlib.pyplot as plt
import numpy as np
import sympy

import flows
import flows.plotting
import symbolic

# %% [markdown]
# ## Exact thresholds
#
# A minimum is stable under descent while $h < 2/f''$. For
# $f(x) = (x^2 + 1)(x - 1)^2(x - 2)^2$, whose two minima have the same loss:

# %%
x = sympy.Symbol("x", real=True)
f = (x**2 + 1) * (x - 1) ** 2 * (x - 2) ** 2
points = symbolic.critical_points(f)
print(symbolic.table(points))
assert [point.threshold for point in points] == [sympy.Rational(1, 2), None, sympy.Rational(1, 5)]

# %% [markdown]
# So descent from a random start converges to 1 only if $h \le 1/2$ and to 2 only if $h \le 1/5$,
# almost surely. Where 1000 random starts really end:

# %%
polynomial = flows.problems.nar_sastry().loss
starts = jr.uniform(jr.key(0), (1000,), maxval=2.5)
rates = [0.05, 0.1, 0.15, 0.19, 0.21, 0.25, 0.3, 0.32, 0.34, 0.4, 0.45, 0.49, 0.51, 0.55]
found = [
    flows.basin_shares(
        polynomial,
        starts,
        flows.GradientDescent(rate),
        minima={"1": 1.0, "2": 2.0},
        regions={"a bounded orbit": lambda x: (x > 0) & (x < 2.5)},
    )
    for rate in rates
]
outcomes = {
    "to 1": ("#0072B2", "o", "to 1"),
    "to 2": ("#D55E00", "s", "to 2"),
    "trapped in a bounded orbit": ("#E69F00", "^", "bounded, never settles"),
    "diverged": ("#000000", "x", "diverges"),
}
shares = {name: np.array([each.share(name) for each in found]) for name in outcomes}
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for name, (color, marker, label) in outcomes.items():
    ax.plot(rates, shares[name], color=color, marker=marker, linewidth=1, label=label)
for threshold, name in ((0.2, "1/5"), (0.5, "1/2")):
    ax.axvline(threshold, color="0.6", linestyle="--", linewidth=0.8)
    ax.text(threshold, 1.02, name, transform=ax.get_xaxis_transform(), ha="center")
ax.set(xlabel="learning rate $h$ (flow time)", ylabel="share of 1000 random starts")
ax.legend(frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, 0.98))
ax.set_ylim(-0.02, 1.15)
beyond = np.array(rates)
assert np.all(shares["to 2"][beyond > 0.2] == 0)
assert np.all(shares["to 2"][beyond < 0.2] > 0.2)
assert np.all(shares["to 1"][beyond > 0.5] == 0)

# %% [markdown]
# The theorem says where descent cannot settle, not where it goes. It is tempting to read it as
# "with $h = 0.3$ descent ends at 1": a third of the starts never does. Past $1/5$ a two-cycle is
# born at 2, its period doubles, and the chaotic band that follows is destroyed only where it
# meets the maximum between the minima:

# %%
(end,) = symbolic.crisis(f, after=2, target=points[1].location[x], near=1.897)
print(end.step.n(10))
place = rates.index(0.3)
assert shares["trapped in a bounded orbit"][place] > 0.25
assert abs(end.step - 0.3306047846) < 1e-9
assert shares["trapped in a bounded orbit"][rates.index(0.34)] == 0

# %% [markdown]
# ## Depth
#
# The chain $\frac12 (w_L \cdots w_1 - \mu)^2$ is a linear network with one unit a layer. Its
# flattest minimum has the sharpness $L \mu^{2 - 2/L}$, so for $\mu = 1$ the largest step is
# $2/L$: depth alone shrinks it. Descent from near the flattest minimum, at steps just below and
# just above:

# %%
depths = (2, 3, 4, 6, 8, 12)
exact = [float(symbolic.networks.scalar_chain(depth, 1).best_threshold) for depth in depths]


def chain(weights):
    return 0.5 * (jnp.prod(weights) - 1) ** 2


kinds = {}
for ratio in (0.97, 1.03):
    for depth, threshold in zip(depths, exact, strict=True):
        limit = flows.classify_limit(
            chain, jnp.full(depth, 1.02), flows.GradientDescent(ratio * threshold)
        )
        kinds[ratio, depth] = limit.kind
figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
ax.plot(depths, exact, color="black", label="exact threshold $2/L$")
for ratio, marker in ((0.97, "o"), (1.03, "s")):
    for kind, color in (("converged", "#0072B2"), ("periodic", "#D55E00")):
        at = [n for n in range(len(depths)) if kinds[ratio, depths[n]] == kind]
        if at:
            height = [ratio * exact[n] for n in at]
            ax.plot([depths[n] for n in at], height, marker, color=color, ms=4, label=kind)
ax.set(xlabel="depth $L$ (layers)", ylabel="learning rate $h$ (flow time)")
ax.legend(frameon=False)
assert set(kinds[0.97, depth] for depth in depths) == {"converged"}
assert set(kinds[1.03, depth] for depth in depths) == {"periodic"}

# %% [markdown]
# ## Deep linear networks
#
# For $\frac12 \lVert R - W_L \cdots W_1 \rVert^2$ no minimum is flatter than $L \sigma_1^{2 -
# 2/L}$, with the largest singular value $\sigma_1$ of $R$, and descent from identity layers
# attains the bound: it converges below and swings above.

# %%
target = jnp.diag(jnp.array([4.0, 2.0, 1.5, 1.0]))
spectrum = symbolic.networks.deep_linear([4, 2, sympy.Rational(3, 2), 1], 2)
threshold = float(spectrum.threshold)
print(f"h <= {spectrum.threshold}")


def linear_network(layers):
    return 0.5 * jnp.sum((target - layers[1] @ layers[0]) ** 2)


identity = jnp.stack([jnp.eye(4)] * 2)
figure, ax = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
for ratio, color in ((0.5, "#0072B2"), (0.97, "#009E73"), (1.05, "#D55E00")):
    run = flows.iterate(linear_network, identity, flows.GradientDescent(ratio * threshold), 600)
    label = f"{ratio} of the threshold"
    ax.semilogy(jnp.sqrt(2 * run.loss), color=color, label=label)
    assert (run.loss[-1] < 1e-15) == (ratio < 1)
ax.set(xlabel="step", ylabel="distance of the product from $R$")
ax.set_ylim(1e-9, 10)
ax.legend(frameon=False)

# %% [markdown]
# Past the threshold the modes stay apart, and the largest runs the same cubic map as a scalar:
# for $R = \mathrm{diag}(2, 1)$ and $h \sigma_1 = 1.1$ its entry alternates between two known
# values.

# %%
small = jnp.diag(jnp.array([2.0, 1.0]))
run = flows.iterate(
    lambda layers: 0.5 * jnp.sum((small - layers[1] @ layers[0]) ** 2),
    jnp.stack([jnp.eye(2)] * 2),
    flows.GradientDescent(0.55),
    2000,
)
products = np.asarray(run.params[-2:, 1] @ run.params[-2:, 0])
print(np.sort(products[:, 0, 0]), products[:, 1, 1])
np.testing.assert_allclose(np.sort(products[:, 0, 0]), [1.326988705688, 2.491193112493])
np.testing.assert_allclose(products[:, 1, 1], 1)

# %% [markdown]
# ## Residual networks
#
# With $w_i = 1 + v_i$ Hessian and threshold are the same. What changes is the start: zero
# residual weights are identity layers. A chain of depth 8, $\mu = 2$, at nine tenths of the best
# threshold, from 500 starts of each kind:

# %%
deep = symbolic.networks.scalar_chain(8, 2, residual=True)
step = 0.9 * float(deep.best_threshold)


def residual_chain(residuals):
    return 0.5 * (jnp.prod(1 + residuals) - 2) ** 2


noise = jr.normal(jr.key(1), (500, 8))
kinds_of_start = {
    "zero residuals": 0 * noise,
    "small residuals": 0.1 * noise,
    "plain layers": noise - 1,
}
success = {}
for name, begin in kinds_of_start.items():
    ends = jax.vmap(
        lambda v: flows.iterate(
            residual_chain, v, flows.GradientDescent(step), 3000, throw=False
        ).loss[-1]
    )(begin)
    success[name] = float(jnp.mean(ends < 1e-10))
print(success)
assert success["zero residuals"] == success["small residuals"] == 1
assert success["plain layers"] < 0.95

# %% [markdown]
# ## A ReLU network whose function swings
#
# Twenty hidden units, fixed biases, 1000 points in $[0, 1)$. At $h = 10^{-4}$ the function
# settles. At $h = 3 \cdot 10^{-4}$ it alternates between two functions for ever, at odd and at
# even steps. Which seeds show it is a matter of luck; this one does.

# %%
random = np.random.RandomState(7)
W, V, b, target_W, target_V = (random.normal(size=20) for _ in range(5))
inputs = np.arange(0, 1, 0.001)


def outputs(params):
    return jnp.maximum(inputs[:, None] * params["V"] - b, 0) @ params["W"]


targets = outputs({"V": target_V, "W": target_W})


def relu_loss(params, targets):
    return jnp.sum((outputs(params) - targets) ** 2)


begin = {"V": jnp.asarray(V), "W": jnp.asarray(W)}
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.6), sharey=True, layout="constrained")
swings = []
for ax, rate in zip(axes, (1e-4, 3e-4), strict=True):
    descent = flows.GradientDescent(rate)
    trained = flows.iterate(relu_loss, begin, descent, 20_000, args=targets, save_params=False)
    last = flows.iterate(relu_loss, trained.final_params, descent, 1, args=targets)
    even, odd = (outputs(jax.tree.map(lambda p, n=n: p[n], last.params)) for n in (0, 1))
    ax.plot(inputs, targets, color="0.6", linewidth=3, label="target")
    ax.plot(inputs, even, color="#0072B2", label="after 20,000 steps")
    ax.plot(inputs, odd, "--", color="#D55E00", label="after 20,001")
    ax.set(title=f"$h$ = {rate:g}", xlabel="input", ylabel="output")
    swings.append(float(jnp.abs(odd - even).max()))
axes[1].set_ylabel("")
axes[0].legend(frameon=False)
print("largest difference of two successive functions:", swings)
assert swings[0] < 1e-5 < 1 < swings[1]

# %% [markdown]
# ## All learning rates at once
#
# The double well $(x^2 - 1)^2/4$, where every change is known in closed form: the two-cycle at
# $h = 1$, period four at $\sqrt5 - 1$, the merging of the two halves of the attractor at
# $\frac32\sqrt3 - 1$, divergence at 2.

# %%
well = flows.problems.double_well().loss
diagram = flows.bifurcation_diagram(well, jnp.array(0.5), np.linspace(0.9, 2.05, 800))
print(diagram)
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
flows.plotting.plot_bifurcation(diagram, ax, size=0.2)
ax.set_ylabel("$x$")
known = {
    "$1$": 1,
    r"$\sqrt{5}-1$": 5**0.5 - 1,
    r"$\frac{3}{2}\sqrt{3}-1$": 1.5 * 3**0.5 - 1,
    "$2$": 2,
}
for label, value in known.items():
    ax.axvline(value, color="0.5", linestyle="--", linewidth=0.8)
    ax.text(value, 1.01, label, transform=ax.get_xaxis_transform(), ha="center", va="bottom")
period = dict(zip(np.asarray(diagram.learning_rates), diagram.kinds, strict=True))
before = [kind for rate, kind in period.items() if rate < 0.98]
after = [kind for rate, kind in period.items() if 1.02 < rate < 1.22]
assert set(before) == {"converged"}
assert set(after) == {"periodic"}
assert {kind for rate, kind in period.items() if rate > 2.001} == {"diverged"}
doubling = flows.find_bifurcation(well, jnp.array(1.13), 1.2, period=2, multiplier=-1)
assert abs(float(doubling.learning_rate) - (5**0.5 - 1)) < 1e-9

# %% [markdown]
# ## What this does not answer
#
# * Whether a stable minimum is reached from *your* start; the thresholds are necessary, and
#   `flows.basin_shares` counts.
# * Networks with real data: their sharpness changes while they train, and adapts to the step. See
#   [the edge of stability](06_edge_of_stability.ipynb).
# * Noise: everything here is full-batch descent.
