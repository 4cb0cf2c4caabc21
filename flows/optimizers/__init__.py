"""Optimizers: one file each."""

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
