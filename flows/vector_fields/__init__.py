"""Flows: one file each."""

import inspect

from ._base import AbstractFlow as AbstractFlow
from ._base import AbstractSteppedFlow as AbstractSteppedFlow
from ._point import AbstractPointFlow as AbstractPointFlow
from ._stochastic import AbstractStochasticFlow as AbstractStochasticFlow
from .central import CentralFlow as CentralFlow
from .gradient import GradientFlow as GradientFlow
from .intrinsic import IntrinsicFlow as IntrinsicFlow
from .modified import ModifiedFlow as ModifiedFlow
from .principal import PrincipalFlow as PrincipalFlow
from .reshuffling import ReshufflingFlow as ReshufflingFlow
from .rod import RodFlow as RodFlow
from .stochastic import StochasticModifiedFlow as StochasticModifiedFlow

# Every flow there is, for the remedy of an error, the command line, colours and the tests.
FLOWS: tuple[type[AbstractFlow], ...] = tuple(
    kind
    for kind in list(globals().values())
    if inspect.isclass(kind) and issubclass(kind, AbstractFlow) and not inspect.isabstract(kind)
)
