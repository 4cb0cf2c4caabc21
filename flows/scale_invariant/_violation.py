"""Whether a loss is scale invariant, and by how much it is not."""

from .._checks import being_traced
from .._custom_types import Data, Loss, Params, Scalar
from .._objective import make_objective
from ..optimizers._invariance import require, violation


def scale_violation(loss: Loss, params: Params, *, args: Data = None) -> Scalar:
    r"""Measure by how much a loss depends on the length of its parameters.

    .. math:: \max\left(
        \frac{\max_{p, c} |L(c\,p) - L(p)|}{\max_p |L(p)|},\;
        \frac{\max_p |p \cdot \nabla L(p)|}{\max_p |p|\, |\nabla L(p)|} \right)

    over ``c`` = 1/2 and 2 and over three points ``p``: the parameters, and two at random, as far
    from them as their length (near a minimum, where loss and gradient are rounding errors, a point
    says nothing). Costs three gradients and six losses more. Works under ``jit`` and ``vmap``.

    Arguments:
        loss: As in `flows.iterate`.
        params: Any pytree, not all zero.
        args: Data for the loss.

    Returns:
        A pure number: about the rounding unit for a scale-invariant loss, up to 1 and more for
        others; not a number where the loss is none.

    Raises:
        InvalidLossError: As in `flows.iterate`.
        InvalidParametersError: If a leaf cannot be moved.

    Example:
        Weight decay that is written into the loss breaks the invariance.

        >>> import jax.numpy as jnp
        >>> import flows
        >>> loss = flows.problems.scale_invariant_plane().loss
        >>> decayed = lambda w: loss(w) + 0.01 * jnp.sum(w**2)
        >>> bool(flows.scale_invariant.scale_violation(loss, jnp.ones(2)) < 1e-5)
        True
        >>> bool(flows.scale_invariant.scale_violation(decayed, jnp.ones(2)) > 1e-2)
        True

    References:
        Z. Li, K. Lyu, S. Arora (2020), arXiv:2010.02916, for the property; the measure is our own.
    """
    objective, moving = make_objective(loss, params, args)
    return violation(objective, moving)


def require_scale_invariance(loss: Loss, params: Params, *, args: Data = None) -> None:
    r"""Raise an error unless a loss is scale invariant.

    .. math:: L(c\,w) = L(w) \quad \text{for all } c > 0

    `flows.ScaleInvariantDescent` asks for it by itself. A `scale_violation` of ten square roots of
    the rounding unit is allowed, 1.5e-7 in float64 and 3.5e-3 in float32.

    Arguments:
        loss: As in `flows.iterate`.
        params: Any pytree, not all zero.
        args: Data for the loss.

    Returns:
        None, if it is; and under a JAX transformation, where nothing can be measured.

    Raises:
        NotScaleInvariantError: If it is not; its ``violation`` is what was measured.
        InvalidLossError: As in `flows.iterate`.
        InvalidParametersError: If a leaf cannot be moved, or all are zero.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> try:
        ...     flows.scale_invariant.require_scale_invariance(jnp.sum, jnp.ones(3))
        ... except flows.NotScaleInvariantError as error:
        ...     print(error.violation > 0.5)
        True

    References:
        Z. Li, K. Lyu, S. Arora (2020), arXiv:2010.02916.
    """
    objective, moving = make_objective(loss, params, args)
    if not being_traced(objective, moving):
        require(objective, moving)
