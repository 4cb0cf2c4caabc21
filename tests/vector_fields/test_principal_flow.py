"""The principal flow where its answer is known: quadratics, printed values, symmetries, options."""

import diffrax as dfx
import equinox as eqx
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from helpers import assert_close, rosenbrock
from hypothesis import given, settings

import flows
from flows.optimizers import make_problem

# Twelve products: small programs, and enough for every spectrum here.
DENSE, KRYLOV = flows.Dense(), flows.Krylov(num_matvecs=12)
CURVATURES = pytest.mark.parametrize("curvature", [DENSE, KRYLOV], ids=str)
BANANA = jnp.array([-0.5, 0.5])
# h * lambda: the singularity, the edge, zero, repeated, negative and huge ones among them.
THRESHOLDS = (0.3, 0.9, 1.0, 1.5, 1.9, 2.0, 2.1, 3.5)
POOL = (*THRESHOLDS, 0.0, 0.0, -0.5, -2.0, 1e-6, 12.0, 50.0, 1.5)


def quadratic(x, data):
    matrix, centre = data
    return (x - centre) @ matrix @ (x - centre) / 2


def rotated(spectrum, seed):
    n = len(spectrum)
    basis = scipy.stats.ortho_group.rvs(n, random_state=seed) if n > 1 else np.eye(1)
    matrix = basis @ np.diag(spectrum) @ basis.T
    return (matrix + matrix.T) / 2


def run_on_quadratic(spectrum, curvature, seed, steps, h=0.7):
    """A run from a random point, and how far the flow is from the iterates, relative to them."""
    rng = np.random.default_rng(seed)
    matrix = rotated(spectrum, seed) / h
    start = rng.standard_normal(len(spectrum))
    run = flows.compare(
        quadratic,
        start,
        flows.GradientDescent(h),
        flows.PrincipalFlow(curvature=curvature),
        steps,
        args=(matrix, np.zeros(len(spectrum))),
    )
    largest = np.maximum.accumulate(np.linalg.norm(run.iterates.params, axis=1))
    return run, np.asarray(run.errors["PrincipalFlow"]) / largest


@pytest.mark.parametrize("z", THRESHOLDS)
def test_one_dimension(z):
    run, error = run_on_quadratic((z,), DENSE, 0, 50)
    assert error.max() <= 1e-9
    flow = np.asarray(run.trajectories["PrincipalFlow"].params)[:, 0]
    if z == 1:
        # Descent is there in one step; the flow's logarithm is clamped, so nearly.
        assert abs(flow[1]) < 1e-6 * abs(flow[0])
    else:
        exact = flow[0].real * (1 - z) ** np.arange(51)
        assert np.abs(flow - exact).max() <= 1e-9 * np.abs(exact).max()


@pytest.mark.slow
@CURVATURES
@settings(max_examples=4, deadline=None)
@given(
    spectrum=st.lists(st.sampled_from(POOL), min_size=8, max_size=8),
    seed=st.integers(0, 2**31 - 1),
)
def test_rotated_quadratics(curvature, spectrum, seed):
    _, error = run_on_quadratic(spectrum, curvature, seed, 50)
    assert error.max() <= 1e-9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("curvature", "pool", "steps"),
    [(flows.Krylov(num_matvecs=18), POOL, 2), (DENSE, [z for z in POOL if z < 1], 1)],
    ids=str,
)
def test_two_hundred_dimensions(curvature, pool, steps):
    spectrum = np.random.default_rng(0).choice(pool, 200)
    _, error = run_on_quadratic(spectrum, curvature, 0, steps)
    assert error.max() <= 1e-9


@pytest.mark.parametrize("z", [0.5, 1.5, 1.9, 2.1, -1.0])
def test_the_real_branch_is_exact_at_even_steps(z):
    run = flows.compare(
        quadratic,
        jnp.array([0.7]),
        flows.GradientDescent(1.0),
        flows.PrincipalFlow(branch="real"),
        2,
        args=(np.array([[z]]), np.zeros(1)),
    )
    flow = run.trajectories["PrincipalFlow(real)"]
    assert flow.params.dtype == jnp.float64
    assert float(flow.params[2, 0]) == pytest.approx(0.7 * (1 - z) ** 2, rel=1e-9)
    # In between it is one step of descent from where the flow was, not the flow at h.
    assert float(flow.params[1, 0]) == pytest.approx(0.7 * (1 - z), rel=1e-15)


# The published experiments: E = x^T diag(1, 0.01) x from (-0.35, -0.2).
BOWL = (np.diag([2.0, 0.02]), np.zeros(2))
PUBLISHED = jnp.array([-0.35, -0.2])


@pytest.mark.parametrize(
    ("rate", "steps", "end", "modified", "gradient"),
    [
        pytest.param(
            0.9,
            200,
            (-1.45233e-20, -5.28843965e-3),
            -5.29052437e-3,
            -5.46474449e-3,
            marks=pytest.mark.slow,
        ),
        (1.05, 5, (0.5636785, -0.1798636743), -0.179866492, -0.180064905),
    ],
)
def test_the_published_experiments(rate, steps, end, modified, gradient, windows_of):
    windows_of(5)  # one length of window, one program
    models = [flows.GradientFlow(), flows.ModifiedFlow(2), flows.PrincipalFlow()]
    run = flows.compare(quadratic, PUBLISHED, flows.GradientDescent(rate), models, steps, args=BOWL)
    finals = {name: np.asarray(part.final_params) for name, part in run.trajectories.items()}
    assert np.asarray(run.iterates.final_params) == pytest.approx(np.array(end), rel=2e-6)
    assert abs(finals["PrincipalFlow"] - np.array(end)).max() < 6e-8
    assert finals["ModifiedFlow(2)"][1] == pytest.approx(modified, rel=2e-8)
    assert finals["GradientFlow"][1] == pytest.approx(gradient, rel=2e-8)


def test_the_singular_published_setting(windows_of):
    windows_of(5)
    # A learning rate of 0.5 puts h * lambda on the singularity exactly.
    models = [flows.GradientFlow(), flows.ModifiedFlow(2), flows.PrincipalFlow()]
    run = flows.compare(quadratic, PUBLISHED, flows.GradientDescent(0.5), models, 300, args=BOWL)
    assert run.successful
    assert float(run.errors["PrincipalFlow"].max()) < 1e-10


def test_half_a_step_is_halfway_round():
    flow, optimizer = flows.PrincipalFlow(), flows.GradientDescent(1.05)
    problem = flows.Problem(flows.Objective(quadratic, BOWL), optimizer)
    solution = dfx.diffeqsolve(
        dfx.ODETerm(flow.vector_field(problem)),
        dfx.Dopri8(),
        0.0,
        1.05 / 2,
        0.1,
        flow.start(problem, PUBLISHED, None),
        stepsize_controller=dfx.PIDController(rtol=1e-10, atol=1e-12),
    )
    end = jax.tree.map(lambda leaf: leaf[0], solution.ys)
    expected = np.array([-0.3670831j, -0.197888858])
    assert np.asarray(flow.params(problem, None, end)) == pytest.approx(expected, abs=1e-7)


ROSENBROCK = {
    1e-3: (-56.86852598, -62.84058172),
    5e-3: (-9.98600343 + 74.27145973j, -3.97588651 + 94.66455731j),
    1e-2: (7.31962428 + 37.13572987j, 17.22433157 + 47.33227866j),
}
D3GG = np.array([-4530800.0, -883600.0])


@pytest.mark.parametrize(
    ("branch", "correction", "curvature"),
    [
        ("continued", None, DENSE),
        ("continued", "third-order", KRYLOV),
        ("principal", "third-order", DENSE),
        ("principal", None, KRYLOV),
        ("real", None, DENSE),
        ("real", "third-order", KRYLOV),
    ],
)
def test_the_field_on_rosenbrock(branch, correction, curvature):
    flow = flows.PrincipalFlow(branch, correction, curvature)
    for rate, expected in ROSENBROCK.items():
        velocity = flows.vector_field(rosenbrock, BANANA, flows.GradientDescent(rate), flow)
        expected = np.array(expected)
        if branch == "real":
            expected = expected.real
            assert velocity.dtype == jnp.float64
        if correction:
            expected = expected - rate**2 / 12 * D3GG
        # Eight decimals are printed, half a unit of the last may be missing.
        assert np.abs(np.asarray(velocity) - expected).max() < 1e-8


def bumpy(tree):
    """A loss with no symmetry, of parameters in a tree."""
    x = jnp.concatenate([jnp.ravel(tree["matrix"]), tree["pair"][0][None], tree["pair"][1]])
    ramp = jnp.arange(1.0, 8.0).astype(x.dtype)
    return jnp.sum(jnp.cos(x * ramp)) + jnp.tanh(x @ ramp / 7) ** 2 + jnp.sum(x**4) / 9


TREE = {
    "matrix": jnp.array([[0.3, -0.2], [0.5, 0.1]]),
    "pair": (jnp.array(0.7), jnp.array([-0.4, 0.25])),
}


def numpy_field(loss, x, rate, branch, correction):
    """The field from the paper's formula, with numpy's eigenvectors and logarithm."""
    gradient, hessian = np.asarray(jax.grad(loss)(x)), np.asarray(jax.hessian(loss)(x))
    values, vectors = np.linalg.eigh(hessian)
    logarithm = np.log(np.abs(1 - rate * values)).astype(complex)
    if branch != "real":
        logarithm = logarithm + 1j * np.pi * (rate * values > 1)
    velocity = vectors @ (logarithm / (rate * values) * (vectors.T @ gradient))
    if correction:
        third = jax.jacfwd(jax.hessian(loss))(x)
        velocity = velocity - rate**2 / 12 * np.einsum("ijk,i,j", third, gradient, gradient)
    return velocity


# Every pair of options once: branch, curvature, dtype, correction, transformation.
COMBINATIONS = [
    ("continued", DENSE, "float64", None, "jit"),
    ("continued", KRYLOV, "float32", "third-order", "vmap"),
    ("principal", DENSE, "float32", "third-order", "jit"),
    ("principal", KRYLOV, "float64", None, "vmap"),
    ("real", DENSE, "float64", "third-order", "vmap"),
    ("real", KRYLOV, "float32", None, "jit"),
    ("continued", DENSE, "float64", "third-order", "none"),
    ("principal", KRYLOV, "float32", None, "none"),
]


@pytest.mark.parametrize(("branch", "curvature", "dtype", "correction", "how"), COMBINATIONS)
def test_every_pair_of_options(branch, curvature, dtype, correction, how):
    flow = flows.PrincipalFlow(branch, correction, curvature)
    tree = jax.tree.map(lambda leaf: leaf.astype(dtype), TREE)

    def field(rate):
        return flows.vector_field(bumpy, tree, flows.GradientDescent(rate), flow)

    rates = jnp.array([0.01, 0.05])
    if how == "vmap":
        velocities = jax.vmap(field)(rates)
    else:
        wrapped = jax.jit(field) if how == "jit" else field
        velocities = jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(wrapped, rates))
    flat, unravel = jax.flatten_util.ravel_pytree(TREE)
    for place, rate in enumerate(rates):
        velocity, _ = jax.flatten_util.ravel_pytree(
            jax.tree.map(lambda leaf, place=place: leaf[place], velocities)
        )
        kind = np.dtype(dtype) if branch == "real" else np.result_type(dtype, np.complex64)
        assert velocity.dtype == kind
        expected = numpy_field(lambda x: bumpy(unravel(x)), flat, float(rate), branch, correction)
        scale = np.linalg.norm(expected)
        tolerance = 1e-10 if dtype == "float64" else 2e-5
        assert np.abs(np.asarray(velocity) - expected).max() < tolerance * scale


def test_a_tree_flows_as_its_array_does():
    flat, unravel = jax.flatten_util.ravel_pytree(TREE)
    optimizer, flow = flows.GradientDescent(0.05), flows.PrincipalFlow(curvature=DENSE)
    of_tree = flows.solve(bumpy, TREE, optimizer, flow, 2)
    of_array = flows.solve(lambda x: bumpy(unravel(x)), flat, optimizer, flow, 2)
    assert jax.tree.structure(of_tree.final_params) == jax.tree.structure(TREE)
    ravelled, _ = jax.flatten_util.ravel_pytree(of_tree.final_params)
    assert_close(ravelled, of_array.final_params, rtol=1e-8)
    assert float(np.abs(ravelled.imag).max()) > 1e-3  # h * lambda passes 1 here


def moved_banana(x, data):
    basis, centre, factor = data
    return factor * rosenbrock(basis @ x + centre)


def test_rotation_translation_and_scale_of_the_loss():
    # The flow of E(Q x + c) is Q^T (flow - c); with 4 E and h / 4 it is the same path.
    basis = scipy.stats.ortho_group.rvs(2, random_state=5)
    centre, rate = np.array([0.3, -0.1]), 3e-3

    def run(basis, centre, factor):
        start = basis.T @ (BANANA - centre)
        optimizer, data = flows.GradientDescent(rate / factor), (basis, centre, factor)
        return flows.solve(moved_banana, start, optimizer, flows.PrincipalFlow(), 3, args=data)

    plain = run(np.eye(2), np.zeros(2), 1.0)
    turned, steeper = run(basis, centre, 1.0), run(np.eye(2), np.zeros(2), 4.0)
    there = np.asarray(turned.params) @ basis.T + centre
    assert_close(there, np.asarray(plain.params), rtol=1e-8)
    assert_close(steeper.params, plain.params, rtol=1e-8)
    assert_close(steeper.ts, plain.ts / 4, rtol=1e-15)


def test_below_one_everything_stays_real():
    run = flows.compare(rosenbrock, BANANA, flows.GradientDescent(1e-3), flows.PrincipalFlow(), 20)
    flow = run.trajectories["PrincipalFlow"]
    assert (np.asarray(flow.diagnostics["imaginary_part"]) == 0).all()
    assert (np.asarray(flow.params).imag == 0).all()
    assert float(flow.diagnostics["largest_h_lambda"].max()) < 1


def test_diagnostics_on_a_quadratic():
    spectrum = (-3.5, 0.2, 0.7, 1.1, 1.8, 2.6, 0.0, 3.0)  # -3.5 is the largest by modulus only
    for curvature in (DENSE, KRYLOV):
        run, _ = run_on_quadratic(spectrum, curvature, 3, 4)
        flow = run.trajectories["PrincipalFlow"]
        numbers = flow.diagnostics
        assert np.asarray(numbers["largest_h_lambda"]) == pytest.approx(3.0, rel=1e-9)
        assert np.asarray(numbers["singularity_distance"]) == pytest.approx(0.1, rel=1e-7)
        assert np.asarray(numbers["curvature_error"]).max() < 1e-12
        imaginary = np.linalg.norm(np.asarray(flow.params).imag, axis=1)
        assert np.asarray(numbers["imaginary_part"]) == pytest.approx(imaginary)


def test_distance_from_the_singularity_at_a_complex_point():
    """x^2/2 + x^3/6 at x = i, h = 1: the Hessian is 1 + i, so that 1 - h H has modulus 1."""
    flow, optimizer = flows.PrincipalFlow(curvature=DENSE), flows.GradientDescent(1.0)
    problem, x = make_problem(lambda x: x**2 / 2 + x**3 / 6, jnp.zeros(()), optimizer)
    state = eqx.tree_at(lambda y: y.imaginary, flow.start(problem, x, None), jnp.ones(()))
    at = flows.At(jnp.asarray(0), jnp.zeros(()))
    numbers = jax.jit(lambda y: flow.report(problem, at, y))(state)
    assert float(numbers["singularity_distance"]) == pytest.approx(1.0, rel=1e-14)
    assert float(numbers["largest_h_lambda"]) == pytest.approx(1.0, rel=1e-14)
    assert float(numbers["imaginary_part"]) == pytest.approx(1.0, rel=1e-14)


def bowl_of_all(x):
    return jnp.sum(x**2) / 2


@pytest.mark.parametrize(
    ("parameters", "chosen"), [(64, "Dense()"), (65, "Krylov(num_matvecs=24)")]
)
def test_auto_says_what_it_chose(parameters, chosen, tmp_path):
    run = flows.compare(
        bowl_of_all, jnp.ones(parameters), flows.GradientDescent(0.5), flows.PrincipalFlow(), 0
    )
    settings = run.trajectories["PrincipalFlow"].settings
    assert settings["curvature"] == chosen
    again = flows.load(run.save(tmp_path / "run"))
    assert again.trajectories["PrincipalFlow"].settings["curvature"] == chosen
    assert_close(
        again.trajectories["PrincipalFlow"].final_params,
        run.trajectories["PrincipalFlow"].final_params,
    )


def test_what_it_chose_comes_out_of_jit_and_vmap():
    def run(rate):
        return flows.solve(
            bowl_of_all, jnp.ones(3), flows.GradientDescent(rate), flows.PrincipalFlow(), 2
        )

    inside = eqx.filter_jit(run)(jnp.asarray(0.5))
    assert inside.settings["curvature"] == "Dense()"
    many = jax.vmap(run)(jnp.array([0.5, 1.5, 2.5]))
    assert many.settings["curvature"] == "Dense()"
    exact = (1 - np.array([0.5, 1.5, 2.5]))[:, None] ** 2 * np.ones((1, 3))
    assert np.asarray(many.final_params) == pytest.approx(exact, rel=1e-8)


def test_single_precision():
    run = flows.compare(
        quadratic,
        jnp.array([1.0, -0.5], jnp.float32),
        flows.GradientDescent(1.0),
        flows.PrincipalFlow(),
        20,
        args=(np.array([[1.7, 0.3], [0.3, 0.4]], np.float32), np.zeros(2, np.float32)),
    )
    flow = run.trajectories["PrincipalFlow"]
    assert flow.params.dtype == jnp.complex64
    assert flow.loss.dtype == jnp.float32
    # Fifty solver steps, each allowed 1e-5 of a step.
    assert float(run.errors["PrincipalFlow"].max()) < 1e-4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"branch": "exact"}, r"branch must be one of 'continued', 'principal', 'real'"),
        ({"correction": "fourth"}, r"correction must be one of None, 'third-order'"),
        ({"curvature": "krylov"}, r'curvature must be "auto", flows\.Dense\(\) or flows\.Krylov'),
        ({"curvature": flows.Krylov}, r"Write for example curvature=flows\.Krylov\(\)"),
        ({"curvature": int}, r"Write for example curvature=flows\.Krylov\(\)"),
    ],
)
def test_bad_options(arguments, message):
    with pytest.raises(flows.InvalidOptionError, match=message):
        flows.PrincipalFlow(**arguments)


def test_names_and_strides():
    assert flows.PrincipalFlow().name == "PrincipalFlow"
    assert flows.PrincipalFlow("principal").name == "PrincipalFlow(principal)"
    both = flows.PrincipalFlow("real", "third-order")
    assert both.name == "PrincipalFlow(real, third-order)"
    assert (flows.PrincipalFlow().stride, both.stride) == (1, 2)


def with_igamma(x):
    return jnp.sum(x**2 + jax.scipy.special.gammainc(2.0, 1 + x**2))


def test_a_loss_that_cannot_be_continued():
    """Where it must be, past h lambda = 1; below it need not be. The sharpness is 2.7."""
    start = jnp.array([0.4, 0.2])
    with pytest.raises(flows.ContinuationError, match=r"^The primitive `igamma` in the loss \("):
        flows.solve(with_igamma, start, flows.GradientDescent(0.6), flows.PrincipalFlow(), 2)
    for rate, flow in ((0.2, flows.PrincipalFlow()), (0.6, flows.PrincipalFlow("real"))):
        run = flows.compare(with_igamma, start, flows.GradientDescent(rate), flow, 3)
        assert run.successful
