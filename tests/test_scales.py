"""Losses in any units: float32 from 1e-30 to 1e30, where squares and products under- or overflow.

With a loss ``s E`` and the learning rate ``h / s`` all is as with ``E`` and ``h``: parameters are
the same, times are divided by ``s``, eigenvalues multiplied with it.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import flows
from flows._vectors import norm

SCALES = [1e-30, 1e-20, 1.0, 1e18, 1e30]
EIGENVALUES = np.array([5.0, 3.0, 1.0, 0.25])
START = np.array([1.0, -0.5, 0.7, 0.3])
H, STEPS = 0.1, 12
# Some roundings of float32 a step.
CLOSE = 1e-5
at_all_scales = pytest.mark.parametrize("s", SCALES)


def quadratic(x, s):
    return s * (jnp.sum(jnp.asarray(EIGENVALUES, x.dtype) * x**2) / 2)


def cubic(x, s):
    return s * (jnp.sum(jnp.asarray(EIGENVALUES, x.dtype) * x**2) / 2 + jnp.sum(x) ** 3 / 30)


def single(value):
    return jnp.asarray(value, jnp.float32)


def descent(s, h=H):
    return flows.GradientDescent(single(h / s))


def solved(flow, s, steps=STEPS):
    return flows.solve(quadratic, single(START), descent(s), flow, steps, args=single(s))


def gradients(points):
    return np.linalg.norm(EIGENVALUES * points, axis=-1)


@at_all_scales
def test_iterates_and_their_records(s):
    run = flows.iterate(quadratic, single(START), descent(s), STEPS, args=single(s))
    assert run.successful
    points = (1 - H * EIGENVALUES) ** np.arange(STEPS + 1)[:, None] * START
    assert np.asarray(run.params) == pytest.approx(points, rel=CLOSE)
    assert np.asarray(run.grad_norm) / s == pytest.approx(gradients(points), rel=CLOSE)
    losses = np.sum(EIGENVALUES * points**2, axis=1) / 2
    assert np.asarray(run.loss, float) / s == pytest.approx(losses, rel=CLOSE)
    lengths = H * gradients(points[:-1])
    assert np.asarray(run.diagnostics["step_length"])[1:] == pytest.approx(lengths, rel=1e-4)


@at_all_scales
@pytest.mark.parametrize(
    ("flow", "rates"),
    [
        (flows.GradientFlow(), H * EIGENVALUES),
        (flows.ModifiedFlow(2), H * EIGENVALUES * (1 + H * EIGENVALUES / 2)),
        (flows.PrincipalFlow(curvature=flows.Dense()), -np.log(1 - H * EIGENVALUES)),
    ],
    ids=lambda value: value.name if isinstance(value, flows.AbstractFlow) else "",
)
def test_flows_on_a_quadratic(flow, rates, s):
    run = solved(flow, s)
    assert run.successful
    points = np.exp(-rates * np.arange(STEPS + 1)[:, None]) * START
    assert np.asarray(run.params) == pytest.approx(points, abs=CLOSE)
    assert np.asarray(run.grad_norm) / s == pytest.approx(gradients(points), rel=1e-4)


@at_all_scales
@pytest.mark.parametrize("kind", ["Dense", "Krylov"])
def test_the_principal_field(kind, s):
    flow = flows.PrincipalFlow(curvature=getattr(flows, kind)())
    field = flows.vector_field(quadratic, single(START), descent(s, 0.3), flow, args=single(s))
    z = 0.3 * EIGENVALUES
    expected = np.log(1 - z + 0j) / z * EIGENVALUES * START
    # On the branch in use the logarithm of a negative number has the imaginary part pi.
    assert np.asarray(field) / s == pytest.approx(expected, rel=CLOSE)


@pytest.mark.parametrize(
    "flow",
    [
        *map(flows.ModifiedFlow, (2, 3, 4, 5)),
        flows.PrincipalFlow(correction="third-order"),
        flows.PrincipalFlow(correction="cubic", curvature=flows.Dense()),
        flows.PrincipalFlow(correction="cubic", branch="real", curvature=flows.Krylov()),
        flows.RodFlow(),
    ],
    ids=lambda flow: f"{flow.name}",
)
def test_fields_with_higher_derivatives(flow):
    exact = flows.vector_field(
        cubic, jnp.asarray(START), flows.GradientDescent(H), flow, args=jnp.asarray(1.0)
    )
    for s in SCALES:
        field = flows.vector_field(cubic, single(START), descent(s), flow, args=single(s))
        assert np.asarray(field, complex) / s == pytest.approx(np.asarray(exact), rel=1e-4)


@at_all_scales
@pytest.mark.parametrize("length", [1e-15, 1e15])
def test_small_and_large_parameters(length, s):
    # The error of an integration is measured in the units of the parameters.
    s = s if 1e-38 < s * length**2 < 1e38 else 1.0
    flow = flows.ModifiedFlow(2)
    run = flows.solve(quadratic, single(START * length), descent(s), flow, STEPS, args=single(s))
    rates = H * EIGENVALUES * (1 + H * EIGENVALUES / 2)
    points = np.exp(-rates * np.arange(STEPS + 1)[:, None]) * START
    assert np.asarray(run.params) / length == pytest.approx(points, abs=CLOSE)


@at_all_scales
def test_a_flow_beside_its_iterates(s):
    run = flows.compare(
        quadratic, single(START), descent(s), [flows.GradientFlow()], STEPS, args=single(s)
    )
    n = np.arange(STEPS + 1)[:, None]
    apart = ((1 - H * EIGENVALUES) ** n - np.exp(-H * EIGENVALUES * n)) * START
    expected = np.linalg.norm(apart, axis=1)
    assert np.asarray(run.errors["GradientFlow"]) == pytest.approx(expected, abs=CLOSE)


@at_all_scales
def test_sharpness_and_eigenpairs(s):
    point, args = single(START), single(s)
    assert float(flows.sharpness(quadratic, point, args=args)) / s == pytest.approx(5, rel=CLOSE)
    values, vectors, residuals = flows.top_eigenpairs(quadratic, point, k=2, args=args)
    assert np.asarray(values) / s == pytest.approx([5, 3], rel=CLOSE)
    assert np.abs(np.asarray(vectors)) == pytest.approx(np.eye(2, 4), abs=CLOSE)
    assert np.asarray(residuals) / s == pytest.approx(0, abs=1e-4)


def at_the_edge(p, s):
    return s * ((2 / H + p[1]) * p[0] ** 2 / 2 - 0.3 * p[1])


@at_all_scales
def test_an_oscillation_at_the_edge(s):
    # At y = 0 the variance of x is 2 c, which holds y there: H Sigma H is (2 / h)^2 2 c beside c^2.
    run = flows.solve(
        at_the_edge,
        jnp.zeros(2, jnp.float32),
        descent(s),
        flows.CentralFlow(size=3),
        4,
        args=single(s),
    )
    assert run.successful
    expected = np.sqrt((2 / H) ** 2 * 0.6 + 0.3**2)
    assert float(run.diagnostics["predicted_grad_norm"][-1]) / s == pytest.approx(
        expected, rel=1e-3
    )
    # Variances are in units of loss, those of x times 1 / h.
    variance = float(run.diagnostics["predicted_variances"][-1, 0]) / s
    assert variance == pytest.approx(0.6 / H, rel=1e-3)


@at_all_scales
def test_the_errors_of_stability_coefficients(s):
    point, args = jnp.ones(200, jnp.float32), single(s)
    report = flows.stability_coefficients(many, point, descent(s), k=2, args=args)
    assert np.asarray(report.eigenvalues) / s == pytest.approx(MANY[:-3:-1], rel=CLOSE)
    assert 0 <= float(report.residuals.max()) / s < 1e-4


def slanted(w, examples):
    return jnp.mean(examples @ w) / jnp.linalg.norm(w)


@at_all_scales
def test_the_noise_of_an_intrinsic_flow(s):
    # Per step the logarithm of the squared norm grows by h^2 Tr Sigma / |w|^4.
    examples = np.random.default_rng(0).normal(size=(16, 3))
    w = np.array([1.0, 0.5, -0.5])
    unit = w / np.linalg.norm(w)
    across = examples - (examples @ unit)[:, None] * unit
    trace = np.sum((across - across.mean(0)) ** 2) / 16 / 4
    optimizer = flows.SGD(single(H / s), batch_size=4, sampling="replacement")
    problem = flows.Problem(flows.Objective(slanted, single(s * examples)), optimizer)
    flow = flows.IntrinsicFlow()
    at = flows.At(jnp.asarray(0), single(0))
    state = optimizer.init(single(w), jax.random.key(0))
    velocity = flow.velocity(problem, at, flow.start(problem, state, at))
    assert float(velocity.log_square) == pytest.approx(H**2 * trace / (w @ w) ** 2, rel=1e-4)


MANY = np.linspace(0.1, 5.0, 200)


def many(x, s):
    return s * (jnp.sum(jnp.asarray(MANY, x.dtype) * x**2) / 2)


@at_all_scales
def test_iterated_eigenpairs(s):
    point, args = jnp.ones(200, jnp.float32), single(s)
    pairs = flows.top_eigenpairs(many, point, k=2, args=args)
    assert np.asarray(pairs.values) / s == pytest.approx(MANY[:-3:-1], rel=CLOSE)
    assert 0 < float(pairs.residuals.max()) / s < 5 * 2.5e-5


@at_all_scales
def test_tracking(s):
    point = jnp.ones(200, jnp.float32)
    report = flows.track(many, [point, point / 2], learning_rate=H / s, k=2, args=single(s))
    assert np.asarray(report.eigenvalues) / s == pytest.approx(
        np.tile(MANY[:-3:-1], (2, 1)), rel=1e-4
    )
    lengths = np.linalg.norm(MANY) / np.array([1, 2])
    assert np.asarray(report.grad_norm) / s == pytest.approx(lengths, rel=CLOSE)
    drift = np.linalg.norm(MANY**2) / np.linalg.norm(MANY)
    assert np.asarray(report.drift) / s == pytest.approx([drift, drift], rel=CLOSE)
    assert bool(np.all(report.converged))


def test_products_by_differences():
    objective = flows.Objective(cubic, product="difference")
    exact = flows.vector_field(
        cubic, jnp.asarray(START), flows.GradientDescent(H), flows.ModifiedFlow(2), args=1.0
    )
    for s in SCALES:
        field = flows.vector_field(
            objective, single(START), descent(s), flows.ModifiedFlow(2), args=single(s)
        )
        # Four digits of the term with the product.
        assert np.asarray(field) / s == pytest.approx(np.asarray(exact), rel=1e-4)


@pytest.mark.parametrize("length", [4e-38, 1e-30, 1e-20, 1.0, 1e18, 1e30, 4e37])
def test_the_norm(length):
    # Without an intermediate number that is none.
    tree = {"a": single([3 * length, 0]), "b": single(4 * length) * (1 + 0j).real}
    with jax.debug_nans(True), jax.debug_infs(True):
        for function in (norm, jax.jit(norm)):
            value = function(tree)
            assert value.dtype == jnp.float32
            assert float(value) == pytest.approx(5 * length, rel=1e-6)
        slope = jax.grad(norm)(tree)
        assert np.asarray(slope["a"]) == pytest.approx([0.6, 0], rel=1e-6)
        turned = jnp.asarray([3 * length, 4j * length], jnp.complex64)
        assert norm(turned).dtype == jnp.float32
        assert float(norm(turned)) == pytest.approx(5 * length, rel=1e-6)


def test_the_norm_of_what_is_zero_or_not_finite():
    assert float(norm(jnp.zeros(3))) == 0
    assert np.asarray(jax.grad(norm)(jnp.zeros(3))).tolist() == [0, 0, 0]
    rows = jnp.array([[3.0, 4.0], [0.0, 0.0], [3e200, 4e200]])
    assert np.asarray(jax.vmap(norm)(rows)) == pytest.approx([5, 0, 5e200])
    for wrong in (jnp.inf, -jnp.inf, jnp.nan):
        assert not np.isfinite(norm(jnp.array([1.0, wrong])))
    # The second derivative of a length: what turns it, over the length.
    second = np.asarray(jax.hessian(norm)(single([3e-12, 4e-12])))
    assert second * 5e-12 == pytest.approx(np.array([[0.64, -0.48], [-0.48, 0.36]]), rel=1e-5)


def test_a_unit_changes_no_bit_of_an_ordinary_norm():
    x = np.random.default_rng(0).normal(size=(200, 7)) * 10.0 ** np.linspace(-8, 8, 200)[:, None]
    rows = single(x)
    plain = jax.jit(jax.vmap(lambda row: jnp.sqrt(jnp.sum(row * row))))(rows)
    assert np.asarray(jax.jit(jax.vmap(norm))(rows)).tolist() == np.asarray(plain).tolist()
