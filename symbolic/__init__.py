"""Exact step-size thresholds, orbits and modified equations, with sympy."""

from ._critical_points import CriticalPoint as CriticalPoint
from ._critical_points import critical_points as critical_points
from ._errors import ForbiddenExpressionError as ForbiddenExpressionError
from ._errors import InvalidExpressionError as InvalidExpressionError
from ._errors import InvalidOptionError as InvalidOptionError
from ._errors import InvalidPointError as InvalidPointError
from ._errors import InvalidStepError as InvalidStepError
from ._errors import InvalidSymbolsError as InvalidSymbolsError
from ._errors import MissingDependencyError as MissingDependencyError
from ._errors import NonSmoothPointError as NonSmoothPointError
from ._errors import NotSolvedError as NotSolvedError
from ._errors import SymbolicError as SymbolicError
from ._errors import TooMuchWorkError as TooMuchWorkError
from ._flips import Flip as Flip
from ._manifolds import CriticalManifold as CriticalManifold
from ._parsing import parse as parse
from ._thresholds import AlmostSurely as AlmostSurely
from ._thresholds import almost_surely as almost_surely
from ._thresholds import classify as classify
from ._thresholds import flip as flip
from ._thresholds import threshold as threshold
