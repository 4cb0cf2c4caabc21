"""The SDE of scale-invariant losses, in direction and norm."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu

from .._custom_types import Array, At, Params, PyTree, Scalar
from .._objective import number_of_examples
from .._vectors import add_scaled, norm, real_dtype, scaled
from ..optimizers import SGD, AbstractOptimizer, Problem
from ..optimizers._drift import direction
from ..optimizers._invariance import require
from ..optimizers._references import LI_2020
from ._gradient_noise import batch_factor, draw, noise, sgd, unless_plain
from ._stochastic import AbstractStochasticFlow

# How many gradients of single examples are held at a time.
_CHUNK = 64


class IntrinsicState(eqx.Module):
    """Direction and norm.

    Attributes:
        ray: A vector along ``u``. Its length has no meaning and is about 1.
        log_square: ``log |w|^2``.
    """

    ray: Params
    log_square: Scalar


class IntrinsicFlow(AbstractStochasticFlow):
    r"""The stochastic differential equation of SGD with weight decay on a scale-invariant loss.

    .. math::
        du = -\frac{1}{|w|^2} \left( \nabla L(u)\, dt + \sqrt h\, \Sigma_u^{1/2} dW \right)
            - \frac{h \operatorname{Tr} \Sigma_u}{2 |w|^4}\, u\, dt, \qquad
        \frac{d |w|^2}{dt} = -2 \lambda |w|^2 + \frac{h \operatorname{Tr} \Sigma_u}{|w|^2}

    with the covariance ``Sigma_u`` of one step's gradient at the direction ``u``: the equation of
    `StochasticModifiedFlow(1)` in other coordinates. The norm has no noise of its own, and here its
    numerical solution has none either. With the intrinsic learning rate ``q = h lambda`` and
    time in steps, ``|w|^4 / h^2`` relaxes to ``Tr Sigma_u / (2 q)`` within ``1 / (4 q)`` steps.
    From the steps of SGD it differs by ``O(q)``: see `flows.scale_invariant.equilibrium`.

    Time is flow time: ``t = n h`` after ``n`` steps. A substep costs, at each of the solver's
    stages, a gradient of all examples and the gradients of the single ones, for the trace; and for
    the noise twice that and two more gradients. It records ``norm`` and
    ``effective_learning_rate``, ``h / |w|^2``.

    Attributes:
        substeps: Equal parts of one optimizer step in which the equation is integrated. The error
            in law is ``O(q / substeps)``, in few dimensions most of all.

    Raises:
        InvalidOptionError: If `substeps` is no integer >= 1.
        IncompatibleFlowError: From the drivers, if the optimizer is not `SGD`, or has momentum,
            repeated or dependent batches, or noise other than that of batches.
        NotScaleInvariantError: From the drivers, if the loss of a single example is not scale
            invariant.

    Example:
        Examples that pull to either side of each axis: isotropic noise without a loss.

        >>> import jax, jax.numpy as jnp
        >>> import flows
        >>> loss = lambda w, x: jnp.mean(x @ w) / jnp.linalg.norm(w)
        >>> examples = 3**0.5 * jnp.concatenate([jnp.eye(3), -jnp.eye(3)])
        >>> run = flows.solve(
        ...     loss, jnp.array([1.0, 0.0, 0.0]), flows.SGD(0.1, batch_size=1, weight_decay=0.5),
        ...     flows.IntrinsicFlow(), steps=20, args=examples, key=jax.random.key(0),
        ... )
        >>> predicted = flows.scale_invariant.norm_path(1.0, 0.1, 0.5, 2**0.5, 20, model="sde")
        >>> bool(jnp.allclose(run.diagnostics["norm"], predicted, rtol=1e-4))
        True

    References:
        Z. Li, K. Lyu, S. Arora (2020), arXiv:2010.02916.
    """

    references: ClassVar[tuple[str, ...]] = (LI_2020,)
    looks: ClassVar[dict[str, tuple[str, Any]]] = {
        "IntrinsicFlow": ("#5E3C99", "-"),
    }
    substeps: int = eqx.field(static=True, default=4)

    @property
    def name(self) -> str:
        """`IntrinsicFlow`."""
        return "IntrinsicFlow"

    @property
    def beyond_gradient(self) -> bool:
        """No."""
        return False

    def refusal(self, optimizer: AbstractOptimizer) -> str | None:
        """Unless noise comes from independent batches alone."""
        refused = unless_plain(self, optimizer)
        if refused:
            return refused
        assert isinstance(optimizer, SGD)
        if not optimizer.independent or optimizer.noise is not None:
            return (
                f"{self.name} models the noise of independent batches, which is that of the "
                "direction over the norm. Use flows.SGD(..., batch_size=...) with noise=None and "
                'sampling "replacement" or "no replacement", or flows.StochasticModifiedFlow(1).'
            )
        return None

    def check(self, problem: Problem, params: Params) -> None:
        """Raise a `NotScaleInvariantError` unless the loss is, or that of the first example."""
        # Of all examples together it may cancel, and then there would be rounding errors to judge.
        batches, objective = sgd(problem).batch_size is not None, problem.objective
        require(objective.on_examples(jnp.arange(1)) if batches else objective, params)

    def start(self, problem: Problem, state: PyTree[Any], at: At) -> IntrinsicState:
        """Direction and norm of the parameters."""
        unit, length = direction(problem.optimizer.params(state))
        return IntrinsicState(unit, 2 * jnp.log(length))

    def velocity(self, problem: Problem, at: At, y: IntrinsicState) -> IntrinsicState:
        """The drift; in the direction, of first degree in the length of the ray."""
        optimizer = sgd(problem)
        length, unit = _split(y.ray)
        dtype = y.log_square.dtype
        h, decay = (x.astype(dtype) for x in (optimizer.learning_rate, optimizer.weight_decay))
        shrinking = jnp.exp(-y.log_square)
        spread = covariance_trace(problem, unit, h) * shrinking**2
        towards = scaled(-h * length * shrinking, problem.gradient(unit))
        return IntrinsicState(add_scaled(towards, -spread / 2, y.ray), -2 * h * decay + spread)

    def draw(self, problem: Problem, at: At, y: IntrinsicState, key: Array) -> PyTree[Array]:
        """One number for each example."""
        return draw(problem, y.ray, key)

    def diffusion(
        self, problem: Problem, at: At, y: IntrinsicState, draws: PyTree[Array]
    ) -> IntrinsicState:
        """``h / |w|^2 Sigma_u^(1/2)`` times the draws, and nothing for the norm.

        With the norm at the middle of the substep, from its own law: at the start of the substep
        it would be off to first order, and all of the noise with it.
        """
        length, unit = _split(y.ray)
        optimizer, dtype = sgd(problem), y.log_square.dtype
        h, decay = (x.astype(dtype) for x in (optimizer.learning_rate, optimizer.weight_decay))
        half = 1 / (2 * self.substeps)
        x = 4 * decay * h * half
        # (1 - e^-x) / x, which is 1 without weight decay.
        decaying = x > 0
        mean = jnp.where(decaying, -jnp.expm1(-x) / jnp.where(decaying, x, 1), 1)
        growth = 2 * covariance_trace(problem, unit, h) * half * mean
        # log(e^-x |w|^4 + growth), where neither over- nor underflows.
        kept = 2 * y.log_square - x
        log_fourth = kept + jnp.log1p(growth * jnp.exp(-kept))
        scale = h * jnp.exp(-log_fourth / 2) * length
        noisy = scaled(scale, noise(problem, unit, draws))
        return IntrinsicState(noisy, jnp.zeros_like(y.log_square))

    def params(self, problem: Problem, at: At, y: IntrinsicState) -> Params:
        """``|w| u``."""
        return scaled(jnp.exp(y.log_square / 2), _split(y.ray)[1])

    def report(
        self, problem: Problem, at: At, y: IntrinsicState, iterate: Params | None = None
    ) -> dict[str, Array]:
        """The norm and the effective learning rate."""
        h = sgd(problem).learning_rate.astype(y.log_square.dtype)
        return {
            "norm": jnp.exp(y.log_square / 2),
            "effective_learning_rate": h * jnp.exp(-y.log_square),
        }


def _split(ray: Params) -> tuple[Scalar, Params]:
    length = norm(ray)
    return length, scaled(1 / length, ray)


def covariance_trace(problem: Problem, params: Params, h: Scalar) -> Scalar:
    """``h^2 Tr Sigma``, of one step's gradient, from those of single examples.

    With the rate inside, as squares of small gradients may underflow.
    """
    optimizer = sgd(problem)
    if optimizer.batch_size is None:
        return jnp.zeros((), real_dtype(params))
    n = number_of_examples(problem.args)
    mean = problem.gradient(params)

    def square(i: Array) -> Scalar:
        gradient = problem.objective.on_examples(i[None]).gradient(params)
        return (h * norm(jtu.tree_map(jnp.subtract, gradient, mean))) ** 2

    squares = jax.lax.map(square, jnp.arange(n), batch_size=min(n, _CHUNK))
    return batch_factor(optimizer, n) * jnp.mean(squares)
