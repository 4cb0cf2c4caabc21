# %% [markdown]
# # Large steps
#
# **This tutorial answers:** when does full-batch descent with a large step leave a sharp minimum
# that a small step, or the gradient flow, ends in? Why is being unstable there not enough? And can
# noise replace the large step?
#
# After the question of Mohtashami, Jaggi and Stich (2023, arXiv:2205.15142).

# %%
import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import jax.random as jr
import matplotlib.pyplot as plt
import numpy as np

import flows
import flows.plotting

# %% [markdown]
# ## Two landscapes
#
# Both have a flat global minimum at 0 and a sharp local one. On the left every threshold is known
# exactly: the sharp minimum at 5 has the curvature 20, so it is stable for $h < 1/10$. The right
# one is after the paper's figure; its valley at 2.5 has the curvature 2040, and a flat piece lies
# at 8.5.

# %%
land, valley = flows.problems.rational_landscape(), flows.problems.sharp_valley()
figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
for ax, example, span in zip(axes, (land, valley), ((-3, 9), (-4, 10)), strict=True):
    x = np.linspace(*span, 4000)
    ax.plot(x, jax.vmap(example.loss)(jnp.asarray(x)), color="black", linewidth=1)
    ax.set(xlabel="$x$", ylabel="loss", title=example.name)

# %% [markdown]
# ## Flow against descent, from one start
#
# The flow slides into the first minimum on its way. A step of $0.3$ does not notice it.

# %%
descent = flows.GradientDescent(0.3)
run = flows.compare(land.loss, jnp.array(8.0), descent, flows.GradientFlow(), steps=60, throw=False)
ends = {
    "gradient flow": float(run.trajectories["GradientFlow"].final_params),
    "descent, h = 0.3": float(run.iterates.final_params),
    "descent, h = 0.05": float(
        flows.iterate(land.loss, 8.0, flows.GradientDescent(0.05), 400).final_params
    ),
}
print({name: round(end, 6) for name, end in ends.items()})
np.testing.assert_allclose(list(ends.values()), [5, 0, 5], atol=1e-5)

# %% [markdown]
# ## Unstable is not enough
#
# Where 2000 random starts end, against the step. Beyond $1/10$ the sharp minimum is unstable, and
# yet the same starts stay near it for ever, without converging: the slopes about it throw an
# orbit out of the minimum, but not over the maximum at 22/5. The trap opens at exactly $41/250$.

# %%
starts = jr.uniform(jr.key(0), (2000,), minval=-12.0, maxval=12.0)
steps = [0.02, 0.05, 0.08, 0.099, 0.102, 0.12, 0.14, 0.16, 0.1635, 0.1645, 0.2, 0.4, 0.8, 1.6, 1.95]
near = {"the sharp valley": lambda x: (x > 4) & (x < 7)}
found = [
    flows.basin_shares(
        land.loss,
        starts,
        flows.GradientDescent(h),
        minima={"0": 0.0, "5": 5.0},
        regions=near,
    )
    for h in steps
]
outcomes = {
    "to 0": ("#0072B2", "o", "to 0, the global minimum"),
    "to 5": ("#D55E00", "s", "to 5, the sharp one"),
    "trapped in the sharp valley": ("#E69F00", "^", "trapped about 5"),
}
shares = {name: np.array([each.share(name) for each in found]) for name in outcomes}
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for name, (color, marker, label) in outcomes.items():
    error = [each.error(name) for each in found]
    ax.errorbar(steps, shares[name], error, color=color, marker=marker, ms=4, lw=1, label=label)
for value, name, side in ((0.1, "1/10", "right"), (0.164, "41/250", "left")):
    ax.axvline(value, color="0.6", linestyle="--", linewidth=0.8)
    ax.text(value, 1.02, name, transform=ax.get_xaxis_transform(), ha=side)
ax.set_xscale("log")
ax.set(xlabel="learning rate $h$ (flow time)", ylabel="share of 2000 random starts")
ax.legend(frameon=False, loc="center right")
rates = np.array(steps)
trap = (rates > 0.1) & (rates < 0.164)
assert np.all(shares["to 5"][rates < 0.1] > 0.25)
assert np.all(shares["to 5"][rates > 0.1] == 0)
assert np.all(shares["trapped in the sharp valley"][trap] > 0.25)
assert np.all(shares["to 0"][rates > 0.164] == 1)

# %% [markdown]
# ## The orbits themselves
#
# From near the sharp minimum, at all steps at once. The loss is piecewise quadratic, so there is no
# cascade of periods: chaotic from the threshold on, and gone at $41/250$.

# %%
diagram = flows.bifurcation_diagram(
    land.loss, jnp.array(5.02), np.linspace(0.08, 0.18, 500), transient=3000
)
print(diagram)
figure, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
flows.plotting.plot_bifurcation(diagram, ax, size=0.3)
ax.set_ylabel("$x$")
kinds = dict(zip(np.asarray(diagram.learning_rates), diagram.kinds, strict=True))
assert {kind for h, kind in kinds.items() if h < 0.099} == {"converged"}
assert {kind for h, kind in kinds.items() if 0.105 < h < 0.163} == {"chaotic"}
assert {kind for h, kind in kinds.items() if h > 0.168} == {"converged"}

# %% [markdown]
# ## Noise in place of a large step
#
# Now each gradient has noise of standard deviation $\sigma$. Which share of 300 chains is on the
# good side of the maximum, $x < 22/5$, after the flow time 150?

# %%
levels = np.array([0.0, 1.0, 3.0, 10.0, 30.0])
chains = 300
noisy_starts = jr.uniform(jr.key(1), (chains,), minval=-12.0, maxval=12.0)


def end(level, start, key, rate, steps):
    optimizer = flows.SGD(rate, noise=level**2)
    run = flows.iterate(land.loss, start, optimizer, steps, key=key, save_params=False)
    return run.final_params


good = {}
for h, number in ((0.3, 500), (0.05, 3000)):
    many = jax.vmap(
        jax.vmap(lambda s, x, k, h=h, n=number: end(s, x, k, h, n), (None, 0, 0)), (0, None, None)
    )
    final = jax.jit(many)(jnp.asarray(levels), noisy_starts, jr.split(jr.key(2), chains))
    good[h] = np.mean(np.asarray(final) < 4.4, axis=1)
print("noise   " + "".join(f"{level:8.0f}" for level in levels))
for h, values in good.items():
    print(f"h = {h:<4}" + "".join(f"{value:8.3f}" for value in values))
figure, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
for (h, values), (color, marker) in zip(
    good.items(), (("#0072B2", "o"), ("#D55E00", "s")), strict=True
):
    error = np.sqrt(values * (1 - values) / chains)
    ax.errorbar(
        range(len(levels)), values, error, color=color, marker=marker, capsize=2, label=f"$h$ = {h}"
    )
ax.set_xticks(range(len(levels)), [f"{level:.0f}" for level in levels])
ax.set(
    xlabel=r"standard deviation of the gradient's noise, $\sigma$ (loss per unit of $x$)",
    ylabel="share at $x < 22/5$",
    ylim=(0.5, 1.03),
)
ax.legend(frameon=False)
assert np.all(good[0.3][:3] > 0.99)
assert np.all(good[0.05][:2] < 0.8)
assert np.all(good[0.05][2:4] > 0.95)
assert good[0.05][4] < 0.9 > good[0.3][4]

# %% [markdown]
# The large step needs no noise. The small one needs noise in a window: with too little it stays,
# with too much it hops over the barrier for ever. So the noise can do it here, but not noise of
# *any* size, and that is what the paper says.
#
# ## The same batch again
#
# A batch repeated $k$ times with the step $h/k$ has the noise of the step $h$. Two parabolas of the
# curvatures 1 and 3, one a step: the factor by which the mean square grows is that of
# $(1 - h a / k)^{2k}$, averaged. It crosses 1 at 0.8, 1.459, ... 5.451.

# %%
thresholds = {1: 0.8, 2: 1.458940, 4: 2.787337, 8: 5.451397}


def parabolas(x, a):
    return jnp.mean(a * x**2) / 2


def growth(h, k):
    """Of the mean square in one step, over both batches."""
    optimizer = flows.SGD(h, batch_size=1, repeats=k)
    ends = [
        flows.iterate(
            parabolas, jnp.array(1.0), optimizer, 1, args=jnp.full(1, a), key=jr.key(0)
        ).final_params
        for a in (1.0, 3.0)
    ]
    return float(sum(x**2 for x in ends)) / 2


figure, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
fine = np.linspace(0.01, 6.5, 600)
for (k, threshold), color in zip(
    thresholds.items(), ("#0072B2", "#D55E00", "#009E73", "#E69F00"), strict=True
):
    factor = np.mean([(1 - fine * a / k) ** (2 * k) for a in (1, 3)], axis=0)
    ax.semilogy(fine, factor, color=color, label=f"$k$ = {k}: stable below {threshold:.3f}")
    ax.plot(threshold, 1, "o", color=color)
    assert growth(threshold - 1e-5, k) < 1 < growth(threshold + 1e-5, k)
ax.axhline(1, color="0.6", lw=0.8)
ax.set(
    ylim=(1e-3, 1e2),
    xlabel="learning rate $h$ (flow time)",
    ylabel="growth of the mean square in a step",
)
ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1))

# %% [markdown]
# So a repeated batch has the noise of a large step without its instability, and hence does not
# escape as it does. The landscape again, with the two examples $f(x) \pm x$, one a step:

# %%
tilts = jnp.array([-1.0, 1.0])


def tilted(x, tilt):
    return land.loss(x) + jnp.mean(tilt) * x


repeated = {}
for k in (1, 8):
    optimizer = flows.SGD(0.3, batch_size=1, repeats=k)
    final = jax.jit(
        jax.vmap(
            lambda x, key, optimizer=optimizer: (
                flows.iterate(
                    tilted, x, optimizer, 300, args=tilts, key=key, save_params=False
                ).final_params
            )
        )
    )(noisy_starts, jr.split(jr.key(3), chains))
    repeated[k] = float(np.mean(np.asarray(final) < 4.4))
print({f"k = {k}": round(share, 3) for k, share in repeated.items()}, "at x < 22/5")
assert repeated[1] == 1
assert repeated[8] < 0.8

# %% [markdown]
# ## What this does not answer
#
# * What holds in general: the paper's theorem needs conditions under which the step contracts to
#   the global minimum from everywhere outside the trap; `symbolic.landscapes.certify` checks them
#   for a loss of one variable.
# * How long noise takes: the shares are of one flow time. For laws of SGD through time see
#   [SGD and stochastic equations](07_sgd_and_sdes.ipynb).
# * Networks: there the landscape changes along the way, see
#   [the edge of stability](06_edge_of_stability.ipynb).
