"""Following a training run: its iterates afterwards, or a loop of one's own while it runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, overload

import jax.tree_util as jtu
import numpy as np

from .._checks import single_run
from .._custom_types import Array, Data, Loss, Params
from .._errors import InvalidOptionError
from ..results import RegimeReport, Trajectory
from ._tracker import LearningRate, Tracker


@overload
def track(
    loss: Loss,
    iterates: None = None,
    *,
    learning_rate: LearningRate,
    k: int = 3,
    every: int = 1,
    args: Data = None,
    rtol: float | None = None,
) -> Tracker: ...


@overload
def track(
    loss: Loss,
    iterates: Trajectory | Iterable[Params],
    *,
    learning_rate: LearningRate,
    k: int = 3,
    every: int = 1,
    args: Data = None,
    rtol: float | None = None,
) -> RegimeReport: ...


def track(
    loss: Loss,
    iterates: Trajectory | Iterable[Params] | None = None,
    *,
    learning_rate: LearningRate,
    k: int = 3,
    every: int = 1,
    args: Data = None,
    rtol: float | None = None,
) -> Tracker | RegimeReport:
    r"""Follow a training run: sharpness, spectrum, stability coefficients and drift at its steps.

    .. math:: \theta_n \mapsto E, \; \lambda_i, \; g \cdot u_i, \;
        c_i = \alpha(h \lambda_i) (g \cdot u_i), \; v = \lVert H g \rVert / \lVert g \rVert

    Given its iterates it returns the report. Without them it returns a `flows.Tracker`, which is
    shown the parameters by a loop of your own, whatever that trains with::

        tracker = flows.track(loss, learning_rate=0.2, every=10)
        for step in range(1000):
            tracker.record(params)
            params, state = train_step(params, state)
        print(tracker.report())

    The thresholds are those of gradient descent. For its relatives with momentum and
    preconditioners the eigenvalues, the components and the drift are what they are; whether
    ``2 / h`` means anything is not.

    Arguments:
        loss: As in `flows.iterate`. Define it once: a new function object compiles anew.
        iterates: A `flows.Trajectory` with its parameters (``save_params=True``), or any iterable
            of parameters: a list, a generator, an array with a row for each step.
        learning_rate: ``h``, in flow time: a number, or a function of the step as in optax.
        k: How many directions, from the largest eigenvalue down.
        every: Measure at every so many steps only. An oscillation of period two does not show if
            it is even.
        args: Data for the loss.
        rtol: For the residuals, in units of the largest modulus of an eigenvalue; by default 1e-6
            in float64 and 3e-4 in float32. Errors of eigenvalues go with its square.

    Returns:
        A `flows.RegimeReport`, or a `flows.Tracker`. The cost stands there.

    Raises:
        InvalidLossError: As in `flows.iterate`.
        InvalidLearningRateError: If the learning rate is not one positive finite number.
        InvalidOptionError: If `k` or `every` is no positive integer, `rtol` not between 0 and 1,
            the trajectory a batch or without its parameters, or the iterable none, or empty.
        InvalidParametersError: As in `flows.Tracker.record`.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> def loss(x):
        ...     return jnp.sum(x**4) / 4
        >>> run = flows.iterate(loss, jnp.array([1.0, 0.5]), flows.GradientDescent(0.5), 100)
        >>> report = flows.track(loss, run, learning_rate=0.5, k=2, every=50)
        >>> print(report)  # doctest: +ELLIPSIS
        3 steps of 2 parameters, 2 directions; ... Hessian-vector products
        <BLANKLINE>
        step    h       loss        |g|  h * drift  h * eigenvalues  above 2
           0  0.5  2.656e-01  1.008e+00      1.489      1.500 0.375        0
          50  0.5  1.620e-04  3.416e-03      0.027      0.027 0.027        0
         100  0.5  4.446e-05  1.295e-03      0.014      0.014 0.014        0
        <BLANKLINE>
        No eigenvalue is above 2 / h.

    References:
        M. Rosca, Y. Wu, C. Qin, B. Dherin (2023), arXiv:2302.01952; J. Cohen, S. Kaur, Y. Li,
        J. Z. Kolter, A. Talwalkar (2021), arXiv:2103.00065.
    """
    tracker = Tracker(loss, learning_rate=learning_rate, k=k, every=every, args=args, rtol=rtol)
    if iterates is None:
        return tracker
    for params in _points(iterates):
        tracker.record(params)
    return tracker.report()


def _points(iterates: Any) -> Iterator[Params]:
    if isinstance(iterates, Trajectory):
        single_run(iterates.last_step)
        if iterates.params is None:
            raise InvalidOptionError(
                "this trajectory has not kept its parameters. Keep them: "
                "flows.iterate(..., save_params=True)."
            )
        return _rows_of(iterates.params, int(iterates.last_step) + 1)
    if isinstance(iterates, dict) or not isinstance(iterates, Iterable):
        raise InvalidOptionError(
            "iterates must be a flows.Trajectory or an iterable of parameters, got "
            f"{type(iterates).__name__}. For a loop of your own: "
            "tracker = flows.track(loss, learning_rate=...), then tracker.record(params)."
        )
    return iter(iterates)


def _rows_of(params: Params, count: int) -> Iterator[Params]:
    host = jtu.tree_map(lambda leaf: np.asarray(leaf) if _is_array(leaf) else leaf, params)
    for n in range(count):
        yield jtu.tree_map(lambda leaf, n=n: leaf[n] if _is_array(leaf) else leaf, host)


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, Array | np.ndarray)
