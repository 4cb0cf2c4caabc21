r"""Complementarity of positive semidefinite matrices: how the central flow stays at the edge.

``0 <= X``, ``0 <= A + B[X]`` and ``<X, A + B[X]> = 0``, where ``<=`` compares symmetric matrices.

>>> import jax.numpy as jnp
>>> A = jnp.diag(jnp.array([-2.0, 1.0]))
>>> B = 4 * jnp.einsum("ik,jl->ijkl", jnp.eye(2), jnp.eye(2))
>>> solution = complementarity(A, B)
>>> jnp.round(solution.X, 3).tolist(), bool(solution.converged)
([[0.5, 0.0], [0.0, 0.0]], True)
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Bool

from ..._checks import is_traced
from ..._custom_types import Array, Float, Integer, Scalar
from ..._errors import InvalidOptionError
from ..eigen import symmetric_eigen
from .interior_point import interior_point
from .packed import diagonal_places, pack, pack_operator, unpack
from .semismooth_newton import semismooth_newton

# What `method` counts.
METHODS = ("closed form", "semismooth Newton", "interior point")
# The start is not made larger than this many times |A| / |B|, however little B lifts.
_LARGEST_START = 1e6
# The default, and the part of a tolerance that the methods aim at.
_TOLERANCES = {"float32": 2e-5, "float64": 1e-10}
_GOAL = 0.3
# Of what B does to a direction alone, relative to the largest: less counts as this much.
_SMALLEST = 1e-12


class Complementarity(eqx.Module):
    r"""A solution of ``0 <= X``, ``0 <= A + B[X]``, ``<X, A + B[X]> = 0``, or the best there is.

    Attributes:
        X: Positive semidefinite, shape ``(k, k)``; zero in rows and columns that are not active.
            NaN where the data are not finite.
        slack: ``A + B[X]``, shape ``(k, k)``; zero in rows and columns that are not active.
        residual: The larger of ``|slack_-| / |A|`` and ``|X slack| / (|X| |A|)`` with Frobenius
            norms, ``slack_-`` the negative part. It does not depend on the scales of ``A`` and
            ``B``; rounding alone makes it some ``eps |B| |X| / |A|``.
        converged: Whether the residual is at most the tolerance. False also where there is no
            solution, and for data that are not finite.
        method: What found it, as a place in `METHODS`: a closed form (always so for a single
            active direction and for ``A >= 0``), Newton's method or the interior-point method.
        newton_iterations: Steps of Newton's method.
        interior_iterations: Steps of the interior-point method, 0 where it was not needed.
    """

    X: Float[Array, "*batch k k"]
    slack: Float[Array, "*batch k k"]
    residual: Float[Array, "*batch"]
    converged: Bool[Array, "*batch"]
    method: Integer
    newton_iterations: Integer
    interior_iterations: Integer


def complementarity(
    A: Float[Array, "k k"],
    B: Float[Array, "k k k k"],
    *,
    active: Bool[Array, " k"] | None = None,
    tolerance: float | Scalar | None = None,
) -> Complementarity:
    r"""Solve the semidefinite complementarity problem of the central flow.

    .. math:: 0 \le X \perp A + B[X] \ge 0, \qquad B[X]_{ij} = \sum_{kl} B_{ijkl} X_{kl}

    It is the condition for the minimum over ``X >= 0`` of ``<X, B X> / 2 + <A, X>``. In the
    central flow ``A`` is the slack ``U^T (2 P - H) U`` of the critical directions after a step
    without oscillation, ``B`` what a covariance ``U X U^T`` adds to it.

    First ``X = t A_-``, ``A_-`` the negative part and ``t = |A_-|^2 / <A_-, B A_->``, which is
    exact for ``k = 1`` and for ``A >= 0``. Then Newton's method, and where that fails an
    interior-point method, which needs no start. Works under ``jit``; under ``vmap`` the problems
    are solved one after the other. Cannot be differentiated.

    Arguments:
        A: Symmetric, ``k`` up to 20 or so, float32 or float64. Only its symmetric part counts.
        B: A symmetric positive semidefinite operator on symmetric matrices (not checked), dtype of
            `A`. It may be singular, and zero.
        active: Which of the ``k`` directions exist: the others, padding, are ignored whatever they
            hold, and get zeros. By default all do. May be traced.
        tolerance: For the residual, a positive number; by default 1e-10 in float64, and 2e-5
            in float32.

    Returns:
        A `Complementarity`. Where ``B`` cannot lift a negative direction of ``A`` there is no
        solution, and `converged` is False.

    Raises:
        InvalidOptionError: If shapes or dtypes do not fit together, or the tolerance is not between
            0 and 1.

    Example:
        For one direction ``X = max(0, -A / B)``.

        >>> import jax.numpy as jnp
        >>> solution = complementarity(jnp.array([[-3.0]]), jnp.array([[[[2.0]]]]))
        >>> float(solution.X[0, 0])
        1.5

    References:
        J. Cohen, A. Damian, A. Talwalkar, J. Z. Kolter, J. D. Lee (2025), arXiv:2410.24206.
        The scaling of the interior-point method: Y. Nesterov, M. Todd, SIAM J. Optim. 8 (1998),
        324-364; Newton's method: J.-S. Pang, D. Sun, J. Sun, Math. Oper. Res. 28 (2003), 39-63.
    """
    A, B = _checked(A, B)
    k = A.shape[0]
    if active is None:
        active = jnp.ones(k, bool)
    active = jnp.asarray(active)
    if active.shape != (k,) or active.dtype != bool:
        raise InvalidOptionError(
            f"active must hold {k} booleans, one for each row of A, got {active.dtype} of shape "
            f"{active.shape}. For the first three: active=jnp.arange({k}) < 3."
        )
    if tolerance is None:
        tolerance = _TOLERANCES[A.dtype.name]
    if not is_traced(tolerance) and not 0 < float(tolerance) < 1:
        raise InvalidOptionError(
            f"tolerance must be between 0 and 1, got {tolerance!r}. Leave it out, or write for "
            "example tolerance=1e-8."
        )
    return _not_differentiable(A, B, active, jnp.asarray(tolerance, A.dtype))


def _checked(A: Any, B: Any) -> tuple[Array, Array]:
    A, B = jnp.asarray(A), jnp.asarray(B)
    if A.ndim != 2 or A.shape[0] != A.shape[1] or A.shape[0] == 0:
        raise InvalidOptionError(
            f"A must be a square matrix, got shape {A.shape}. "
            "For one direction write A.reshape(1, 1); for a batch use jax.vmap."
        )
    if B.shape != A.shape * 2:
        raise InvalidOptionError(
            f"B must have shape {A.shape * 2} for an A of shape {A.shape}, got {B.shape}: it maps "
            "X to jnp.einsum('ijkl,kl->ij', B, X)."
        )
    if A.dtype != B.dtype or A.dtype not in (jnp.float32, jnp.float64):
        raise InvalidOptionError(
            f"A and B must both be float32 or both float64, got {A.dtype} and {B.dtype}. "
            "Cast them: A.astype(jnp.float32)."
        )
    return A, B


@jax.custom_jvp
def _not_differentiable(A: Array, B: Array, active: Array, tolerance: Array) -> Complementarity:
    return Complementarity(*_solve(A, B, active, tolerance))


@_not_differentiable.defjvp
def _(primals: Any, tangents: Any) -> Any:
    del primals, tangents
    raise InvalidOptionError(
        "the solution of a complementarity problem cannot be differentiated. "
        "Put jax.lax.stop_gradient around A and B."
    )


# Under jit it keeps its constants to itself: those of a branch of `lax.cond` whose condition is
# mapped are mapped, which `sequential_vmap` refuses.
@jax.custom_batching.sequential_vmap
@jax.jit
def _solve(A: Array, B: Array, active: Array, tolerance: Array) -> tuple[Array, ...]:
    k, dtype = A.shape[0], A.dtype
    both = active[:, None] & active[None, :]
    A = jnp.where(both, (A + A.T) / 2, 0)
    M = pack_operator(jnp.where(both[:, :, None, None] & both[None, None, :, :], B, 0))
    finite = jnp.all(jnp.isfinite(A)) & jnp.all(jnp.isfinite(M))
    size_A, size_M = _size(A), _size(M)
    A, M = jnp.where(finite, A / size_A, 0), jnp.where(finite, M / size_M, 0)

    scaled_A, scaled_M, S = _normalised(A, M, active)
    search = _search(scaled_A, scaled_M, _GOAL * tolerance)
    X = jnp.where(both, search.X * S, 0)

    image = M @ pack(X)
    slack = jnp.where(both, A + unpack(image, k), 0)
    negative = jnp.linalg.norm(jnp.minimum(symmetric_eigen(slack)[0], 0))
    product = jnp.linalg.norm(X @ slack) / _or_one(jnp.linalg.norm(X))
    scale = _or_one(jnp.linalg.norm(A))
    residual = jnp.maximum(negative, product) / scale
    nan = jnp.asarray(jnp.nan, dtype)
    return (
        jnp.where(finite, X * (size_A / size_M), nan),
        jnp.where(finite, slack * size_A, nan),
        jnp.where(finite, residual, nan),
        finite & (residual <= tolerance),
        search.method,
        search.newton_iterations,
        search.interior_iterations,
    )


def _normalised(A: Array, M: Array, active: Array) -> tuple[Array, Array, Array]:
    """Data of size 1 with equal ``B_iiii``, and by which ``S``, entry by entry, ``X = S X'``.

    Directions that are padding get the slack 1.
    """
    k, dtype = A.shape[0], A.dtype
    alone = jnp.diagonal(M)[diagonal_places(k)]
    d = jnp.where(active, jnp.maximum(alone, _SMALLEST) ** -0.25, 1)
    S = d[:, None] * d[None, :]
    packed = S[jnp.triu_indices(k)]
    A, M = A * S, M * packed[:, None] * packed[None, :]
    size_A, size_M = _size(A), _size(M)
    padding = jnp.diag(jnp.where(active, 0, 1).astype(dtype))
    return A / size_A + padding, M / size_M, S * (size_A / size_M)


class _Search(eqx.Module):
    """A start ``Z`` for `semismooth_newton` in a unit of ``X``, and what was found until now."""

    start: Array
    unit: Scalar
    X: Array
    error: Scalar
    method: Integer
    newton_iterations: Integer
    interior_iterations: Integer
    round: Integer


def _search(A: Array, M: Array, tolerance: Scalar) -> _Search:
    """Newton's method; where it fails the interior-point method, and Newton's from there."""
    zero = jnp.asarray(0)

    def improve(search: _Search) -> _Search:
        scaled_M = M * search.unit
        newton = semismooth_newton(A, scaled_M, search.start, tolerance)
        better = ~(newton.error >= search.error)
        # A closed form, Newton's method, or the interior-point method with it.
        number = jnp.where(search.round > 0, 2, jnp.where(newton.iterations > 0, 1, 0))
        X = jnp.where(better, newton.X * search.unit, search.X)
        error = jnp.where(better, newton.error, search.error)
        method = jnp.where(better, number, search.method)
        needed = (search.round == 0) & ~(error <= tolerance)

        def inside() -> tuple[Array, Array, Scalar, Integer]:
            interior = interior_point(A, scaled_M, tolerance)
            return interior.X, interior.Y, interior.error, interior.iterations

        def nothing() -> tuple[Array, Array, Scalar, Integer]:
            return A, A, jnp.full_like(error, jnp.inf), zero

        X_, Y, interior_error, iterations = jax.lax.cond(needed, inside, nothing)
        better = interior_error < error
        # The unit of X in which it is as large as Y.
        size = _or_one(jnp.linalg.norm(X_))
        return _Search(
            start=X_ / size - Y,
            unit=search.unit * size,
            X=jnp.where(better, X_ * search.unit, X),
            error=jnp.where(better, interior_error, error),
            method=jnp.where(better, 2, method),
            newton_iterations=search.newton_iterations + newton.iterations,
            interior_iterations=search.interior_iterations + iterations,
            round=search.round + 1,
        )

    start, unit = _start(A, M)
    infinite = jnp.asarray(jnp.inf, A.dtype)
    search = _Search(start, unit, jnp.zeros_like(A), infinite, zero, zero, zero, zero)
    return jax.lax.while_loop(
        lambda search: (search.round < 2) & ~(search.error <= tolerance), improve, search
    )


def _start(A: Array, M: Array) -> tuple[Array, Scalar]:
    """The best multiple of ``A_-`` as a start ``Z``, in the unit of ``X`` that makes its size 1."""
    values, vectors = symmetric_eigen(A)
    below = (vectors * jnp.maximum(-values, 0)[None, :]) @ vectors.T
    size = _or_one(jnp.linalg.norm(below))
    below = below / size
    lift = jnp.maximum(pack(below) @ (M @ pack(below)), 1 / _LARGEST_START)
    unit = size / lift
    lifted = unpack(M @ pack(below), A.shape[0]) * unit
    return below - A - lifted, jnp.where(values[0] < 0, unit, 1)


def _size(X: Array) -> Scalar:
    """The largest modulus, which neither over- nor underflows; 1 for zero and for NaN."""
    return _or_one(jnp.max(jnp.abs(X)))


def _or_one(size: Scalar) -> Scalar:
    return jnp.where((size > 0) & jnp.isfinite(size), size, 1)
