"""The largest eigenvalues of the Hessian, and the largest of all: the sharpness."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np

from .._checks import integer, is_traced
from .._custom_types import Array, Data, Loss, Params, PyTree, Scalar
from .._errors import InvalidOptionError, RunFailedError
from .._objective import Objective, make_objective, require_derivative
from .._vectors import real_dtype, size
from ..curvature.basis import inner_product
from ..curvature.eigenpairs.largest import Eigenpairs, largest_eigenpairs

_MAX_PASSES = 500


def top_eigenpairs(
    loss: Loss,
    params: Params,
    k: int,
    *,
    args: Data = None,
    start: PyTree[Any] = None,
    rtol: float | None = None,
    throw: bool = True,
) -> Eigenpairs:
    r"""Find the `k` largest eigenvalues of the Hessian and their eigenvectors.

    .. math:: H u_i = \lambda_i u_i, \qquad \lambda_1 \ge \lambda_2 \ge \dots \ge \lambda_k

    Largest means algebraically, also where all are negative. A few parameters (64, or three times
    the block): the Hessian is formed. Else a restarted block Krylov iteration, which forms nothing
    and never gathers the parameters, with ``k`` and half as many vectors; repeated and clustered
    eigenvalues, singular and zero Hessians are no exceptions. Works under ``jit`` and ``vmap``;
    cannot be differentiated, as `flows.sharpness` can.

    Arguments:
        loss: As in `flows.iterate`.
        params: The point, any pytree with ``n`` numbers in all.
        k: How many, from 1 to ``n``.
        args: Data for the loss.
        start: Approximate eigenvectors, for a warm start: a tree like `params` whose leaves have
            one more axis in front, of any length; the `vectors` of an earlier call, say.
        rtol: For the residuals, in units of the largest modulus of an eigenvalue, whatever the
            dimension; by default ``eps^(2/3)`` of the coarsest dtype in which the loss is computed,
            4e-11 in float64 and 2e-5 in float32.
        throw: Whether to raise an error where the iteration did not converge.

    Returns:
        The `Eigenpairs`. With ``throw=False``, and under a JAX transformation, `converged` says
        whether they are eigenpairs and `residuals` how nearly.

    Raises:
        InvalidLossError: As in `flows.iterate`.
        InvalidParametersError: If a leaf cannot be moved.
        InvalidOptionError: If `k`, `start` or `rtol` do not fit.
        RunFailedError: If the iteration did not converge and `throw` is True; not under a JAX
            transformation.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> values, vectors, residuals = flows.top_eigenpairs(
        ...     lambda x: 3 * x[0] ** 2 + x[1] ** 2 - x[2] ** 2, jnp.ones(3), k=2
        ... )
        >>> [f"{float(value):.3f}" for value in values], vectors.shape
        (['6.000', '2.000'], (2, 3))

    References:
        Block Krylov methods with thick restarts: K. Wu, H. Simon, SIAM J. Matrix Anal. Appl. 22
        (2000), 602-616.
    """
    objective, moving = make_objective(loss, params, args)
    require_derivative(objective, moving, "what is asked of the Hessian")
    k = integer(k, 1, "k", f"k={min(5, size(moving))}", size(moving))
    _check_start(start, moving)
    found = _find(objective, moving, k, start, _tolerance(rtol, moving))
    if throw and not is_traced(found.converged):
        _require(found)
    return found


def sharpness(
    loss: Loss, params: Params, *, args: Data = None, rtol: float | None = None
) -> Scalar:
    r"""The largest eigenvalue of the Hessian, in loss per parameter squared.

    .. math:: S = \max_{|u| = 1} u \cdot H u, \qquad
        \partial S = u_1 \cdot (\partial H)\, u_1

    Gradient descent on a quadratic is stable up to the learning rate ``2 / S``. It is computed as
    in `flows.top_eigenpairs`, works under ``jit`` and ``vmap``, and can be differentiated once:
    forward and reverse, where the largest eigenvalue is simple.

    Arguments:
        loss: As in `flows.iterate`.
        params: The point, any pytree.
        args: Data for the loss.
        rtol: As in `flows.top_eigenpairs`.

    Returns:
        ``S``. Under a JAX transformation it is an error at run time if it did not converge.

    Raises:
        InvalidLossError: As in `flows.iterate`.
        InvalidParametersError: If a leaf cannot be moved.
        InvalidOptionError: If `rtol` is no positive number.
        RunFailedError: If the iteration did not converge.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> f"{float(flows.sharpness(lambda x: 3 * x[0] ** 2 + x[1] ** 2, jnp.ones(2))):.3f}"
        '6.000'

    References:
        J. Cohen, S. Kaur, Y. Li, J. Z. Kolter, A. Talwalkar (2021), arXiv:2103.00065.
    """
    objective, moving = make_objective(loss, params, args)
    require_derivative(objective, moving, "the sharpness")
    value, found = _sharpness(objective, moving, _tolerance(rtol, moving))
    if not is_traced(found.converged):
        _require(found)
        return value
    return eqx.error_if(
        value,
        ~found.converged,
        "the sharpness did not converge, or the Hessian is not finite. "
        "Pass a larger rtol, or use flows.top_eigenpairs, which returns its residuals.",
    )


@eqx.filter_jit
def _find(
    objective: Objective, params: Params, k: int, start: PyTree[Any], rtol: Scalar | None
) -> Eigenpairs:
    arrays, rest = eqx.partition((objective, params), eqx.is_array)
    objective, params = eqx.combine(_not_differentiable(arrays), rest)
    return _iterate(objective, params, k, start, rtol)


@eqx.filter_jit
def _sharpness(
    objective: Objective, params: Params, rtol: Scalar | None
) -> tuple[Scalar, Eigenpairs]:
    arrays, rest = eqx.partition((objective, params), eqx.is_array)

    rtol = _default_tolerance(objective, params) if rtol is None else rtol

    # All arrays are arguments, as a derivative rule must not close over what is traced.
    def of(arrays: PyTree[Any], rtol: Scalar) -> tuple[Scalar, Eigenpairs]:
        objective, params = eqx.combine(arrays, rest)
        found = _iterate(objective, params, 1, None, rtol)
        return found.values[0], found

    value_and_pairs = jax.custom_jvp(of)

    @value_and_pairs.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        value, found = of(_not_differentiable(primals[0]), primals[1])
        u = jtu.tree_map(lambda leaf: leaf[0], found.vectors)

        def quotient(arrays: PyTree[Any]) -> Scalar:
            objective, params = eqx.combine(arrays, rest)
            return inner_product(u, objective.hessian_vector_product(params, u))

        _, change = jax.jvp(quotient, primals[:1], tangents[:1])
        return (value, found), (change, jtu.tree_map(_no_tangent, found))

    return value_and_pairs(arrays, rtol)


def _iterate(
    objective: Objective, params: Params, k: int, start: PyTree[Any], rtol: Scalar | None
) -> Eigenpairs:
    _, product = objective.linearised(params)
    rtol = _default_tolerance(objective, params) if rtol is None else rtol
    return largest_eigenpairs(product, params, k, start, rtol, _MAX_PASSES)


def _no_tangent(leaf: Array) -> Any:
    if jnp.issubdtype(leaf.dtype, jnp.inexact):
        return jnp.zeros_like(leaf)
    return np.zeros(leaf.shape, jax.dtypes.float0)


@jax.custom_jvp
def _not_differentiable(tree: PyTree[Array]) -> PyTree[Array]:
    return tree


@_not_differentiable.defjvp
def _(primals: Any, tangents: Any) -> Any:
    del primals, tangents
    raise InvalidOptionError(
        "iterated eigenpairs cannot be differentiated, the sharpness only once. "
        "Put jax.lax.stop_gradient around params, or differentiate flows.sharpness."
    )


def _default_tolerance(objective: Objective, params: Params) -> Scalar:
    """Two thirds of the digits in which the loss is computed."""
    # A product by differences is known to two thirds of the digits, of which some are lost.
    digits = 1 / 2 if objective.product == "difference" else 2 / 3
    unit = float(jnp.finfo(objective.examined(params).precision).eps)
    return jnp.asarray(unit**digits, real_dtype(params))


def _tolerance(rtol: Any, params: Params) -> Scalar | None:
    """The user's, checked and as an array; None for the default."""
    if rtol is None:
        return None
    if not is_traced(rtol) and not (isinstance(rtol, float) and 0 < rtol < 1):
        raise InvalidOptionError(
            f"rtol must be a number between 0 and 1, got {rtol!r}. Write for example rtol=1e-6."
        )
    return jnp.asarray(rtol, real_dtype(params))


def _check_start(start: PyTree[Any], params: Params) -> None:
    if start is None:
        return
    same = jtu.tree_structure(start) == jtu.tree_structure(params)
    counts = {getattr(leaf, "shape", ())[:1] for leaf in jtu.tree_leaves(start)}
    if not (
        same
        and len(counts) == 1
        and counts != {()}
        and all(
            a.shape[1:] == b.shape and a.dtype == b.dtype
            for a, b in zip(jtu.tree_leaves(start), jtu.tree_leaves(params), strict=True)
        )
    ):
        raise InvalidOptionError(
            "start must be a tree like params, of the same dtype, whose leaves have one more axis "
            "in front: the vectors that flows.top_eigenpairs returned at an earlier point. "
            "For a single vector: jax.tree.map(lambda leaf: leaf[None], vector)."
        )


def _require(found: Eigenpairs) -> None:
    """Raise a `RunFailedError` unless converged."""
    if bool(found.converged):
        return
    if not bool(jnp.all(jnp.isfinite(found.residuals))):
        raise RunFailedError(
            "the Hessian is not finite here. Look at the loss at these parameters, or ask for its "
            "eigenpairs where it is finite.",
            found,
        )
    raise RunFailedError(
        f"not all eigenpairs converged in {int(found.matvecs)} Hessian-vector products: the "
        f"largest residual is {float(jnp.max(found.residuals)):.1e}. Pass another k (a larger one "
        "converges faster), start=error.partial.vectors, or a larger rtol.",
        found,
    )
