"""What the program of a loss says: float32 inside of it, and parts hidden from differentiation."""

import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flows
from flows._objective import make_objective

STOP = jax.lax.stop_gradient
GENERATOR = np.random.default_rng(3)
X = jnp.asarray(GENERATOR.normal(size=(4, 2)))
Y = jnp.asarray(GENERATOR.normal(size=(4, 2)))
W = jnp.asarray(GENERATOR.normal(size=(2, 2)))


def attention(W, dtype="float32"):
    """One head, with a softmax in float32, as JAX' own has whatever it is given."""
    logits = (X @ W @ W @ X.T).astype(dtype)
    return jnp.mean((jax.nn.softmax(logits).astype(W.dtype) @ Y - X) ** 2)


def exact_attention(W):
    return attention(W, "float64")


def recurrent(W, xs):
    return jnp.sum(jax.lax.scan(lambda c, x: (jnp.tanh(c @ W + x), None), jnp.zeros(2), xs)[0])


@jax.custom_vjp
def cube(x):
    return x**3


cube.defvjp(lambda x: (x**3, x), lambda x, g: (3 * x**2 * g,))


# The rules of these two call the functions themselves, which so have the slope 1 again where the
# gradient has steps, or no forward derivative at all.
@jax.custom_jvp
def straight_forward(x):
    return jnp.round(x)


straight_forward.defjvp(lambda x, dx: (straight_forward(x[0]), dx[0]))


@jax.custom_vjp
def straight(x):
    return jnp.round(x)


straight.defvjp(lambda x: (straight(x), None), lambda _, g: (g,))


SEEN = {
    "nothing": (lambda W: jnp.mean((X @ W) ** 2), "float64", 0),
    "attention": (attention, "float32", 0),
    "bfloat16": (lambda W: jnp.sum(W.astype("bfloat16") ** 2).astype(float), "bfloat16", 0),
    "a float32 mask": (
        lambda W: jnp.sum(W**2) + jnp.sum((W > 0).astype("float32")).astype(float),
        "float64",
        0,
    ),
    "float32 data in a loop": (
        lambda W: recurrent(W, X.astype("float32").astype(float)),
        "float64",
        0,
    ),
    "float32 in a loop": (
        lambda W: jax.lax.fori_loop(0, 2, lambda i, c: jnp.tanh(c), W.astype("float32")).sum(),
        "float32",
        0,
    ),
    "float32 in a branch": (
        lambda W: jax.lax.cond(
            W[0, 0] > 0, lambda W: W.astype("float32"), lambda W: -W.astype("float32"), W
        ).sum(),
        "float32",
        0,
    ),
    "softmax": (lambda W: jnp.sum(jax.nn.softmax(X @ W)[:, 0]), "float64", 0),
    "log_softmax under jit": (lambda W: jnp.sum(jax.jit(jax.nn.log_softmax)(X @ W)), "float64", 0),
    "of data": (lambda W: jnp.sum(STOP(jnp.sin(X)) @ W), "float64", 0),
    "a target": (lambda W: jnp.sum((W - STOP(0.9 * W)) ** 2), "float64", 1),
    "two": (lambda W: jnp.sum(STOP(W)) + jnp.sum(straight(W)), "float64", 2),
    "a custom_jvp of a step": (lambda W: jnp.sum(straight_forward(W)), "float64", 1),
    "relu and silu": (lambda W: jnp.sum(jax.nn.relu(W) + jax.nn.silu(W)), "float64", 0),
}


@pytest.mark.parametrize("name", SEEN)
def test_what_is_seen(name):
    loss, precision, hidden = SEEN[name]
    objective, moving = make_objective(loss, W, None)
    found = objective.examined(moving)
    assert found.precision == precision
    assert len(found.hidden) == hidden
    assert all("test_examined.py" in place for place in found.hidden)


@pytest.mark.parametrize("flow", [flows.GradientFlow(), flows.ModifiedFlow(order=2)])
def test_flows_of_a_loss_that_rounds_inside(flow):
    """They end, near those of the same loss in float64, and say with which digits."""
    runs = [
        flows.solve(loss, W, flows.GradientDescent(0.2), flow, 5)
        for loss in (attention, exact_attention)
    ]
    assert jnp.allclose(runs[0].loss, runs[1].loss, rtol=1e-5, atol=0)
    assert runs[0].cost.integration_error > 1e4 * runs[1].cost.integration_error
    assert [run.settings.get("precision") for run in runs] == ["float32 inside the loss", None]


def test_measures_of_a_loss_that_rounds_inside():
    sharpness = jnp.linalg.eigvalsh(
        jax.hessian(lambda w: exact_attention(w.reshape(2, 2)))(W.ravel())
    )[-1]
    assert jnp.isclose(flows.sharpness(attention, W), sharpness, rtol=1e-5)
    report = flows.track(attention, [W, W], learning_rate=0.2, k=1)
    assert jnp.allclose(report.eigenvalues, sharpness, rtol=1e-5)
    assert jnp.all(report.converged)
    central = flows.solve(attention, W, flows.GradientDescent(0.05), flows.CentralFlow(size=3), 2)
    assert jnp.isclose(central.diagnostics["sharpness"][0], 0.05 * sharpness, rtol=1e-5)


def target(w):
    """Descent sees the slope 0.1, and JAX the slope 1."""
    return jnp.sum((w - STOP(0.9 * w + 1)) ** 2) / 2


POINT = jnp.array([3.0, 1.0])
REFUSED = {
    "sharpness": lambda loss: flows.sharpness(loss, POINT),
    "eigenpairs": lambda loss: flows.top_eigenpairs(loss, POINT, 1),
    "drift": lambda loss: flows.drift(loss, POINT),
    "coefficients": lambda loss: flows.stability_coefficients(
        loss, POINT, flows.GradientDescent(0.1)
    ),
    "track": lambda loss: flows.track(loss, [POINT], learning_rate=0.1, k=1),
    "cycle": lambda loss: flows.find_cycle(loss, POINT, flows.GradientDescent(0.1), 1),
    "limit": lambda loss: flows.classify_limit(loss, POINT, flows.GradientDescent(0.1)),
    "field": lambda loss: flows.vector_field(
        loss, POINT, flows.GradientDescent(0.1), flows.ModifiedFlow()
    ),
    "solve": lambda loss: flows.solve(
        loss, POINT, flows.GradientDescent(0.1), flows.ModifiedFlow(), 1
    ),
    "compare": lambda loss: flows.compare(
        loss, POINT, flows.GradientDescent(0.1), flows.PrincipalFlow(), 1
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_derivative_that_is_not_that_of_descent_is_refused(name):
    with pytest.raises(flows.DerivativeError, match=r"stop_gradient .*test_examined.py.*90 %"):
        REFUSED[name](target)


@pytest.mark.parametrize("hiding", [straight_forward, lambda x: x + STOP(jnp.round(x) - x)])
def test_straight_through_estimates_are_refused(hiding):
    with pytest.raises(flows.DerivativeError, match="100 %"):
        flows.sharpness(lambda w: jnp.sum(hiding(4 * w) ** 2), POINT + 0.1)


def test_no_derivative_at_all():
    with pytest.raises(flows.DerivativeError, match="no derivative by product"):
        flows.sharpness(lambda w: jnp.sum(straight(4 * w) ** 2), POINT)


def test_what_is_not_refused():
    """The gradient flow, differences, and a rule of one's own that is right."""
    run = flows.solve(target, POINT, flows.GradientDescent(0.1), flows.GradientFlow(), 4)
    # Of `w' = -(0.1 w - 1)` towards 10.
    assert jnp.allclose(run.final_params, 10 + (POINT - 10) * jnp.exp(-0.04), rtol=1e-9)
    objective = flows.Objective(target, product="difference")
    assert jnp.isclose(flows.sharpness(objective, POINT), 0.1, rtol=1e-6)
    assert jnp.isclose(flows.sharpness(lambda w: jnp.sum(cube(w)), POINT), 18.0)
    assert flows.sharpness(lambda w: jax.nn.logsumexp(w), POINT) > 0


def test_what_was_seen_keeps_no_loss():
    loss = lambda w: jnp.sum(w**2)  # noqa: E731
    make_objective(loss, POINT, None)[0].examined(POINT)
    gone = weakref.ref(loss)
    del loss
    gc.collect()
    assert gone() is None
