"""The principal flow's orders, its place beside the other flows on a network, its derivatives."""

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import quartic, rosenbrock, tanh_network

import flows

pytestmark = pytest.mark.slow
DENSE = flows.Dense()
PRINCIPAL = flows.PrincipalFlow(curvature=DENSE)
CORRECTED = flows.PrincipalFlow(correction="third-order", curvature=DENSE)
NETWORK, NETWORK_START = tanh_network()


def slope(steps, errors):
    return np.polyfit(np.log(steps), np.log(np.asarray(errors)), 1)[0]


@pytest.mark.parametrize(
    ("loss", "start", "smallest"),
    [
        (quartic, jnp.array(1.0), 0.1 / 2**6),
        (rosenbrock, jnp.array([-0.5, 0.5]), 2e-4 / 2**4),
        (NETWORK, NETWORK_START, 0.05 / 2**3),
    ],
    ids=["quartic", "rosenbrock", "network"],
)
def test_order_of_one_step(loss, start, smallest):
    rates = jnp.asarray(smallest * 2.0 ** np.arange(5))

    def one_step(rate):
        optimizer = flows.GradientDescent(rate)
        run = flows.compare(loss, start, optimizer, [PRINCIPAL, CORRECTED], 1, mode="per_step")
        return {name: error[1] for name, error in run.errors.items()}

    errors = jax.jit(jax.vmap(one_step))(rates)
    assert slope(rates, errors["PrincipalFlow"]) == pytest.approx(3, abs=0.1)
    assert slope(rates, errors["PrincipalFlow(third-order)"]) == pytest.approx(4, abs=0.15)
    # What is dropped first: (h^3 / 12) |D^3E[g, g]|.
    problem = flows.Problem(flows.Objective(loss, None), flows.GradientDescent(1.0))
    gradient = problem.gradient(start)
    dropped = np.linalg.norm(problem.third_derivative(start, gradient, gradient)) / 12
    assert float(errors["PrincipalFlow"][0] / rates[0] ** 3) == pytest.approx(dropped, rel=0.05)


def test_order_over_a_fixed_time(windows_of):
    windows_of(8)  # one program for all
    counts, start = 8 * 2 ** np.arange(4), jnp.array([-0.5, 0.5])
    errors = {"PrincipalFlow": [], "PrincipalFlow(third-order)": []}
    for count in counts:
        optimizer = flows.GradientDescent(8e-4 / count)
        run = flows.compare(rosenbrock, start, optimizer, [PRINCIPAL, CORRECTED], int(count))
        for name, error in run.errors.items():
            errors[name].append(float(error[-1]))
    assert slope(1 / counts, errors["PrincipalFlow"]) == pytest.approx(2, abs=0.1)
    assert slope(1 / counts, errors["PrincipalFlow(third-order)"]) == pytest.approx(3, abs=0.1)


def test_the_edge_of_stability_of_a_network():
    # From iterate 1000 on it oscillates for good, with h * lambda between 2.00 and 2.01.
    optimizer = flows.GradientDescent(0.5)
    start = flows.iterate(NETWORK, NETWORK_START, optimizer, 1000).final_params
    models = [
        flows.GradientFlow(),
        flows.ModifiedFlow(2),
        flows.ModifiedFlow(3),
        flows.PrincipalFlow(),
        flows.PrincipalFlow("real"),
    ]
    run = flows.compare(NETWORK, start, optimizer, models, 16, mode="per_step")
    h_lambda = 0.5 * jax.vmap(lambda x: jnp.linalg.eigvalsh(jax.hessian(NETWORK)(x))[-1])(
        run.iterates.params
    )
    assert float(h_lambda.min()) >= 1.9
    assert float(h_lambda.max()) < 2.1
    medians = {
        name: numbers["median_relative_error"] for name, numbers in run.summary()["flows"].items()
    }
    assert medians["PrincipalFlow"] <= 0.05
    for name in ("GradientFlow", "ModifiedFlow(2)", "ModifiedFlow(3)"):
        assert 0.4 < medians[name] < 0.65
    assert medians["PrincipalFlow(real)"] < 0.15  # over two steps


def valley(x, data):
    """A loss with mixed derivatives of all orders, whose Hessian data can make degenerate."""
    matrix, weight = data
    return x @ matrix @ x / 2 + weight * jnp.sum(jnp.cos(x)) * jnp.sum(x) ** 2


SPLIT = np.diag([1.3, 1.3, 0.4])  # a repeated eigenvalue, if the weight is zero


def finite_difference(function, x, direction):
    step = np.finfo(float).eps ** (1 / 3)
    return (function(x + step * direction) - function(x - step * direction)) / (2 * step)


def test_gradient_of_the_final_error():
    weight, rate = 0.0, 1.2  # a repeated eigenvalue, and complex parameters

    @jax.jit
    def final(start, rate):
        run = flows.compare(
            valley,
            start,
            flows.GradientDescent(rate),
            PRINCIPAL,
            2,
            args=(SPLIT, weight),
            throw=False,
            solver=dfx.Heun(),
            stepsize_controller=dfx.ConstantStepSize(),
            dt0=1 / 4,
        )
        return run.errors["PrincipalFlow"][-1]

    start = jnp.array([0.5, -0.3, 0.2])
    by_start, by_rate = jax.jit(jax.grad(final, argnums=(0, 1)))(start, rate)
    direction = jnp.array([0.3, 0.8, -0.5])
    expected = finite_difference(lambda x: final(x, rate), start, direction)
    assert float(by_start @ direction) == pytest.approx(float(expected), rel=1e-5)
    expected = finite_difference(lambda h: final(start, h), rate, 1.0)
    assert float(by_rate) == pytest.approx(float(expected), rel=1e-5)


def test_vmap_over_learning_rates():
    rates, start = jnp.array([0.3, 0.9, 1.4]), jnp.array([0.5, -0.3, 0.2])

    def errors(rate):
        optimizer = flows.GradientDescent(rate)
        run = flows.compare(valley, start, optimizer, PRINCIPAL, 3, args=(SPLIT, 0.1), throw=False)
        return run.errors["PrincipalFlow"]

    together = jax.vmap(errors)(rates)
    for rate, error in zip(rates, together, strict=True):
        assert np.asarray(error) == pytest.approx(np.asarray(errors(rate)), rel=1e-6, abs=1e-12)


def layered(params, data):
    """A network of what conjugates or has no complex form: gelu, normalisation, softmax."""
    x, y = data
    hidden = jax.nn.gelu(x @ params["in"], approximate=False)
    hidden = (hidden - jnp.mean(hidden, 1, keepdims=True)) / jnp.sqrt(
        jnp.var(hidden, 1, keepdims=True) + 1e-2
    )
    return jnp.mean(jnp.sum((jax.nn.softmax(hidden @ params["out"]) - y) ** 2, 1))


def test_a_normalised_network_past_one():
    rng = np.random.default_rng(1)
    params = {"in": rng.standard_normal((3, 4)), "out": rng.standard_normal((4, 2))}
    data = (rng.standard_normal((12, 3)), np.eye(2)[rng.integers(0, 2, 12)])
    optimizer = flows.GradientDescent(1.6)
    models = [flows.GradientFlow(), PRINCIPAL]
    run = flows.compare(layered, params, optimizer, models, 4, args=data, mode="per_step")
    assert float(run.trajectories["PrincipalFlow"].diagnostics["largest_h_lambda"].min()) > 1
    errors = run.relative_errors
    assert np.median(errors["PrincipalFlow"][1:]) < 0.5 * np.median(errors["GradientFlow"][1:])
