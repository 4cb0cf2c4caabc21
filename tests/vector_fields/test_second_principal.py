"""The principal flow with its cubic term: all terms with one third derivative."""

import itertools as it

import diffrax as dfx
import jax
import jax.flatten_util
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
import sympy
from helpers import rosenbrock, tanh_network

import flows

DENSE = flows.Dense()
SECOND = flows.PrincipalFlow(correction="cubic", curvature=DENSE)
BANANA = jnp.array([-0.5, 0.5])
NETWORK, NETWORK_START = tanh_network()


def field(loss, x, rate, branch="continued", curvature=DENSE):
    flow = flows.PrincipalFlow(branch, "cubic", curvature)
    return np.asarray(flows.vector_field(loss, x, flows.GradientDescent(rate), flow))


@pytest.mark.parametrize(
    ("loss", "x", "rate", "branch", "expected"),
    [
        (rosenbrock, BANANA, 1e-3, "continued", [-56.1830736619, -62.528753213]),
        (rosenbrock, BANANA, 2e-3, "continued", [-69.7839192266, -83.0952605595]),
        (
            rosenbrock,
            BANANA,
            5e-3,
            "continued",
            [20.5588102787 + 25.0961299574j, 8.7778109476 + 144.069741064j],
        ),
        (rosenbrock, BANANA, 5e-3, "real", [20.5588102787, 8.7778109476]),
        (rosenbrock, BANANA, 7e-3, "real", [24.0743108157, 14.7158905943]),
        (jnp.cos, jnp.array(1.0), 0.5, "continued", 0.73721384840123),
        (jnp.cos, jnp.array(2.5), 1.9, "continued", -0.31889170225719 - 1.5505510683937j),
        (lambda x: x**4 / 4, jnp.array(1.0), 0.05, "continued", -1.085185071347),
    ],
)
def test_field_of_the_reference(loss, x, rate, branch, expected):
    # The reference prints ten to fourteen digits.
    assert field(loss, x, rate, branch) == pytest.approx(np.array(expected), rel=1e-11)


# A second derivation, in mpmath: not the sum over the eigenbasis, but the logarithm of the step
# map as a linear map on polynomials of degree two.


def random_cubic(n, seed):
    """A cubic polynomial in `n` variables, as a function for JAX and with exact derivatives."""
    random = np.random.default_rng(seed)
    symbols = sympy.symbols(f"x:{n}", real=True)
    terms = [
        sympy.Rational(int(random.integers(-20, 21)), 10) * sympy.prod(monomial)
        for degree in (1, 2, 3)
        for monomial in it.combinations_with_replacement(symbols, degree)
    ]
    polynomial = sum(terms)
    function = sympy.lambdify([symbols], polynomial, "jax")
    point = [sympy.Rational(int(random.integers(-10, 11)), 10) for _ in range(n)]

    def derivative(*along):
        value = sympy.diff(polynomial, *along) if along else polynomial
        return value.subs(dict(zip(symbols, point, strict=True)))

    gradient = [derivative(a) for a in symbols]
    hessian = [[derivative(a, b) for a in symbols] for b in symbols]
    third = [[[derivative(a, b, c) for a in symbols] for b in symbols] for c in symbols]
    return function, jnp.array([float(x) for x in point]), gradient, hessian, third


def field_by_the_logarithm_of_the_step_map(gradient, hessian, third, rate):
    """``log`` of the step map to first order in the third derivative, at the point itself.

    About the critical point of the quadratic part the step is ``u -> M u - (h/2) T[u - v, u - v]``.
    On the monomials 1, u_i, u_j u_k it acts as a matrix, exactly to first order in T: the
    derivative of its logarithm by the size of T is a difference here, with a step of 1e-30.
    """
    with mp.workdps(90):
        n = len(gradient)
        number = lambda x: mp.mpf(x.p) / x.q  # noqa: E731
        g = mp.matrix([number(x) for x in gradient])
        H = mp.matrix([[number(x) for x in row] for row in hessian])
        T = np.array([[[number(x) for x in row] for row in rows] for rows in third])
        h = mp.mpf(rate)
        v = mp.lu_solve(H, g)
        M = mp.eye(n) - h * H
        pairs = list(it.combinations_with_replacement(range(n), 2))
        size = 1 + n + len(pairs)

        mu = [M[0, 0]] if n == 1 else list(mp.eigsy(M, eigvals_only=True))
        a = [mp.log(x) if x > 0 else mp.log(-x) + 1j * mp.pi for x in mu]
        known = [(mp.mpf(1), mp.mpf(0)), *zip(mu, a, strict=True)]
        known += [(mu[j] * mu[k], a[j] + a[k]) for j, k in pairs]

        def step_map(scale):
            C = mp.zeros(size)
            C[0, 0] = 1
            for i in range(n):
                # -(h/2) T[u - v, u - v] = -(h/2) (T[u, u] - 2 T[u, v] + T[v, v])
                C[1 + i, 0] = (
                    -h
                    / 2
                    * scale
                    * sum(T[i, j, k] * v[j] * v[k] for j in range(n) for k in range(n))
                )
                for j in range(n):
                    drift = sum(T[i, j, k] * v[k] for k in range(n))
                    C[1 + i, 1 + j] = M[i, j] + h * scale * drift
                for place, (j, k) in enumerate(pairs):
                    C[1 + i, 1 + n + place] = -h / 2 * scale * T[i, j, k] * (1 if j == k else 2)
            for row, (i, j) in enumerate(pairs):
                for place, (k, l) in enumerate(pairs):
                    value = M[i, k] * M[j, l]
                    C[1 + n + row, 1 + n + place] = value if k == l else value + M[i, l] * M[j, k]
            return C

        def generator(scale):
            values, vectors = mp.eig(step_map(scale))
            logs = []
            for value in values:
                near, log = min(known, key=lambda pair: abs(pair[0] - value))
                logs.append(log + mp.log(value / near))
            return vectors * mp.diag(logs) * mp.inverse(vectors)

        small = mp.mpf(10) ** -30
        base, moved = generator(mp.mpf(0)), generator(small)
        full = base + (moved - base) / small
        monomials = mp.matrix([1, *v, *(v[j] * v[k] for j, k in pairs)])
        return np.array([complex(x / h) for x in (full * monomials)[1 : 1 + n]])


@pytest.mark.parametrize(
    ("n", "rate"),
    [
        (1, 0.1),
        (2, 0.15),
        (3, 0.05),
        pytest.param(3, 0.3, marks=pytest.mark.slow),
        pytest.param(4, 0.2, marks=pytest.mark.slow),
    ],
)
def test_against_the_logarithm_of_the_step_map(n, rate):
    function, x, *derivatives = random_cubic(n, seed=n)
    expected = field_by_the_logarithm_of_the_step_map(*derivatives, rate)
    scale = np.abs(expected).max()
    assert np.abs(field(function, x, rate) - expected).max() < 1e-12 * scale
    # The two-step form is its real part.
    assert np.abs(field(function, x, rate, "real") - expected.real).max() < 1e-12 * scale


# Steps and trajectories.


def polynomial(x):
    """Three variables, mixed derivatives up to the fifth."""
    return jnp.sum(x**2) / 2 + x[0] * x[1] ** 2 * x[2] + x[0] ** 3 * x[1] / 3 + x[2] ** 5 / 5


def slope(steps, errors):
    return np.polyfit(np.log(steps), np.log(np.asarray(errors)), 1)[0]


@pytest.mark.parametrize(
    ("loss", "start", "smallest"),
    [
        (rosenbrock, BANANA, 1e-4),
        (polynomial, jnp.array([0.7, -0.5, 0.6]), 0.02),
        pytest.param(NETWORK, NETWORK_START, 0.02, marks=pytest.mark.slow),
    ],
    ids=["rosenbrock", "polynomial", "network"],
)
def test_order_of_one_step(loss, start, smallest):
    rates = jnp.asarray(smallest * 2.0 ** np.arange(3))

    @jax.jit
    def error(rate):
        optimizer = flows.GradientDescent(rate)
        run = flows.compare(loss, start, optimizer, SECOND, 1, mode="per_step")
        return run.errors[SECOND.name][1]

    errors = [float(error(rate)) for rate in rates]
    assert slope(rates, errors) == pytest.approx(5, abs=0.15)
    if loss is rosenbrock:
        assert errors[0] == pytest.approx(2.734e-11, rel=0.02)


def quadratic(x, data):
    matrix, linear = data
    return x @ matrix @ x / 2 + linear @ x


@pytest.mark.slow
@pytest.mark.parametrize(
    ("branch", "curvature"), [("continued", DENSE), ("real", flows.Krylov(8))], ids=str
)
def test_quadratics_are_exact(branch, curvature):
    # Singular, repeated, indefinite, 1 and 2 exactly, and far beyond.
    spectrum = np.array([0.0, 0.0, 0.3, 1.0, 1.5, 1.5, 2.0, -0.5, 3.5])
    random = np.random.default_rng(3)
    basis = np.linalg.qr(random.normal(size=(9, 9)))[0]
    data = (basis * spectrum @ basis.T, random.normal(size=9))
    start = jnp.asarray(random.normal(size=9))
    flow = flows.PrincipalFlow(branch, "cubic", curvature)
    run = flows.compare(quadratic, start, flows.GradientDescent(1.0), flow, 4, args=data)
    largest = np.abs(np.asarray(run.iterates.params)).max()
    assert float(run.errors[flow.name].max()) < 1e-9 * largest


@pytest.mark.slow
def test_away_from_resonance_it_is_far_closer_than_the_principal_flow():
    optimizer = flows.GradientDescent(0.5)
    start = flows.iterate(NETWORK, NETWORK_START, optimizer, 24).final_params
    principal = flows.PrincipalFlow(curvature=DENSE)
    run = flows.compare(
        NETWORK,
        start,
        optimizer,
        [principal, SECOND],
        3,
        mode="per_step",
        solver=dfx.Tsit5(),
        stepsize_controller=dfx.ConstantStepSize(),
        dt0=1 / 6,
    )
    at = run.trajectories[SECOND.name].diagnostics
    assert float(at["largest_h_lambda"].min()) > 1.6
    assert float(at["resonance_distance"].min()) > 1e3
    medians = {name: flow["median_relative_error"] for name, flow in run.summary()["flows"].items()}
    assert medians[SECOND.name] < medians["PrincipalFlow"] / 30


TWO_STEP = flows.PrincipalFlow("real", "cubic", DENSE)


@pytest.mark.slow
def test_the_two_step_form_follows_through_the_edge_of_stability():
    # The reference's table: from iterate 500, forty steps, RK4 with six steps in two.
    optimizer = flows.GradientDescent(0.5)
    start = flows.iterate(NETWORK, NETWORK_START, optimizer, 500).final_params
    models = [TWO_STEP, flows.PrincipalFlow("real", curvature=DENSE), flows.GradientFlow()]
    run = flows.compare(
        NETWORK,
        start,
        optimizer,
        models,
        40,
        solver=dfx.Tsit5(),
        stepsize_controller=dfx.ConstantStepSize(),
        dt0=1.0,
    )
    ends = [float(run.errors[flow.name][-1]) for flow in models]
    for end, printed in zip(ends, (2.6e-5, 2.4e-3, 2.4e-3), strict=True):
        assert printed / 2 < end < 2 * printed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("iterate", "principal", "second"),
    [(10, 5.2e-3, 6.0e-5), (465, 4.5e-3, 2.0e-5), (150, 1.9e-1, 1.9e-2)],
)
def test_two_steps_of_the_reference(iterate, principal, second):
    optimizer = flows.GradientDescent(0.5)
    start = flows.iterate(NETWORK, NETWORK_START, optimizer, iterate).final_params
    models = [TWO_STEP, flows.PrincipalFlow("real", curvature=DENSE)]
    run = flows.compare(
        NETWORK,
        start,
        optimizer,
        models,
        2,
        mode="per_step",
        solver=dfx.Tsit5(),
        stepsize_controller=dfx.ConstantStepSize(),
        dt0=1 / 4,
    )
    length = float(run.iterates.diagnostics["step_length"][1])
    errors = [float(run.errors[flow.name][2]) / length for flow in models]
    # Printed with two digits.
    assert errors == pytest.approx([second, principal], rel=0.05)


def test_where_the_two_step_form_fails():
    # A two-cycle whose sharpness changes along it: terms with two third derivatives decide.
    loss, optimizer = (lambda x: x**2 / 2 + x**3 / 3), flows.GradientDescent(2.1)
    run = flows.compare(loss, jnp.array(0.1), optimizer, TWO_STEP, 2)
    assert float(run.iterates.params[2]) == pytest.approx(0.10806, abs=1e-5)
    assert float(run.trajectories[TWO_STEP.name].params[2]) == pytest.approx(0.1447, abs=1e-4)


# Resonance: one direction at h lambda = 2 drives a flat one.


def resonant(x):
    return x[0] + x[0] ** 2 + x[0] ** 2 * x[1] / 2


@pytest.mark.parametrize(
    ("curvature", "mode"),
    [
        pytest.param(DENSE, "trajectory", id="Dense"),
        pytest.param(flows.Krylov(4), "per_step", id="Krylov", marks=pytest.mark.slow),
    ],
)
def test_a_pole_is_a_result_code(curvature, mode):
    flow = flows.PrincipalFlow(correction="cubic", curvature=curvature)
    run = flows.compare(
        resonant, jnp.zeros(2), flows.GradientDescent(1.0), flow, 3, mode=mode, throw=False
    )
    found = run.trajectories[flow.name]
    assert float(found.diagnostics["resonance_distance"][0]) == 0
    assert not found.successful
    assert found.result == flows.RESULTS.flow_ended
    assert int(found.last_step) == 0


@pytest.mark.slow
@pytest.mark.parametrize("curvature", [DENSE, flows.Krylov(4)], ids=str)
def test_the_distance_from_a_pole(curvature):
    # mu = -1.02 over a flat direction: |mu^2 - 1| over pi |T v^2|, relative to the field.
    h, b, T = 1.01, 1.0, 1.0
    flow = flows.PrincipalFlow(correction="cubic", curvature=curvature)
    run = flows.compare(
        resonant, jnp.zeros(2), flows.GradientDescent(h), flow, 1, mode="per_step", throw=False
    )
    z = 2 * h
    field = abs(np.log(z - 1) + 1j * np.pi) / z * b
    weight = np.pi * h**2 * T * (b / z) ** 2
    expected = (z**2 - 2 * z) * field / weight
    found = run.trajectories[flow.name].diagnostics["resonance_distance"][0]
    assert float(found) == pytest.approx(expected, rel=1e-9)
    assert expected < 0.1
    # It is 0.08: the field is finite, and would be off by twelve times its size.
    assert run.trajectories[flow.name].result == flows.RESULTS.flow_ended
    velocity = flows.vector_field(resonant, jnp.zeros(2), flows.GradientDescent(1.05), flow)
    assert np.all(np.isfinite(velocity))
    # The real branch has no pole, and no such diagnostic.
    real = flows.PrincipalFlow("real", "cubic", curvature)
    run = flows.compare(resonant, jnp.zeros(2), flows.GradientDescent(1.0), real, 2)
    assert "resonance_distance" not in run.trajectories[real.name].diagnostics
    assert run.successful


def bumpy(tree):
    x = jnp.concatenate([tree["a"], tree["b"].ravel()])
    return jnp.sum(jnp.cos(x)) + jnp.prod(x[:2]) + jnp.sum(x**2) * x[3]


@pytest.mark.parametrize("branch", ["continued", "principal", "real"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-11), ("float32", 2e-5)])
def test_trees_dtypes_jit_and_vmap(branch, dtype, tolerance):
    tree = {"a": jnp.array([0.3, -0.2]), "b": jnp.array([[0.5, 0.9]])}
    flat, unravel = jax.flatten_util.ravel_pytree(tree)
    rates, flow = jnp.array([0.1, 0.9]), flows.PrincipalFlow(branch, "cubic")
    cast = jax.tree.map(lambda leaf: leaf.astype(dtype), tree)

    @jax.jit
    @jax.vmap
    def together(rate):
        return flows.vector_field(bumpy, cast, flows.GradientDescent(rate), flow)

    velocities = together(rates)
    assert velocities["b"].shape == (2, 1, 2)
    kind = np.dtype(dtype) if branch == "real" else np.result_type(dtype, np.complex64)
    assert velocities["a"].dtype == kind
    for place, rate in enumerate(rates):
        one = jax.tree.map(lambda leaf, place=place: leaf[place], velocities)
        expected = field(lambda x: bumpy(unravel(x)), flat, float(rate), branch)
        found = np.asarray(jax.flatten_util.ravel_pytree(one)[0])
        assert np.abs(found - expected).max() < tolerance * np.abs(expected).max()


def test_names():
    assert SECOND.name == "PrincipalFlow(cubic)"
    assert TWO_STEP.name == "PrincipalFlow(real, cubic)"
    assert (SECOND.stride, TWO_STEP.stride) == (1, 2)
