"""Numbers as JSON can hold them."""

import math
from typing import Any


def plain_number(number: Any) -> float | None:
    """A Python float; None for what is not finite."""
    value = float(number)
    return value if math.isfinite(value) else None
