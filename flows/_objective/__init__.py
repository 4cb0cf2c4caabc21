"""The objective: a loss and its data, and every derivative that anything here may ask for."""

from ._derivatives import PRODUCTS as PRODUCTS
from ._examples import examples as examples
from ._examples import number_of_examples as number_of_examples
from ._examples import require_mean as require_mean
from ._hidden import require_derivative as require_derivative
from ._objective import Objective as Objective
from ._objective import as_objective as as_objective
from ._objective import make_objective as make_objective
