"""How sharp the loss is, in which directions descent is stable, and how the loss falls there."""

from ._coefficients import REGIMES as REGIMES
from ._coefficients import StabilityCoefficients as StabilityCoefficients
from ._coefficients import stability_coefficients as stability_coefficients
from ._drift import drift as drift
from ._drift import drift_adjusted_learning_rate as drift_adjusted_learning_rate
from ._sharpness import sharpness as sharpness
from ._sharpness import top_eigenpairs as top_eigenpairs
