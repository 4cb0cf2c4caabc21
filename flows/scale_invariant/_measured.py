"""What a run shows of its effective learning rate: norms, angles and effective steps."""

from typing import Any

import jax
import jax.numpy as jnp
import jax.tree_util as jtu

from .._checks import integer
from .._custom_types import Array, Float, Params, PyTree
from .._errors import InvalidOptionError
from .._vectors import norm, scaled, subtract
from ..optimizers._schedules import Schedule, rate_schedule, rates_over


def path_measures(params: PyTree[Any], learning_rate: Schedule | float) -> dict[str, Array]:
    r"""Measure norm, effective learning rate and angle per step along any run.

    .. math:: r_n = |w_n|, \qquad \frac{\eta_n}{r_n^2}, \qquad
        \cos \beta_n = \langle u_{n-1}, u_n \rangle

    For runs of any optimizer whose parameters were kept; `flows.ScaleInvariantDescent` records the
    same as it goes.

    Arguments:
        params: A tree with a leading axis of ``steps + 1``, as ``run.params``.
        learning_rate: ``eta``: a number, an array with one a step, or a function of the step.

    Returns:
        ``norm``, ``effective_learning_rate`` and ``angle`` (in radians, of the step that ended
        there; 0 at the start), each of shape ``(steps + 1,)``.

    Raises:
        InvalidLearningRateError: If `learning_rate` is not positive.
        InvalidOptionError: If `params` has no leading axis.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> path = jnp.array([[1.0, 0.0], [1.0, 1.0]])
        >>> found = flows.scale_invariant.path_measures(path, 0.1)
        >>> [round(float(angle), 4) for angle in found["angle"]]
        [0.0, 0.7854]

    References:
        Z. Li, K. Lyu, S. Arora (2020), arXiv:2010.02916.
    """
    leaves = [jnp.asarray(leaf) for leaf in jtu.tree_leaves(params)]
    if not leaves or any(leaf.ndim == 0 for leaf in leaves) or len({len(x) for x in leaves}) != 1:
        raise InvalidOptionError(
            "params must be a tree of arrays with one leading axis, the steps, as run.params has "
            "it. Ask for them: flows.iterate(..., save_params=True)."
        )
    points = len(leaves[0])
    norms = jax.vmap(norm)(params)
    units = jax.vmap(lambda r, w: scaled(1 / r, w))(norms, params)
    eta = rates_over(rate_schedule(learning_rate, "learning_rate"), points).astype(norms.dtype)
    before = jtu.tree_map(lambda u: u[:-1], units)
    after = jtu.tree_map(lambda u: u[1:], units)
    angles = jax.vmap(_angle)(before, after)
    return {
        "norm": norms,
        "effective_learning_rate": eta / norms**2,
        "angle": jnp.concatenate([jnp.zeros((1,), angles.dtype), angles]),
    }


def _angle(u: Params, v: Params) -> Array:
    """Between unit vectors, with all digits for small angles and for those near pi."""
    return 2 * jnp.arctan2(norm(subtract(u, v)), norm(jtu.tree_map(jnp.add, u, v)))


def effective_step(
    norms: Float[Array, " points"],
    learning_rate: Schedule | float,
    weight_decay: Schedule | float = 0.0,
    *,
    power: int = 1,
) -> Float[Array, " points"]:
    r"""Compute the effective steps, through which alone a direction sees rates and norm.

    .. math:: \Phi_n = \frac{\eta_n}{a_n r_n^{1 + \nu}}, \qquad
        \Phi_{n+1} = \frac{B_n \Phi_n}{|u_n - \Phi_n p_n|^{1 + \nu}}, \qquad
        B_n = \frac{\eta_{n+1}}{\eta_n a_n^\nu a_{n+1}}, \qquad a_n = 1 - \eta_n \lambda_n

    with the update ``p`` at the direction ``u``, for every optimizer whose update is ``r^-nu``
    times that, and coupled weight decay. For descent ``|u - Phi g|^2 = 1 + Phi^2 |g|^2``. While
    ``B <= 1`` effective steps never grow; a constant schedule with weight decay has ``B > 1``, and
    they grow wherever ``Phi |g| < sqrt(B - 1)``.

    Arguments:
        norms: ``r_n``, one for each step.
        learning_rate: ``eta``: a number, an array with one a step, or a function of the step.
        weight_decay: ``lambda``, of the same kinds.
        power: ``nu``: 1 for descent, also with momentum; 0 for normalised updates, such as Adam's
            without its ``eps``.

    Returns:
        ``Phi_n``, in the shape of `norms`.

    Raises:
        InvalidLearningRateError: If `learning_rate` is not positive.
        InvalidOptionError: If `weight_decay` is negative, or `power` is neither 0 nor 1.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> flows.scale_invariant.effective_step(jnp.array([1.0, 2.0]), 0.5, 1.0).tolist()
        [1.0, 0.25]

    References:
        Z. Li, S. Arora (2019), arXiv:1910.07454. The law with schedules: arXiv:2609.09116.
    """
    power = integer(power, 0, "power", "power=1", 1)
    r = jnp.asarray(norms)
    if r.ndim != 1:
        raise InvalidOptionError(
            f"norms must have one axis, the steps, got shape {r.shape}. Write for example "
            "norms=run.diagnostics['norm']."
        )
    eta = rates_over(rate_schedule(learning_rate, "learning_rate"), len(r))
    decay = rates_over(rate_schedule(weight_decay, "weight_decay", zero=True), len(r))
    return (eta / (1 - eta * decay)).astype(r.dtype) / r ** (1 + power)
