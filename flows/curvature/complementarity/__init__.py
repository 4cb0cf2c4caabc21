"""Complementarity of positive semidefinite matrices: ``0 <= X _|_ A + B[X] >= 0``."""

from .problem import Complementarity as Complementarity
from .problem import complementarity as complementarity
