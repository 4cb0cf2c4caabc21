"""The continuation against the real loss, closed forms, and the Cauchy-Riemann equations."""

import functools as ft

import equinox as eqx
import flax.linen as fnn
import jax
import jax.numpy as jnp
import jax.random as jr
import jax.tree_util as jtu
import mpmath
import numpy as np
import pytest
from helpers import assert_close
from jax import lax

import flows
from flows._continuation import continued
from flows._continuation._erf import erf, erfc

mpmath.mp.dps = 30

# Six numbers of both signs, none close to a kink of a loss below; a fixed matrix, and images.
X = np.array([0.73, -1.21, 0.37, -0.64, 1.58, 0.29])
M = np.cos(np.arange(36.0)).reshape(6, 6)
PLACES = np.array([0, 1, 1, 0, 7, 0])  # 7 is outside, nothing is scattered to 2
IMAGES = np.sin(1.7 * np.arange(144.0)).reshape(2, 2, 6, 6)
KERNEL = np.cos(2.3 * np.arange(36.0)).reshape(2, 2, 3, 3)


def convolve(images, kernel):
    return lax.conv_general_dilated(images, kernel, (1, 1), "SAME")


def images(x):
    return jnp.asarray(IMAGES) * x[0] + jnp.tile(x, (2, 2, 6, 1)) * 0.3


def pool(x, start, function):
    return lax.reduce_window(images(x), start, function, (1, 1, 3, 3), (1, 1, 2, 2), "SAME")


@jax.custom_vjp
def rounded(x, factor):
    return jnp.round(x) * factor.astype(x.dtype)


rounded.defvjp(
    lambda x, factor: (jnp.round(x) * factor.astype(x.dtype), (x, factor)),
    lambda saved, c: (c * saved[0] * saved[1].astype(c.dtype), None),
)


def while_loop(x):
    """sin(x) times the first power of 2 above 5 * 2^k, which depends on x by its branch only."""
    start = (x[0], jnp.array(1.0), x)
    return lax.while_loop(
        lambda s: jnp.abs(s[0]) < 5, lambda s: (s[0] * 2, s[1] + 1, jnp.sin(s[2])), start
    )[0]


def scan_with_late_complex(x):
    """The carry is real at first, and each round moves what is complex one place on."""
    return lax.fori_loop(0, 4, lambda i, c: (c[1] * c[2], c[2], c[0] * x[i]), (1.0, 2.0, 3.0))[0]


SMOOTH = {
    "tanh": lambda x: jnp.sum(jnp.tanh(x)),
    "sigmoid": lambda x: jnp.sum(jax.nn.sigmoid(x) ** 2),
    "gelu": lambda x: jnp.sum(jax.nn.gelu(x, approximate=False)),
    "gelu_tanh": lambda x: jnp.sum(jax.nn.gelu(x, approximate=True)),
    "silu": lambda x: jnp.sum(jax.nn.silu(x)),
    "softplus": lambda x: jnp.sum(jax.nn.softplus(x)),
    "elu": lambda x: jnp.sum(jax.nn.elu(x) ** 2),
    "relu": lambda x: jnp.sum(jax.nn.relu(x) ** 3),
    "abs": lambda x: jnp.sum(jnp.abs(x) ** 3),
    "softmax": lambda x: jax.nn.softmax(x) @ jnp.asarray(X, x.dtype),
    "log_softmax": lambda x: jax.nn.log_softmax(x) @ X,
    "logsumexp": lambda x: jax.nn.logsumexp(x) ** 2,
    "logaddexp": lambda x: jnp.sum(jnp.logaddexp(x, x[::-1] ** 2)),
    "norm": jnp.linalg.norm,
    "norm_1_inf": lambda x: jnp.linalg.norm(x, 1) * jnp.linalg.norm(x, jnp.inf),
    "var_std": lambda x: jnp.var(x) + jnp.std(x),
    "powers": lambda x: jnp.sum(x**5 + x**-2 + x**2.0) + jnp.sum(jnp.exp(x) ** jnp.asarray(X)),
    "roots": lambda x: jnp.sum(jnp.sqrt(x**2 + 1) * lax.rsqrt(x**2 + 2) * jnp.cbrt(x)),
    "hyperbolic": lambda x: jnp.sum(jnp.sinh(x) * jnp.cosh(x) + jnp.arcsinh(x)),
    "circular": lambda x: jnp.sum(jnp.sin(x) * jnp.cos(x) + jnp.tan(x / 2) + jnp.arctan(x)),
    "inverse": lambda x: jnp.sum(jnp.arctanh(x / 2) + jnp.arcsin(x / 2) * jnp.arccos(x / 2)),
    "exponentials": lambda x: jnp.sum(jnp.exp2(x) * jnp.expm1(x) + jnp.log1p(x**2)),
    "erf": lambda x: jnp.sum(lax.erf(x) ** 2),
    "erfc": lambda x: jnp.sum(jax.scipy.special.erfc(x) ** 2),
    "atan2": lambda x: jnp.sum(jnp.arctan2(x, jnp.asarray(X[::-1])) * x),
    "mod": lambda x: jnp.sum(jnp.mod(x, 0.7) ** 2 + lax.rem(x, jnp.full_like(x, 0.4)) ** 2),
    "rounding": lambda x: jnp.sum((x - jnp.round(x)) ** 2 + jnp.floor(x) * jnp.sign(x) * x),
    "clip": lambda x: jnp.sum(jnp.clip(x, -0.5, 0.5) ** 2 + lax.clamp(-0.6, x, 0.6) ** 2 * x),
    "max_min": lambda x: jnp.sum(jnp.maximum(x, x[::-1]) ** 2 * jnp.minimum(x, X[2] + 0.1)),
    "reduce_max": lambda x: jnp.sum(jnp.max(x.reshape(2, 3), axis=1) ** 2) * jnp.min(x),
    "sort": lambda x: jnp.sum(jnp.sort(x) * X * x) + jnp.median(x) ** 2,
    "argsort": lambda x: jnp.sum(x[jnp.argsort(x)] * X * x) + x[jnp.argmax(x)] ** 3,
    "top_k": lambda x: jnp.sum(lax.top_k(x, 3)[0] ** 3),
    "where": lambda x: jnp.sum(jnp.where(x > 0, jnp.log1p(jnp.where(x > 0, x, 1)), x**2)),
    "cumulative": lambda x: jnp.sum(jnp.cumsum(x) ** 2 * jnp.cumprod(x)),
    "cumulative_pieces": lambda x: jnp.sum(lax.cummax(x) ** 3 * lax.cummin(x, reverse=True)),
    "cumlogsumexp": lambda x: jnp.sum(lax.cumlogsumexp(x) ** 2),
    "prod": lambda x: jnp.prod(x) * x[0],
    "index": lambda x: jnp.sum(jnp.ones(8).at[jnp.array([1, 3, 1])].add(x[:3] ** 2) ** 2),
    "set": lambda x: jnp.sum(jnp.ones(8).at[jnp.array([1, 3, 0])].set(x[3:] ** 2) ** 3),
    "segment_max": lambda x: jnp.sum(jax.ops.segment_max(x, PLACES, 3)[:2] ** 3),
    "segment_min": lambda x: jnp.sum(jax.ops.segment_min(x, PLACES, 3)[:2] ** 3) * x[5],
    "at_max": lambda x: jnp.sum(x.at[PLACES].max(x[::-1] ** 2) ** 3),
    "at_min_rows": lambda x: jnp.sum(
        x.reshape(3, 2).at[jnp.array([1, 2, 1]), jnp.array([0, 1, -1])].min(x[:3]) ** 3
    ),
    "at_multiply": lambda x: jnp.sum(x.at[4:].multiply(x[:2], unique_indices=True) ** 2),
    "slices": lambda x: jnp.sum(lax.dynamic_slice(x, (2,), (3,)) ** 3) + x[::2] @ x[1::2],
    "convolution": lambda x: jnp.mean(convolve(images(x), jnp.asarray(KERNEL) * x[1]) ** 2),
    "kernel": lambda x: jnp.mean(convolve(jnp.asarray(IMAGES), jnp.asarray(KERNEL) * x[1]) ** 2),
    "max_pool": lambda x: jnp.mean(pool(x, -jnp.inf, lax.max) ** 2),
    "mean_pool": lambda x: jnp.mean(pool(x, 0.0, lax.add) ** 2),
    "matmul": lambda x: jnp.tanh(M @ x) @ (M.T @ x),
    "einsum": lambda x: jnp.einsum("i,ij,j->", x, M, x, preferred_element_type=jnp.float64),
    "cholesky": lambda x: jnp.sum(jnp.linalg.cholesky(M @ M.T + jnp.diag(1 + x**2)) ** 3),
    "slogdet": lambda x: jnp.linalg.slogdet(jnp.diag(x) + 0.1 * M)[1],
    "solve": lambda x: x @ jnp.linalg.solve(jnp.diag(3 + x) + M / 3, x),
    "scan": lambda x: lax.scan(lambda c, y: ((c[0] * y, c[1] + 1), c[0] ** 2), (1.0, 0), x)[
        1
    ].sum(),
    "scan_late": scan_with_late_complex,
    "cond": lambda x: lax.cond(x[0] > 0, lambda x: x @ x, lambda _: 2.0, x) * x[1],
    "cond_real": lambda x: lax.cond(x[0] < 0, lambda x: x @ x, lambda _: 2.0, x) * x[1] ** 2,
    "switch": lambda x: lax.switch(jnp.argmax(x) % 2, [jnp.prod, lambda x: jnp.sum(x**3)], x),
    "map": lambda x: jnp.sum(lax.map(lambda y: jnp.sin(y) * x[0], x)),
    "checkpoint": lambda x: jax.checkpoint(lambda x: jnp.sum(jnp.sin(x)))(x) ** 2,
    "checkpoint_policy": lambda x: (
        jax.checkpoint(
            lambda x: jnp.sum(jnp.sin(jnp.outer(x, x) @ jnp.sin(x))),
            policy=jax.checkpoint_policies.dots_saveable,
        )(x)
        ** 2
    ),
    "gradient_of_checkpoint": lambda x: jnp.sum(
        jax.grad(
            jax.checkpoint(
                lambda y: jnp.sum(jnp.sin(jnp.cos(M @ y))),
                policy=jax.checkpoint_policies.everything_saveable,
            )
        )(x)
        ** 2
    ),
    "jit": lambda x: jnp.sum(jax.jit(jax.jit(lambda x: jnp.sin(x) * x))(x)),
    "vmap": lambda x: jnp.sum(jax.vmap(lambda y: lax.cond(y > 0, jnp.sin, jnp.cos, y))(x)),
    "gradient": lambda x: jnp.sum(
        jax.grad(lambda y: jnp.sum(jax.nn.relu(M @ y + 1.5) ** 3))(x) ** 2
    ),
    "pool_gradient": lambda x: jnp.sum(
        jax.grad(lambda y: jnp.mean(pool(y, -jnp.inf, lax.max) ** 2))(x) ** 2
    ),
}
# Their derivative rule is meant to differ from the derivative.
SURROGATES = {
    "stop_gradient": lambda x: jnp.sum(lax.stop_gradient(x) * x**2),
    "custom_vjp": lambda x: jnp.sum(rounded(x, jnp.array(3)) ** 2),
    "custom_vjp_real_factor": lambda x: jnp.sum(rounded(x, jnp.array(3.0)) ** 2),
}


@ft.cache
def derivatives(function, holomorphic=False):
    """Value, gradient and Hessian-vector product, as the flows take them."""
    gradient = jax.grad(function, holomorphic=holomorphic)
    return jax.jit(lambda x, v: (function(x), *jax.jvp(gradient, (x,), (v,))))


holomorphic_grad = ft.partial(jax.grad, holomorphic=True)


@ft.cache
def continuation_of(function):
    """The derivatives of the continuation; cached, for the tests share what they compile."""
    return derivatives(continued(function), holomorphic=True)


def complex_tree(tree, dtype=complex):
    return jtu.tree_map(lambda x: x.astype(dtype), tree)


def direction(params, phase, dtype=None):
    def leaf(x):
        numbers = np.cos(phase + np.arange(x.size)).reshape(x.shape)
        return jnp.asarray(numbers, dtype or x.dtype)

    return jtu.tree_map(leaf, params)


def assert_same_on_real_input(function, params, rtol=1e-12, dtype=complex):
    """Errors are relative to the largest number of each derivative of each leaf."""
    v = direction(params, 0.0)
    expected = complex_tree(derivatives(function)(params, v), dtype)
    continuation = continuation_of(function)
    actual = continuation(complex_tree(params, dtype), complex_tree(v, dtype))
    scale = jtu.tree_map(lambda e: np.max(np.abs(e)) + 1e-3, expected)
    normal = ft.partial(jtu.tree_map, lambda a, s: np.asarray(a) / s)
    assert_close(normal(actual, scale), normal(expected, scale), atol=rtol)
    return continuation


def assert_holomorphic(continuation, params):
    """Steps along the real and the imaginary axis see the gradient, and the Hessian with it.

    Central differences of step 1e-5, so the error is about 1e-10 from truncation and 1e-11 from
    rounding, times the third derivative.
    """
    v = complex_tree(direction(params, 1.0))
    point = jtu.tree_map(lambda x, d: x + jnp.asarray(0.03j) * d[::-1], complex_tree(params), v)
    _, gradient, hessian_vector = continuation(point, v)
    slope = sum(
        jnp.sum(g * d) for g, d in zip(jtu.tree_leaves(gradient), jtu.tree_leaves(v), strict=True)
    )
    assert abs(slope.imag) > 1e-8  # the point is really complex
    scale = max(float(jnp.max(jnp.abs(h))) for h in jtu.tree_leaves(hessian_vector))
    for step in (jnp.asarray(1e-5 + 0j), jnp.asarray(1e-5j)):
        up, down = (
            continuation(jtu.tree_map(ft.partial(moved, s), point, v), v)[:2] for s in (step, -step)
        )
        change = jtu.tree_map(ft.partial(moved, -1), up, down)
        ratio = jtu.tree_map(ft.partial(jnp.multiply, 0.5 / step), change)
        np.testing.assert_allclose(ratio[0], slope, rtol=1e-7)
        assert_close(ratio[1], hessian_vector, rtol=0, atol=1e-7 * (1 + scale))


def moved(step, point, vector):
    return point + step * vector


@pytest.mark.parametrize("name", SMOOTH)
def test_real_input_and_cauchy_riemann(name):
    continuation = assert_same_on_real_input(SMOOTH[name], jnp.asarray(X))
    assert_holomorphic(continuation, jnp.asarray(X))


@pytest.mark.parametrize("name", SURROGATES)
def test_own_derivative_rules_are_kept(name):
    assert_same_on_real_input(SURROGATES[name], jnp.asarray(X))


# --- Closed forms at complex points ---------------------------------------------------------------

Z = X + 1j * np.array([0.2, -0.5, 0.9, 0.4, -0.3, 0.6])


def softmax(z):
    return np.exp(z) / np.sum(np.exp(z))


@pytest.mark.parametrize(
    ("function", "formula"),
    [
        (jnp.linalg.norm, lambda z: np.sqrt(np.sum(z**2))),
        (jnp.var, lambda z: np.mean((z - np.mean(z)) ** 2)),
        (jnp.abs, lambda z: np.sign(X) * z),
        (jnp.sign, lambda z: np.sign(X) + 0j),
        (jax.nn.relu, lambda z: np.where(X > 0, z, 0)),
        (lambda x: jnp.maximum(x, x[::-1]), lambda z: np.where(X - X[::-1] > 0, z, z[::-1])),
        (lambda x: jnp.minimum(x, x[::-1]), lambda z: np.where(X - X[::-1] < 0, z, z[::-1])),
        (jnp.max, lambda z: z[np.argmax(X)]),
        (jnp.min, lambda z: z[np.argmin(X)]),
        (jnp.sort, lambda z: z[np.argsort(X)]),
        (lambda x: jax.ops.segment_max(x, PLACES, 2), lambda z: z[[0, 2]]),
        (lambda x: x.at[PLACES].min(x - 1), lambda z: [*(z[[3, 1]] - 1), *z[2:]]),
        (lax.cummax, lambda z: z[[0, 0, 0, 0, 4, 4]]),
        (
            lambda x: lax.scan(lambda c, y: (c + y, c + y), 0.0, x, reverse=True)[1],
            lambda z: np.cumsum(z[::-1])[::-1],
        ),
        (lambda x: lax.top_k(x, 2)[0], lambda z: z[[4, 0]]),
        (lambda x: jnp.clip(x, -0.5, 0.5), lambda z: np.where(abs(X) < 0.5, z, np.sign(X) / 2)),
        (lambda x: lax.clamp(-0.5, x, 0.5), lambda z: np.where(abs(X) < 0.5, z, np.sign(X) / 2)),
        (lambda x: jnp.floor(x) + x, lambda z: np.floor(X) + z),
        (lambda x: jnp.where(x < 0, x**2, jnp.exp(x)), lambda z: np.where(X < 0, z**2, np.exp(z))),
        (jax.nn.softmax, softmax),
        (jax.nn.log_softmax, lambda z: np.log(softmax(z))),
        (jax.nn.logsumexp, lambda z: np.log(np.sum(np.exp(z)))),
        (jax.nn.softplus, lambda z: np.log(1 + np.exp(z))),
        (jax.nn.sigmoid, lambda z: 1 / (1 + np.exp(-z))),
        (jax.nn.silu, lambda z: z / (1 + np.exp(-z))),
        (jax.nn.elu, lambda z: np.where(X > 0, z, np.exp(z) - 1)),
        (jnp.cbrt, lambda z: np.sign(X) * (np.sign(X) * z) ** (1 / 3)),
        (lambda x: jnp.arctan2(x, 2 * x + 3), lambda z: np.arctan(z / (2 * z + 3))),
        (lambda x: lax.rem(x, jnp.full_like(x, 0.5)), lambda z: z - np.trunc(X / 0.5) * 0.5),
        (lambda x: x.astype(int), lambda z: X.astype(int)),
        (lambda x: x @ x, lambda z: np.sum(z * z)),
        (
            lambda x: jnp.linalg.det(jnp.diag(x) + M / 9),
            lambda z: np.linalg.det(np.diag(z) + M / 9),
        ),
        (while_loop, lambda z: 8 * z[0]),
    ],
)
def test_closed_form(function, formula):
    actual, expected = jax.jit(continued(function))(jnp.asarray(Z)), formula(Z)
    assert actual.dtype == np.asarray(expected).dtype or function is jnp.sign
    np.testing.assert_allclose(actual, expected, rtol=1e-13, atol=1e-15)


def test_triangular_solve_does_not_conjugate():
    def function(x):
        matrix = jnp.asarray(np.tril(M)) + jnp.diag(3 + x)
        return lax.linalg.triangular_solve(
            matrix, x[:, None], left_side=True, lower=True, transpose_a=True, conjugate_a=True
        )[:, 0]

    expected = np.linalg.solve((np.tril(M) + np.diag(3 + Z)).T, Z)
    actual = jax.jit(continued(function))(jnp.asarray(Z))
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-14)


def test_cholesky_does_not_conjugate():
    matrix = M @ M.T + np.diag(3 + Z)
    factor = np.asarray(jax.jit(continued(jnp.linalg.cholesky))(jnp.asarray(matrix)))
    np.testing.assert_allclose(factor @ factor.T, matrix, rtol=1e-13, atol=1e-13)
    np.testing.assert_array_equal(factor, np.tril(factor))


@ft.cache
def error_function_reference(function):
    """At points that both dtypes hold exactly."""
    x = np.concatenate([np.linspace(-6, 6, 31), [-400, -50, -1e-9, 0, 1e-9, 50, 400, 1e30]])
    z = (x[:, None] + 1j * np.linspace(-6, 6, 17)).astype(np.complex64).ravel()
    return z, np.array([complex(function(complex(point))) for point in z])


@pytest.mark.parametrize("dtype", [np.complex128, np.complex64])
@pytest.mark.parametrize(("ours", "reference"), [(erf, mpmath.erf), (erfc, mpmath.erfc)])
def test_error_function(ours, reference, dtype):
    """1e-13, and in complex64 the |z|^2 <= 72 rounding units that exp(-z^2) has at worst.

    On the left erfc is the difference of 2 and its mirror image, which has zeros.
    """
    z, expected = error_function_reference(reference)
    if dtype == np.complex64:
        z, expected = z[abs(z) < 8.5], expected[abs(z) < 8.5]
    normal = abs(expected) > np.finfo(dtype).tiny
    error = abs(np.asarray(jax.jit(ours)(z.astype(dtype))) - expected)
    bound = 1e-13 if dtype == np.complex128 else 72 * np.finfo(dtype).eps
    size = abs(expected) + np.where((ours is erfc) & (z.real < 0), 2, 0)
    assert np.all(error[normal] <= bound * size[normal])
    assert np.all(error[~normal] <= np.finfo(dtype).tiny)


def test_error_function_derivatives():
    z = jnp.asarray(0.7 - 1.1j)
    slope = 2 / np.sqrt(np.pi) * np.exp(-(complex(z) ** 2))
    first, third = (ft.reduce(lambda f, _: holomorphic_grad(f), range(n), erf) for n in (1, 3))
    actual = jax.jit(lambda z: (first(z), third(z), holomorphic_grad(erfc)(z)))(z)
    expected = (slope, (4 * complex(z) ** 2 - 2) * slope, -slope)
    np.testing.assert_allclose(actual, expected, rtol=1e-13)
    infinities = jnp.array([jnp.inf + 0j, -jnp.inf + 0j])
    np.testing.assert_array_equal(jax.jit(erf)(infinities), [1, -1])


# --- Kinks, ties and far away ---------------------------------------------------------------------

SCALAR = {
    "relu": jax.nn.relu,
    "abs": jnp.abs,
    "softplus": jax.nn.softplus,
    "log_sigmoid": jax.nn.log_sigmoid,
    "sigmoid": jax.nn.sigmoid,
    "silu": jax.nn.silu,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "tanh": jnp.tanh,
    "erf": lax.erf,
    "elu": jax.nn.elu,
    "square": lambda x: x**2.0,
    "max": lambda x: jnp.maximum(x, 0.0),
    "reduce_max": lambda x: jnp.max(jnp.stack([x, x, 0 * x])),
    "clamp": lambda x: lax.clamp(0.0, x, 50.0),
    "logaddexp": lambda x: jnp.logaddexp(x, x),
    "masked": lambda x: jax.nn.softmax(jnp.stack([x, 2 * x, x - jnp.inf]))[1],
    "guarded": lambda x: jnp.where(x == 0, 0.0, jnp.sqrt(jnp.where(x == 0, 1.0, x**2))),
}


@pytest.mark.parametrize("name", SCALAR)
def test_kinks_and_far_away(name):
    """Value, gradient and second derivative are those of JAX, and finite."""
    function, one = SCALAR[name], jnp.array(1.0)
    real, continuation = derivatives(function), continuation_of(function)
    for x in (0.0, 1e-12, 50.0, -50.0, 400.0, -400.0):
        actual, expected = continuation(jnp.array(x + 0j), one + 0j), real(jnp.array(x), one)
        assert np.all(np.isfinite(actual)), x
        # The second derivative of the root is a difference of two terms of size 1 / x.
        terms = 1 / abs(x) if name == "guarded" and x else 1.0
        np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-15 * terms, err_msg=str(x))


@pytest.mark.parametrize(
    ("function", "formula"),
    [
        (jax.nn.softplus, lambda z: np.log(1 + np.exp(z))),
        (lambda x: jnp.logaddexp(x, -x), lambda z: np.log(2 * np.cosh(z))),
        (lambda x: jnp.abs(x) * jnp.sign(x), lambda z: z),
        (lambda x: jnp.maximum(x, -x) + jnp.minimum(x, -x), lambda z: 0 * z),
    ],
)
def test_imaginary_numbers_are_ties_of_the_real_part(function, formula):
    continuation = jax.jit(continued(function))
    for z in (0.7j, -0.7j):
        np.testing.assert_allclose(continuation(jnp.array(z)), formula(z), atol=1e-15)


def test_sinh_keeps_the_digits_of_small_numbers():
    actual = continuation_of(jnp.sinh)(jnp.array(1e-12 + 1e-13j), jnp.array(1.0 + 0j))
    np.testing.assert_allclose(actual, [1e-12 + 1e-13j, 1, 1e-12 + 1e-13j], rtol=1e-14)


def test_real_factors_and_divisors_act_on_both_parts():
    for function in (lambda x: x * jnp.inf, lambda x: jnp.inf * x, lambda x: x / 0):
        actual = jax.jit(continued(function))(jnp.array(1 - 2j))
        np.testing.assert_array_equal(actual, complex(np.inf, -np.inf))


def test_ties_of_what_is_scattered():
    """The imaginary part decides; equals share the derivative with what stood there, as in JAX."""
    largest = continued(lambda x: jnp.full(2, 2.0).at[np.array([0, 0, 0, 1])].max(x))
    z = jnp.array([2 + 1j, 2 + 3j, 1 + 9j, 2 - 1j])
    np.testing.assert_array_equal(jax.jit(largest)(z), [2 + 3j, 2])
    x = jnp.array([2.0, 2.0, -1.0, 5.0])
    assert_same_on_real_input(
        lambda x: jnp.sum(jnp.full(2, 2.0).at[np.array([0, 0, 0, 1])].max(x) ** 2), x
    )


def test_nan_is_not_hidden():
    z = jnp.array([jnp.nan + 0j, 1.0 + 0j])
    for function in (jnp.max, lambda x: jnp.maximum(x[0], x[1]), lambda x: jnp.minimum(x[1], x[0])):
        assert jnp.isnan(continued(function)(z))
    assert jnp.isnan(continued(lambda x: jnp.ones(1).at[np.array([0, 0])].max(x))(z)[0])
    np.testing.assert_array_equal(
        continued(jnp.isfinite)(jnp.array([jnp.nan, complex(0, np.inf)])), False
    )


def test_max_pool_with_ties_has_the_gradient_of_jax():
    def function(x):
        x = jax.nn.relu(x).reshape(1, 4)
        return jnp.sum(lax.reduce_window(x + 1, -jnp.inf, lax.max, (1, 4), (1, 2), "SAME") ** 2)

    assert_same_on_real_input(lambda x: function(x - x), jnp.array([1.0, -1.0, 2.0, -3.0]))


# --- Layers ---------------------------------------------------------------------------------------


class EquinoxNetwork(eqx.Module):
    embed: eqx.nn.Linear
    attend: eqx.nn.MultiheadAttention
    convolve: eqx.nn.Conv1d
    norms: list

    def __init__(self, key):
        keys = jr.split(key, 3)
        self.embed = eqx.nn.Linear(3, 4, key=keys[0])
        self.attend = eqx.nn.MultiheadAttention(2, 4, key=keys[1])
        self.convolve = eqx.nn.Conv1d(5, 2, 3, key=keys[2])
        self.norms = [eqx.nn.LayerNorm(4), eqx.nn.GroupNorm(1, 2), eqx.nn.Dropout(inference=True)]

    def __call__(self, x):
        layer, group, dropout = self.norms
        h = jax.vmap(lambda x: layer(jax.nn.gelu(self.embed(x), approximate=False)))(x)
        return group(self.convolve(dropout(h + self.attend(h, h, h))))


class FlaxNetwork(fnn.Module):
    @fnn.compact
    def __call__(self, x):
        h = fnn.Conv(4, (3, 3), param_dtype=float)(x)
        h = fnn.BatchNorm(use_running_average=True, dtype=float, param_dtype=float)(h)
        h = fnn.max_pool(fnn.relu(h), (2, 2), (2, 2)).reshape(2, 4, 4)
        h = fnn.LayerNorm(param_dtype=float)(h)
        h = fnn.Dropout(0.5, deterministic=True)(h)
        h = h + fnn.MultiHeadDotProductAttention(2, param_dtype=float)(h)
        return fnn.Dense(3, param_dtype=float)(h.mean(1))


def filled(shapes):
    """Parameters of these shapes; drawing them would take longer than the test."""
    return jtu.tree_map(jnp.multiply, direction(shapes, 0.5, float), direction(shapes, 2.0, float))


def equinox_problem():
    network = eqx.filter_eval_shape(EquinoxNetwork, jr.key(0))
    shapes, rest = eqx.partition(network, lambda x: isinstance(x, jax.ShapeDtypeStruct))
    data = jnp.cos(jnp.arange(15.0)).reshape(5, 3)
    return lambda p: jnp.mean((eqx.combine(p, rest)(data) - 1) ** 4), filled(shapes)


def flax_problem():
    data = jnp.sin(1.3 * jnp.arange(64.0)).reshape(2, 4, 4, 2)
    network = FlaxNetwork()

    # Flax keeps some statistics in float32.
    with jax.numpy_dtype_promotion("standard"):
        shapes = jax.eval_shape(network.init, jr.key(1), data)
    statistics = jtu.tree_map(lambda x: jnp.full(x.shape, 1.5), shapes["batch_stats"])

    def loss(params):
        with jax.numpy_dtype_promotion("standard"):
            logits = network.apply({"params": params, "batch_stats": statistics}, data)
        return -jnp.sum(jax.nn.log_softmax(logits)[:, 1])

    return loss, filled(shapes["params"])


@pytest.mark.parametrize("problem", [equinox_problem, flax_problem])
def test_layers(problem):
    loss, params = problem()
    continuation = assert_same_on_real_input(loss, params, rtol=1e-11)
    assert_holomorphic(continuation, params)


# --- Transformations and dtypes -------------------------------------------------------------------


def stepped(w, a):
    """Closes over `a`, has derivative rules of its own, and a loop."""

    def body(c, x):
        return jax.nn.softplus(c) * x, jax.nn.relu(c)

    return jnp.sum(lax.scan(body, w[0], a)[1]) + jnp.sum(jax.nn.silu(w * a))


def test_closes_over_tracers():
    a, z = jnp.asarray(M[:2]), jnp.asarray(Z)
    reference = jax.jit(jax.value_and_grad(continued(stepped), holomorphic=True))
    expected = [np.stack(rows) for rows in zip(*(reference(z, row) for row in a), strict=True)]

    def function(a):
        return jax.value_and_grad(continued(lambda w: stepped(w, a)), holomorphic=True)(z)

    for transformed in (jax.jit(jax.vmap(function)), ft.partial(lax.map, function)):
        for actual, e in zip(transformed(a), expected, strict=True):
            np.testing.assert_allclose(actual, e, rtol=1e-13, atol=1e-15)

    def value(a):
        return continued(lambda w: stepped(w, a))(z).real

    by_data = jax.jit(jax.grad(value))(a[0])
    values = jax.jit(lambda d: jax.vmap(value)(a[:1] + d * jnp.eye(6)))
    up, down = values(1e-5), values(-1e-5)
    np.testing.assert_allclose(by_data, (up - down) / 2e-5, rtol=1e-6, atol=1e-9)


def test_third_derivative_of_what_has_its_own_rule():
    """Of softplus at z: s (1 - s) (1 - 2 s), with s the sigmoid."""
    third = ft.reduce(lambda f, _: holomorphic_grad(f), range(3), continued(jax.nn.softplus))
    s = 1 / (1 + np.exp(-Z))
    np.testing.assert_allclose(
        jax.jit(jax.vmap(third))(jnp.asarray(Z)), s * (1 - s) * (1 - 2 * s), rtol=1e-12
    )


def test_trees_keep_their_structure_and_real_leaves():
    tree = {"z": jnp.asarray(Z), "x": jnp.asarray(X), "n": 2, "none": None}
    result = continued(lambda t: {"a": t["z"] * t["x"], "b": (t["x"], t["n"] + 1)})(tree)
    expected = {"a": jnp.asarray(Z * X), "b": (jnp.asarray(X + 0j), jnp.array(3))}
    assert_close(result, expected, rtol=1e-15)


@pytest.mark.parametrize("name", ["gelu", "softmax", "norm", "logsumexp", "tanh", "var_std"])
def test_complex64(name):
    """Within 3.5e-3, ten square roots of the rounding unit; in fact mostly 1e-6."""
    function, z, one = SMOOTH[name], jnp.asarray(Z, jnp.complex64), jnp.ones(6, jnp.complex64)
    continuation = assert_same_on_real_input(
        function, jnp.asarray(X, jnp.float32), 1e-5, jnp.complex64
    )
    exact = continuation(*complex_tree((z, one)))[0]
    np.testing.assert_allclose(continuation(z, one)[0], exact, rtol=1e-5)


def test_sixteen_bits_are_computed_in_complex64():
    def function(x):
        low = jnp.tanh(x.astype(jnp.bfloat16) * 2)
        product = jnp.dot(low, low, preferred_element_type=jnp.float32)
        return product + (low - jnp.floor(low))[0].astype(jnp.float32)

    result = jax.jit(continued(function))(jnp.asarray(Z, jnp.complex64))
    assert result.dtype == jnp.complex64
    low = np.tanh(2 * Z)
    np.testing.assert_allclose(result, np.sum(low**2) + low[0], rtol=1e-5)


def test_without_x64():
    def function(x):
        return jnp.sum(jax.nn.gelu(jnp.sort(x), approximate=False) ** 2)

    with jax.enable_x64(False), jax.numpy_dtype_promotion("standard"):
        assert_same_on_real_input(function, jnp.array([0.5, -1.0, 400.0]), 1e-5, jnp.complex64)


# --- What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("eigh", lambda x: jnp.linalg.eigvalsh(jnp.outer(x, x))[0]),
        ("svd", lambda x: jnp.linalg.norm(jnp.outer(x, x), 2)),
        ("erf_inv", lambda x: jnp.sum(lax.erf_inv(x))),
        ("lu", lambda x: jnp.sum(lax.linalg.lu(lax.complex(M, jnp.outer(x, x)))[0].real)),
    ],
)
def test_refused(name, function):
    with pytest.raises(
        flows.ContinuationError, match=rf"(?s)`{name}`.*Rewrite.*flows\.ModifiedFlow"
    ):
        continued(function)(jnp.asarray(Z))
    assert issubclass(flows.ContinuationError, flows.FlowsError)
    assert issubclass(flows.ContinuationError, NotImplementedError)


def test_the_message_names_the_line():
    with pytest.raises(flows.ContinuationError, match=r"test_continuation\.py:\d+"):
        continued(lambda x: jnp.sum(lax.erf_inv(x)))(jnp.asarray(Z))


def test_data_may_use_what_is_refused_for_parameters():
    data = jnp.asarray(X)

    def function(x):
        return jnp.sum(lax.bessel_i0e(data) * x + jnp.abs(jnp.fft.fft(data)))

    scaled = [float(mpmath.exp(-abs(v)) * mpmath.besseli(0, v)) for v in X]
    expected = np.sum(scaled * Z)
    expected += np.sum(abs(np.fft.fft(X)))
    actual = jax.jit(continued(function))(jnp.asarray(Z))
    np.testing.assert_allclose(actual, expected, rtol=1e-13)
