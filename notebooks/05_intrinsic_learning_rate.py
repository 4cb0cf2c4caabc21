# %% [markdown]
# # The intrinsic learning rate
#
# **This tutorial answers:** what do learning rate $\eta$ and weight decay $\lambda$ do to weights
# whose length does not matter, as those before a normalisation layer? Which schedules are the same,
# and why may descent go on for ever where its gradient flow converges?
#
# After Li, Lyu and Arora (2020, arXiv:2010.02916). Times here count steps.

# %%
import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import jax.random as jr
import matplotlib.pyplot as plt
import numpy as np

import flows
import flows.plotting

laws = flows.scale_invariant

# %% [markdown]
# ## Norm and effective rate
#
# If $L(cw) = L(w)$, the direction $w / |w|$ sees the learning rate only as $\eta / |w|^2$, the
# effective one. Steps make the norm longer, weight decay makes it shorter, and both balance at
# $\eta / |w|^2 = \sqrt{q(2 - q)} / s$, with $q = \eta\lambda$ and the length $s$ of the gradient on
# the unit sphere. The smallest example has no loss, only noise on the sphere:

# %%
noise = 3**0.5 * jnp.concatenate([jnp.eye(3), -jnp.eye(3)])


def sphere(w, x):
    return jnp.mean(x @ w) / jnp.linalg.norm(w)


def run_parts(parts, key):
    """SGD with one learning rate and weight decay after the other: the effective rates."""
    w, found = jnp.array([1.0, 0.0, 0.0]), []
    for place, (eta, decay, steps) in enumerate(parts):
        run = flows.iterate(
            sphere,
            w,
            flows.SGD(eta, batch_size=1, weight_decay=decay),
            steps,
            args=noise,
            key=jr.fold_in(key, place),
        )
        found.append(laws.path_measures(run.params, eta)["effective_learning_rate"][:-1])
        w = run.final_params
    return np.concatenate([np.asarray(rates) for rates in found])


parts = {
    "eta 0.5": [(0.5, 0.02, 3000)],
    "eta 0.05": [(0.05, 0.2, 3000)],
    "eta 1, then 0.1": [(1.0, 0.05, 1000), (0.1, 0.1, 2000)],
}
rates = {name: run_parts(each, jr.key(1)) for name, each in parts.items()}
balance = laws.equilibrium(0.5, 0.02, 2**0.5)
predicted = float(balance.effective_learning_rate)
ax = flows.plotting.plot_effective_rates(rates, {"equilibrium of q = 0.01": predicted})
ax.set_ylabel(r"effective learning rate $\eta / |w|^2$")
ax.figure.set_size_inches(7, 4)
for name, each in rates.items():
    print(f"{name:16s} {each[-1500:].mean():.4f}, predicted {predicted:.4f}")
    assert abs(each[-1500:].mean() / predicted - 1) < 0.03

# %% [markdown]
# Three schedules whose rates differ by ten have one equilibrium, as $q$ is the same at the end.
#
# ## On a network
#
# The same on a normalised network with 1280 parameters, on the digits, with $q = 0.005$. The
# length $s$ is measured, from the growth of the norm.

# %%
problem = flows.problems.normalised_network()
q, rates, reached = 0.005, {}, {}
for name, parts in {
    "eta 0.5": [(0.5, 1500)],
    "eta 0.05": [(0.05, 1500)],
    "eta 1, then 0.1": [(1.0, 400), (0.1, 1100)],
}.items():
    w, found = problem.start, []
    for place, (eta, steps) in enumerate(parts):
        optimizer = flows.SGD(eta, batch_size=32, weight_decay=q / eta)
        run = flows.iterate(problem.loss, w, optimizer, steps, args=problem.args, key=jr.key(place))
        measured = laws.path_measures(run.params, eta)
        found.append(np.asarray(measured["effective_learning_rate"])[:-1])
        w = run.final_params
    rates[name] = np.concatenate(found)
    square = np.asarray(measured["norm"])[-700:] ** 2
    s = np.sqrt(np.mean((square[1:] - (1 - q) ** 2 * square[:-1]) * square[:-1])) / eta
    expected = float(laws.equilibrium(eta, q / eta, s).effective_learning_rate)
    reached[name] = rates[name][-700:].mean()
    loss = float(jnp.mean(run.loss[-100:]))
    print(f"{name:16s} reached {reached[name]:.4f}, predicted {expected:.4f}, loss {loss:.3f}")
    assert abs(reached[name] / expected - 1) < 0.03
ax = flows.plotting.plot_effective_rates(rates, {"equilibrium": expected})
ax.figure.set_size_inches(7, 4)
assert max(reached.values()) / min(reached.values()) < 1.06

# %% [markdown]
# ## A decay of the rate
#
# Dividing $\eta$ by $k$ is felt at once, by $k$. What remains at equilibrium is $\sqrt k$. Dividing
# $\lambda$ leads to the same place without the jump. Dashed: the law of the norm alone.

# %%
k, first, later = 10, 500, 3500
eta, decay, s = 0.1, 0.05, 2**0.5
decays = {
    "learning rate / 10": (eta / k, decay),
    "weight decay / 10": (eta, decay / k),
}
rates = {
    name: run_parts([(eta, decay, first), (*after, later)], jr.key(2))
    for name, after in decays.items()
}
ax = flows.plotting.plot_effective_rates(rates)
for name, (new_eta, new_decay) in decays.items():
    schedule = np.concatenate([np.full(first, eta), np.full(later, new_eta)])
    decay_schedule = np.concatenate([np.full(first, decay), np.full(later, new_decay)])
    norms = np.asarray(laws.norm_path(1.0, schedule, decay_schedule, s, first + later))
    ax.plot(schedule / norms[:-1] ** 2, "--", color="0.4", linewidth=1)
    np.testing.assert_allclose(rates[name][-1500:], (schedule / norms[:-1] ** 2)[-1500:], rtol=0.15)
ax.plot([], [], "--", color="0.4", linewidth=1, label="norm_path")
ax.legend(frameon=False, fontsize="small")
ax.figure.set_size_inches(7, 4)
before = rates["learning rate / 10"][first - 100 : first].mean()
jump = {n: float(r[first] / r[first - 1]) for n, r in rates.items()}
final = {n: float(r[-1500:].mean() / before) for n, r in rates.items()}
print(jump, "at once;", final, "in the end")
assert abs(k * jump["learning rate / 10"] - 1) < 0.02
assert abs(jump["weight decay / 10"] - 1) < 0.02
for value in final.values():
    assert abs(value * k**0.5 - 1) < 0.04

# %% [markdown]
# ## Descent that never converges
#
# No noise now: $L = x^2 / (x^2 + y^2)$, whose minima are the axis $x = 0$. Its gradient flow with
# the same weight decay converges faster than any exponential. For descent that is impossible: as
# the norm shrinks the effective step grows, until the minimum is unstable.

# %%
plane = flows.problems.scale_invariant_plane()
optimizer = flows.ScaleInvariantDescent(learning_rate=0.1, weight_decay=0.5)
run = flows.iterate(plane.loss, plane.start, optimizer, steps=20_000)
times = jnp.arange(40.0)
flow = laws.rayleigh_flow(jnp.diag(jnp.array([1.0, 0.0])), plane.start, 0.1, 0.5, times)
flow_loss = np.asarray(jax.vmap(plane.loss)(flow))
figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
axes[0].semilogy(run.loss[:400], color=flows.plotting.color_of("iterates"), lw=1, label="descent")
color = flows.plotting.color_of("GradientFlow")
axes[0].semilogy(times, flow_loss, color=color, label="its gradient flow")
axes[0].axhline(0.1 * 0.5 / 2, color="0.5", lw=1, ls="--", label="the 2-cycle")
axes[0].set(ylim=(1e-22, 10), xlabel="step", ylabel="loss $x^2 / (x^2 + y^2)$")
axes[0].legend(frameon=False)
x, y = np.asarray(run.params)[-5000:].T
cycle = flows.find_cycle(plane.loss, jnp.array([0.05, 0.31]), optimizer, period=2)
axes[1].plot(x, y, ".", color=flows.plotting.color_of("iterates"), ms=1, label="last 5000 steps")
axes[1].plot(*np.asarray(cycle.points).T, "o", color="#D55E00", label="the 2-cycle")
axes[1].set(xlabel="$x$", ylabel="$y$", ylim=(0.13, 0.62))
axes[1].legend(frameon=False, loc="upper right")
late = np.asarray(run.loss)[-1000:]
print(f"descent's loss late: {late.min():.1e} to {late.max():.2f}; flow: {flow_loss[-1]:.0e}")
assert late.max() > 0.1
assert flow_loss[-1] < 1e-20
assert bool(cycle.neutral)
exact = np.sqrt(0.1) * np.array([np.sqrt(0.025), np.sqrt(0.975)])
np.testing.assert_allclose(np.abs(cycle.points), [exact, exact], atol=1e-9)

# %% [markdown]
# There is a 2-cycle, $\sqrt\eta\,(\pm\sqrt{q/2}, \sqrt{1 - q/2})$, and it neither attracts nor
# repels: the orbit goes about it for ever.
#
# ## Schedules that are the same
#
# Two runs whose effective steps agree have the same directions on every scale-invariant loss:
# weight decay with a constant rate, and no weight decay with an exponentially growing one.

# %%
steps = 60
grown_rates = laws.equivalent_schedule(0.2, 0.3, steps=steps)
halved_rates = laws.equivalent_schedule(0.2, 0.3, steps=steps, new_weight_decay=0.15)
schedules = {
    "constant, decay 0.3": (0.2, 0.3),
    "no decay": (grown_rates, 0.0),
    "decay 0.15": (halved_rates, 0.15),
}
figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
losses = {}
looks = (("black", "-", 4), ("#E69F00", "-", 2), ("#0072B2", ":", 2))
for (name, (eta, decay)), (color, dashes, width) in zip(schedules.items(), looks, strict=True):
    run = flows.iterate(plane.loss, plane.start, flows.ScaleInvariantDescent(eta, decay), steps)
    losses[name] = np.asarray(run.loss)
    axes[0].semilogy(np.broadcast_to(eta, steps), dashes, color=color, lw=width, label=name)
    axes[1].semilogy(losses[name], dashes, color=color, lw=width, label=name)
axes[0].set(xlabel="step", ylabel=r"learning rate $\eta$")
axes[1].set(xlabel="step", ylabel="loss")
axes[0].legend(frameon=False)
axes[1].legend(frameon=False)
np.testing.assert_allclose(grown_rates, 0.2 * 0.94 ** (-2.0 * np.arange(steps) - 1), rtol=1e-12)
for each in losses.values():
    np.testing.assert_allclose(each, losses["constant, decay 0.3"], rtol=1e-7, atol=1e-15)

# %% [markdown]
# ## What this does not answer
#
# * Whether the *function* that is learnt comes to an equilibrium as fast as the norm does: the
#   paper's conjecture. Only norms and losses are seen here.
# * Weight decay as in AdamW, decoupled from the rate; there directions depend on more than one
#   number.
# * Gains, biases and last layers that are trained, which are not scale invariant.
