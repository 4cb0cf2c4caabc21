"""What a run returns: trajectories, comparisons, reports, their tables and files, result codes."""

from .._errors import RESULTS as RESULTS
from .._errors import code_names as code_names
from ._citations import citation as citation
from ._comparison import Comparison as Comparison
from ._described import Ran as Ran
from ._ensemble import Ensemble as Ensemble
from ._ensemble_comparison import EnsembleComparison as EnsembleComparison
from ._failure import raise_if_failed as raise_if_failed
from ._load import load as load
from ._regime_report import RegimeReport as RegimeReport
from ._short_repr import short_repr as short_repr
from ._trajectory import Label as Label
from ._trajectory import Trajectory as Trajectory
from ._trajectory import as_labels as as_labels
