"""Flows: one file each."""

from ._base import AbstractFlow as AbstractFlow
from .gradient import GradientFlow as GradientFlow
from .modified import ModifiedFlow as ModifiedFlow
from .principal import PrincipalFlow as PrincipalFlow
