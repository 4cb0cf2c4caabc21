"""Pictures: Axes in, Axes out. Importing this module imports matplotlib.

>>> import flows.plotting
"""

from ._style import color_of as color_of
from .averages import plot_averages as plot_averages
from .bifurcation import plot_bifurcation as plot_bifurcation
from .contours import plot_contours as plot_contours
from .effective_rate import plot_effective_rates as plot_effective_rates
from .ensembles import plot_ensembles as plot_ensembles
from .indicator import plot_indicator as plot_indicator
from .regimes import plot_regimes as plot_regimes
from .stability import plot_spectrum as plot_spectrum
from .trajectories import plot_errors as plot_errors
from .trajectories import plot_losses as plot_losses
