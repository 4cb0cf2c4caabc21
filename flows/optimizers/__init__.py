"""Optimizers: one file each."""

from ._base import AbstractOptimizer as AbstractOptimizer
from .drift_adjusted import DriftAdjustedDescent as DriftAdjustedDescent
from .gradient_descent import GradientDescent as GradientDescent
from .optax_drift import drift_adjusted as drift_adjusted
from .step_map import StepMap as StepMap
