"""Flows: one file each."""

from ._base import AbstractFlow as AbstractFlow
from ._base import AbstractSteppedFlow as AbstractSteppedFlow
from .central import CentralFlow as CentralFlow
from .gradient import GradientFlow as GradientFlow
from .modified import ModifiedFlow as ModifiedFlow
from .principal import PrincipalFlow as PrincipalFlow
from .rod import RodFlow as RodFlow
