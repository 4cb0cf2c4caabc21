# %% [markdown]
# # The edge of stability
#
# **This tutorial answers:** why does the sharpness of a network stop at $2/h$? Which flows model
# what happens there, and are their predictions what is measured?
#
# The network has 484 parameters and is trained with full batches. The models are the central flow
# (Cohen et al. 2025, arXiv:2410.24206) and the rod flow (Regis and Chewi 2026, arXiv:2602.01480).

# %%
import jax

jax.config.update("jax_enable_x64", True)

import matplotlib.pyplot as plt
import numpy as np

import flows
import flows.plotting

problem = flows.problems.edge_of_stability()
h, steps = problem.learning_rate, 400
descent = flows.GradientDescent(h)

# %% [markdown]
# ## What descent does
#
# The largest eigenvalues of the Hessian along the run, with residuals:

# %%
iterates = flows.iterate(problem.loss, problem.start, descent, steps, args=problem.args)
report = flows.track(
    problem.loss, iterates, learning_rate=h, k=3, every=11, args=problem.args, rtol=1e-3
)
figure, (above, below) = plt.subplots(2, 1, figsize=(7, 6), sharex=True, layout="constrained")
flows.plotting.plot_regimes(report, above)
above.set_xlabel("")
below.semilogy(iterates.loss, color=flows.plotting.color_of("iterates"), linewidth=0.8)
below.set(xlabel="step", ylabel="loss")
z = h * np.asarray(report.sharpness)
first = int(np.asarray(report.steps)[np.argmax(z > 2)])
print(f"h times sharpness: {z[0]:.2f} at the start, above 2 from step {first} on")
assert abs(z[0] - 0.6288467) < 1e-3
assert 180 <= first <= 190
assert 1.6 < np.median(z[-10:]) < 2.4

# %% [markdown]
# The sharpness rises, crosses $2/h$, and for a hundred steps nothing comes of it: the unstable
# direction has to grow out of almost nothing. Then the loss spikes, the oscillation pushes the
# sharpness back, and it stays near $2/h$ while the loss falls on average.
#
# ## Predicted against measured
#
# No flow that passes through every iterate goes on through that for long. These two follow the
# iterates' *average*, and are compared with the midpoints
# $(\theta_{n-1} + 2\theta_n + \theta_{n+1})/4$, in which a two-cycle cancels.

# %%
run = flows.compare(
    problem.loss,
    problem.start,
    descent,
    [flows.GradientFlow(), flows.CentralFlow("modified", substeps=2), flows.RodFlow()],
    steps,
    args=problem.args,
)
print(run)
flows.plotting.plot_averages(run)

# %%
central = run.trajectories["CentralFlow(modified)"].diagnostics
window = np.ones(50) / 50
measured = np.convolve(run.iterates.loss, window, "valid")
predicted = np.convolve(central["predicted_loss"], window, "valid")
centre = np.convolve(run.trajectories["CentralFlow(modified)"].loss, window, "valid")
for n in (100, 250, 300, 350):
    print(
        f"from step {n}: mean loss {measured[n]:.3f}, predicted {predicted[n]:.3f}, "
        f"at the centre {centre[n]:.3f}"
    )
late = slice(250, 350)
assert abs(predicted[late].mean() / measured[late].mean() - 1) < 0.15
assert abs(centre[late].mean() / measured[late].mean() - 1) > 0.25
assert np.max(central["sharpness"]) < 2.01  # held at the edge
lengths = np.cumsum(run.iterates.diagnostics["step_length"])
away = {name: np.asarray(error)[-1] / lengths[-1] for name, error in run.errors.items()}
assert away["CentralFlow(modified)"] < 0.5 * away["GradientFlow"]
rod = np.asarray(run.errors["RodFlow"])
assert rod[200] < 0.5 * run.errors["GradientFlow"][200]

# %% [markdown]
# The central flow's loss at its centre is too low: the iterates oscillate about it, and the mean
# of the loss over the oscillation, $E + \frac12 \langle H, \Sigma \rangle$, is what it predicts
# for them. It also predicts how far they swing along each direction at the edge:

# %%
variances = np.asarray(central["predicted_variances"])
squares = np.asarray(central["measured_squares"])
smooth = np.apply_along_axis(lambda v: np.convolve(v, window, "valid"), 0, squares)
model = np.apply_along_axis(lambda v: np.convolve(v, window, "valid"), 0, variances)
figure, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
color = flows.plotting.color_of("CentralFlow(modified)")
ax.plot(smooth.sum(axis=1), color="black", label="iterates, mean of 50")
ax.plot(model.sum(axis=1), "--", color=color, label="central flow")
ax.set(xlabel="step", ylabel="squared oscillation over $h$ (loss)")
ax.legend(frameon=False)
ratio = smooth.sum(axis=1)[250:350].mean() / model.sum(axis=1)[250:350].mean()
print(f"measured over predicted, steps 250 to 400: {ratio:.2f}")
assert 0.5 < ratio < 2

# %% [markdown]
# What the model cannot know is *when* the oscillation grows: descent goes on past the edge for
# a hundred steps until it has, and the central flow is there at once. The rod flow has a single
# direction, and loses the way when a second one is at the edge, after step 228.

# %%
critical = np.asarray(central["critical"])
print("directions at the edge at steps 100, 200, 300, 400:", critical[[100, 200, 300, 400]])
assert critical[100] == 0
assert critical[200] == 1
assert critical[300] == 2

# %% [markdown]
# ## What this does not answer
#
# * Why the sharpness rises in the first place; every model here takes the third derivative as
#   given.
# * What adaptive optimizers do: `flows.CentralFlow` models `flows.RMSProp` and
#   `flows.ScalarRMSProp` too, with the preconditioned sharpness; see [at the edge of
#   stability](../edge_of_stability).
# * Every iterate: the two-step form of [the principal flow](02_principal_flow.ipynb) follows them
#   through the first spike.
# * Minibatches: everything here is full batch.
