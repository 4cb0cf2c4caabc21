"""Optimizers: a file each. One is imported here and named in `__all__`; `flows` exports those."""

import inspect

from ._base import AbstractOptimizer
from ._description import AbstractMetric, Description, IdentityMetric, SquaresMetric
from ._problem import Problem
from ._problem import make_problem as make_problem
from ._stochastic import AbstractStochasticOptimizer
from .drift_adjusted import DriftAdjustedDescent
from .gradient_descent import GradientDescent
from .optax_drift import drift_adjusted
from .rmsprop import RMSProp, ScalarRMSProp
from .scale_invariant import ScaleInvariantDescent
from .sgd import SGD
from .step_map import StepMap

__all__ = [
    "SGD",
    "AbstractMetric",
    "AbstractOptimizer",
    "AbstractStochasticOptimizer",
    "Description",
    "DriftAdjustedDescent",
    "GradientDescent",
    "IdentityMetric",
    "Problem",
    "RMSProp",
    "ScalarRMSProp",
    "ScaleInvariantDescent",
    "SquaresMetric",
    "StepMap",
    "drift_adjusted",
]

# For the tests.
OPTIMIZERS: tuple[type[AbstractOptimizer], ...] = tuple(
    kind
    for kind in map(globals().__getitem__, __all__)
    if inspect.isclass(kind)
    and issubclass(kind, AbstractOptimizer)
    and not inspect.isabstract(kind)
)
