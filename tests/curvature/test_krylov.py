"""Krylov spaces against whole spectra: error, estimate, early stop, breakdown, derivatives."""

import functools as ft

import equinox as eqx
import jax
import jax.flatten_util
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
import pytest
import scipy.linalg
from helpers import assert_close, tanh_network
from hypothesis import given, settings
from hypothesis import strategies as st

import flows
import flows.problems
from flows.curvature.functions.krylov_space import krylov_space
from flows.curvature.hessian import scaled_hessian
from flows.curvature.spectral_functions import alpha
from flows.optimizers import make_problem

DTYPES = [float, complex]
# Far more products than some of the matrices have rows; no early stop where it is not tested.
WHOLE = flows.Krylov(num_matvecs=8, rtol=0.0)


@eqx.filter_jit
def image(curvature, A, b):
    return curvature.apply(alpha, lambda v: A @ v, b)


def exact_alpha(z):
    """log(1 - z)/z on the branch that is smooth across the real axis."""
    z = np.asarray(z, complex)
    small = np.abs(z) < 1e-3
    series = -sum(z**p / (p + 1) for p in range(6))
    safe = np.where(small, 2, z)
    return np.where(small, series, (np.log(1j * (safe - 1)) + 0.5j * np.pi) / safe)


def exact(A, b):
    """f(A) b by LAPACK's eigenvectors, which are orthogonal for a real symmetric matrix."""
    if not np.iscomplexobj(A):
        z, Q = np.linalg.eigh(A)
        return Q @ (exact_alpha(z) * (Q.T @ b))
    z, V = np.linalg.eig(A)
    return V @ (exact_alpha(z) * np.linalg.solve(V, b))


def orthogonal(dtype, seed, size):
    """A real or complex orthogonal matrix: its inverse is its transpose, not conjugated."""
    random = np.random.default_rng(seed)
    Q = np.linalg.qr(random.standard_normal((size, size)))[0]
    if dtype is float:
        return Q
    skew = random.standard_normal((size, size)) / np.sqrt(size)
    return Q @ scipy.linalg.expm(0.1j * (skew - skew.T))


def vector(dtype, seed, size):
    random = np.random.default_rng(seed)
    b = random.standard_normal(size)
    return b if dtype is float else b + 1j * random.standard_normal(size)


def distance(actual, expected):
    return np.linalg.norm(np.asarray(actual) - expected) / np.linalg.norm(expected)


# The space itself.


@pytest.mark.parametrize("dtype", DTYPES)
def test_basis_is_orthonormal_and_the_relation_holds(dtype):
    """A V = V T + beta q e^T, 40 vectors, with eigenvalues that are found and would come again."""
    n, k = 60, 40
    z = np.concatenate([[1e6, 1e5, -1e5, 1e3], np.linspace(-1, 1, n - 4)])
    Q = orthogonal(dtype, 0, n)
    A, b = (Q * z) @ Q.T, vector(dtype, 1, n)
    grow = jax.jit(lambda A, b: krylov_space(lambda v: A @ v, b, k, lambda *_: False))
    space = jax.device_get(grow(A, b))
    V, T, size = np.concatenate(space.basis.blocks).T, space.projected, np.linalg.norm(A, 2)
    assert space.count == k
    assert np.abs(V.conj().T @ V - np.eye(k)).max() < 20 * np.finfo(float).eps
    assert np.abs(space.length * V[:, 0] - b).max() < 1e-14 * space.length
    rest = A @ V - V @ T
    assert np.abs(rest[:, :-1]).max() < 100 * np.finfo(float).eps * size
    assert np.linalg.norm(rest[:, -1]) == pytest.approx(space.residual, abs=1e-13 * size)
    assert np.abs(V.conj().T @ rest).max() < 100 * np.finfo(float).eps * size
    assert np.abs(np.tril(T, -2)).max() == 0
    if dtype is float:
        assert np.abs(np.triu(T, 2)).max() < 100 * np.finfo(float).eps * size


SPECTRA = {  # and how many of the eigenvalues are distinct
    "identity": ([0.7] * 6, 1),
    "identity at 2": ([2.0] * 6, 1),
    "rank one": ([0, 0, 0, 0, 0, 1.6], 2),
    "zero": ([0.0] * 6, 1),
    "three in six": ([0.5, 0.5, 0.5, 2.2, 2.2, -1], 3),
    "clusters": ([0.5, 0.5 + 1e-9, 0.5 - 1e-9, 1.5, 1.5 + 1e-6, 1.5 - 1e-6], 6),
    "apart": ([-2, -0.1, 0.3, 0.8, 1.4, 2.6], 6),
    "near 1": ([1 - 1e-5, 1 - 1e-5, 0, 0, 3, 3], 3),
    "outlier": ([1e8, 1.5, 1.5, 0.1, 0.1, 0], 4),
}


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("dtype", DTYPES)
def test_no_more_products_than_distinct_eigenvalues(dtype, name):
    """The value is right to rounding then, and neither an error nor a NaN follows."""
    z, distinct = SPECTRA[name]
    z = np.array(z, float)
    for seed in range(3):
        Q, b = orthogonal(dtype, seed, 6), vector(dtype, seed, 6)
        result = jax.device_get(image(WHOLE, (Q * z) @ Q.T, b))
        expected = (Q * exact_alpha(z)) @ (Q.T @ b)
        # An eigenvalue is known to some roundings of the largest, and f is as steep as 1/|1 - z|.
        steep = max(1, np.abs(z).max()) / min(1, np.abs(1 - z).min())
        assert distance(result.value, expected) < 200 * np.finfo(float).eps * steep
        assert result.matvecs <= distinct
        assert result.error < 1e-12
        nearest = np.abs(result.eigenvalues[:, None] - z).min(axis=1)
        assert nearest.max() < 1e-6 * max(1, np.abs(z).max())
        # A diagonal matrix, so that equal eigenvalues are equal to the last bit.
        result = jax.device_get(image(WHOLE, np.diag(z).astype(dtype), b))
        assert distance(result.value, exact_alpha(z) * b) < 200 * np.finfo(float).eps * steep
        assert result.matvecs <= distinct


@pytest.mark.parametrize("dtype", DTYPES)
def test_zero_vector_and_eigenvector(dtype):
    Q, z = orthogonal(dtype, 0, 6), np.array(SPECTRA["apart"][0])
    A = (Q * z) @ Q.T
    result = image(WHOLE, A, np.zeros(6, dtype))
    assert np.array_equal(result.value, np.zeros(6))
    assert (int(result.matvecs), np.isfinite(result.error)) == (1, True)
    result = image(WHOLE, A, Q[:, 4])
    assert distance(result.value, exact_alpha(1.4) * Q[:, 4]) < 1e-13
    assert int(result.matvecs) <= 2  # the vector itself is rounded


@pytest.mark.parametrize(
    ("dtype", "n"), [(float, 1), (float, 2), (float, 3), (float, 5), (complex, 1), (complex, 3)]
)
def test_few_dimensions(dtype, n):
    Q, b, z = orthogonal(dtype, n, n), vector(dtype, n, n), np.linspace(0.3, 2.1, n)
    A = (Q * z) @ Q.T
    result = image(WHOLE, A, b)
    assert distance(result.value, exact(A, b)) < 1e-12
    assert int(result.matvecs) == n


def test_more_products_than_dimensions_change_nothing():
    Q, b, (z, _) = orthogonal(float, 0, 6), vector(float, 0, 6), SPECTRA["apart"]
    shorter, longer = (image(flows.Krylov(k, 0.0), (Q * z) @ Q.T, b) for k in (8, 20))
    assert_close(longer.value, shorter.value, rtol=0, atol=1e-14 * np.linalg.norm(b))
    assert int(longer.matvecs) == int(shorter.matvecs) == 6


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.sampled_from([-1.5, 0.0, 0.4, 0.9, 1.2, 2.0, 2.3]), min_size=6, max_size=6),
    st.integers(0, 10**6),
    st.sampled_from(DTYPES),
)
def test_rotations_turn_the_result(z, seed, dtype):
    b, Q = vector(dtype, seed, 6), orthogonal(float, seed + 1, 6)
    A = np.diag(z) + (0 if dtype is float else 0.1j) * np.diag(np.arange(6.0))
    straight = np.asarray(image(WHOLE, A.astype(dtype), b).value)
    turned = np.asarray(image(WHOLE, Q @ A @ Q.T, Q @ b).value)
    assert distance(turned, Q @ straight) < 1e-11


# The error and its estimate.


def hard_cases(dtype):
    """Forty dimensions: dense spectra around 1, decaying ones, with and without bulk at zero."""
    n = 40
    for seed in range(12):
        random = np.random.default_rng(seed)
        kind = seed % 3
        if kind == 0:
            z = random.uniform(-0.5, random.uniform(0.5, 1.3), n)
        elif kind == 1:
            z = 2.1 * np.exp(-0.3 * np.arange(n)) * random.choice([1, -1], n, p=[0.8, 0.2])
        else:
            z = np.concatenate([random.uniform(0, 1.8, 15), 1e-2 * random.uniform(-1, 1, n - 15)])
        Q, b = orthogonal(float, seed, n), vector(dtype, seed, n)
        A = (Q * z) @ Q.T
        if dtype is complex:
            C = random.standard_normal((n, n))
            A = A + 1j * random.choice([1e-3, 0.02, 0.1]) * (C + C.T) / np.sqrt(n)
        yield A, A @ b if seed % 2 else b


@pytest.mark.parametrize("dtype", DTYPES)
def test_error_estimate_and_early_stop(dtype):
    """The estimate within a factor of 30 of the truth, and no stop before the tolerance is met."""
    ratios, stopped = [], 0
    for A, b in hard_cases(dtype):
        expected, before = exact(A, b), 0
        for rtol in (0.3, 1e-1, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8, 1e-10):
            result = jax.device_get(image(flows.Krylov(num_matvecs=28, rtol=rtol), A, b))
            truth = distance(result.value, expected)
            if 1e-11 < truth < 1e-1:
                ratios.append(result.error / truth)
            assert before <= result.matvecs <= 28
            before = result.matvecs
            if result.matvecs < 28:
                stopped += 1
                assert result.error <= rtol
                assert truth < max(30 * rtol, 1e-12)
    assert len(ratios) > 40
    assert stopped > 40
    assert max(ratios) < 30
    assert min(ratios) > 1 / 30


def test_products_are_counted_and_not_made_beyond_the_stop():
    made = []
    A, b = next(hard_cases(float))

    def matvec(v):
        jax.debug.callback(lambda: made.append(1))
        return A @ v

    apply = jax.jit(lambda rtol: flows.Krylov(28, rtol).apply(alpha, matvec, b).matvecs)
    counts = []
    for rtol in (1e-12, 1e-3, 0.5):
        made.clear()
        counts.append(int(apply(rtol)))
        jax.effects_barrier()
        assert len(made) == counts[-1]
    assert counts[0] > counts[1] > counts[2] >= 1


def test_error_where_there_is_none():
    """At 2 the real branch is zero, and so is the result; its derivative is not."""
    at = lambda s: flows.Krylov(3).apply(ft.partial(alpha, branch="real"), lambda v: s * v, ones)  # noqa: E731
    ones = jnp.ones(4)
    result, moved = jax.jit(lambda s: jax.jvp(at, (s,), (1.0,)))(2.0)
    assert np.abs(result.value).max() < 1e-15
    assert 0 < float(result.error) < 1e-15
    assert np.allclose(moved.value, 0.5, rtol=1e-14)  # log|1 - z|/z
    assert np.allclose(moved.eigenvalues, 1, rtol=1e-14)
    assert float(moved.error) == 0


# Networks.


@eqx.filter_jit
def network_image(problem, params, h):
    """Along the path of the flow: gradient and product of a problem, with a traced step."""
    gradient, matvec = scaled_hessian(problem, h, params)
    return flows.Krylov(num_matvecs=24).apply(alpha, matvec, gradient)


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jtu.tree_leaves(tree)])


@pytest.fixture(scope="module")
def breast_cancer():
    """The problem, iterates of descent, and there the spectrum and the gradient along it."""
    example = flows.problems.breast_cancer()
    problem, start = make_problem(
        example.loss, example.start, flows.GradientDescent(1.0), example.args
    )
    vector, unravel = jax.flatten_util.ravel_pytree(start)
    loss = lambda x: example.loss(unravel(x), example.args)  # noqa: E731
    step = lambda x, _: (x - example.learning_rate * jax.grad(loss)(x), x)  # noqa: E731
    path = jax.jit(lambda x: jax.lax.scan(step, x, None, 301)[1])(vector)
    derivatives = jax.jit(lambda x: (jax.grad(loss)(x), jax.hessian(loss)(x)))
    at = {}
    for iterate in (0, 20, 100, 300):
        g, H = map(np.asarray, derivatives(path[iterate]))
        z, Q = np.linalg.eigh(H)
        at[iterate] = unravel(path[iterate]), z, Q, Q.T @ g
    return problem, at


def network_errors(problem, at):
    """By h times the sharpness: the result, and its true relative error."""
    params, z, Q, components = at
    assert len(z) == 321
    for h_lambda in (0.5, 0.9, 1.5, 1.9, 2.1):
        h = h_lambda / z[-1]
        result = network_image(problem, params, h)
        yield h_lambda, result, distance(flat(result.value), Q @ (exact_alpha(h * z) * components))


@pytest.mark.parametrize("iterate", [20, 100, 300])
def test_network_of_321_parameters(breast_cancer, iterate):
    """Once training has begun 16 products are enough for rounding level, up to 2.1."""
    problem, at = breast_cancer
    for h_lambda, result, truth in network_errors(problem, at[iterate]):
        assert truth < 1e-11
        assert int(result.matvecs) <= 16
        assert float(jnp.max(result.eigenvalues)) == pytest.approx(h_lambda, rel=1e-6)


def test_network_at_its_random_start(breast_cancer):
    """Some dozen eigenvalues lie around 1 there: the space is too small, and its estimate tells."""
    problem, at = breast_cancer
    bounds = {0.5: 1e-12, 0.9: 1e-12, 1.5: 1e-4, 1.9: 0.2, 2.1: 0.2}
    for h_lambda, result, truth in network_errors(problem, at[0]):
        assert truth < bounds[h_lambda]
        assert int(result.matvecs) <= 24
        assert truth / 30 < float(result.error) < 30 * truth


def test_float32_stays_float32(breast_cancer):
    """And stops early: its estimate must be able to reach the tolerance."""
    problem, at = breast_cancer
    single = lambda leaf: np.float32(leaf) if eqx.is_array(leaf) else leaf  # noqa: E731
    problem, params = jtu.tree_map(single, (problem, at[100][0]))
    for _, result, truth in network_errors(problem, (params, *at[100][1:])):
        assert {leaf.dtype for leaf in jtu.tree_leaves(result.value)} == {jnp.dtype("complex64")}
        assert result.eigenvalues.dtype == result.error.dtype == jnp.float32
        assert truth < 1e-5
        assert int(result.matvecs) <= 8
        assert float(result.error) < 1e-5


def test_network_at_complex_points():
    """The Hessian of the continued loss is complex symmetric."""
    loss, start = tanh_network()
    problem, start = make_problem(loss, start, flows.GradientDescent(1.0))
    derivatives = jax.jit(lambda x: (
        jax.grad(loss, holomorphic=True)(x), jax.hessian(loss, holomorphic=True)(x)
    ))  # fmt: skip
    with jax.numpy_dtype_promotion("standard"):  # the data of this loss are real
        derivatives = derivatives.lower(start.astype(complex)).compile()
    for seed, size in enumerate((1e-8, 0.02, 0.1)):
        turn = np.random.default_rng(seed).standard_normal(36)
        x = jax.lax.complex(start, size * turn)
        g, H = map(np.asarray, derivatives(x))
        assert np.abs(H - H.T).max() < 1e-12
        for h_lambda in (0.9, 1.9):
            h = h_lambda / np.abs(np.linalg.eigvals(H)).max()
            result = jax.device_get(network_image(problem, x, h))
            truth = distance(result.value, exact(h * H, g))
            assert truth < 1e-6
            assert result.error < max(30 * truth, 1e-12)
            assert result.matvecs <= 24


# Trees and transformations.


@pytest.mark.parametrize("dtype", DTYPES)
def test_trees_give_the_numbers_of_the_flat_vector(dtype):
    """Mixed shapes, a scalar, an empty leaf and None, nested."""
    Q, b = orthogonal(dtype, 0, 6), vector(dtype, 0, 6)
    A = (Q * np.array(SPECTRA["apart"][0])) @ Q.T
    shapes = {"w": [(1, 2), ((), None)], "b": (2, 1, 1), "a": (1,), "e": (0, 3)}
    like = jtu.tree_map(np.zeros, shapes, is_leaf=lambda x: isinstance(x, tuple) and None not in x)
    tree = _unflatten(jnp.asarray(b), like)
    apply = lambda v: _unflatten(A @ _flatten(v), like)  # noqa: E731
    of_tree = jax.jit(lambda v: WHOLE.apply(alpha, apply, v))(tree)
    of_flat = image(WHOLE, A, b)
    assert jtu.tree_map(jnp.shape, of_tree.value) == jtu.tree_map(jnp.shape, tree)
    assert_close(_flatten(of_tree.value), of_flat.value, rtol=1e-12, atol=1e-13)
    assert (int(of_tree.matvecs), int(of_flat.matvecs)) == (6, 6)


def _flatten(tree):
    return jnp.concatenate([jnp.ravel(leaf) for leaf in jtu.tree_leaves(tree)])


def _unflatten(array, like):
    leaves, structure = jtu.tree_flatten(like)
    ends = np.cumsum([leaf.size for leaf in leaves])[:-1]
    pieces = jnp.split(array, ends)
    return structure.unflatten(p.reshape(l.shape) for p, l in zip(pieces, leaves, strict=True))


def test_vmap_over_points_that_stop_at_different_times():
    cases = list(hard_cases(float))[:3]
    batch = [np.stack(parts) for parts in zip(*cases, strict=True)]
    curvature = flows.Krylov(num_matvecs=28, rtol=1e-4)
    each = [jax.device_get(image(curvature, A, b)) for A, b in cases]
    together = jax.device_get(jax.vmap(ft.partial(image, curvature))(*batch))
    assert len({int(result.matvecs) for result in each}) > 1
    for i, result in enumerate(each):
        assert together.matvecs[i] == result.matvecs
        assert distance(together.value[i], result.value) < 1e-11


# Derivatives.


@eqx.filter_jit
def derivative(curvature, at, along):
    """Forward, and backward: the gradient of the sum of the value's real parts."""
    value = lambda A, b: curvature.apply(alpha, lambda v: A @ v, b).value  # noqa: E731
    gradient = jax.grad(lambda A, b: jnp.sum(value(A, b).real), argnums=(0, 1))(*at)
    return jax.jvp(value, at, along)[1], gradient


def exact_derivative(at, along):
    """A corner of f([[A, dA], [0, A]]), by the Schur-Pade logarithm."""
    (A, b), (dA, db) = at, along
    n = len(b)
    M, identity = np.block([[A, dA], [np.zeros((n, n)), A]]), np.eye(2 * n)
    f = np.linalg.solve(M, scipy.linalg.logm(1j * (M - identity)) + 0.5j * np.pi * identity)
    return f[:n, n:] @ b + f[:n, :n] @ db


@pytest.mark.parametrize(
    ("dtype", "n"),
    [
        (float, 6),
        pytest.param(complex, 6, marks=pytest.mark.slow),
        pytest.param(float, 40, marks=pytest.mark.slow),
    ],
)
def test_derivative_where_the_space_is_whole_or_converged(dtype, n):
    Q, z = orthogonal(dtype, 0, n), 1.8 * 0.6 ** np.arange(n) + 1e-3
    at = (Q * z) @ Q.T, vector(dtype, 1, n)
    dA = vector(dtype, 2, n * n).reshape(n, n)
    along = (dA + dA.T) / np.sqrt(n), vector(dtype, 3, n)
    curvature = WHOLE if n == 6 else flows.Krylov(num_matvecs=28)
    moved, (by_A, by_b) = derivative(curvature, at, along)
    assert distance(moved, exact_derivative(at, along)) < 1e-6
    backward = np.real(np.sum(by_A * along[0]) + np.sum(by_b * along[1]))
    assert backward == pytest.approx(float(moved.real.sum()), rel=1e-9)


@pytest.mark.parametrize("dtype", DTYPES)
def test_derivative_in_an_invariant_subspace(dtype):
    """Right within it; what leaves it is missed, as the docstring says."""
    at = np.diag([0.5, 0.5, 0.5, 0.5, 2.2, 2.2]).astype(dtype), np.zeros(6, dtype)
    at[1][:] = [1, 2, 0, 0, 0, 0]  # an eigenvector
    dA, db = np.zeros((6, 6), dtype), np.array([3, 4, 5, 0, 0, 0], dtype)
    # The eigenspace itself moves with b, and is scaled with A.
    moved, _ = derivative(WHOLE, at, (0.1 * at[0], db))
    slope = 1 / (1 - 0.5) - 2 * np.log(2)  # of log(1 - z)/z, times -z
    assert distance(moved, exact_alpha(0.5) * db - 0.1 * slope * at[1]) < 1e-12
    # This one leads out.
    dA[4, 0] = dA[0, 4] = 1
    along = dA, np.zeros(6, dtype)
    expected = exact_derivative(at, along)
    assert np.linalg.norm(expected[4:]) > 0.1
    moved, gradient = derivative(WHOLE, at, along)
    assert np.abs(moved[4:]).max() == 0
    assert all(np.isfinite(leaf).all() for leaf in gradient)


@pytest.mark.parametrize("dtype", DTYPES)
def test_derivative_at_zero_is_finite(dtype):
    at, along = (
        (np.zeros((6, 6), dtype), np.zeros(6, dtype)),
        (np.eye(6, dtype=dtype), np.ones(6, dtype)),
    )
    assert all(np.isfinite(leaf).all() for leaf in jtu.tree_leaves(derivative(WHOLE, at, along)))


def test_messages():
    for count in (0, -1, 2.5, True, "8"):
        with pytest.raises(flows.InvalidOptionError, match="num_matvecs must be a positive int"):
            flows.Krylov(num_matvecs=count)
    for rtol in (-1e-3, float("nan"), [1e-3, 1e-4]):
        with pytest.raises(flows.InvalidOptionError, match=r"one number >= 0, .* or leave it out"):
            flows.Krylov(rtol=rtol)
