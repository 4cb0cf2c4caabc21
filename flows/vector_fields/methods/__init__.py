"""How flows are advanced from one optimizer step to the next; a flow names its method."""

from ._base import AbstractMethod as AbstractMethod
from ._base import Leg as Leg
from ._base import SolverOptions as SolverOptions
from ._base import Steps as Steps
from ._cost import Cost as Cost
from ._diffrax import Diffrax as Diffrax
from ._noisy_steps import NoisySteps as NoisySteps
from ._own_steps import OwnSteps as OwnSteps
