# %% [markdown]
# # Compare a flow with gradient descent
#
# **This tutorial answers:** how far is each continuous-time model from the real iterates, on your
# own loss, your own Equinox module, your own Flax network? And how do you read the answer?
#
# One step of gradient descent with learning rate $h$ takes the flow time $h$. Everything below is
# recorded at whole steps, $t_n = nh$, so that iterate and flow can be subtracted.

# %%
import jax

jax.config.update("jax_enable_x64", True)  # errors below 1e-5 need double precision

import diffrax as dfx
import equinox as eqx
import flax.linen as nn
import jax.numpy as jnp
import jax.random as jr
import matplotlib.pyplot as plt
import numpy as np

import flows
import flows.plotting

# %% [markdown]
# ## A loss of your own
#
# Any JAX function of any tree of arrays. Here $E(x) = \cos x$, whose minimum at $\pi$ has the
# curvature 1; with $h = 1.9$ descent oscillates into it.


# %%
def loss(x):
    return jnp.sum(jnp.cos(x))


models = [flows.GradientFlow(), flows.ModifiedFlow(order=2), flows.PrincipalFlow()]
optimizer = flows.GradientDescent(1.9)
together = flows.compare(loss, jnp.array([2.9]), optimizer, models, steps=20)
print(together)

# %% [markdown]
# The table has a row for each flow. `final error` and `largest error` are distances in parameter
# space; `median relative` divides by the length of the path so far; `integration` is what the
# solver itself is off by. That must be far below the error of the model, or the comparison means
# nothing.
#
# There are two ways to compare. In mode `"trajectory"` (above) flow and iterates start together
# and drift apart. In mode `"per_step"` the flow starts anew from every iterate, and the error is
# that of one step.

# %%
per_step = flows.compare(loss, jnp.array([2.9]), optimizer, models, steps=20, mode="per_step")
figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained", sharey=True)
for ax, run in zip(axes, (together, per_step), strict=True):
    flows.plotting.plot_errors(run, ax)
    ax.set_title(f'mode="{run.mode}"')

# %% [markdown]
# The principal flow knows that descent jumps across the minimum; the other two do not, and their
# error is as large as the oscillation. The figure's claims, as assertions:

# %%
for run in (together, per_step):
    largest = {name: np.max(error) for name, error in run.errors.items()}
    assert largest["PrincipalFlow"] < 0.05 * largest["GradientFlow"]
    assert largest["PrincipalFlow"] < 0.05 * largest["ModifiedFlow(2)"]
    for trajectory in run.trajectories.values():
        assert trajectory.cost.integration_error < 1e-8

# %% [markdown]
# ## Where the learning rate is small
#
# The order of a model is the slope of its error against $h$. One step of gradient flow differs
# from descent by $O(h^2)$, of the modified flow of order $p$ by $O(h^{p+1})$, of the principal
# flow by $O(h^3)$ like the modified one: it is not of higher order, it wins where $h \lambda$ is
# large. `compare` works under `vmap`, so that all learning rates are one call.

# %%
orders = {"GradientFlow": 2, "ModifiedFlow(2)": 3, "ModifiedFlow(3)": 4}
rates = 0.05 * 0.5 ** jnp.arange(4.0)


@jax.vmap
def one_step(h):
    """The error of every flow after one step on x^4 / 4."""
    every = [flows.GradientFlow(), flows.ModifiedFlow(order=2), flows.ModifiedFlow(order=3)]
    descent, start = flows.GradientDescent(h), jnp.array(1.0)
    return flows.compare(lambda x: x**4 / 4, start, descent, every, steps=1).errors


errors = {name: np.asarray(error)[:, 1] for name, error in one_step(rates).items()}
figure, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
for name, order in orders.items():
    color = flows.plotting.color_of(name)
    ax.loglog(rates, errors[name], "o-", color=color, label=f"{name}: slope {order}")
    slope = np.polyfit(np.log(rates), np.log(errors[name]), 1)[0]
    assert abs(slope - order) < 0.15, (name, slope)
ax.set_xlabel("learning rate $h$ (flow time)")
ax.set_ylabel("error of one step (parameters)")
ax.legend(frameon=False)

# %% [markdown]
# ## An Equinox network
#
# A module is a tree, so it is the parameters. Data go through `args`: with other data of the same
# shapes nothing is compiled again. Functions among the leaves (the activation) stay where they
# are.
#
# The learning rate is chosen such that the sharpness $\lambda$ of the start has $h \lambda =
# 1.7$. There the principal flow is complex, which costs several times as much; constant steps,
# eight in a step of descent, are enough for networks.

# %%
x = jr.normal(jr.key(1), (64, 2))
data = (x, jnp.sin(x[:, :1] * x[:, 1:]))
model = eqx.nn.MLP(2, 1, width_size=6, depth=1, activation=jnp.tanh, key=jr.key(0))


def squared_error(model, data):
    x, y = data
    return jnp.mean((jax.vmap(model)(x) - y) ** 2)


sharpness = flows.sharpness(squared_error, model, args=data)
rate = 1.7 / sharpness
print(f"sharpness {sharpness:.3f}, so h times sharpness is 1.7 at h = {rate:.3f}")
network = flows.compare(
    squared_error,
    model,
    flows.GradientDescent(rate),
    models,
    steps=40,
    args=data,
    mode="per_step",
    solver=dfx.Tsit5(),
    stepsize_controller=dfx.ConstantStepSize(),
    dt0=1 / 8,
)
print(network)
flows.plotting.plot_errors(network, relative=True)

# %%
median = {name: np.median(error[1:]) for name, error in network.relative_errors.items()}
assert median["PrincipalFlow"] < 0.1 * median["ModifiedFlow(2)"] < 0.1 * median["GradientFlow"]

# %% [markdown]
# ## A Flax network
#
# What `init` returns is a tree like any other. The same holds for nested dictionaries and for
# lists of layers, by whatever they were made.


# %%
class Network(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.tanh(nn.Dense(6, param_dtype=float)(x))
        return nn.Dense(1, param_dtype=float)(x)


flax_model = Network()
variables = flax_model.init(jr.key(0), x)


def flax_loss(variables, data):
    x, y = data
    return jnp.mean((flax_model.apply(variables, x) - y) ** 2)


run = flows.compare(
    flax_loss, variables, flows.GradientDescent(0.2), models[:2], steps=50, args=data
)
print(run)
print(jax.tree.map(jnp.shape, run.iterates.final_params))

# %%
assert run.errors["ModifiedFlow(2)"][-1] < 0.5 * run.errors["GradientFlow"][-1]

# %% [markdown]
# ## When a run goes wrong
#
# Misuse raises a typed error that says what to do. What goes wrong while it runs is a result code
# with everything until then.

# %%
try:
    flows.compare(loss, jnp.array([1, 2]), optimizer, models, steps=3)
except flows.FlowsError as error:
    print(type(error).__name__, "-", error)

run = flows.iterate(lambda x: x**4, jnp.array(1.0), flows.GradientDescent(3.0), 9, throw=False)
print(run.message)
assert run.result == flows.RESULTS.diverged

# %% [markdown]
# ## What this does not answer
#
# * Why the flows differ, and what happens where $h \lambda$ exceeds 2:
#   [the principal flow](02_principal_flow.ipynb).
# * Which minimum descent can reach at all: [step size matters](03_step_size_matters.ipynb).
# * Training that stays at the edge of stability, where no flow follows every iterate for long:
#   [the edge of stability](06_edge_of_stability.ipynb).
# * Anything about test error: the losses here are full-batch training losses.
