"""The largest eigenpairs and their tracking, against NumPy on matrices with a known spectrum."""

import functools as ft
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
import pytest
from helpers import assert_close

import flows
from flows.curvature.eigenpairs import block
from flows.curvature.eigenpairs.tracking import follow_eigenpairs, start_tracking


def quadratic(x, matrix):
    return x @ matrix @ x / 2


def with_spectrum(eigenvalues, seed=0):
    rng = np.random.default_rng(seed)
    n = len(eigenvalues)
    Q = np.linalg.qr(rng.standard_normal((n, n)))[0]
    return (Q * np.asarray(eigenvalues)) @ Q.T


N = 120
BULK = np.linspace(-1, 1, N - 6)
SPECTRA = {
    "simple": np.concatenate([[9, 8, 7, 3, 2.5, 2], BULK]),
    "triple": np.concatenate([[5, 5, 5, 3, 2, 2], BULK]),
    "cluster": np.concatenate([4 + 1e-4 * np.arange(6), BULK]),
    "negative": np.concatenate([[-0.1, -0.2, -0.2, -0.3, -1, -1], BULK - 3]),
    "far below": np.concatenate([[1, 1, 0.9, 0.5, 0.4, 0.3], BULK - 100]),
    "rank one": np.concatenate([[2], np.zeros(N - 1)]),
    "all the same": np.full(N, -3.0),
    "zero": np.zeros(N),
    "tiny": 1e-25 * np.concatenate([[9, 8, 7, 3, 2.5, 2], BULK]),
}


def check(pairs, matrix, k, rtol):
    """Right values, orthonormal vectors that solve their equation, residuals that are true."""
    matrix = np.asarray(matrix, float)
    expected = np.linalg.eigvalsh(matrix)
    scale = np.abs(expected).max()
    values, vectors, residuals = (np.asarray(leaf, float) for leaf in pairs)
    eps = np.finfo(pairs.values.dtype).eps
    rounding = 100 * eps * scale
    # An error is at most a residual, and far less where there is a gap.
    np.testing.assert_allclose(values, expected[::-1][:k], rtol=0, atol=rtol * scale + rounding)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(k), atol=200 * eps)
    true = np.linalg.norm(vectors @ matrix - values[:, None] * vectors, axis=1)
    np.testing.assert_allclose(residuals, true, rtol=0, atol=rounding)
    assert bool(pairs.converged)
    assert (residuals <= rtol * scale + rounding).all()


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
def test_against_numpy(name, dtype):
    matrix = jnp.asarray(with_spectrum(SPECTRA[name]), dtype)
    pairs = flows.top_eigenpairs(quadratic, jnp.zeros(N, dtype), 4, args=matrix)
    assert pairs.values.dtype == pairs.vectors.dtype == dtype
    check(pairs, matrix, 4, float(jnp.finfo(dtype).eps) ** (2 / 3))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_few_parameters(n):
    for k in {1, n}:
        matrix = with_spectrum(np.arange(n) - 2.0)
        check(flows.top_eigenpairs(quadratic, jnp.ones(n), k, args=matrix), matrix, k, 1e-10)


def test_a_warm_start_is_cheaper_and_no_trap():
    matrix = with_spectrum(SPECTRA["simple"])
    x = jnp.zeros(N)
    cold = flows.top_eigenpairs(quadratic, x, 3, args=matrix)
    warm = flows.top_eigenpairs(quadratic, x, 3, args=matrix, start=cold.vectors)
    check(warm, matrix, 3, 1e-10)
    # Exact eigenvectors, but not the largest ones, and dependent, and zero.
    vectors = np.linalg.eigh(matrix)[1]
    for start in (vectors[:, :3].T, np.ones((4, N)), np.zeros((1, N)), vectors[:, 3:9].T):
        again = flows.top_eigenpairs(quadratic, x, 3, args=matrix, start=jnp.asarray(start))
        check(again, matrix, 3, 1e-10)


def network(dtype=jnp.float64):
    """Problem P2 of Cohen and others' central flow, with fewer steps: 484 parameters, a tree."""
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((64, 8)), rng.standard_normal((64, 4))
    shapes = [(8, 16), (16, 16), (16, 4)]
    weights = [rng.standard_normal(shape) / np.sqrt(shape[0]) for shape in shapes]
    params = {f"W{i}": jnp.asarray(W, dtype) for i, W in enumerate(weights)}
    params |= {f"b{i}": jnp.zeros(W.shape[1], dtype) for i, W in enumerate(weights)}
    X, Y = jnp.asarray(X, dtype), jnp.asarray(Y, dtype)

    def loss(p):
        a = jnp.tanh(X @ p["W0"] + p["b0"][None, :])
        a = jnp.tanh(a @ p["W1"] + p["b1"][None, :])
        return jnp.mean(jnp.sum((a @ p["W2"] + p["b2"][None, :] - Y) ** 2, axis=1)) / 2

    return loss, params


def test_a_network():
    loss, params = network()
    pairs = flows.top_eigenpairs(loss, params, 3)
    # The values of the problem's definition, known to eight digits.
    np.testing.assert_allclose(
        0.2 * np.asarray(pairs.values), [0.62884671, 0.4778012, 0.45853685], atol=6e-9
    )
    assert jtu.tree_structure(pairs.vectors) == jtu.tree_structure(params)
    product = lambda v: jax.jvp(jax.grad(loss), (params,), (v,))[1]  # noqa: E731
    for i in range(3):
        u = jtu.tree_map(lambda leaf, i=i: leaf[i], pairs.vectors)
        expected = jtu.tree_map(lambda leaf, i=i: pairs.values[i] * leaf, u)
        assert_close(product(u), expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(flows.sharpness(loss, params), pairs.values[0], rtol=1e-12)


def test_sharpness_and_its_derivative():
    def loss(x, a):  # largest eigenvalue a + 2 x_0^2, from the first two
        return a * x[1] ** 2 / 2 + x[0] ** 2 * x[1] ** 2 + jnp.sum(x[2:] ** 2) / 4

    x = jnp.zeros(80).at[0].set(0.5)
    assert_close(flows.sharpness(loss, x, args=3.0), jnp.asarray(3.5), rtol=1e-12)
    slope = jax.jit(jax.grad(lambda x: flows.sharpness(loss, x, args=3.0)))(x)
    assert_close(slope, jnp.zeros(80).at[0].set(2.0), atol=1e-9)
    along = jax.jvp(lambda a: flows.sharpness(loss, x, args=a), (3.0,), (1.0,))[1]
    assert_close(along, jnp.asarray(1.0), rtol=1e-9)
    batch = jax.vmap(lambda a: flows.sharpness(loss, x, args=a))(jnp.array([3.0, 5.0]))
    assert_close(batch, jnp.array([3.5, 5.5]), rtol=1e-12)


def test_no_convergence_is_no_success():
    with pytest.raises(flows.RunFailedError, match="the Hessian is not finite here") as failed:
        flows.sharpness(lambda x: jnp.sum(jnp.sqrt(x)), jnp.zeros(100))
    assert isinstance(failed.value.partial, flows.Eigenpairs)
    matrix = with_spectrum(np.linspace(0, 1, N))
    find = ft.partial(flows.top_eigenpairs, quadratic, jnp.zeros(N), 2, args=matrix, rtol=1e-17)
    with pytest.raises(flows.RunFailedError, match=r"the largest residual is .*start=error.parti"):
        find()
    pairs = find(throw=False)
    assert not bool(pairs.converged)
    assert float(jnp.max(pairs.residuals)) < 1e-12
    with pytest.raises(RuntimeError, match="the sharpness did not converge"):
        jax.block_until_ready(
            jax.jit(lambda x: flows.sharpness(quadratic, x, args=matrix, rtol=1e-17))(jnp.zeros(N))
        )


def test_the_largest_residual_counts_and_not_the_last():
    """Five eigenvalues of 1e8 are known to their rounding, the last one, decoupled, exactly."""
    matrix = np.zeros((6, 6))
    matrix[:5, :5] = with_spectrum(1e8 * np.arange(1, 6))
    find = ft.partial(flows.top_eigenpairs, quadratic, jnp.zeros(6), 6, args=jnp.asarray(matrix))
    with pytest.raises(flows.RunFailedError, match="not all eigenpairs converged") as failed:
        find(rtol=1e-17)
    pairs = failed.value.partial
    assert not bool(pairs.converged)
    assert 1e8 * float(pairs.residuals[-1]) < float(pairs.residuals.max())
    assert f"the largest residual is {float(pairs.residuals.max()):.1e}." in str(failed.value)


@pytest.mark.parametrize(
    "shapes", [[(1000, 700)], [(700_001,)], [(300_000, 2), (5,), ()], [(3, 40, 5000)]]
)
def test_orthonormal_to_rounding_in_single_precision(shapes):
    """Against sums in double precision, for vectors of about a million numbers."""
    like = [jnp.zeros(shape, jnp.float32) for shape in shapes]
    R = block.random_rows(0, like, 3)
    nothing = block.zero_rows(like, 3)
    W, count = jax.jit(block.orthonormalised)(R, nothing, jnp.float32(1e-6))
    assert int(count) == 3
    flat = np.concatenate([np.asarray(leaf, np.float64).reshape(3, -1) for leaf in W], axis=1)
    np.testing.assert_allclose(flat @ flat.T, np.eye(3), atol=2e-6)


def test_messages():
    find: Any = ft.partial(flows.top_eigenpairs, lambda x: jnp.sum(x**2), jnp.ones(3))
    for k in (0, 4, 1.5, True):
        with pytest.raises(flows.InvalidOptionError, match="from 1 to 3, got"):
            find(k)
    for start in (jnp.ones(3), jnp.ones((2, 2)), [jnp.ones((1, 3))], jnp.ones((1, 3), "float32")):
        with pytest.raises(flows.InvalidOptionError, match="start must be a tree like params"):
            find(1, start=start)
    for rtol in (0.0, -1.0, "small", 2.0):
        with pytest.raises(flows.InvalidOptionError, match="rtol must be a number between 0 and"):
            find(1, rtol=rtol)
    derivative = r"the sharpness only once\. Put jax.lax.stop_gradient"
    with pytest.raises(flows.InvalidOptionError, match=derivative):
        jax.grad(lambda x: flows.top_eigenpairs(lambda x: jnp.sum(x**4), x, 1).values[0])(
            jnp.ones(3)
        )
    with pytest.raises(flows.InvalidOptionError, match=derivative):
        jax.hessian(lambda x: flows.sharpness(lambda x: jnp.sum(x**4), x))(jnp.ones(3))


# Tracking -----------------------------------------------------------------------------------------


def moving_matrix(t, eigenvalues, bases):
    """A matrix whose eigenvectors turn and whose eigenvalues are given."""
    Q, generator = bases
    R = jax.scipy.linalg.expm(t * generator) @ Q
    return (R * eigenvalues[None, :]) @ R.T


@ft.lru_cache
def bases(n=N, seed=1):
    rng = np.random.default_rng(seed)
    G = rng.standard_normal((n, n))
    return np.linalg.qr(rng.standard_normal((n, n)))[0], 0.05 * (G - G.T) / np.sqrt(n)


@eqx.filter_jit
def follow(spectra, dtype=jnp.float64, size=8):
    """Track along the matrices of these spectra; all states, and the matrices."""
    Q, generator = (jnp.asarray(a, dtype) for a in bases(spectra.shape[1]))
    times = jnp.arange(len(spectra), dtype=dtype)
    matrices = jax.lax.map(
        lambda both: moving_matrix(both[0], both[1], (Q, generator)), (times, spectra)
    )
    start = start_tracking(lambda v: matrices[0] @ v, jnp.zeros(spectra.shape[1], dtype), size, 2.0)

    def step(state, matrix):
        state = follow_eigenpairs(lambda v: matrix @ v, state, 2.0)
        return state, state

    return start, jax.lax.scan(step, start, matrices)[1], matrices


def rising_and_falling(steps=40):
    """One eigenvalue is near 2, then four are, then one again."""
    t = np.linspace(0, 1, steps)[:, None]
    hump = 1.9 * np.sin(np.pi * t) * np.array([1, 0.98, 0.95, 0.9])[None, :]
    bulk = np.broadcast_to(np.linspace(-1.2, 0.4, N - 5), (steps, N - 5))
    return jnp.asarray(np.concatenate([np.full((steps, 1), 2.0), hump, bulk], axis=1))


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
def test_tracking_follows_what_is_near_the_threshold(dtype):
    spectra = rising_and_falling().astype(dtype)
    _, states, _ = follow(spectra, dtype)
    assert bool(jnp.all(states.converged))
    assert bool(jnp.all(states.complete))
    rtol = max(1e-6, float(jnp.finfo(dtype).eps) ** 0.5)
    for i, spectrum in enumerate(np.sort(np.asarray(spectra, float), axis=1)[:, ::-1]):
        near = int(np.sum(spectrum > 1.8))
        # The error is at most the residual, and the square of it over the gap.
        np.testing.assert_allclose(states.values[i, :near], spectrum[:near], atol=2 * rtol)
        assert int(states.number[i]) >= min(near + 2, int(states.count[i]))
    # Few vectors at both ends, more in the middle, and a few products for each.
    numbers = np.asarray(states.number)
    assert numbers[0] == numbers[-1] == 3
    assert numbers.max() == 6
    # (The vectors turn by some 0.1 a step, far more than along a trajectory.)
    assert np.mean(np.asarray(states.matvecs) / numbers) < (6 if dtype == jnp.float32 else 15)
    above = jax.vmap(lambda state: state.above(1.95))(states)
    assert above.shape == (len(spectra), 8)


def test_tracked_pairs_solve_their_equation():
    _, states, matrices = follow(rising_and_falling())
    for i in (0, 20, 39):
        count = int(states.count[i])
        V = np.asarray(states.vectors[i])
        np.testing.assert_allclose(V[:count] @ V[:count].T, np.eye(count), atol=1e-13)
        assert not V[count:].any()
        np.testing.assert_allclose(states.images[i], V @ np.asarray(matrices[i]), atol=1e-12)
        true = np.linalg.norm(states.images[i] - states.values[i][:, None] * V, axis=1)
        np.testing.assert_allclose(states.residuals[i], true, atol=1e-14)


def test_more_than_there_is_room_for_is_told():
    spectra = jnp.asarray(np.tile(np.concatenate([np.full(9, 1.9), np.zeros(N - 9)]), (40, 1)))
    start, states, _ = follow(spectra)
    assert not bool(start.complete)
    assert not bool(jnp.any(states.complete))


@pytest.mark.parametrize(("near", "fits"), [(6, True), (7, False)])
def test_there_is_room_for_all_but_the_guards(near, fits):
    rows = np.concatenate([np.full(near, 1.9), np.zeros(N - near)])
    start, states, _ = follow(jnp.asarray(np.tile(rows, (40, 1))))
    assert bool(start.complete) == fits
    assert (states.complete == fits).all()


@pytest.mark.parametrize("n", [1, 2, 5])
def test_tracking_with_fewer_dimensions_than_vectors(n):
    spectra = jnp.asarray(np.tile(np.linspace(2, -1, n), (3, 1)))
    start, states, _ = follow(spectra)
    for count in (start.count, states.count[-1]):
        assert 1 <= int(count) <= n
    assert bool(jnp.all(states.converged))
    np.testing.assert_allclose(states.values[-1, 0], 2.0, rtol=1e-12)


@jax.jit
def track_diagonals(diagonals, vectors):
    """Along diagonal matrices, whose eigenvectors never turn, from these vectors."""
    state = start_tracking(lambda v: diagonals[0] * v, vectors[0], len(vectors), 2.0)
    state = eqx.tree_at(lambda s: s.vectors, state, vectors)

    def step(state, diagonal):
        state = follow_eigenpairs(lambda v: diagonal * v, state, 2.0)
        return state, (state.values, state.above(2.0), state.converged & state.complete)

    return jax.lax.scan(step, state, diagonals)[1]


def test_a_direction_that_nothing_leads_to_is_found():
    """As good a state as can be, and blind: everything but one vector is zero."""
    diagonals = np.zeros((60, 100))
    diagonals[:, 3], diagonals[:, 50] = 2.0, 2.5 * np.linspace(0, 1, 60)
    found, _, _ = track_diagonals(jnp.asarray(diagonals), jnp.zeros((6, 100)).at[0, 3].set(1.0))
    np.testing.assert_allclose(found[-5:, 0], diagonals[-5:, 50], rtol=1e-10)


def test_a_fourth_eigenvalue_beside_three_exact_eigenvectors_is_found():
    """Blind in full: the guards are eigenvectors too, so that no product leads out of the block."""
    diagonals = np.zeros((60, 100))
    diagonals[:, [3, 7, 20]] = [2.4, 2.3, 2.2]
    diagonals[:, [60, 61, 62]] = [-0.1, -0.2, -0.3]
    diagonals[:, 50] = np.linspace(-0.5, 2.6, 60)
    known = jnp.zeros((6, 100)).at[jnp.arange(6), jnp.array([3, 7, 20, 60, 61, 62])].set(1.0)
    found, above, settled = track_diagonals(jnp.asarray(diagonals), known)
    assert bool(settled.all())
    np.testing.assert_array_equal(above.sum(axis=1), (diagonals > 2).sum(axis=1))
    near = diagonals[:, 50] > 1.8
    expected = np.sort(diagonals[near], axis=1)[:, :-5:-1]
    np.testing.assert_allclose(found[near, :4], expected, rtol=1e-10)


def test_message_for_a_size():
    for size in (0, 2.0, True):
        with pytest.raises(flows.InvalidOptionError, match="size must be an integer >= 1"):
            start_tracking(lambda v: v, jnp.zeros(3), size, 2.0)  # pyright: ignore[reportArgumentType]


def test_tracking_survives_what_is_not_finite():
    @jax.jit
    def run(bad):
        state = start_tracking(lambda v: 2 * v, jnp.zeros(9), 4, 2.0)
        return follow_eigenpairs(lambda v: bad * v, state, 2.0)

    assert not bool(run(jnp.nan).converged)
    assert bool(run(1.0).converged)
    both = jax.vmap(run)(jnp.array([jnp.inf, 1.0]))
    assert both.converged.tolist() == [False, True]


def test_tracking_a_network_over_its_tree():
    loss, params = network(jnp.float32)

    @jax.jit
    def run(params):
        def product_at(p):
            gradient, product = jax.linearize(jax.grad(loss), p)
            return gradient, lambda v: jtu.tree_map(lambda leaf: 0.2 * leaf, product(v))

        state = start_tracking(product_at(params)[1], params, 6, 0.6)

        def step(carry, _):
            params, state = carry
            gradient, product = product_at(params)
            state = follow_eigenpairs(product, state, 0.6)
            params = jtu.tree_map(lambda p, g: p - 0.2 * g, params, gradient)
            return (params, state), (state.values[0], state.converged)

        return jax.lax.scan(step, (params, state), None, length=51)[1]

    values, converged = run(params)
    assert bool(jnp.all(converged))
    # Known of problem P2, after 0, 1, 10 and 50 steps.
    known = [0.62884671, 0.60709921, 0.61089117, 0.75772634]
    np.testing.assert_allclose(values[jnp.array([0, 1, 10, 50])], known, rtol=2e-5)
