"""The papers behind flows and optimizers, as BibTeX."""

from .._errors import InvalidOptionError
from ..optimizers import AbstractOptimizer
from ..vector_fields import AbstractFlow


def citation(*models: AbstractFlow | AbstractOptimizer) -> str:
    r"""Give the BibTeX entries of the papers behind flows and optimizers.

    It computes nothing. What this library adds of its own, the corrections of `flows.PrincipalFlow`
    for one, has no paper: the entry is that of the flow it starts from. Plain gradient descent and
    a `flows.StepMap` have no entry either.

    Arguments:
        models: Flows and optimizers, for example ``flows.PrincipalFlow()``.

    Returns:
        One entry for each paper, in the order in which they first come up, with an empty line in
        between; an empty text if there is none.

    Raises:
        InvalidOptionError: If nothing is given, or something that is neither flow nor optimizer.

    Example:
        >>> import flows
        >>> print(flows.citation(flows.RodFlow()).splitlines()[0])
        @misc{regis2026rod,

    References:
        The bibliography of the documentation has the same entries.
    """
    if not models:
        raise InvalidOptionError(
            "citation needs at least one flow or optimizer. Write flows.citation(flows.RodFlow())."
        )
    entries: dict[str, None] = {}  # in order, each once
    for model in models:
        if not isinstance(model, (AbstractFlow, AbstractOptimizer)):
            raise InvalidOptionError(
                f"citation knows flows and optimizers, got {model!r}. "
                "Pass an instance, for example flows.citation(flows.PrincipalFlow())."
            )
        entries.update(dict.fromkeys(model.references))
    return "\n\n".join(entries)
