"""What iterates do when they do not converge: cycles, chaos, crises, and the shares of basins."""

from ._decide import KINDS as KINDS
from ._decide import REASONS as REASONS
from .basins import BasinShares as BasinShares
from .basins import basin_shares as basin_shares
from .bifurcation import BifurcationDiagram as BifurcationDiagram
from .bifurcation import bifurcation_diagram as bifurcation_diagram
from .critical import CriticalStep as CriticalStep
from .critical import find_bifurcation as find_bifurcation
from .critical import find_crisis as find_crisis
from .cycle import Cycle as Cycle
from .cycle import find_cycle as find_cycle
from .limit import Limit as Limit
from .limit import classify_limit as classify_limit
