"""Optimizers: one file each."""

from ._base import AbstractOptimizer as AbstractOptimizer
from .gradient_descent import GradientDescent as GradientDescent
from .step_map import StepMap as StepMap
