"""Ready losses to try a flow on."""

from ._base import Example as Example
from ._registry import PROBLEMS as PROBLEMS
from ._registry import get as get
from .analytic import product as product
from .analytic import quadratic as quadratic
from .analytic import rosenbrock as rosenbrock
from .edge_of_stability import edge_of_stability as edge_of_stability
from .landscapes import rational_landscape as rational_landscape
from .landscapes import sharp_valley as sharp_valley
from .networks import breast_cancer as breast_cancer
from .networks import mlp as mlp
from .normalised import normalised_network as normalised_network
from .scalar import cosine as cosine
from .scalar import double_well as double_well
from .scalar import nar_sastry as nar_sastry
from .scalar import quartic as quartic
from .scale_invariant import rayleigh_quotient as rayleigh_quotient
from .scale_invariant import scale_invariant_plane as scale_invariant_plane
from .scale_invariant import scale_invariant_sphere as scale_invariant_sphere
