"""What runs: the optimizer, one flow, all of them on one clock; and what these calls share."""

from ._compare import compare as compare
from ._iterate import iterate as iterate
from ._solve import solve as solve
from ._vector_field import vector_field as vector_field
