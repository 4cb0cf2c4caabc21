"""One line for a result, as a notebook shows it; `print` shows the whole."""

from typing import Any

from .._checks import being_traced
from .._errors import FlowsError


def short_repr(result: Any) -> str:
    """`<Kind: what it says first>`; of a batch, or of what is traced, its kind alone."""
    kind = type(result).__name__
    if being_traced(vars(result)):
        return f"<{kind}, traced>"
    try:
        return f"<{kind}: {str(result).splitlines()[0]}>"
    except FlowsError:  # a batch has no one sentence
        return f"<{kind} of a batch>"
