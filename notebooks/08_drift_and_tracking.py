# %% [markdown]
# # Track a run, and let the drift choose the learning rate
#
# **This tutorial answers:** how do you follow the spectrum of the Hessian in a training loop of
# your own, with optax? What is the drift, and what learning rates come of it?
#
# Drift-adjusted learning is from Rosca, Wu, Qin and Dherin (2023, arXiv:2302.01952).

# %%
import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import optax

import flows
import flows.plotting

# %% [markdown]
# ## Your own loop
#
# A network with 484 parameters, any optimizer of optax, and five lines for the tracker. Choose an
# odd `every`, or an oscillation of period two does not show.

# %%
problem = flows.problems.edge_of_stability()


def loss(params):
    return problem.loss(params, problem.args)


def train(optimizer, steps, tracker=None, **extra):
    """A training loop as one writes it."""
    params, losses, rates = problem.start, [], []
    state = optimizer.init(params)

    @jax.jit
    def train_step(params, state):
        value, gradient = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(gradient, state, params, **extra)
        return optax.apply_updates(params, updates), state, value

    for _ in range(steps):
        if tracker is not None:
            tracker.record(params)
        params, state, value = train_step(params, state)
        losses.append(float(value))
        rates.append(float(getattr(state, "learning_rate", jnp.nan)))
    return np.array(losses), np.array(rates)


tracker = flows.track(loss, learning_rate=0.2, k=3, every=7, rtol=1e-3)
fixed, _ = train(optax.sgd(0.2), 300, tracker)
report = tracker.report()
print(report)
flows.plotting.plot_regimes(report)

# %% [markdown]
# The sharpness passes $2/h$ at step 184. The drift $v = \lVert Hg \rVert / \lVert g \rVert$ tells
# more than the sharpness does: as long as the gradient lies in flat directions it is small, and
# it jumps to the sharpness when the oscillation has grown.

# %%
steps, drift = np.asarray(report.steps), np.asarray(report.drift)
before, beyond = drift[(steps > 150) & (steps < 184)], drift[steps > 280]
assert before.max() < 0.3 * np.asarray(report.sharpness)[steps > 150].min()
assert beyond.max() > 0.8 * 10
assert np.asarray(report.unstable)[steps < 180].max() == 0
assert np.all(np.asarray(report.drift) <= np.asarray(report.sharpness) * 1.001)

# %% [markdown]
# ## Learning rates from the drift
#
# Over one step gradient flow and descent part by $\frac{h^2}{2} Hg$. The rule DAL-$p$ takes $h =
# 2/v^p$ and has no learning rate to tune. In optax it is a transformation that needs to see the
# loss:

# %%
runs = {"fixed rate 0.2": (fixed[:200], None)}
for name, optimizer in {
    "DAL-1": flows.drift_adjusted(power=1.0),
    "DAL-1, mean of ten drifts": flows.drift_adjusted(power=1.0, window=10),
    "half of it, drift of the last step": flows.drift_adjusted(factor=1.0, form="successive"),
}.items():
    runs[name] = train(optimizer, 200, value_fn=loss)
runs["fixed rate 0.0125"] = (train(optax.sgd(0.0125), 200)[0], None)
colors = ["#000000", "#D55E00", "#E69F00", "#009E73", "#888888"]
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
for (name, (losses, rates)), color in zip(runs.items(), colors, strict=True):
    left.semilogy(losses, color=color, label=name)
    if rates is not None:
        right.semilogy(rates, color=color)
right.axhline(0.2, color="black", linewidth=0.8)
left.set(xlabel="step", ylabel="loss")
right.set(xlabel="step", ylabel="learning rate (flow time)")
left.legend(frameon=False, fontsize="small")
final = {name: float(losses[-10:].mean()) for name, (losses, _) in runs.items()}
print({name: f"{value:.3g}" for name, value in final.items()})
assert runs["DAL-1"][0][100] < runs["fixed rate 0.2"][0][100]
assert final["half of it, drift of the last step"] < 0.1 * final["fixed rate 0.2"]
assert all(np.isfinite(losses).all() for losses, _ in runs.values())

# %% [markdown]
# What the state of the optimizer reports is what a line of code gives at any point:

# %%
v = flows.drift(loss, problem.start)
rate = flows.drift_adjusted_learning_rate(loss, problem.start)
print(f"drift {v:.4f}, learning rate {rate:.4f}")
np.testing.assert_allclose(rate, 2 / v)
np.testing.assert_allclose(runs["DAL-1"][1][0], rate, rtol=1e-6)

# %% [markdown]
# ## What this does not answer
#
# * Whether drift-adjusted rates generalise better; these are training losses of one problem, one
#   seed. The published rule works at the edge of stability from the first step on, and a
#   well-chosen fixed rate can overtake it in the end.
# * With momentum or a preconditioner eigenvalues and drift are what they are, but $2/h$ is no
#   threshold.
# * What a measurement costs on a network of yours: [follow a training run](../tracking) has a
#   table.
