"""Stability coefficients against the reference's numbers, real descent, and dense algebra."""

import functools as ft

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import UnknownOptimizer, assert_close, rosenbrock, tanh_network

import flows
from flows.curvature.spectral_functions import alpha
from flows.stability import REGIMES, stability_coefficients

# Half a unit in the last place of the eight decimals that the reference prints, and a little more.
PRINTED = 5.1e-9
TWO = jnp.array([2.0, 0.02])
START = jnp.array([-0.35, -0.2])
BANANA = jnp.array([-0.5, 0.5])


def bowl(x, eigenvalues=TWO):
    return jnp.sum(eigenvalues * x**2) / 2


def as_printed(actual, expected, atol=PRINTED):
    actual, expected = np.asarray(actual), np.asarray(expected)
    parts = actual.real - expected.real, actual.imag - expected.imag
    return all((np.abs(part) <= atol).all() for part in parts)


@ft.cache  # the same function object compiles once
def tilted(eigenvalues):
    """A quadratic with these eigenvalues whose eigenvectors are not the axes, and the vectors."""
    n = len(eigenvalues)
    v = np.cos(np.arange(n)) / np.linalg.norm(np.cos(np.arange(n)))
    reflection, eigenvalues = jnp.asarray(v), jnp.asarray(eigenvalues, float)

    def loss(x):
        y = x - 2 * reflection.astype(x.dtype) * jnp.dot(reflection.astype(x.dtype), x)
        return jnp.sum(eigenvalues.astype(x.dtype) * y**2) / 2

    return loss, np.eye(n) - 2 * np.outer(v, v)


@pytest.mark.parametrize(
    ("h", "factors", "coefficients", "rates", "total"),
    [
        (
            1.05,
            [0.0453858 + 1.4959965j, -1.0106494],  # printed there: ...493, not rounded
            [-0.0317701 - 1.0471976j, 0.0040426],
            [0.02223904 + 0.73303829j, -1.61704e-5],
            0.02222287,
        ),
        (
            0.9,
            [-0.12396864 + 1.74532925j, -1.00910948],
            [0.08677805 - 1.22173048j, 0.00403644],
            [-0.06074463 + 0.85521133j, -1.61458e-5],
            -0.06076078,
        ),
    ],
)
def test_quadratic_of_the_reference(h, factors, coefficients, rates, total):
    at = stability_coefficients(bowl, START, flows.GradientDescent(h))
    assert np.array_equal(at.eigenvalues, TWO)
    assert np.array_equal(at.eigenvectors, np.eye(2))
    assert np.allclose(at.gradient_components, [-0.7, -0.004], rtol=1e-15)
    for actual, expected in [
        (at.alpha, factors),
        (at.coefficients, coefficients),
        (at.loss_rates, rates),
        (at.loss_rate, total),
    ]:
        assert as_printed(actual, expected, 10 * PRINTED)
    assert float(at.learning_rate) == h
    assert np.array_equal(at.residuals, [0, 0])


def test_rosenbrock():
    # Eigenvalues and alpha as recorded for three learning rates.
    for h, factors in [
        (1e-3, [-1.23692863, -0.97350804]),
        (5e-3, [-0.13594995 + 1.76041488j, -0.88359382]),
        (1e-2, [0.26436971 + 0.88020744j, -0.79706154]),
    ]:
        at = stability_coefficients(rosenbrock, BANANA, flows.GradientDescent(h))
        assert as_printed(at.eigenvalues, [356.91503102, -54.91503102])
        assert as_printed(at.alpha, factors)
        assert at.regimes[1] == "negative curvature"
    velocity = at.coefficients @ at.eigenvectors.astype(complex)
    expected = [7.31962428 + 37.13572987j, 17.22433157 + 47.33227866j]
    assert as_printed(velocity, expected)


def test_regimes():
    # Tenths, so that h * lambda is rounded; the eigenvalues are found, not given.
    z = np.array([3.0, 2.1, 2.0, 1.5, 1.0, 0.5, 0.0, -1.0])
    loss, _ = tilted(tuple(z / 0.1))
    at = stability_coefficients(loss, jnp.ones(8), flows.GradientDescent(0.1))
    assert at.regimes == (
        "unstable complex",
        "unstable complex",
        "edge of stability",
        "complex stable",
        "annihilated in one step",
        "real stable",
        "flat",
        "negative curvature",
    )
    # What the loss does along a direction follows from the regime.
    raising = np.array([r == "unstable complex" for r in at.regimes])
    rates = np.asarray(at.loss_rates.real)
    assert (rates[raising] > 0).all()
    assert (rates[~raising & (z != 2)] < 0).all()
    assert abs(rates[2]) < 1e-12 * abs(rates[0])
    flips = np.asarray(at.alpha.imag)
    assert np.allclose(flips[z > 1], np.pi / z[z > 1])
    assert (flips[z < 1] == 0).all()
    assert np.isfinite(at.alpha).all()


def test_regimes_in_any_unit():
    """Rounding is relative to the largest eigenvalue, be the rates a million or a millionth."""
    v = np.cos(np.arange(6)) / np.linalg.norm(np.cos(np.arange(6)))
    basis = np.eye(6) - 2 * np.outer(v, v)
    z = np.array([3.0, 2 + 1e-9, 2.0, 2 - 1e-9, 1.0, 0.0])
    for h in (1e6, 1e-6):
        matrix = jnp.asarray((basis * z / h) @ basis)
        optimizer = flows.GradientDescent(h)
        at = stability_coefficients(full_bowl, jnp.ones(6), optimizer, args=matrix)
        assert at.regime_codes.tolist() == [6, 6, 5, 4, 3, 1]


def full_bowl(x, matrix):
    return x @ matrix @ x / 2


def test_next_to_a_threshold_is_not_on_it():
    loss = lambda x: bowl(x, jnp.array([2 + 1e-9, 2 - 1e-9, 1 + 1e-9, 1 - 1e-9, 1e-9, -1e-9]))  # noqa: E731
    at = stability_coefficients(loss, jnp.ones(6), flows.GradientDescent(1.0))
    assert at.regime_codes.tolist() == [6, 4, 4, 2, 2, 0]


def test_flat_everywhere():
    at = stability_coefficients(lambda x: jnp.sum(x), jnp.ones(2), flows.GradientDescent(0.3))
    assert at.regimes == ("flat", "flat")
    assert np.array_equal(at.alpha, [-1, -1])
    assert float(at.loss_rate) == -2


def test_loss_that_is_not_finite():
    at = stability_coefficients(
        lambda x: jnp.sum(jnp.log(x)), jnp.zeros(2), flows.GradientDescent(0.3)
    )
    assert at.regimes == ("not finite", "not finite")
    assert np.isnan(at.coefficients).all()


@pytest.fixture(scope="module")
def network():
    loss, start = tanh_network()
    optimizer = flows.GradientDescent(0.5)
    run = flows.iterate(loss, start, optimizer, 170, save_params=True)
    return loss, run.params, optimizer


def test_sum_over_directions_is_the_function_of_the_hessian(network):
    loss, points, optimizer = network
    at = stability_coefficients(loss, points[150], optimizer)
    assert {"unstable complex", "negative curvature"} <= set(at.regimes)
    g, H = np.asarray(jax.grad(loss)(points[150])), np.asarray(jax.hessian(loss)(points[150]))
    values, vectors = np.linalg.eigh((H + H.T) / 2)
    velocity = vectors @ (np.asarray(alpha(0.5 * values)) * (vectors.T @ g))
    assert_close(
        at.coefficients @ at.eigenvectors.astype(complex),
        jnp.asarray(velocity),
        atol=1e-12 * np.abs(velocity).max(),
    )
    assert np.sum(np.asarray(at.loss_rates)) == pytest.approx(g @ velocity, rel=1e-12)
    assert np.allclose(at.gradient_components @ at.eigenvectors, g, atol=1e-14)
    assert np.asarray(at.residuals).max() < 1e-14 * values[-1] * 36


def test_frozen_eigenvectors_predict_the_next_gradient(network):
    """Where the instability of the first direction has grown out of the bulk's drift, and dies."""
    loss, points, optimizer = network
    along = jax.jit(jax.vmap(lambda p: stability_coefficients(loss, p, optimizer, 1)))
    at = along(points[130:170])
    after = jnp.sum(at.eigenvectors[:, 0] * jax.vmap(jax.grad(loss))(points[131:171]), axis=1)
    assert bool(jnp.any(at.regime_codes == 6))
    assert bool(jnp.any(at.regime_codes == 4))

    def error(name):
        missed = after - at.predicted_components[name][:, 0]
        return float(jnp.median(jnp.abs(missed / at.gradient_components[:, 0])))

    assert error("PrincipalFlow") < 0.05
    assert error("GradientFlow") > 1
    assert error("ModifiedFlow(2)") > 1


@pytest.mark.parametrize("h", [0.3, 0.9, 1.05])
def test_one_step_on_a_quadratic(h):
    loss, vectors = tilted((2.0, 1.4, 0.02, -0.3))
    optimizer = flows.GradientDescent(h)
    start = jnp.array([1.0, -2.0, 0.5, 0.7])
    at = stability_coefficients(loss, start, optimizer)
    after = flows.iterate(loss, start, optimizer, 1).final_params
    assert np.allclose(np.abs(at.eigenvectors @ vectors), np.eye(4), atol=1e-14)

    next_components = at.eigenvectors @ jax.grad(loss)(after)
    assert_close(at.predicted_components["PrincipalFlow"], next_components, atol=1e-14)
    z, g = h * at.eigenvalues, at.gradient_components
    assert_close(at.predicted_components["GradientFlow"], jnp.exp(-z) * g)
    assert_close(at.predicted_components["ModifiedFlow(2)"], jnp.exp(-z - z**2 / 2) * g)

    # The rates change by (1 - z)^2 in a step; their integral over it is what the loss changes by.
    integrals = h * at.loss_rates * (((1 - z) ** 2 - 1) / (2 * z)).astype(complex) / at.alpha
    assert np.allclose(integrals, -h * g**2 * (1 - z / 2), rtol=1e-12, atol=1e-15)
    change = float(loss(after) - loss(start))
    assert float(jnp.sum(integrals.real)) == pytest.approx(change, rel=1e-12)


def test_trees_and_data():
    params = {"w": jnp.array([[0.3, -0.2], [0.5, 0.1]]), "b": jnp.array(0.4), "f": jnp.tanh}
    data = np.array([[1.0, 2.0], [0.5, -1.0]])

    def loss(p, x):
        return jnp.mean(p["f"](x @ p["w"] + p["b"]) ** 2)

    at = stability_coefficients(loss, params, flows.GradientDescent(0.5), 3, args=data)
    assert at.eigenvectors["w"].shape == (3, 2, 2)
    assert at.eigenvectors["b"].shape == (3,)
    assert at.eigenvectors["f"] is None

    flat = jnp.array([0.4, 0.3, -0.2, 0.5, 0.1])
    flat_loss = lambda p: loss({"b": p[0], "w": p[1:].reshape(2, 2), "f": jnp.tanh}, data)  # noqa: E731
    other = stability_coefficients(flat_loss, flat, flows.GradientDescent(0.5), 3)
    for name in ("eigenvalues", "alpha", "gradient_components", "loss_rates"):
        assert_close(getattr(at, name), getattr(other, name), rtol=1e-9)


def test_signs_are_fixed():
    # Equal but for rounding: the first entry decides.
    loss = lambda x: (x[0] - x[1]) ** 2 + 3 * (x[0] + x[1]) ** 2 / 7 + 5 * (x[2] + 0.1) ** 2  # noqa: E731
    at = stability_coefficients(loss, jnp.ones(3), flows.GradientDescent(0.1))
    half = np.sqrt(0.5)
    expected = [[0, 0, 1], [half, -half, 0], [half, half, 0]]
    assert np.allclose(at.eigenvectors, expected, atol=1e-14)


def test_jit_and_vmap_over_learning_rates_and_points():
    rates = jnp.array([0.5, 0.9, 1.05])
    points = jnp.stack([START, 2 * START])

    @jax.jit
    def everything(rates, points):
        at = lambda p, h: stability_coefficients(bowl, p, flows.GradientDescent(h))  # noqa: E731
        return jax.vmap(jax.vmap(at, (None, 0)), (0, None))(points, rates)

    batch = everything(rates, points)
    assert batch.coefficients.shape == (2, 3, 2)
    assert batch.loss_rate.shape == (2, 3)
    for i, p in enumerate(points):
        for j, h in enumerate(rates):
            one = stability_coefficients(bowl, p, flows.GradientDescent(h))
            member = jax.tree.map(lambda x, i=i, j=j: x[i, j], batch)
            assert_close(member, one)
            assert member.regimes == one.regimes
            predicted = {k: v[i, j] for k, v in batch.predicted_components.items()}
            assert_close(predicted, one.predicted_components)


def test_new_numbers_compile_nothing():
    calls = []

    def loss(x, a):
        calls.append(1)
        return jnp.sum(a * x**2)

    for h, a in [(0.1, 1.0), (0.2, 2.0)]:
        stability_coefficients(loss, h * START, flows.GradientDescent(h), 1, args=a)
        first = len(calls) if h == 0.1 else first
    assert len(calls) == first > 0


def test_derivative_by_the_learning_rate():
    total = lambda h: stability_coefficients(bowl, START, flows.GradientDescent(h)).loss_rate  # noqa: E731
    slope = (total(0.9 + 1e-5) - total(0.9 - 1e-5)) / 2e-5
    assert float(jax.grad(total)(0.9)) == pytest.approx(float(slope), rel=1e-6)


@pytest.mark.parametrize("x64", [True, False], ids=["x64 on", "x64 off"])
def test_single_precision(x64):
    exact = stability_coefficients(rosenbrock, BANANA, flows.GradientDescent(5e-3))
    with jax.enable_x64(x64):
        start = BANANA.astype(jnp.float32)
        at = stability_coefficients(rosenbrock, start, flows.GradientDescent(5e-3))
        assert all(
            leaf.dtype in (jnp.float32, jnp.complex64) or jnp.issubdtype(leaf.dtype, jnp.integer)
            for leaf in jax.tree.leaves(at)
        )
        assert at.regimes == exact.regimes
        assert np.allclose(at.coefficients, exact.coefficients, rtol=1e-5)
        assert at.predicted_components["GradientFlow"].dtype == jnp.float32
        thresholds = jnp.array([3.0, 2.0, 1.0, 0.0, -1.0], jnp.float32) / 0.1
        at = stability_coefficients(
            lambda x: bowl(x, thresholds), jnp.ones(5, jnp.float32), flows.GradientDescent(0.1)
        )
        assert at.regime_codes.tolist() == [6, 5, 3, 1, 0]


N = 1100
SPECTRUM = np.concatenate([np.linspace(0.5, -0.3, N - 4), [5.0, 3.0, 3.0, 1.5]])


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
def test_many_parameters(dtype):
    loss, vectors = tilted(tuple(SPECTRUM))
    tree = {"a": jnp.linspace(-1, 1, 100, dtype=dtype), "b": jnp.ones((10, 100), dtype)}
    whole = lambda p: loss(jnp.concatenate([p["a"], p["b"].ravel()]))  # noqa: E731
    at = stability_coefficients(whole, tree, flows.GradientDescent(0.6), 4)
    assert at.eigenvectors["b"].shape == (4, 10, 100)
    assert at.regimes == ("unstable complex", "complex stable", "complex stable", "real stable")
    # The stopping rule asks for a residual of eps^(2/3) of the norm; an eigenvalue is better.
    eps = float(jnp.finfo(dtype).eps)
    asked = 2 * 2 * 5.0 * eps ** (2 / 3)
    assert float(at.residuals.max()) < asked
    assert np.allclose(at.eigenvalues, [5, 3, 3, 1.5], rtol=40 * eps)
    u = np.concatenate([at.eigenvectors["a"], at.eigenvectors["b"].reshape(4, -1)], axis=1)
    u = u.astype(float)
    image = (u @ vectors * SPECTRUM) @ vectors.T
    true = np.linalg.norm(image - np.asarray(at.eigenvalues, float)[:, None] * u, axis=1)
    assert np.allclose(at.residuals, true, rtol=1e-3, atol=40 * eps)
    inside = vectors[:, -4:]  # the double eigenvalue has a plane, not two vectors
    assert np.allclose(u @ u.T, np.eye(4), atol=100 * eps)
    gap = 1.0  # from 1.5 down to 0.5, the closest of the others
    assert np.linalg.norm(u - u @ inside @ inside.T, axis=1).max() < asked / gap + 100 * eps
    assert np.abs(u[0] @ inside[:, 0]) == pytest.approx(1, abs=100 * eps)
    assert "have converged" not in str(at)


def test_many_parameters_and_no_curvature():
    at = stability_coefficients(lambda x: jnp.sum(x), jnp.ones(N), flows.GradientDescent(0.5), 2)
    assert at.regimes == ("flat", "flat")
    assert np.isfinite(at.coefficients).all()


def test_derivatives_with_many_parameters():
    spectrum = jnp.asarray(SPECTRUM)

    def rate(h, p, curved):
        loss = lambda x: bowl(x, spectrum) + curved * jnp.sum(x**3)  # noqa: E731
        return stability_coefficients(loss, p, flows.GradientDescent(h), 1).loss_rate

    ones = jnp.ones(N)
    # The eigenvectors do not depend on the learning rate: r = 25 log|1 - 5 h| / (5 h).
    expected = 25 * (1 / (5 * 0.3 - 1) / 0.3 - np.log(5 * 0.3 - 1) / (5 * 0.3**2))
    assert float(jax.jacfwd(rate)(0.3, ones, 0.0)) == pytest.approx(expected, rel=1e-9)
    for derivative in (jax.grad, jax.jacfwd):
        with pytest.raises(flows.InvalidOptionError, match=r"cannot be differentiated. Put jax.l"):
            derivative(rate, 1)(0.3, ones, 1.0)


def test_table():
    loss, _ = tilted(tuple(np.linspace(-1, 5, 15)))
    at = stability_coefficients(loss, jnp.ones(15), flows.GradientDescent(0.5))
    lines = str(at).splitlines()
    assert lines[0].startswith("15 of 15 directions at learning rate 0.5; loss rate ")
    assert lines[2].split("  ")[-1] == "regime"
    assert lines[3].endswith("unstable complex")
    assert lines[3].split()[:2] == ["5.0000e+00", "2.5000"]
    assert lines[-1] == "and 3 more"
    assert len(lines) == 3 + 12 + 1
    # The columns are aligned on their right edges.
    assert (
        len({line.index(regime) for line, regime in zip(lines[3:15], at.regimes, strict=False)})
        == 1
    )
    few = stability_coefficients(loss, jnp.ones(15), flows.GradientDescent(0.5), 2)
    assert "2 of 15 directions" in str(few)
    assert "more" not in str(few)
    for residuals in ([0.0, 1e-3], [1e-3, 0.0]):
        doubtful = eqx.tree_at(lambda at: at.residuals, few, jnp.array(residuals))
        assert "the largest residual is 1.0e-03: not all eigenpairs have converged" in str(doubtful)
    # It is for the largest eigenvalue to say what is large.
    sharp = eqx.tree_at(lambda at: at.eigenvalues, doubtful, jnp.array([1e10, 1.0]))
    assert "residual" not in str(sharp)


def test_messages():
    descent = flows.GradientDescent(0.1)
    with pytest.raises(flows.InvalidOptimizerError, match=r"Write for example flows.GradientDes"):
        stability_coefficients(bowl, START, 0.1)
    with pytest.raises(flows.IncompatibleFlowError, match=r"UnknownOptimizer. Pass flows.Grad"):
        stability_coefficients(bowl, START, UnknownOptimizer())
    with pytest.raises(flows.InvalidOptionError, match="k must be given for 1100 parameters"):
        stability_coefficients(lambda x: jnp.sum(x), jnp.ones(N), descent)
    for k in (0, 3, 1.5, True, "all"):
        with pytest.raises(flows.InvalidOptionError, match="k for 2 parameters must be an integer"):
            stability_coefficients(bowl, START, descent, k)
    with pytest.raises(flows.InvalidOptionError, match="from 1 to 1100, got 1101"):
        stability_coefficients(lambda x: jnp.sum(x), jnp.ones(N), descent, 1101)
    with pytest.raises(flows.InvalidOptionError, match="k for 2 parameters must be an integer"):
        jax.jit(lambda k: stability_coefficients(bowl, START, descent, k))(1)
    with pytest.raises(flows.InvalidParametersError):
        stability_coefficients(bowl, jnp.arange(2), descent)
    with pytest.raises(flows.InvalidLossError):
        stability_coefficients(lambda: 0.0, START, descent)


def test_words_need_one_point_outside_transformations():
    at = lambda p: stability_coefficients(bowl, p, flows.GradientDescent(0.1))  # noqa: E731
    batch = jax.vmap(at)(jnp.stack([START, START]))
    for words in (str, lambda batch: batch.regimes):
        with pytest.raises(flows.InvalidOptionError, match=r"a batch of points of shape \(2,\)"):
            words(batch)
    with pytest.raises(flows.InvalidOptionError, match="or use regime_codes"):
        jax.jit(lambda p: at(p).regimes)(START)
    assert REGIMES[int(batch.regime_codes[0, 0])] == "real stable"


def test_rounding_is_that_of_the_largest_modulus():
    """Beside -1e8 the curvature 1e-9 is rounding, if no positive one is larger."""
    at = flows.stability_coefficients(
        lambda x: (1e-9 * x[0] ** 2 - 1e8 * x[1] ** 2) / 2,
        jnp.ones(2),
        flows.GradientDescent(1.0),
    )
    assert at.regimes == ("flat", "negative curvature")
