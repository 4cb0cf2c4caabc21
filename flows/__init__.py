"""Continuous-time models of optimisers, compared with the real iterates.

>>> import jax.numpy as jnp
>>> import flows
>>> run = flows.compare(
...     lambda x: jnp.sum(jnp.cos(x)),
...     jnp.array([2.5]),
...     flows.GradientDescent(0.5),
...     [flows.GradientFlow(), flows.ModifiedFlow(order=2)],
...     steps=20,
... )
>>> list(run.errors)
['GradientFlow', 'ModifiedFlow(2)']

`flows.problems` has ready losses, `flows.plotting` the pictures (import it: it needs matplotlib).
"""

import importlib.metadata

from . import problems as problems
from . import scale_invariant as scale_invariant
from ._custom_types import At as At
from ._errors import ContinuationError as ContinuationError
from ._errors import DerivativeError as DerivativeError
from ._errors import FlowsError as FlowsError
from ._errors import IncompatibleFlowError as IncompatibleFlowError
from ._errors import InvalidLearningRateError as InvalidLearningRateError
from ._errors import InvalidLossError as InvalidLossError
from ._errors import InvalidOptimizerError as InvalidOptimizerError
from ._errors import InvalidOptionError as InvalidOptionError
from ._errors import InvalidParametersError as InvalidParametersError
from ._errors import InvalidSolverError as InvalidSolverError
from ._errors import InvalidStepsError as InvalidStepsError
from ._errors import MissingDependencyError as MissingDependencyError
from ._errors import NotScaleInvariantError as NotScaleInvariantError
from ._errors import RunFailedError as RunFailedError
from ._errors import StorageError as StorageError
from ._objective import Objective as Objective
from .curvature import AbstractCurvature as AbstractCurvature
from .curvature import Dense as Dense
from .curvature import Krylov as Krylov
from .curvature.eigenpairs.largest import Eigenpairs as Eigenpairs
from .drivers import compare as compare
from .drivers import compare_in_law as compare_in_law
from .drivers import iterate as iterate
from .drivers import solve as solve
from .drivers import vector_field as vector_field
from .optimizers import *  # noqa: F403 (a new optimizer is named there, once)
from .orbits import BasinShares as BasinShares
from .orbits import BifurcationDiagram as BifurcationDiagram
from .orbits import CriticalStep as CriticalStep
from .orbits import Cycle as Cycle
from .orbits import Limit as Limit
from .orbits import basin_shares as basin_shares
from .orbits import bifurcation_diagram as bifurcation_diagram
from .orbits import classify_limit as classify_limit
from .orbits import find_bifurcation as find_bifurcation
from .orbits import find_crisis as find_crisis
from .orbits import find_cycle as find_cycle
from .results import RESULTS as RESULTS
from .results import Comparison as Comparison
from .results import Ensemble as Ensemble
from .results import EnsembleComparison as EnsembleComparison
from .results import RegimeReport as RegimeReport
from .results import Trajectory as Trajectory
from .results import citation as citation
from .results import load as load
from .stability import StabilityCoefficients as StabilityCoefficients
from .stability import drift as drift
from .stability import drift_adjusted_learning_rate as drift_adjusted_learning_rate
from .stability import sharpness as sharpness
from .stability import stability_coefficients as stability_coefficients
from .stability import top_eigenpairs as top_eigenpairs
from .tracking import Tracker as Tracker
from .tracking import track as track
from .vector_fields import *  # noqa: F403 (so is a new flow)
from .vector_fields import flows_for as flows_for
from .vector_fields.methods import Cost as Cost

__version__ = importlib.metadata.version("descentflows")
