"""What runs: the optimizer, one flow, all of them on one clock; and what these calls share."""

from ._compare import compare as compare
from ._compare_in_law import compare_in_law as compare_in_law
from ._iterate import iterate as iterate
from ._solve import solve as solve
from ._vector_field import vector_field as vector_field
