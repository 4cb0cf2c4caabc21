"""How sharp the loss is, in which directions descent is stable, and how the loss falls there."""

from .coefficients import REGIMES as REGIMES
from .coefficients import StabilityCoefficients as StabilityCoefficients
from .coefficients import stability_coefficients as stability_coefficients
from .drift import drift as drift
from .drift import drift_adjusted_learning_rate as drift_adjusted_learning_rate
from .sharpness import sharpness as sharpness
from .sharpness import top_eigenpairs as top_eigenpairs
