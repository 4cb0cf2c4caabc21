"""Complementarity: its conditions in NumPy, solutions known beforehand, rank patterns by search."""

import functools as ft

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

import flows
from flows.curvature.complementarity.problem import METHODS, complementarity

solve = jax.jit(complementarity)
TOLERANCE = {"float32": 2e-5, "float64": 1e-10}


def symmetric(rng, k):
    A = rng.standard_normal((k, k))
    return (A + A.T) / 2


def gram(rng, k, rank):
    """``B_ijkl`` as inner products of the vectors ``grad H_ij``, as in the central flow."""
    T = rng.standard_normal((rank, k, k))
    T = (T + T.transpose(0, 2, 1)) / 2
    return np.einsum("aij,akl->ijkl", T, T)


def apply(B, X):
    return np.einsum("ijkl,kl->ij", B, X)


def with_solution(rng, B, rank, nullity):
    """An ``A`` for which there is a solution of the rank, with a slack of the nullity."""
    k = B.shape[0]
    Q = np.linalg.qr(rng.standard_normal((k, k)))[0]
    X, slack = np.zeros(k), np.zeros(k)
    X[:rank] = rng.uniform(0.1, 1, rank)
    slack[nullity:] = rng.uniform(0.1, 1, k - nullity)
    X, slack = (Q * X) @ Q.T, (Q * slack) @ Q.T
    return slack - apply(B, X), X


def residual(A, B, X):
    """How far the three conditions are from holding, relative to ``|A|`` and ``|X|``."""
    slack = A + apply(B, X)
    size_A, size_X = np.linalg.norm(A) or 1, np.linalg.norm(X) or 1
    return max(
        -np.linalg.eigvalsh(X)[0] / size_X,
        -np.linalg.eigvalsh(slack)[0] / size_A,
        abs(np.sum(X * slack)) / (size_A * size_X),
    )


def problem(kind, k, rng):
    if kind == "random":
        return symmetric(rng, k), gram(rng, k, k * (k + 1))
    if kind == "rank-deficient":  # strictly complementary
        B, r = gram(rng, k, k), rng.integers(k + 1)
        return with_solution(rng, B, r, r)[0], B
    if kind == "degenerate":  # X and the slack share null directions
        B, r = gram(rng, k, max(1, k * (k + 1) // 4)), rng.integers(k)
        return with_solution(rng, B, r, rng.integers(r, k + 1))[0], B
    if kind == "nearly singular":
        B, r = gram(rng, k, 2) + 1e-8 * gram(rng, k, k * k), rng.integers(k + 1)
        return with_solution(rng, B, r, r)[0], B
    if kind == "repeated":  # all eigenvalues of X and of the slack are 1
        B, Q = gram(rng, k, k * (k + 1)), np.linalg.qr(rng.standard_normal((k, k)))[0]
        X = Q[:, : k // 2] @ Q[:, : k // 2].T
        return np.eye(k) - X - apply(B, X), B
    if kind == "badly scaled":
        s = 10.0 ** rng.uniform(-2, 2, k)
        A, B = symmetric(rng, k), gram(rng, k, k * (k + 1))
        return A * np.outer(s, s), np.einsum("ijkl,i,j,k,l->ijkl", B, s, s, s, s)
    if kind == "tiny":
        return 1e-30 * symmetric(rng, k), 1e-20 * gram(rng, k, k * (k + 1))
    if kind == "nothing to do":
        A = symmetric(rng, k)
        return A @ A, gram(rng, k, 1) * rng.integers(2)
    raise ValueError(kind)


KINDS = (
    "random",
    "rank-deficient",
    "degenerate",
    "nearly singular",
    "repeated",
    "badly scaled",
    "tiny",
    "nothing to do",
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [1, 2, 5, 8])
def test_conditions_hold(kind, k):
    for seed in range(12):
        A, B = problem(kind, k, np.random.default_rng([KINDS.index(kind), k, seed]))
        solution = solve(A, B)
        X = np.asarray(solution.X)
        assert residual(A, B, X) <= 1e-10
        assert bool(solution.converged)
        assert float(solution.residual) <= 1e-10
        np.testing.assert_allclose(
            solution.slack, A + apply(B, X), rtol=0, atol=1e-11 * float(np.linalg.norm(A))
        )
        if k == 1 or kind == "nothing to do":
            assert METHODS[int(solution.method)] == "closed form"
        if kind == "nothing to do":
            assert not X.any()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "tiny"])
@pytest.mark.parametrize("k", [2, 8])
def test_in_single_precision(kind, k):
    single = ft.partial(np.asarray, dtype=np.float32)
    for seed in range(8):
        A, B = map(single, problem(kind, k, np.random.default_rng([k, seed])))
        solution = solve(A, B)
        assert solution.X.dtype == solution.residual.dtype == jnp.float32
        error = residual(*(np.asarray(a, float) for a in (A, B, solution.X)))
        # What is said of it is true, and a few problems are too hard for seven digits.
        assert bool(solution.converged) == (float(solution.residual) <= 2e-5)
        assert error <= 1e-5 + 2 * float(solution.residual)
        assert error <= (1e-3 if kind == "nearly singular" else 3e-5)


@pytest.mark.slow
def test_twenty_directions():
    for seed in range(3):
        rng = np.random.default_rng(seed)
        A, B = symmetric(rng, 20), gram(rng, 20, 300)
        assert residual(A, B, np.asarray(solve(A, B).X)) <= 1e-10
        B = gram(rng, 20, 20)
        A = with_solution(rng, B, 7, 9)[0]
        assert residual(A, B, np.asarray(solve(A, B).X)) <= 1e-10


def test_the_solution_is_the_known_one_where_there_is_but_one():
    rng = np.random.default_rng(3)
    B = gram(rng, 5, 40)
    for rank, nullity in ((0, 0), (2, 2), (2, 4), (5, 5)):
        A, X = with_solution(rng, B, rank, nullity)
        # B's smallest eigenvalue is about 2: errors of X are of the size of the residual, or of
        # its square root where X and the slack share null directions.
        np.testing.assert_allclose(solve(A, B).X, X, atol=2e-9 if rank == nullity else 2e-5)


@pytest.mark.parametrize("k", [2, 3])
def test_against_a_search_over_rank_patterns(k):
    """X = R R^T with R of every rank: of its stationary points, the one that is feasible."""
    for seed in range(4):
        rng = np.random.default_rng([17, k, seed])
        A, B = symmetric(rng, k), gram(rng, k, 12)
        candidates = [np.zeros((k, k))]
        for rank in range(1, k + 1):

            def value_and_slope(r, A=A, B=B, rank=rank):
                R = r.reshape(k, rank)
                X = R @ R.T
                slack = A + apply(B, X)
                return np.sum(X * (A + slack)) / 2, (2 * slack @ R).ravel()

            for _ in range(3):
                found = scipy.optimize.minimize(
                    value_and_slope,
                    rng.standard_normal(k * rank),
                    jac=True,
                    method="BFGS",
                    options={"gtol": 1e-11},
                )
                R = found.x.reshape(k, rank)
                candidates.append(R @ R.T)
        best = min(candidates, key=lambda X: residual(A, B, X))
        assert residual(A, B, best) < 1e-6
        np.testing.assert_allclose(solve(A, B).X, best, atol=1e-4)


def test_closed_forms():
    a, b = jnp.array([[-3.0]]), jnp.array([[[[2.0]]]])
    assert float(complementarity(a, b).X[0, 0]) == 1.5
    assert float(complementarity(-a, b).X[0, 0]) == 0.0
    # With B the identity, X is the negative part.
    rng = np.random.default_rng(0)
    A = symmetric(rng, 5)
    values, Q = np.linalg.eigh(A)
    identity = np.einsum("ik,jl->ijkl", np.eye(5), np.eye(5))
    np.testing.assert_allclose(solve(A, identity).X, (Q * np.maximum(-values, 0)) @ Q.T, atol=1e-14)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-12, 12), st.floats(-12, 12))
def test_rotations_and_units(seed, log_a, log_b):
    rng = np.random.default_rng(seed)
    A, B = symmetric(rng, 5), gram(rng, 5, 30)
    Q = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    X = np.asarray(solve(A, B).X)
    turned = solve(Q @ A @ Q.T, np.einsum("ai,bj,ijkl,ck,dl->abcd", Q, Q, B, Q, Q))
    # Errors of X are those of the residual over B's smallest eigenvalue, of which |X| is a sign.
    atol = 1e-7 * (1 + float(np.linalg.norm(X))) ** 2
    np.testing.assert_allclose(turned.X, Q @ X @ Q.T, atol=atol)
    scaled = solve(10.0**log_a * A, 10.0**log_b * B)
    np.testing.assert_allclose(
        np.asarray(scaled.X) * 10.0 ** (log_b - log_a), X, rtol=1e-12, atol=atol
    )
    assert bool(turned.converged)
    assert bool(scaled.converged)


def test_directions_that_are_not_active_are_ignored():
    rng = np.random.default_rng(5)
    A, B = symmetric(rng, 5), gram(rng, 5, 30)
    for which in ([], [3], [0, 2, 4], [0, 1, 2, 3, 4]):
        active = np.isin(np.arange(5), which)
        pad_A, pad_B = A.copy(), B.copy()
        pad_A[~active] = np.nan
        pad_B[:, ~active] = np.inf
        solution = solve(pad_A, pad_B, active=active)
        inside = np.ix_(active, active)
        assert bool(solution.converged)
        assert not np.asarray(solution.X)[~active].any()
        assert not np.asarray(solution.slack)[~active].any()
        if which:
            alone = solve(A[inside], B[np.ix_(active, active, active, active)])
            np.testing.assert_allclose(np.asarray(solution.X)[inside], alone.X, atol=1e-8)
        if len(which) == 1:
            assert METHODS[int(solution.method)] == "closed form"


def test_where_there_is_no_solution_it_says_so():
    rng = np.random.default_rng(6)
    zero = np.zeros((5, 5, 5, 5))
    for A, B in (
        (-np.eye(5), zero),
        (symmetric(rng, 5), zero),
        # The first direction is not lifted.
        (np.diag([-1.0, 1, -1, 1, 1]), np.pad(gram(rng, 4, 30), ((1, 0),) * 4)),
    ):
        solution = solve(A, B)
        assert not bool(solution.converged)
        assert float(solution.residual) > 1e-3
        assert np.isfinite(np.asarray(solution.X)).all()
        assert int(solution.interior_iterations) <= 60
    for bad in (np.nan, np.inf):
        A = symmetric(rng, 5)
        A[0, 1] = bad
        solution = solve(A, gram(rng, 5, 30))
        assert not bool(solution.converged)
        assert np.isnan(np.asarray(solution.X)).all()
        assert np.isnan(float(solution.residual))


def test_the_interior_point_method_stands_behind_newtons():
    rng = np.random.default_rng(8)
    methods = set()
    for _ in range(20):
        B = gram(rng, 8, 8)
        A = with_solution(rng, B, 3, 5)[0]
        solution = solve(A, B)
        methods.add(METHODS[int(solution.method)])
        used = int(solution.interior_iterations) > 0
        assert used == (METHODS[int(solution.method)] == "interior point")
        assert bool(solution.converged)
    assert "interior point" in methods


def test_transformations():
    rng = np.random.default_rng(9)
    problems = [problem(kind, 5, rng) for kind in KINDS]
    As, Bs = (jnp.stack([jnp.asarray(p[i]) for p in problems]) for i in (0, 1))
    batch = jax.jit(jax.vmap(complementarity))(As, Bs)
    assert bool(jnp.all(batch.converged))
    for i in range(len(KINDS)):
        np.testing.assert_allclose(
            batch.X[i], solve(As[i], Bs[i]).X, rtol=1e-9, atol=1e-9 * np.abs(batch.X[i]).max()
        )
    over_A = jax.vmap(lambda A: complementarity(A, Bs[0]).residual)(As[:2] * 1e-3)
    assert bool(jnp.all(over_A <= 1e-10))
    with pytest.raises(flows.InvalidOptionError, match=r"cannot be differentiated\. Put jax.lax"):
        jax.grad(lambda A: jnp.sum(complementarity(A, Bs[0]).X))(As[0])


def test_an_own_tolerance():
    rng = np.random.default_rng(10)
    A, B = symmetric(rng, 5), gram(rng, 5, 30)
    rough, fine = solve(A, B, tolerance=0.1), solve(A, B, tolerance=1e-13)
    assert int(rough.newton_iterations) < int(fine.newton_iterations)
    assert bool(rough.converged)
    assert float(fine.residual) <= 1e-13


def test_what_is_said_of_a_rough_solution_is_true():
    """The two parts of the residual in NumPy, where an early end leaves something of both."""
    rng, parts, verdicts = np.random.default_rng(12), [], []
    cases = [problem(kind, 5, rng) for kind in KINDS for _ in range(3)]
    # No solution: the first direction is not lifted.
    cases += [(symmetric(rng, 5) - np.eye(5), np.pad(gram(rng, 4, 30), ((1, 0),) * 4))] * 2
    for A, B in cases:
        for tolerance in (0.5, 0.1, 1e-2, 1e-4):
            solution = solve(A, B, tolerance=tolerance)
            X = np.asarray(solution.X)
            slack = A + apply(B, X)
            scale = np.linalg.norm(A)
            below = np.linalg.norm(np.minimum(np.linalg.eigvalsh(slack), 0)) / scale
            product = np.linalg.norm(X @ slack) / (np.linalg.norm(X) or 1) / scale
            exact = max(below, product)
            # Rounding is that of B[X]: B may be large where A is small.
            rounding = 1e-14 * (1 + np.linalg.norm(B) * np.linalg.norm(X) / scale)
            np.testing.assert_allclose(solution.residual, exact, rtol=1e-9, atol=rounding)
            assert bool(solution.converged) == (exact <= tolerance)
            assert np.linalg.eigvalsh(X)[0] >= -1e-14 * np.linalg.norm(X)
            parts.append((below, product))
            verdicts.append(bool(solution.converged))
    below, product = np.array(parts).T
    # Each part is at times the larger one, and there are rough solutions and failures.
    assert (below > 1.2 * product).any()
    assert (product > 1.2 * below).any()
    assert (np.maximum(below, product)[verdicts] > 1e-3).any()
    assert not all(verdicts)


@pytest.mark.parametrize(
    ("A", "B", "active", "message"),
    [
        (np.ones(3), np.ones((3,) * 4), None, r"got shape \(3,\). For one direction write A.resh"),
        (np.ones((2, 2)), np.ones((2,) * 3), None, r"B must have shape \(2, 2, 2, 2\) for an A"),
        (np.ones((2, 2), "f"), np.ones((2,) * 4), None, "both float64, got float32 and float64"),
        (np.ones((2, 2), int), np.ones((2,) * 4, int), None, r"Cast them: A.astype\(jnp.float32"),
        (np.eye(2), np.ones((2,) * 4), np.ones(3, bool), "active must hold 2 booleans"),
        (np.eye(2), np.ones((2,) * 4), np.ones(2), r"For the first three: active=jnp.arange\(2"),
    ],
)
def test_messages(A, B, active, message):
    with pytest.raises(flows.InvalidOptionError, match=message):
        complementarity(A, B, active=active)


def test_message_for_a_tolerance():
    for tolerance in (0.0, -1.0, np.nan, 2.0):
        with pytest.raises(flows.InvalidOptionError, match="tolerance must be between 0 and 1"):
            complementarity(jnp.eye(1), jnp.ones((1,) * 4), tolerance=tolerance)


def test_against_a_conic_solver():
    cvxpy = pytest.importorskip("cvxpy")
    rng = np.random.default_rng(11)
    for k in (2, 5):
        T = rng.standard_normal((40, k, k))
        T = (T + T.transpose(0, 2, 1)) / 2
        A, B = symmetric(rng, k), np.einsum("aij,akl->ijkl", T, T)
        X = cvxpy.Variable((k, k), PSD=True)
        lifted = T.reshape(40, -1) @ cvxpy.vec(X, order="C")
        cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(lifted) / 2 + cvxpy.trace(A @ X))).solve()
        np.testing.assert_allclose(solve(A, B).X, X.value, atol=1e-4)


def test_toy_of_the_central_flow():
    """L = (2/h + y)/2 x^2 - c y: one critical direction, whose variance is 2 c."""
    h, c, x = 0.1, 0.3, 0.4
    # dH_11/dt = -h (grad S . grad L + X |grad S|^2 / 2), S = 2/h + y: grad S = (0, 1).
    slope = x**2 / 2 - c
    A, B = jnp.array([[h * slope]]), jnp.array([[[[h / 2]]]])
    np.testing.assert_allclose(complementarity(A, B).X[0, 0], 2 * c - x**2, rtol=1e-12)
