"""What it took to advance a flow: numbers that add up from one leg to the next."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.tree_util as jtu

from ..._custom_types import Integer, Scalar


class Cost(eqx.Module):
    """What a run cost; two of them add up.

    Attributes:
        steps: Of the solver, tried or made; substeps of a flow that makes its own; of iterates,
            those of the optimizer.
        accepted: How many of them advanced the run.
        rejected: How many were repeated with a shorter step.
        products: Hessian-vector products spent on eigenpairs, where a flow follows some.
        integration_error: An estimate of the solver's own error, in units of the state (for most
            flows, the parameters): the sum over its accepted steps, or, with a controller of your
            own, their number times its tolerance. Infinite where nothing controls it.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> run = flows.solve(
        ...     lambda x: x**2 / 2, jnp.array(1.0), flows.GradientDescent(0.5),
        ...     flows.RodFlow(substeps=4), steps=3,
        ... )
        >>> int(run.cost.steps), int((run.cost + run.cost).steps)
        (12, 24)

    References:
        The counts of a solver are those of diffrax: P. Kidger (2022), arXiv:2202.02435.
    """

    steps: Integer
    accepted: Integer
    rejected: Integer
    products: Integer
    integration_error: Scalar

    @classmethod
    def of_steps(cls, count: Any, dtype: Any, *, products: Any = 0) -> Cost:
        """Of so many steps of which none was rejected, and of whose error nothing is known."""
        steps = jnp.asarray(count, int)
        none = jnp.zeros((), int)
        return cls(steps, steps, none, jnp.asarray(products, int), jnp.asarray(jnp.inf, dtype))

    def __add__(self, other: Cost) -> Cost:
        return jtu.tree_map(jnp.add, self, other)
