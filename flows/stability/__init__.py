"""In which directions gradient descent is stable, and at what rate the loss falls there."""

from .coefficients import REGIMES as REGIMES
from .coefficients import StabilityCoefficients as StabilityCoefficients
from .coefficients import stability_coefficients as stability_coefficients
