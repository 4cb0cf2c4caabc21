"""Problems of one parameter: at an array the loss is a sum over independent copies."""

from .._custom_types import Loss
from ._base import Example
from ._options import ArrayLike, finite, to_array


def independent_copies(
    name: str,
    loss: Loss,
    start: ArrayLike,
    *,
    default: float,
    learning_rate: float,
    source: str,
    description: str,
) -> Example:
    """The problem of that loss, begun at `start`; the message about a wrong one shows `default`."""
    return Example(
        name=name,
        loss=loss,
        start=to_array(finite(start, "start", f"start={default}")),
        learning_rate=learning_rate,
        source=source,
        description=description,
    )
