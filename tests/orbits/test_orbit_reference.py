"""More known orbits: half-widths past the threshold, jumps between wells, deep linear networks."""

import contextlib
import io
import pathlib
import re

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import flows

PAGE = pathlib.Path(flows.__file__).parent.parent / "docs" / "orbits.md"


def flip_example(w):
    x, y = w
    return x**2 + y**2 / 2 + x**2 * y + x**4 / 10 + x * y**2 / 5


def one_minus_cosine(x):
    return 1 - jnp.cos(x)


def root_cubed(x):
    return 2 / 3 * jnp.abs(x) ** 1.5


def half_width(points):
    return np.linalg.norm(points[0] - points[1]) / 2


def test_half_widths_in_two_dimensions():
    """Of sqrt((h lam - 2) / c) with c = 8/5 to first order; the cycle itself from the page."""
    rates = np.array([1.0001, 1.001, 1.01])
    predicted = np.sqrt((2 * rates - 2) / 1.6)

    def find(h, width):
        start = jnp.stack([width, jnp.zeros_like(width)])
        return flows.find_cycle(flip_example, start, flows.GradientDescent(h), 2)

    cycles = jax.vmap(find)(jnp.asarray(rates), jnp.asarray(predicted))
    assert cycles.converged.all()
    widths = np.linalg.norm(cycles.points[:, 0] - cycles.points[:, 1], axis=1) / 2
    np.testing.assert_allclose(widths, [0.01117999, 0.03534430, 0.11145745], atol=6e-9)
    np.testing.assert_allclose(widths, predicted, rtol=5e-3)


@pytest.mark.parametrize(
    ("h", "at", "width", "predicted"),
    [(0.50005, 1.0, 0.00426360, 0.00426401), (0.20002, 2.0, 0.00183549, 0.00183556)],
)
def test_half_widths_of_the_polynomial(h, at, width, predicted):
    loss = flows.problems.nar_sastry().loss
    cycle = flows.find_cycle(loss, jnp.array(at + predicted), flows.GradientDescent(h), 2)
    assert half_width(np.asarray(cycle.points)[:, None]) == pytest.approx(width, abs=1e-8)
    assert bool(cycle.stable)


def test_the_symmetric_cycle_of_the_cosine():
    """2 x = h sin x, up to h = pi: there x = pi / 2, and x -> -Phi(x) flips."""
    cycle = flows.find_cycle(one_minus_cosine, jnp.array(1.4), flows.GradientDescent(3.0), 2)
    x = float(jnp.max(cycle.points))
    assert 2 * x == pytest.approx(3 * np.sin(x), abs=1e-12)
    assert float(cycle.multipliers[0].real) == pytest.approx((1 - 3 * np.cos(x)) ** 2, abs=1e-10)

    def mirrored(h):
        return flows.StepMap(lambda x: h * jnp.sin(x) - x, step_time=h)

    found = flows.find_bifurcation(
        one_minus_cosine, jnp.array(1.5), 3.0, 1, -1.0, optimizer=mirrored
    )
    assert float(found.learning_rate) == pytest.approx(np.pi, abs=1e-9)
    assert float(found.points[0]) == pytest.approx(np.pi / 2, abs=1e-9)


def test_hops_between_the_wells_of_the_cosine():
    """Before h = 4.6033388488 orbits stay within one well, after it they wander."""
    for h, leaves in ((4.59, False), (4.62, True)):
        limit = flows.classify_limit(
            one_minus_cosine, jnp.array(1.0), flows.GradientDescent(h), transient=100_000
        )
        assert (abs(float(limit.params)) > np.pi) == leaves
        assert limit.kind == "chaotic"


def test_random_starts_of_the_three_halves_power():
    """All reach the superstable cycle at h^2 / 4; 0 only from countably many starts."""
    h = 1.0
    starts = jr.uniform(jr.key(4), (1000,), minval=-3.0, maxval=3.0)
    shares = flows.basin_shares(root_cubed, starts, flows.GradientDescent(h))
    assert shares.shares == {"period 2": 1.0}
    np.testing.assert_allclose(np.abs(shares.limits.params), h**2 / 4, atol=1e-15)
    exceptional = flows.classify_limit(root_cubed, jnp.array(h**2), flows.GradientDescent(h))
    assert exceptional.kind == "converged"
    assert float(exceptional.params) == 0
    assert not np.isfinite(exceptional.lyapunov)  # the derivative at 0 is infinite


def pieces(t):
    return jnp.where(jnp.abs(t) <= 2, t**4 / 2 - 3 * t**2 + 8, t**2)


def test_a_singular_step_map_sends_starts_to_a_maximum():
    """At h = 1/2 every |t| > 2 goes to the maximum 0 in one step; at 1/4 no such thing."""
    starts = jnp.array([-9.0, -2.5, 2.5, 9.0])
    shares = flows.basin_shares(pieces, starts, flows.GradientDescent(0.5), steps=16)
    assert shares.shares == {"to 0": 1.0}
    assert float(shares.limits.lyapunov[0]) == pytest.approx(np.log(4), abs=1e-9)  # 1 + 6 / 2
    regular = flows.basin_shares(pieces, starts, flows.GradientDescent(0.25))
    assert regular.share("to 0") == 0


def linear_network(weights, target):
    return jnp.sum((target - weights[1] @ weights[0]) ** 2) / 2


def test_a_deep_linear_network_past_its_threshold():
    """From the identity the modes decouple: the top one is on the double well's two-cycle."""
    mu, h = 2.0, 0.55
    cycle = flows.find_cycle(
        linear_network,
        [1.2 * jnp.eye(2), 1.2 * jnp.eye(2)],
        flows.GradientDescent(h),
        2,
        args=jnp.diag(jnp.array([mu, 1.0])),
        transient=2000,
    )
    products = jnp.einsum("pij,pjk->pik", cycle.points[1], cycle.points[0])
    a = h * mu
    x = (np.sqrt((3 + a) / a) + np.array([-1, 1]) * np.sqrt((a - 1) / a)) / 2
    np.testing.assert_allclose(np.sort(products[:, 0, 0]), mu * x**2, atol=1e-10)
    np.testing.assert_allclose(mu * x**2, [1.326988705688, 2.491193112493], atol=1e-12)
    np.testing.assert_allclose(products[:, 1, 1], 1, atol=1e-10)


def test_parameters_with_parts_that_do_not_move():
    """An Equinox network has its activation among its leaves; a batch of them has it once."""
    x = jnp.linspace(-1.0, 1.0, 4)[:, None]

    def loss(model):
        return jnp.mean((jax.vmap(model)(x) - x) ** 2)

    def network(key):
        return eqx.nn.MLP(1, 1, 2, 1, activation=jnp.tanh, key=key)

    keys = jr.split(jr.key(0), 3)
    options = {"transient": 50, "steps": 16, "max_period": 2}
    diagram = flows.bifurcation_diagram(loss, network(keys[0]), [0.1, 0.2], **options, keep=3)
    assert diagram.limits.params.activation is jnp.tanh
    assert diagram.limits.params.layers[0].weight.shape == (2, 2, 1)
    shares = flows.basin_shares(
        loss, eqx.filter_vmap(network)(keys), flows.GradientDescent(0.1), chunk=2, **options
    )
    assert shares.starts == 3


def test_the_page_runs_and_prints_what_it_shows():
    text = PAGE.read_text()
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "orbits.md", "exec"), {})  # our own page
    shown = {line.strip() for line in text.splitlines() if line.startswith("    ")}
    lines = [line.strip() for line in printed.getvalue().splitlines()]
    # Chaos depends on the compiler in its last digits, and the counts of the diagram on a few.
    certain = [line for line in lines if line and not re.search("chaotic, ", line)]
    assert len(certain) > 12
    for line in certain:
        assert line in shown, line
