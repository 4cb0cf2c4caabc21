"""All ready problems by name."""

import difflib
from collections.abc import Callable

from .._errors import InvalidOptionError
from ._base import Example
from .analytic import product, quadratic, rosenbrock
from .edge_of_stability import edge_of_stability
from .landscapes import rational_landscape, sharp_valley
from .networks import breast_cancer, mlp
from .normalised import normalised_network
from .scalar import cosine, double_well, nar_sastry, quartic
from .scale_invariant import rayleigh_quotient, scale_invariant_plane, scale_invariant_sphere

# From the simplest to the largest.
PROBLEMS: dict[str, Callable[[], Example]] = {
    "quadratic": quadratic,
    "quartic": quartic,
    "cosine": cosine,
    "double_well": double_well,
    "nar_sastry": nar_sastry,
    "sharp_valley": sharp_valley,
    "rational_landscape": rational_landscape,
    "product": product,
    "rosenbrock": rosenbrock,
    "scale_invariant_plane": scale_invariant_plane,
    "scale_invariant_sphere": scale_invariant_sphere,
    "rayleigh_quotient": rayleigh_quotient,
    "mlp": mlp,
    "breast_cancer": breast_cancer,
    "edge_of_stability": edge_of_stability,
    "normalised_network": normalised_network,
}


def get(name: str) -> Example:
    """A ready problem by its name, with its default settings.

    Arguments:
        name: A key of `PROBLEMS`.

    Returns:
        The `Example`.

    Raises:
        InvalidOptionError: If there is no such problem; the message names the near ones.

    Example:
        >>> import flows.problems
        >>> flows.problems.get("quartic").description
        'sum x^4 / 4'

    References:
        Each problem names its own, in `Example.source`.
    """
    if isinstance(name, str) and name in PROBLEMS:
        return PROBLEMS[name]()
    near = difflib.get_close_matches(str(name).lower(), PROBLEMS)
    suggestion = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
    raise InvalidOptionError(
        f"There is no problem {name!r}. {suggestion}All names: list(flows.problems.PROBLEMS)."
    )
