"""What can go wrong before a run starts, one type each, all of them `FlowsError`.

What goes wrong *while* running is a result code (`flows.RESULTS`); with `throw=True` it becomes a
`RunFailedError`, which carries everything that was computed until then.
"""

from typing import Any


class FlowsError(Exception):
    """Base class of every error that this library raises on purpose."""


class InvalidParametersError(FlowsError, ValueError):
    """The starting parameters cannot be moved by a flow; the message names the leaf."""


class InvalidLossError(FlowsError, TypeError):
    """The loss cannot be called as given, or does not return one real number."""


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
