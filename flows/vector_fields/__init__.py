"""Flows: a file each. One is imported here and named in `__all__`; `flows` exports those."""

import inspect

from ._base import AbstractFlow
from ._point import AbstractPointFlow
from ._stepped import AbstractSteppedFlow
from ._stochastic import AbstractStochasticFlow
from .central import CentralFlow
from .gradient import GradientFlow
from .intrinsic import IntrinsicFlow
from .modified import ModifiedFlow
from .principal import PrincipalFlow
from .reshuffling import ReshufflingFlow
from .rod import RodFlow
from .stochastic import StochasticModifiedFlow

__all__ = [
    "AbstractFlow",
    "AbstractPointFlow",
    "AbstractSteppedFlow",
    "AbstractStochasticFlow",
    "CentralFlow",
    "GradientFlow",
    "IntrinsicFlow",
    "ModifiedFlow",
    "PrincipalFlow",
    "ReshufflingFlow",
    "RodFlow",
    "StochasticModifiedFlow",
]

# For the remedy of an error, the command line, colours and the tests.
FLOWS: tuple[type[AbstractFlow], ...] = tuple(
    kind for kind in map(globals().__getitem__, __all__) if not inspect.isabstract(kind)
)
