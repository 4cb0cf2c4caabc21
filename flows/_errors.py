"""What can go wrong: raised before a run starts, returned by one that has begun.

Before, it is an error of its own type, all of them `FlowsError`. *While* running it is a result
code, one of `RESULTS`; with `throw=True` that becomes a `RunFailedError`, which carries everything
that was computed until then.
"""

from typing import Any

import diffrax as dfx
import numpy as np


class FlowsError(Exception):
    """Base class of every error that this library raises on purpose."""


class InvalidParametersError(FlowsError, ValueError):
    """The starting parameters cannot be moved by a flow; the message names the leaf."""


class InvalidLossError(FlowsError, TypeError):
    """The loss cannot be called as given, or does not return one real number."""


class DerivativeError(FlowsError, TypeError):
    """The loss lacks a derivative that is needed; the message says how else to take it."""


class InvalidLearningRateError(FlowsError, ValueError):
    """The learning rate is not one positive finite number."""


class InvalidStepsError(FlowsError, ValueError):
    """The number of steps is not a non-negative integer."""


class InvalidOptionError(FlowsError, ValueError):
    """An option has a value that does not exist; the message lists those that do."""


class InvalidOptimizerError(FlowsError, TypeError):
    """What was given as the optimizer is not one of this library's."""


class InvalidSolverError(FlowsError, TypeError):
    """The solver or the step-size controller is not one that can integrate a flow."""


class IncompatibleFlowError(FlowsError, ValueError):
    """The flow does not model this optimizer; the message names what to use."""


class NotScaleInvariantError(FlowsError, ValueError):
    """The loss must depend on the direction of the parameters only, and does not.

    Attributes:
        violation: By how much it does not; see `flows.scale_invariant.scale_violation`.
    """

    violation: float

    def __init__(self, message: str, violation: float):
        super().__init__(message, violation)  # both, or it could not be unpickled
        self.violation = violation

    def __str__(self) -> str:
        return self.args[0]


class ContinuationError(FlowsError, NotImplementedError):
    """The loss uses a primitive that is not continued; the message names it and the line."""


class MissingDependencyError(FlowsError, ImportError):
    """An optional package is needed; the message says how to install it."""


class StorageError(FlowsError, ValueError):
    """A file does not hold what `flows.load` expects."""


class RunFailedError(FlowsError, RuntimeError):
    """A run stopped early, or did not converge, and `throw=True` was asked for.

    Attributes:
        partial: The `flows.Trajectory`, `flows.Comparison` or `flows.Eigenpairs` with all that was
            computed until then.
    """

    partial: Any

    def __init__(self, message: str, partial: Any):
        super().__init__(message, partial)  # both, or it could not be unpickled
        self.partial = partial

    def __str__(self) -> str:
        return self.args[0]


class RESULTS(dfx.RESULTS):  # pyright: ignore[reportGeneralTypeIssues]
    """How a run ended: diffrax's codes, and those of this library.

    ``successful`` is the only good one. ``str(code)`` is its sentence, and codes compare with
    ``==``. `Trajectory.message` adds the step and the time at which it happened.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> optimizer = flows.GradientDescent(3.0)
        >>> run = flows.iterate(
        ...     lambda x: x**4, jnp.array(1.0), optimizer, steps=9, throw=False
        ... )
        >>> bool(run.result == flows.RESULTS.diverged)
        True
        >>> int(run.last_step) < 9
        True

    References:
        P. Kidger, On Neural Differential Equations (2022), arXiv:2202.02435, whose diffrax
        defines the codes of a solver.
    """

    successful = ""
    diverged = "The loss or its gradient is no longer a finite number. Try a smaller learning rate."
    iterates_ended = "The iterates ended here, so there was nothing to compare with."
    flow_ended = (
        "The flow cannot be continued: it blows up here, or its vector field is not finite."
    )
    eigenpairs_not_converged = (
        "The eigenpairs near the edge of stability could not be followed. Try more substeps."
    )
    too_many_critical_directions = (
        "More directions are near the edge of stability than there is room for. Increase `size`."
    )
    complementarity_not_solved = (
        "No oscillation keeps the critical eigenvalues at the edge of stability: "
        "the complementarity problem has no solution, or none was found."
    )
    sharpness_overshoot = (
        "The sharpness is beyond the edge of stability, where this flow is no model. "
        "Start where h times the sharpness is below 2, or try more substeps."
    )
    sharpness_beyond_one = (
        "The learning rate times the sharpness is 1 or more, where this flow is not real. "
        "Try a smaller learning rate, or another flow."
    )
    no_real_diffusion = (
        "No stochastic differential equation has the law of these steps: noise and Hessian do not "
        "commute, and the diffusion would be complex. Try StochasticModifiedFlow(2)."
    )


def code_names(results: RESULTS) -> tuple[str, ...]:
    """What the codes are called, in a list: of one run one, of a batch one for each."""
    flat = np.atleast_1d(np.zeros(np.shape(results == RESULTS.successful), dtype=object))
    for code in RESULTS._name_to_item:  # pyright: ignore[reportAttributeAccessIssue]
        flat[np.atleast_1d(np.asarray(results == getattr(RESULTS, code)))] = code
    return tuple(flat.ravel().tolist())
