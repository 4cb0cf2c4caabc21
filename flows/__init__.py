from ._iterate import iterate as iterate
from ._solve import solve as solve
from .optimizers import GradientDescent as GradientDescent
from .vector_fields import GradientFlow as GradientFlow
from .vector_fields import ModifiedFlow as ModifiedFlow
from ._results import RESULTS as RESULTS
from ._compare import compare as compare
