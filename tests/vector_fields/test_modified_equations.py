"""ModifiedFlow of every order: exact rational coefficients, a recursion in sympy, and orders."""

import functools as ft
import itertools as it

import diffrax as dfx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy
from helpers import assert_close, quartic, rosenbrock, tanh_network

import flows

ORDERS = (2, 3, 4, 5)
FLOWS = tuple(flows.ModifiedFlow(order) for order in ORDERS)


def coefficients(loss, point):
    """f_2, ..., f_5 at a point: the field is polynomial in h, one power more for each order."""
    at_one = [
        flows.vector_field(loss, point, flows.GradientDescent(1.0), flow)
        for flow in (flows.GradientFlow(), *FLOWS)
    ]
    return [higher - lower for lower, higher in it.pairwise(at_one)]


def polynomial(x):
    return x[0] ** 4 / 4 + x[0] ** 2 * x[1] ** 2 / 2 + x[1] ** 2 / 2 - x[0] * x[1] / 3


def double_well(x):
    return (x**2 - 1) ** 2 / 4


@pytest.mark.parametrize(
    ("loss", "point", "expected"),
    [
        (quartic, 1.0, (-3 / 2, -7 / 2, -39 / 4, -59 / 2)),
        (lambda x: x**3 / 3, 1.0, (-1, -3 / 2, -8 / 3, -31 / 6)),
        (
            jnp.cos,
            1.0,
            (-0.22732435670642042, 0.03223064635640068, 0.02047310023841956, -0.02427954133521233),
        ),
        (
            polynomial,
            (4 / 5, 3 / 5),
            (
                (-25559 / 28125, -7277 / 9375),
                (-4227811 / 2109375, -17454169 / 12656250),
                (-321317179 / 63281250, -997945201 / 316406250),
                (-1630650863989 / 118652343750, -973462733731 / 118652343750),
            ),
        ),
        (
            rosenbrock,
            (-1 / 2, 1 / 2),
            (
                (-7397, -9700),
                (-4256288 / 3, -6617900 / 3),
                (-904616782 / 3, -1493916400 / 3),
                (-934326562256 / 15, -107693430080),
            ),
        ),
    ],
    ids=["quartic", "cubic", "cosine", "polynomial", "rosenbrock"],
)
def test_exact_coefficients(loss, point, expected):
    for got, value in zip(coefficients(loss, jnp.asarray(point)), expected, strict=True):
        # Differences of fields of the size of the next order lose a few digits.
        assert np.asarray(got) == pytest.approx(np.asarray(value), rel=1e-11)


@pytest.mark.parametrize("x", [0.3, 1.2])
def test_double_well(x):
    f1 = -x * (x**2 - 1)
    expected = (
        f1 * (3 * x**2 - 1) / 2,
        f1 * (21 * x**4 - 15 * x**2 + 2) / 6,
        f1 * (3 * x**2 - 1) * (13 * x**4 - 10 * x**2 + 1) / 4,
        f1 * (885 * x**8 - 1315 * x**6 + 635 * x**4 - 115 * x**2 + 6) / 30,
    )
    for got, value in zip(coefficients(double_well, jnp.array(x)), expected, strict=True):
        assert float(got) == pytest.approx(value, rel=1e-12)


def recursion(loss, symbols, order):
    """f_1, ..., f_order by the recursion of backward error analysis, in sympy.

    f_j = - sum_{i=2}^{j} (1/i!) sum_{k_1+...+k_i=j} D_{k_1} ... D_{k_{i-1}} f_{k_i}, where D_k
    differentiates along f_k.
    """
    fields = [sympy.Matrix([-sympy.diff(loss, s) for s in symbols])]

    def sums(i, j):
        if i == 1:
            return fields[j - 1]
        total = sympy.zeros(len(symbols), 1)
        for k in range(1, j - i + 2):
            total += sums(i - 1, j - k).jacobian(symbols) * fields[k - 1]
        return total

    for j in range(2, order + 1):
        terms = [sums(i, j) / sympy.factorial(i) for i in range(2, j + 1)]
        fields.append(-ft.reduce(lambda a, b: a + b, terms))
    return fields


def test_a_random_polynomial_against_the_recursion():
    rng = np.random.default_rng(5)
    symbols = sympy.symbols("x y")
    point = np.array([0.3, -0.2])
    monomials = sorted(sympy.itermonomials(symbols, 4, 2), key=str)
    weights = rng.integers(-3, 4, len(monomials))
    expression = sum(sympy.Rational(int(w), 4) * m for w, m in zip(weights, monomials, strict=True))
    loss = sympy.lambdify([symbols], expression, modules=jnp)
    fields = recursion(expression, symbols, 5)
    values = dict(zip(symbols, map(sympy.Rational, map(str, point)), strict=True))
    got = coefficients(lambda x: loss(tuple(x)), jnp.asarray(point))
    for field, value in zip(fields[1:], got, strict=True):
        expected = np.array([float(entry) for entry in field.subs(values)])
        assert np.asarray(value) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_a_quadratic_gives_the_truncated_logarithm():
    eigenvalues = np.array([2.0, -0.5, 0.0])
    h = 0.3
    for flow, order in zip(FLOWS, ORDERS, strict=True):
        velocity = flows.vector_field(
            lambda x: jnp.sum(jnp.asarray(eigenvalues) * x**2) / 2,
            jnp.ones(3),
            flows.GradientDescent(h),
            flow,
        )
        series = -sum((h * eigenvalues) ** k / k for k in range(1, order + 1)) / h
        assert_close(velocity, jnp.asarray(series), rtol=1e-13, atol=1e-15)


NETWORK, NETWORK_START = tanh_network()


@pytest.mark.parametrize(
    ("loss", "start", "smallest"),
    [
        (lambda x: jnp.sum(jnp.cos(x)), jnp.array([1.0]), 0.02),
        (rosenbrock, jnp.array([-0.5, 0.5]), 2.5e-5),
        (polynomial, jnp.array([0.8, 0.6]), 0.01),
        (NETWORK, NETWORK_START, 0.0125),
    ],
    ids=["cosine", "rosenbrock", "polynomial", "network"],
)
@pytest.mark.parametrize("flow", FLOWS[1:], ids=lambda flow: flow.name)
def test_order_of_one_step(loss, start, smallest, flow):
    rates = jnp.asarray(smallest * 2 ** np.linspace(0, 2, 5))

    # The smallest errors are near 1e-12: tighter than the default, which is relative to the step.
    controller = dfx.PIDController(rtol=1e-15, atol=1e-15)

    @jax.jit
    @jax.vmap
    def one_step(rate):
        run = flows.compare(
            loss,
            start,
            flows.GradientDescent(rate),
            flow,
            1,
            mode="per_step",
            stepsize_controller=controller,
        )
        return run.errors[flow.name][1]

    slope = np.polyfit(np.log(rates), np.log(np.asarray(one_step(rates))), 1)[0]
    assert slope == pytest.approx(flow.order + 1, abs=0.15)


@pytest.mark.parametrize(
    ("loss", "start", "rate", "steps", "expected"),
    [
        (quartic, 1.0, 0.05, 1, (3.8983e-4, 5.2221e-5, 7.5595e-6, 1.1293e-6)),
        pytest.param(
            rosenbrock,
            (-0.5, 0.5),
            1e-4,
            1,
            (2.6292e-6, 5.8966e-8, 1.2751e-9, 2.4191e-11),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            rosenbrock,
            (-0.5, 0.5),
            1e-4,
            80,
            (1.2038e-5, 3.9161e-7, 1.3186e-8, 4.7047e-10),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            jnp.cos,
            1.0,
            0.05,
            1,
            (3.4321e-6, 1.4137e-7, 7.4984e-9, 2.7217e-10),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_errors_of_the_reference(loss, start, rate, steps, expected):
    run = flows.compare(loss, jnp.asarray(start), flows.GradientDescent(rate), FLOWS, steps)
    for flow, value in zip(FLOWS, expected, strict=True):
        # Errors near 1e-11 end in the rounding of parameters of size one.
        error = float(run.errors[flow.name][-1])
        assert error == pytest.approx(value, rel=6e-5, abs=5e-15)
