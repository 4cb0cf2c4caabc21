"""Drift-adjusted learning as an optax transformation."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.tree_util as jtu

from .._custom_types import Integer, Params, Scalar
from .._errors import InvalidOptionError, MissingDependencyError
from .._vectors import scaled
from ._drift import MAXIMUM
from ._drift_rule import DriftRule, DriftState


class DriftAdjustedOptaxState(NamedTuple):
    """What `flows.drift_adjusted` keeps; ``optax.tree.get(state, "drift")`` finds it in a chain.

    Attributes:
        learning_rate: The rate of the last step, 0 before the first.
        drift: The last drift that was measured.
        skipped: How many drifts were not finite, and were left out.
        rule: The rest.
    """

    learning_rate: Scalar
    drift: Scalar
    skipped: Integer
    rule: DriftState


def drift_adjusted(
    power: float | Scalar = 1.0,
    maximum: float | Scalar = MAXIMUM,
    *,
    factor: float | Scalar = 2.0,
    form: str = "product",
    window: int = 1,
    active: tuple[int, int | None] = (0, None),
    learning_rate: float | Scalar = 1e-3,
) -> Any:
    r"""Build the optax transformation of drift-adjusted learning, DAL-p.

    .. math:: u_n = -h_n g_n, \qquad h_n = \min\left(\frac{c}{\bar v_n^{\,p}}, h_{\max}\right)

    with the mean of the last `window` drifts ``v``. The drift is measured in one of three forms:

    * ``"product"``: ``|H g| / |g|`` by a Hessian-vector product, about two more gradients.
    * ``"difference"``: the same by one more gradient, a short way along the first. Its error is of
      the order of ``sqrt(eps)`` of the dtype.
    * ``"successive"``: ``|g_n - g_{n-1}| / |theta_n - theta_{n-1}|``, which costs nothing but the
      memory for two more arrays of the parameters' size. It is the curvature along the last step,
      one step late; exactly the last drift on a quadratic. Being late, it diverges on networks at
      the full rate and trains them at half of it, with ``factor=1.0``.

    The first two need the loss: ``update(grads, state, params, value_fn=loss)``, the loss of the
    same batch. What comes before in a chain changes the direction that is measured; momentum goes
    behind: ``optax.chain(flows.drift_adjusted(), optax.trace(0.9))``.

    Arguments:
        power: ``p``, a finite number >= 0. Smaller powers take larger steps where ``v > 1``.
        maximum: ``h_max`` > 0, in flow time; the published code's 5 by default.
        factor: ``c`` > 0; 2 is the published rule, at the edge of stability or beyond. Smaller
            ones are on the safe side of it.
        form: One of the three.
        window: How many drifts are averaged.
        active: The first step whose rate is adjusted, and the first that is not any more, counted
            from 0; None for no end. At other steps nothing is measured.
        learning_rate: The rate at the steps that are not active, and as long as no drift is known:
            with ``"successive"`` in the first step.

    Returns:
        An ``optax.GradientTransformationExtraArgs``. Its state names ``learning_rate`` and
        ``drift`` of the last step. A drift that is not finite is left out and counted in
        ``skipped``; a gradient that is not finite is passed on. Works under ``jit`` and ``vmap``.
        Within ``optax.masked`` or ``optax.partition`` the drift is that of the part that it moves;
        a form that needs the loss is given all parameters too, as ``whole_params=params``.

    Raises:
        MissingDependencyError: If optax is not installed.
        InvalidOptionError: If an option does not exist; in ``update``, if `params`, or what the
            form needs (a loss, and behind a mask all parameters), were not given.
        InvalidLearningRateError: If `maximum`, `factor` or `learning_rate` is not one positive
            finite number.

    Example:
        >>> import jax, jax.numpy as jnp, optax
        >>> import flows
        >>> def loss(x):
        ...     return jnp.sum(x**4) / 4
        >>> optimizer = flows.drift_adjusted(maximum=1e6)
        >>> params = jnp.array([3.0, -1.0])
        >>> state = optimizer.init(params)
        >>> for _ in range(20):
        ...     grads = jax.grad(loss)(params)
        ...     updates, state = optimizer.update(grads, state, params, value_fn=loss)
        ...     params = optax.apply_updates(params, updates)
        >>> bool(loss(params) < 1e-8 * loss(jnp.array([3.0, -1.0])))
        True

    References:
        M. Rosca, Y. Wu, C. Qin, B. Dherin (2023), arXiv:2302.01952.
    """
    try:
        import optax
    except ImportError as error:
        raise MissingDependencyError(
            "flows.drift_adjusted is a transformation for optax, which is not installed. Install "
            "it: pip install 'descentflows[optax]'. flows.DriftAdjustedDescent needs none."
        ) from error
    rule = DriftRule(power, maximum, learning_rate, factor, form, window, active)

    def init(params: Params) -> DriftAdjustedOptaxState:
        return _state(rule.init(jtu.tree_map(jnp.asarray, params)))

    def update(
        updates: Params,
        state: Any,
        params: Any = None,
        *,
        value_fn: Any = None,
        whole_params: Any = None,
        **_: Any,
    ):
        if params is None:
            raise InvalidOptionError(
                "flows.drift_adjusted needs the parameters. Pass them to every update: "
                "transformation.update(grads, state, params, ...)."
            )
        params = jtu.tree_map(jnp.asarray, params)
        field = None
        if value_fn is not None:
            field = jax.grad(lambda part: value_fn(_filled(part, whole_params, optax.MaskedNode)))
        new = rule.next(state.rule, params, updates, field)
        return scaled(-new.learning_rate, updates), _state(new)

    # optax' types know of no state of other makers.
    return optax.GradientTransformationExtraArgs(init, update)  # pyright: ignore[reportArgumentType]


def _filled(part: Params, whole: Any, masked: type) -> Params:
    """All parameters for the loss: where a mask hides some, those of `whole`."""
    is_masked = lambda node: isinstance(node, masked)  # noqa: E731
    if not any(map(is_masked, jtu.tree_leaves(part, is_leaf=is_masked))):
        return part
    if whole is None:
        raise InvalidOptionError(
            "a mask (optax.masked, optax.partition) shows flows.drift_adjusted a part of the "
            "parameters only, and the loss needs them all. Pass them beside it: "
            "transformation.update(grads, state, params, value_fn=loss, whole_params=params), or "
            "use form='successive', which needs no loss."
        )
    return jtu.tree_map(
        lambda mine, theirs: theirs if is_masked(mine) else mine, part, whole, is_leaf=is_masked
    )


def _state(rule: DriftState) -> DriftAdjustedOptaxState:
    return DriftAdjustedOptaxState(rule.learning_rate, rule.drift, rule.average.skipped, rule)
