"""Optimizers: one file each."""

import inspect

from ._base import AbstractOptimizer as AbstractOptimizer
from ._preconditioned import AbstractPreconditionedDescent as AbstractPreconditionedDescent
from ._stochastic import AbstractStochasticOptimizer as AbstractStochasticOptimizer
from .drift_adjusted import DriftAdjustedDescent as DriftAdjustedDescent
from .gradient_descent import GradientDescent as GradientDescent
from .optax_drift import drift_adjusted as drift_adjusted
from .rmsprop import RMSProp as RMSProp
from .rmsprop import ScalarRMSProp as ScalarRMSProp
from .scale_invariant import ScaleInvariantDescent as ScaleInvariantDescent
from .sgd import SGD as SGD
from .step_map import StepMap as StepMap

# Every optimizer there is, for the tests.
OPTIMIZERS: tuple[type[AbstractOptimizer], ...] = tuple(
    kind
    for kind in list(globals().values())
    if inspect.isclass(kind)
    and issubclass(kind, AbstractOptimizer)
    and not inspect.isabstract(kind)
)
