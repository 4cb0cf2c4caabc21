# %% [markdown]
# # The principal flow and its successor
#
# **This tutorial answers:** which flow oscillates and diverges when gradient descent does? What
# happens past $h \lambda = 1$, where its parameters become complex? How good is it at the edge of
# stability, step by step? And which flow goes through the edge and a loss spike?
#
# The figures of the first half are those of Rosca, Wu, Qin and Dherin (2023, arXiv:2302.01952).

# %%
import jax

jax.config.update("jax_enable_x64", True)

import diffrax as dfx
import jax.numpy as jnp
import jax.random as jr
import matplotlib.pyplot as plt
import numpy as np

import flows
import flows.plotting
from flows.curvature.spectral_functions import alpha

# %% [markdown]
# ## The published quadratic
#
# $E = \theta_1^2 + 0.01\, \theta_2^2$ from $(-0.35, -0.2)$. At $h = 0.9$ descent jumps across the
# valley, at $h = 1.05$ it diverges. The principal flow does just that; the other two slide down
# the side that they started on.


# %%
def quadratic(x):
    return x[0] ** 2 + 0.01 * x[1] ** 2


start = jnp.array([-0.35, -0.2])
models = [flows.GradientFlow(), flows.ModifiedFlow(order=2), flows.PrincipalFlow()]
figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for ax, h in zip(axes, (0.9, 1.05), strict=True):
    run = flows.compare(quadratic, start, flows.GradientDescent(h), models, steps=5)
    flows.plotting.plot_contours(run, quadratic, ax)
    ax.set_title(f"$h = {h}$, five steps")
    assert run.errors["PrincipalFlow"].max() < 1e-9  # exact on quadratics
    assert run.errors["GradientFlow"].max() > 0.1
axes[1].get_legend().remove()
np.testing.assert_allclose(run.iterates.params[-1], [0.5636785, -0.17986367], atol=1e-7)
np.testing.assert_allclose(
    run.trajectories["ModifiedFlow(2)"].final_params, [-1.57e-10, -0.179866492], atol=1e-9
)

# %% [markdown]
# ## Why
#
# Along an eigenvector with eigenvalue $\lambda$ each of these flows has the velocity
# $\alpha(h\lambda)\,(g \cdot u)\,u$. For the principal flow $\alpha(z) = \log(1 - z)/z$: past $z
# = 1$ it has an imaginary part, which makes the sign flip at every step, and past $z = 2$ the
# real part is positive, so that the direction is unstable. The gradient and the modified flow
# have $\alpha = -1$ and $-(1 + z/2)$: no oscillation, stable for every $z$.

# %%
z = np.concatenate([np.linspace(-1, 0.999, 400), np.linspace(1.001, 4, 400)])
principal = np.asarray(alpha(jnp.asarray(z, complex)))
figure, ax = plt.subplots(figsize=(6.5, 3.8), layout="constrained")
color = flows.plotting.color_of
ax.plot(z, -np.ones_like(z), color=color("GradientFlow"), label="gradient flow")
ax.plot(z, -1 - z / 2, color=color("ModifiedFlow(2)"), label="modified flow")
ax.plot(z, principal.real, color=color("PrincipalFlow"), label="principal flow, real part")
imaginary = np.where(z > 1, principal.imag, np.nan)
ax.plot(z, imaginary, ":", color=color("PrincipalFlow"), label="principal flow, imaginary part")
for edge in (1, 2):
    ax.axvline(edge, color="0.7", linewidth=0.8, zorder=0)
ax.axhline(0, color="0.7", linewidth=0.8, zorder=0)
ax.set(xlabel=r"$h \lambda$ (pure number)", ylabel=r"$\alpha$ (pure number)", ylim=(-4, 3.3))
ax.legend(frameon=False, loc="upper left")
np.testing.assert_allclose(alpha(jnp.array(1.5 + 0j)), -0.462098120373 + 2.094395102393j)

# %% [markdown]
# ## The branch of the logarithm
#
# The path of the parameters lies on the cut of the principal logarithm, where an integrator
# chatters or sticks. The default continues the sheet. One step on $-\cos x$ from $x = 1/2$ with
# $h = 1.5$, where $h \lambda = 1.3$:

# %%
branches = [flows.PrincipalFlow(), flows.PrincipalFlow("principal")]
run = flows.compare(
    lambda x: -jnp.cos(x),
    jnp.array(0.5),
    flows.GradientDescent(1.5),
    branches,
    steps=1,
    solver=dfx.Tsit5(),
    stepsize_controller=dfx.ConstantStepSize(),
    dt0=1 / 2000,
    throw=False,
)
print(f"{'descent':<26} {run.iterates.final_params:.6f}")
for name, trajectory in run.trajectories.items():
    print(f"{name:<26} {trajectory.final_params:.6f}")
found = run.trajectories["PrincipalFlow"].final_params
np.testing.assert_allclose(found, -0.238751 + 0.010998j, atol=2e-6)
assert run.errors["PrincipalFlow"][1] < 0.1 * run.errors["PrincipalFlow(principal)"][1]

# %% [markdown]
# Descent goes to $-0.219$, the continued branch near it; the published branch sticks to the
# imaginary axis. Iterates are real, so the imaginary part, $0.011$, is the flow's own estimate of
# its error, which is $0.022$.
#
# ## Step by step at the edge of stability
#
# A tanh network with 36 parameters, full batch, $h = 0.5$. Its sharpness rises until
# $h \lambda_0 = 2$ and stays there.

# %%
keys = jr.split(jr.PRNGKey(0), 4)
X = jr.normal(keys[0], (60, 5))
Y = jnp.tanh(X @ jr.normal(keys[1], (5,))) + 0.5 * jnp.sin(2 * X[:, 0])
network_start = 0.5 * jr.normal(keys[2], (36,))


def network_loss(p):
    W1, b1, w2, b2 = p[:25].reshape(5, 5), p[25:30], p[30:35], p[35]
    return jnp.mean((jnp.tanh(X @ W1 + b1) @ w2 + b2 - Y) ** 2)


descent = flows.GradientDescent(0.5)
training = flows.iterate(network_loss, network_start, descent, 700)
constant = {"solver": dfx.Tsit5(), "stepsize_controller": dfx.ConstantStepSize()}
edge = flows.compare(
    network_loss,
    training.params[120],
    descent,
    models,
    steps=45,
    mode="per_step",
    dt0=1 / 4,
    **constant,
)
figure, (above, below) = plt.subplots(
    2, 1, figsize=(7, 6), sharex=True, layout="constrained", height_ratios=(2, 1)
)
flows.plotting.plot_errors(edge, above, relative=True)
above.set_xlabel("")
top = jax.jit(jax.vmap(lambda p: 0.5 * jnp.linalg.eigvalsh(jax.hessian(network_loss)(p))[-1]))
below.plot(top(training.params[120:166]), color=color("iterates"))
below.axhline(2, color="0.7", linewidth=0.8)
below.set(xlabel="step after step 120", ylabel=r"$h \lambda_0$ (pure number)")
median = {name: np.median(e[1:]) for name, e in edge.relative_errors.items()}
print({name: f"{value:.1e}" for name, value in median.items()})
assert median["PrincipalFlow"] < 0.1 * median["GradientFlow"]
assert median["PrincipalFlow"] < 0.1 * median["ModifiedFlow(2)"]

# %% [markdown]
# At the height of the spike it fails too, and worse: it is not a model for every step. The
# imaginary part says, without the iterates, where not to believe it:

# %%
flows.plotting.plot_indicator(edge)
error = np.asarray(edge.errors["PrincipalFlow"])[1:]
imaginary = np.asarray(edge.trajectories["PrincipalFlow"].diagnostics["imaginary_part"])[1:]
seen = (imaginary > 1e-8) & (error > 1e-8)
rank = np.corrcoef(*(np.argsort(np.argsort(x[seen])) for x in (imaginary, error)))[0, 1]
print(f"rank correlation {rank:.2f} over {seen.sum()} steps")
assert rank > 0.8

# %% [markdown]
# ## One direction at a time
#
# At one point every eigenvector has its stability coefficient $\alpha(h\lambda_i)\,(g \cdot u_i)$
# and its loss rate $\alpha(h\lambda_i)\,(g \cdot u_i)^2$. A direction above $2/h$ raises the
# loss, but whether the loss rises depends on all directions together.

# %%
at = flows.stability_coefficients(network_loss, training.params[150], descent)
print(at)
flows.plotting.plot_spectrum(at)
assert at.regimes[0] == "unstable complex"
assert at.loss_rates[0].real > 0 > at.loss_rates[1].real

# %% [markdown]
# The principal flow predicts that $g \cdot u_0$ is multiplied by $1 - h \lambda_0$ in the next
# step, the gradient flow by $e^{-h\lambda_0}$. Where the oscillation has grown, the former is
# what happens.

# %%


@jax.vmap
def sharpest(p):
    """The gradient, the largest eigenvalue of the Hessian times h, and its eigenvector."""
    values, vectors = jnp.linalg.eigh(jax.hessian(network_loss)(p))
    return jax.grad(network_loss)(p), 0.5 * values[-1], vectors[:, -1]


gradients, z, u = map(np.asarray, jax.jit(sharpest)(training.params[120:180]))
component = np.sum(gradients[:-1] * u[:-1], axis=1)
measured = np.sum(gradients[1:] * u[:-1], axis=1) / component
grown = np.abs(component) > 0.05
predictions = {
    "PrincipalFlow": 1 - z[:-1],
    "ModifiedFlow(2)": np.exp(-z - z**2 / 2)[:-1],
    "GradientFlow": np.exp(-z[:-1]),
}
off = {name: float(np.median(np.abs(measured - p)[grown])) for name, p in predictions.items()}
print({name: round(value, 3) for name, value in off.items()})
assert off["PrincipalFlow"] < 0.15 < 1 < off["GradientFlow"]

# %% [markdown]
# ## The successor
#
# `correction="cubic"` sums, in all powers of $h$, the terms of backward error analysis with one
# third derivative: error of one step $O(h^5)$. It is derived in [the second principal
# flow](../second_principal_flow). Rosenbrock's function from $(-\frac12, \frac12)$, two steps of
# $h = 10^{-4}$:


# %%
def rosenbrock(x):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


banana = flows.compare(
    rosenbrock,
    jnp.array([-0.5, 0.5]),
    flows.GradientDescent(1e-4),
    [
        flows.ModifiedFlow(order=2),
        flows.PrincipalFlow("real"),
        flows.PrincipalFlow("real", "cubic"),
    ],
    steps=2,
    dt0=1 / 4,
    **constant,
)
errors = {name: float(error[2]) for name, error in banana.errors.items()}
print({name: f"{error:.2e}" for name, error in errors.items()})
assert errors["PrincipalFlow(real)"] < 0.3 * errors["ModifiedFlow(2)"]
assert errors["PrincipalFlow(real, cubic)"] < 2e-4 * errors["PrincipalFlow(real)"]

# %% [markdown]
# ## Through the edge and a loss spike
#
# At the edge of stability $\mu = 1 - h\lambda_0 = -1$, and $\mu^2 = 1$ is the multiplier of every
# flat direction: a resonance by which the oscillation drives them, and at which the flow that
# follows every iterate has a pole. The two-step form, a real flow of every second iterate, has
# none. From one start at step 500, without restarts, it goes through the crossing of 2, the
# spike, and back below 2.

# %%
through = flows.compare(
    network_loss,
    training.params[500],
    descent,
    [flows.GradientFlow(), flows.PrincipalFlow("real"), flows.PrincipalFlow("real", "cubic")],
    steps=100,
    dt0=1.0,
    throw=False,
    solver=dfx.Bosh3(),
    stepsize_controller=dfx.ConstantStepSize(),
)
paths = {"iterates": through.iterates, **through.trajectories}
sharp = {name: np.asarray(top(path.params)) for name, path in paths.items()}
lengths = np.cumsum(through.iterates.diagnostics["step_length"])
steps = 500 + np.arange(101)
figure, (distance, sharpness, losses) = plt.subplots(
    3, 1, figsize=(7, 8), sharex=True, layout="constrained"
)
for name, path in paths.items():
    kept = np.abs(sharp[name]) < 3  # until it is lost
    shown = np.cumsum(~kept) == 0
    style = {"color": color(name), "label": name, "linewidth": 2 - (name == "iterates")}
    if name != "iterates":
        away = np.asarray(through.errors[name]) / np.maximum(lengths, 1e-30)
        own = shown & path.own_steps & (away > 0)
        distance.semilogy(steps[own], away[own], **style)
    sharpness.plot(steps[shown], sharp[name][shown], **style)
    losses.semilogy(steps[shown], np.asarray(path.loss)[shown], **style)
sharpness.axhline(2, color="0.7", linewidth=0.8)
sharpness.set(ylabel=r"$h \lambda_0$ (pure number)", ylim=(1.8, 2.5))
distance.set(ylabel="distance over path length", ylim=(1e-6, 1))
losses.set(ylabel="loss", xlabel="step", ylim=(0.02, 0.4))
losses.legend(frameon=False)

# %%
cubic, gradient = "PrincipalFlow(real, cubic)", "GradientFlow"
crossing = int(np.argmax(sharp["iterates"] > 2))
spike = int(np.argmax(through.iterates.loss))
print(f"crossing after {crossing} steps, spike after {spike}")
assert through.errors[cubic][crossing] < 0.1 * through.errors[gradient][crossing]
assert through.iterates.loss[spike] > 2 * through.iterates.loss[0]
assert through.trajectories[cubic].loss[60:].max() > 2 * through.iterates.loss[0]  # a spike too
assert sharp[cubic][-1] < 2.1 < sharp[gradient][-1]  # it comes back; gradient flow goes on

# %% [markdown]
# ## What this does not answer
#
# * How long a flow can follow: past $h\lambda = 2$ a trajectory of the principal flow leaves
#   descent after a few steps. *When* a spike comes depends exponentially on how small $g \cdot
#   u_0$ was, so no model of finite order can time it for ever.
# * The average of the iterates over hundreds of steps at the edge: [the edge of
#   stability](06_edge_of_stability.ipynb).
# * Networks whose Hessian does not fit: [a larger network](09_a_larger_network.ipynb).
