"""The Hessian's spectrum, and functions of the Hessian applied to the gradient."""

from .functions._auto import check_curvature as check_curvature
from .functions._auto import resolve as resolve
from .functions._base import AbstractCurvature as AbstractCurvature
from .functions._base import CubicImage as CubicImage
from .functions._base import SpectralFunction as SpectralFunction
from .functions._base import SpectralImage as SpectralImage
from .functions.dense import Dense as Dense
from .functions.krylov import Krylov as Krylov
from .functions.step_map import step_map_velocity as step_map_velocity
