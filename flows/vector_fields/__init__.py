"""Flows: one file each."""

from ._base import AbstractFlow as AbstractFlow
from ._base import AbstractSteppedFlow as AbstractSteppedFlow
from ._stochastic import AbstractStochasticFlow as AbstractStochasticFlow
from .central import CentralFlow as CentralFlow
from .gradient import GradientFlow as GradientFlow
from .intrinsic import IntrinsicFlow as IntrinsicFlow
from .modified import ModifiedFlow as ModifiedFlow
from .principal import PrincipalFlow as PrincipalFlow
from .reshuffling import ReshufflingFlow as ReshufflingFlow
from .rod import RodFlow as RodFlow
from .stochastic import StochasticModifiedFlow as StochasticModifiedFlow
