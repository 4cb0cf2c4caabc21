"""The Hessian's spectrum, and functions of the Hessian applied to the gradient."""

from ._auto import check_curvature as check_curvature
from ._auto import resolve as resolve
from ._base import AbstractCurvature as AbstractCurvature
from ._base import CubicImage as CubicImage
from ._base import SpectralFunction as SpectralFunction
from ._base import SpectralImage as SpectralImage
from .dense import Dense as Dense
from .krylov import Krylov as Krylov
from .step_map import step_map_velocity as step_map_velocity
