"""alpha(z) = log(1 - z)/z against 50-digit arithmetic, its integral, and its symmetries."""

import functools as ft

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
import scipy.integrate
from hypothesis import given, settings
from hypothesis import strategies as st

import flows
from flows.curvature.spectral_functions import BRANCHES, alpha, truncated_alpha

DTYPES = [np.float32, np.float64]
RNG = np.random.default_rng(0)
value = jax.jit(alpha, static_argnums=1)

# T1 of the reference: z, Re and Im of alpha, and its first two and three terms.
TABLE = np.array([
    [-1, -0.693147180560, 0, -0.5, -0.833333],
    [-0.5, -0.810930216216, 0, -0.75, -0.833333],
    [-0.1, -0.953101798043, 0, -0.95, -0.953333],
    [0.1, -1.053605156578, 0, -1.05, -1.053333],
    [0.5, -1.386294361120, 0, -1.25, -1.333333],
    [0.9, -2.558427881104, 0, -1.45, -1.72],
    [0.99, -4.651687056554, 0, -1.495, -1.8217],
    [1.01, -4.559574441572, 3.110487775831, -1.505, -1.845033],
    [1.5, -0.462098120373, 2.094395102393, -1.75, -2.5],
    [1.8, -0.123968639619, 1.745329251994, -1.9, -2.98],
    [2, 0, 1.570796326795, -2, -3.333333],
    [2.1, 0.045385799907, 1.495996501709, -2.05, -3.52],
    [3, 0.231049060187, 1.047197551197, -2.5, -5.5],
    [4, 0.274653072167, 0.785398163397, -3, -8.333333],
])  # fmt: skip


def exact(z, branch="continued"):
    """The definition, in 50 digits."""
    z = mp.mpc(complex(z))
    if abs(z) < 1e-12:  # beyond 50 digits 1 - z is 1
        return -sum(z**p / (p + 1) for p in range(6))
    if branch == "real":
        return mp.log(abs(1 - z)) / z
    on_cut = z.imag == 0 and z.real > 1
    if on_cut or (branch == "continued" and z.real > 1):
        return (mp.log(z - 1) + mp.pi * 1j) / z
    return mp.log(1 - z) / z


def exact_derivative(z, branch="continued"):
    z = mp.mpc(complex(z))
    if abs(z) < 1e-12:
        return -sum(p * z ** (p - 1) / (p + 1) for p in range(1, 6))
    return -(1 / (1 - z) + exact(z, branch)) / z


def slope(z, branch="continued"):
    """The derivative of `alpha`, point by point."""
    z = jnp.asarray(z)
    return jax.jvp(lambda z: alpha(z, branch), (z,), (jnp.ones_like(z),))[1]


def worst_ulp(actual, points, formula):
    """The largest relative error in modulus, in units of the dtype's eps."""
    eps = np.finfo(actual.dtype).eps
    errors = []
    with mp.workdps(50):
        for got, z in zip(np.asarray(actual), points, strict=True):
            expected = formula(z)
            errors.append(float(abs(mp.mpmathify(complex(got)) - expected) / abs(expected)))
    return max(errors) / eps


def real_points(dtype):
    """All sizes and signs, and neighbourhoods of 1 and 2 down to the last digit."""
    decades, digits = (30, 7) if dtype == np.float32 else (300, 15)
    tiny, near = 10.0 ** -np.linspace(0, decades, 60), 10.0 ** -np.linspace(1, digits, 60)
    points = [np.linspace(-3, 4, 300), tiny, -tiny, [1e6, -1e6, 1e30, -1e30]]
    points += [1 + near, 1 - near, 2 + near, 2 - near, [1e-8, -1e-8]]
    z = np.concatenate(points).astype(dtype)
    return z[(np.abs(1 - z) >= np.finfo(dtype).eps) & (z != 2)]


def complex_points(dtype):
    turn = np.exp(2j * np.pi * RNG.uniform(0, 1, (4, 120)))
    sizes = 10.0 ** np.stack([
        RNG.uniform(-1, 1, 120),
        RNG.uniform(-12, 12, 120),
        RNG.uniform(-6, 0, 120),
        RNG.uniform(-6, 0, 120),
    ])  # fmt: skip
    around = np.array([[0], [0], [1], [2]])
    return (around + sizes * turn).ravel().astype(np.result_type(dtype, np.complex64))


@pytest.mark.parametrize("dtype", DTYPES)
def test_real_z_to_the_last_digits(dtype):
    z = real_points(dtype)
    real, whole = value(z, "real"), value(z, "continued")
    assert real.dtype == dtype
    assert whole.dtype == np.result_type(dtype, np.complex64)
    # Relative to the real part itself, which goes through zero at z = 2.
    assert worst_ulp(real, z, lambda z: exact(z, "real")) < 2
    assert np.array_equal(whole.real, real)
    assert worst_ulp(whole, z, exact) < 2
    assert np.array_equal(value(z, "principal"), whole)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("branch", ["continued", "principal"])
def test_complex_z_to_the_last_digits(dtype, branch):
    z = complex_points(dtype)
    formula = lambda z: exact(z, branch)  # noqa: E731
    assert worst_ulp(value(z, branch), z, formula) < 3
    on_axis = real_points(dtype).astype(z.dtype)
    assert worst_ulp(value(on_axis, branch), on_axis, formula) < 3


@pytest.mark.parametrize("dtype", DTYPES)
def test_derivative_to_the_last_digits(dtype):
    z = np.concatenate([np.linspace(-3, 4, 141), [1e-20, -1e-8, 1e4]]).astype(dtype)
    z = z[z != 1]
    assert worst_ulp(slope(z), z, exact_derivative) < 16
    z = complex_points(dtype)
    assert worst_ulp(slope(z), z, exact_derivative) < 16


@pytest.mark.parametrize("branch", ["continued", "principal"])
def test_table_of_the_reference(branch):
    z, real, imaginary, two, three = TABLE.T
    assert np.allclose(value(z, branch), real + 1j * imaginary, rtol=0, atol=1e-12)
    assert np.allclose(value(z, "real"), real, rtol=0, atol=1e-12)
    assert np.allclose(truncated_alpha(z, 1), -1, rtol=0)
    assert np.allclose(truncated_alpha(z, 2), two, rtol=0, atol=1e-12)
    assert np.allclose(truncated_alpha(z, 3), three, rtol=0, atol=1e-6)


def test_largest_real_part():
    at = jnp.asarray(4.591121476669)
    assert float(alpha(at, "real")) == pytest.approx(0.278464542761, abs=1e-12)
    assert abs(float(slope(at, "real"))) < 1e-12


@pytest.mark.parametrize("z", [-3.0, -0.4, 0.0, 0.3, 0.9, 0.5 + 2j, -1 - 1j])
def test_integral_where_it_converges(z):
    parts = [
        scipy.integrate.quad(lambda s, part=part: part(-1 / (1 - s * z)), 0, 1, epsabs=1e-12)[0]
        for part in (np.real, np.imag)
    ]
    assert complex(alpha(z)) == pytest.approx(complex(*parts), abs=1e-10)


@pytest.mark.parametrize("z", [1.8, 2.1])
def test_real_branch_is_the_principal_value_of_the_integral(z):
    # quad(weight="cauchy") integrates f(s) / (s - 1/z) as a principal value.
    integral = scipy.integrate.quad(lambda s: 1 / z, 0, 1, weight="cauchy", wvar=1 / z)[0]
    assert float(alpha(z, "real")) == pytest.approx(integral, abs=1e-9)


def test_continued_branch_has_no_seam_on_the_real_axis():
    x, s = np.linspace(1.01, 5, 50), 1e-12
    above, on, below = value(np.stack([x + s * 1j, x + 0j, x - s * 1j]), "continued")
    # The slope is at most 1/|1 - z|, about 100 here.
    assert np.abs(above - on).max() < 200 * s
    assert np.abs(below - on).max() < 200 * s
    assert np.array_equal(value(np.conj(x + 0j), "continued"), on)  # a zero of either sign


def test_continued_branch_jumps_on_its_cut_and_only_there():
    s = np.linspace(0.1, 3, 30)
    jump = lambda z: np.diff(value(np.stack([z - 1e-9, z + 1e-9]), "continued"), axis=0)[0]  # noqa: E731
    assert np.allclose(jump(1 + 1j * s), 2j * np.pi / (1 + 1j * s), atol=1e-7)
    assert np.allclose(jump(1 - 1j * s), 0, atol=1e-7)


def test_principal_branch_jumps_on_the_real_axis_and_is_continued_from_below():
    x = np.linspace(1.01, 5, 50)
    on = value(x + 0j, "principal")
    assert np.array_equal(value(np.conj(x + 0j), "principal"), on)
    assert np.allclose(value(x - 1e-12j, "principal"), on, atol=1e-9)
    assert np.allclose(value(x + 1e-12j, "principal"), np.conj(on), atol=1e-9)


def test_singularity_is_finite():
    for dtype in DTYPES:
        floor = np.log(np.finfo(dtype).eps)
        one = np.array([1, np.nextafter(dtype(1), dtype(0))], dtype)
        for branch in BRANCHES:
            assert np.allclose(value(one, branch), floor)
            assert np.isfinite(slope(one, branch)).all()
        for branch in ("continued", "principal"):
            at = np.asarray([1, 1 - 0j], np.result_type(dtype, np.complex64))
            assert np.array_equal(value(at, branch).imag, [0, 0])
            assert np.allclose(value(at, branch).real, floor)


points = st.builds(
    complex, st.floats(-5, 5, allow_subnormal=False), st.floats(-5, 5, allow_subnormal=False)
)
quick = settings(max_examples=25, deadline=None)


@quick
@given(points)
def test_reflection(z):
    """Conjugation left of the cut; exp undoes the logarithm everywhere."""
    principal, continued = complex(value(z, "principal")), complex(value(z, "continued"))
    if z.imag != 0 or z.real < 1:
        assert complex(value(z.conjugate(), "principal")) == principal.conjugate()
    if z.real <= 1:
        assert continued == principal
    elif z.imag <= 0:
        assert continued == pytest.approx(principal, rel=1e-14)
    else:
        assert continued == pytest.approx(principal + 2j * np.pi / z, rel=1e-14)
    if abs(1 - z) > 1e-12:
        assert np.exp(z * continued) == pytest.approx(1 - z, rel=1e-13)


@quick
@given(st.floats(-5, 0.99), st.integers(1, 6))
def test_truncation_is_the_series(z, terms):
    """The remainder is the integral of -(s z)^m / (1 - s z) over s from 0 to 1."""
    remainder = complex(value(float(z), "continued")) - float(truncated_alpha(z, terms))
    bound = abs(z) ** terms / (terms + 1) / (1 - max(z, 0))
    assert abs(remainder) <= bound + 1e-12 * (1 + abs(z) ** terms)


def exact_at(x, branch):
    """Like `exact`, for the shifted points of `mpmath.diff`, which need all their digits."""
    if x < 1:
        return mp.log1p(-x) / x
    return (mp.log(x - 1) + (0 if branch == "real" else mp.pi * 1j)) / x


@pytest.mark.parametrize("branch", BRANCHES)
def test_derivatives_along_the_real_axis(branch):
    z = np.array([-2.0, -0.3, -1e-9, 1e-3, 0.4999, 0.7, 1.3, 2.0, 3.5])
    with mp.workdps(60):
        first, second = (
            np.array(
                [complex(mp.diff(lambda x: exact_at(x, branch), x, order)) for x in z.tolist()]
            )
            for order in (1, 2)
        )
    for part, of in [(jnp.real, np.real), (jnp.imag, np.imag)][: 1 if branch == "real" else 2]:
        f = lambda x, part=part: part(alpha(x, branch))  # noqa: E731
        reverse = jax.grad(f)
        both = lambda x, reverse=reverse: (reverse(x), jax.jvp(reverse, (x,), (1.0,))[1])  # noqa: E731
        slope, bend = jax.jit(jax.vmap(both))(z)
        assert np.allclose(slope, of(first), rtol=1e-13, atol=1e-13)
        assert np.allclose(bend, of(second), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("branch", ["continued", "principal"])
def test_holomorphic_derivatives(branch):
    z = np.array([0.2 + 0.1j, -1.5 + 2j, 1.4 - 0.3j, 1.4 + 0.3j, 0j])
    f = ft.partial(alpha, branch=branch)
    slope = jax.grad(f, holomorphic=True)
    both = jax.jit(jax.vmap(lambda z: (slope(z), jax.grad(slope, holomorphic=True)(z))))
    step = 1e-5
    for direction in (1, 1j):
        shift = step * direction
        differences = (value(z + shift, branch) - value(z - shift, branch)) / (2 * shift)
        assert np.allclose(both(z)[0], differences, atol=1e-9)
        differences = (both(z + shift)[0] - both(z - shift)[0]) / (2 * shift)
        assert np.allclose(both(z)[1], differences, atol=1e-8)
    along = jax.jvp(f, (jnp.asarray(z),), (jnp.full(z.shape, 2j),))[1]
    assert np.allclose(along, 2j * both(z)[0], rtol=1e-14)


def test_derivatives_at_zero():
    slope = jax.grad(ft.partial(alpha, branch="real"))
    assert float(slope(0.0)) == -1 / 2
    assert float(jax.grad(slope)(0.0)) == pytest.approx(-2 / 3, rel=1e-15)


def test_no_nan_in_derivatives_at_the_special_points():
    z = jnp.array([0.0, 1.0, 2.0, 0.5, -1.0])
    total = lambda z: jnp.sum(jnp.abs(alpha(z)) + alpha(z.astype(complex)).real)  # noqa: E731
    assert np.isfinite(jax.jit(jax.grad(total))(z)).all()
    assert np.isfinite(jax.jit(jax.hessian(total))(z)).all()


def test_vmap_and_shapes():
    z = jnp.linspace(-2, 3.3, 6).reshape(2, 3)
    assert np.array_equal(jax.vmap(jax.vmap(alpha))(z), alpha(z))
    assert alpha(jnp.zeros((0, 2))).shape == (0, 2)
    # Reverse mode from a complex output to a real input.
    at, slopes = jax.vmap(jax.value_and_grad(lambda z: jnp.abs(alpha(z))))(z.ravel())
    products = jnp.real(jnp.conj(alpha(z.ravel())) * slope(z.ravel()))
    assert np.allclose(slopes, products / at)


def test_numbers_that_are_not_floats():
    assert complex(alpha(3)) == complex(alpha(3.0))
    assert np.array_equal(alpha(np.arange(4)), alpha(np.arange(4.0)))
    assert alpha(jnp.zeros(2, jnp.bfloat16)).dtype == jnp.complex128
    assert truncated_alpha(2, 2).dtype == jnp.float64
    assert truncated_alpha(jnp.float32(2), 2).dtype == jnp.float32
    assert not alpha(0.5).weak_type
    with jax.enable_x64(False):
        assert alpha(0.5).dtype == jnp.complex64
        assert alpha(np.float64(0.5), "real").dtype == jnp.float32


def test_messages():
    with pytest.raises(flows.InvalidOptionError, match="branch must be one of 'continued', 'pri"):
        alpha(1.0, "imaginary")
    with pytest.raises(flows.InvalidOptionError, match="Take its real part"):
        alpha(1j, "real")
    for terms in (0, True, 1.5):
        with pytest.raises(flows.InvalidOptionError, match="terms must be a Python integer >= 1"):
            truncated_alpha(1.0, terms)
