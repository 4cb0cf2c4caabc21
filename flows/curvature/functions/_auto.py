"""The choice that `curvature="auto"` stands for."""

from typing import Any

from ..._errors import InvalidOptionError
from ._base import AbstractCurvature
from .dense import Dense
from .krylov import Krylov

# Up to here the whole complex spectrum (5 ms on two cores) takes no longer than the dozen small
# ones of a Krylov space of 24 vectors.
_DENSE_UP_TO = 64


def check_curvature(curvature: Any) -> None:
    """Raise an `InvalidOptionError` unless it is "auto" or one of this library's."""
    if curvature == "auto" or isinstance(curvature, AbstractCurvature):
        return
    ours = isinstance(curvature, type) and issubclass(curvature, AbstractCurvature)
    call = f"flows.{curvature.__name__}()" if ours else "flows.Krylov()"
    raise InvalidOptionError(
        f'curvature must be "auto", flows.Dense() or flows.Krylov(...), got {curvature!r}. '
        f"Write for example curvature={call}."
    )


def resolve(curvature: str | AbstractCurvature, parameters: int) -> AbstractCurvature:
    """The method itself: "auto" is `Dense` for few parameters and `Krylov` for more."""
    if isinstance(curvature, AbstractCurvature):
        return curvature
    return Dense() if parameters <= _DENSE_UP_TO else Krylov()
