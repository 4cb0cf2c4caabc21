"""Flows: a file each. One is imported here and named in `__all__`; `flows` exports those."""

import inspect

from .._errors import InvalidOptimizerError
from ..optimizers import AbstractOptimizer
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


def flows_for(optimizer: AbstractOptimizer) -> tuple[AbstractFlow, ...]:
    """The flows that are models of an optimizer, with their default options.

    Arguments:
        optimizer: An instance, for example ``flows.SGD(0.1, batch_size=8)``.

    Returns:
        Those whose `AbstractFlow.refusal` has nothing against it; none, for an unknown one.

    Raises:
        InvalidOptimizerError: If it is no optimizer.

    Example:
        >>> import flows
        >>> [flow.name for flow in flows.flows_for(flows.RMSProp(1e-3))]
        ['CentralFlow']

    References:
        Each flow names its own: see `flows.citation`.
    """
    if not isinstance(optimizer, AbstractOptimizer):
        raise InvalidOptimizerError(
            f"optimizer must be one of this library's, got {optimizer!r}. "
            "Write for example flows.flows_for(flows.GradientDescent(0.1))."
        )
    return tuple(flow for flow in (kind() for kind in FLOWS) if flow.refusal(optimizer) is None)
