"""What a ready problem is."""

import equinox as eqx

from .._custom_types import Data, Loss, Params


class Example(eqx.Module):
    r"""A loss to try a flow on, with its start, its data and a learning rate that suits it.

    .. math:: E(\theta; \text{args}), \qquad \theta(0) = \text{start}

    A plain value without methods: its parts go into `flows.iterate`, `flows.solve` and
    `flows.compare` as they are, or one by one replaced by your own::

        problem = flows.problems.rosenbrock()
        run = flows.compare(
            problem.loss, problem.start, flows.GradientDescent(problem.learning_rate),
            [flows.GradientFlow(), flows.ModifiedFlow(order=2)], steps=100, args=problem.args,
        )

    The loss is one function object, whatever the numbers of the problem, so a second problem of
    the same kind and size compiles nothing anew. Arrays have JAX' default float dtype (float64
    where x64 is on), drawn and computed in float64 and rounded once: they do not depend on x64
    otherwise, nor on JAX' random numbers.

    Attributes:
        name: Its key in `flows.problems.PROBLEMS`.
        loss: ``loss(params)`` where `args` is None, otherwise ``loss(params, args)``.
        start: The starting parameters, a pytree of arrays.
        learning_rate: ``h`` > 0 in units of flow time: gradient descent descends with it.
        source: Where the problem is from.
        description: The formula, in one line.
        args: What varies between problems of one kind: a matrix, a target, the data.

    Example:
        One step on the published quadratic multiplies by ``1 - 0.9 (2, 0.02)``.

        >>> import jax.numpy as jnp
        >>> import flows.problems
        >>> problem = flows.problems.quadratic()
        >>> optimizer = flows.GradientDescent(problem.learning_rate)
        >>> run = flows.iterate(
        ...     problem.loss, problem.start, optimizer, steps=1, args=problem.args
        ... )
        >>> bool(jnp.allclose(run.final_params, jnp.array([0.28, -0.1964])))
        True

    References:
        Each problem names its own, in `source`.
    """

    name: str = eqx.field(static=True)
    loss: Loss
    start: Params
    learning_rate: float
    source: str = eqx.field(static=True)
    description: str = eqx.field(static=True)
    args: Data = None
