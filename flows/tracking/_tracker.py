"""Recording where a training run stands, from within any loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np

from .._checks import (
    being_traced,
    integer,
    positive_scalar,
    split_params,
)
from .._custom_types import Data, Loss, Params, Scalar
from .._errors import InvalidOptionError, InvalidParametersError
from .._objective import as_objective, require_derivative
from .._vectors import real_dtype, size
from ..curvature.eigenpairs.tracking import TrackedEigenpairs
from ..results import RegimeReport
from ._measure import first_pairs, measure

LearningRate = float | Scalar | Callable[[int], Any]


class Tracker:
    r"""Records where a training run stands, from within any loop.

    .. math:: \theta_n \mapsto E, \; g, \; \lambda_i, \; g \cdot u_i, \; v

    ``flows.track(loss, learning_rate=...)`` makes one. Of every `every`-th point that it is shown
    it measures what a `flows.RegimeReport` holds; the others cost nothing. A measurement starts
    from the eigenvectors of the one before. It takes a gradient, a Hessian-vector product for the
    drift, and for each of ``k + 2`` vectors two more (float32) or three (float64) at the least,
    several times as many where eigenvalues are close together: on a network of 484 parameters at
    the edge of stability, with ``k = 4`` and a measurement at every step, 10 and 14. A larger
    `rtol` saves most of them. It keeps ``2 (k + 2)`` arrays of the size of the parameters.

    Attributes:
        step: The number of the next point, from 0.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import flows
        >>> def loss(x):
        ...     return jnp.sum(x**4) / 4
        >>> x = jnp.array([1.0, 0.5])
        >>> tracker = flows.track(loss, learning_rate=0.1, k=1, every=5)
        >>> for _ in range(10):
        ...     tracker.record(x)
        ...     x = x - 0.1 * jax.grad(loss)(x)
        >>> report = tracker.report()
        >>> report.steps.tolist(), f"{float(report.sharpness[0]):.3f}"
        ([0, 5], '3.000')

    References:
        J. Cohen, S. Kaur, Y. Li, J. Z. Kolter, A. Talwalkar (2021), arXiv:2103.00065.
    """

    def __init__(
        self,
        loss: Loss,
        *,
        learning_rate: LearningRate,
        k: int = 3,
        every: int = 1,
        args: Data = None,
        rtol: float | None = None,
    ):
        self._objective = as_objective(loss, args)
        self._learning_rate = learning_rate
        if not callable(learning_rate):
            positive_scalar(learning_rate, "learning_rate")
        self._k, self._every = integer(k, 1, "k", "k=3"), integer(every, 1, "every", "every=10")
        self._rtol = _tolerance(rtol)
        self._rows: list[dict[str, Any]] = []
        self._pairs: TrackedEigenpairs | None = None
        self._like: Any = None
        self.step = 0

    def record(
        self,
        params: Params,
        *,
        learning_rate: float | Scalar | None = None,
        args: Data = None,
    ) -> None:
        """Show the tracker the parameters of the next step; it measures at every `every`-th.

        Arguments:
            params: The parameters, of the same structure and shapes in every call.
            learning_rate: The rate of the step that goes out from here; by default the one that the
                tracker was made with.
            args: Data for the loss; by default those that the tracker was made with.

        Raises:
            InvalidParametersError: If a leaf cannot be moved, or is unlike those before; in the
                first call also if it is not finite.
            InvalidLearningRateError: If the rate is not one finite number >= 0. It may be 0, as at
                the start of a warm-up: the threshold of that row is infinite.
            InvalidOptionError: If `k` is more than there are parameters, or under a JAX
                transformation.
        """
        step, self.step = self.step, self.step + 1
        if step % self._every:
            return
        if being_traced(params):
            raise InvalidOptionError(
                "a tracker records outside of jit, vmap and scan, but these parameters are traced. "
                "Call record between the compiled steps, or pass the iterates: "
                "flows.track(loss, iterates, learning_rate=...)."
            )
        moving, resting = split_params(params, finite=self._pairs is None)
        moving = self._checked(moving, step)
        rate = positive_scalar(self._rate(step, learning_rate), "learning_rate", zero=True)
        objective = self._objective.completed(resting, args)
        rtol = None if self._rtol is None else jnp.asarray(self._rtol, real_dtype(moving))
        before, started = self._pairs, None
        if before is None:
            require_derivative(objective, moving, "what a tracker records")
            # Twice at first, so that nothing that random vectors hardly see is overlooked.
            before, started = measure(
                objective, moving, first_pairs(moving, self._k), self._k, rtol
            )
        self._pairs, row = measure(objective, moving, before, self._k, rtol)
        if started is not None:
            row["matvecs"] = row["matvecs"] + started["matvecs"]
        self._rows.append({"steps": step, "learning_rates": rate, **row})

    def report(self) -> RegimeReport:
        """What was recorded until now.

        Returns:
            The `flows.RegimeReport`. It is never an error that numbers are not finite, or that
            eigenpairs have not converged: the report says so.

        Raises:
            InvalidOptionError: If nothing was recorded.
        """
        if not self._rows:
            raise InvalidOptionError(
                "nothing was recorded, so there is nothing to report. "
                "Call tracker.record(params) in your loop first."
            )
        rows = jax.device_get(self._rows)
        dtype = rows[0]["eigenvalues"].dtype
        columns = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        columns["learning_rates"] = columns["learning_rates"].astype(dtype)
        arrays = {name: jnp.asarray(column) for name, column in columns.items()}
        return RegimeReport(**arrays, parameters=size(self._like))

    def _rate(self, step: int, given: Any) -> Any:
        if given is not None:
            return given
        return self._learning_rate(step) if callable(self._learning_rate) else self._learning_rate

    def _checked(self, moving: Params, step: int) -> Params:
        """The parameters, if they are of the structure and shapes of the first ones."""
        shapes = jtu.tree_map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), moving)
        if self._like is None:
            integer(self._k, 1, "k", f"k={min(3, size(moving))}", size(moving))
            self._like = shapes
        elif jtu.tree_flatten(shapes) != jtu.tree_flatten(self._like):
            raise InvalidParametersError(
                f"the parameters at step {step} are a tree unlike those at first: {shapes}, not "
                f"{self._like}. Pass all parameters at every step; flows.track(loss, iterates) "
                "takes a flows.Trajectory, or an iterable of whole parameter trees."
            )
        return moving


def _tolerance(rtol: Any) -> float | None:
    if rtol is not None and not (isinstance(rtol, float) and 0 < rtol < 1):
        raise InvalidOptionError(
            f"rtol must be a number between 0 and 1, got {rtol!r}. Write for example rtol=1e-3."
        )
    return rtol
