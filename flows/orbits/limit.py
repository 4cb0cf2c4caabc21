"""Where an orbit ends: at a point, on a cycle, in chaos, at infinity, or undecided."""

from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Int

from .._checks import integer, is_traced, step_count
from .._custom_types import Array, Data, Float, Loss, Params
from .._errors import InvalidOptionError
from .._objective import require_derivative
from .._vectors import real_dtype
from ..drivers._compatible import check_optimizer
from ..optimizers import AbstractOptimizer, Problem, make_problem
from ..results import short_repr
from ._decide import CHAOTIC, DIVERGED, KINDS, PERIODIC, REASONS, UNDECIDED, decide
from ._follow import BLOCKS, Followed, follow
from ._options import bound_of, tolerance_of


class Limit(eqx.Module):
    r"""Where the iterates end up, as far as a finite run can say.

    .. math:: \omega(\theta_0), \qquad
        \Lambda = \lim_{n \to \infty} \tfrac1n \log \lVert D\Phi^n(\theta_0)\, v \rVert

    `flows.classify_limit` makes one; under ``vmap`` every array has leading axes.

    Attributes:
        kind_codes: Where in `flows.orbits.KINDS` it stands: converged, periodic, chaotic, diverged,
            undecided. `kind` is the word.
        periods: The least period: 1 for converged, 0 where there is none.
        lyapunov: The largest Lyapunov exponent ``Lambda`` per step, a pure number. On a cycle it is
            ``log |multiplier| / period``, and -inf on a superstable one. NaN where it diverged;
            inf or NaN where the derivative of the step is not finite, as at 0 of ``|x|^1.5``.
        lyapunov_error: One standard error of it, from the means of 15 blocks; 0 on a cycle whose
            largest multiplier is real, where the exponent is that of one period.
        reason_codes: Where in `flows.orbits.REASONS`; 0 unless undecided. `reason` is the sentence.
        last_steps: How many steps were made: fewer than asked for where it diverged.
        params: Where the orbit stood last; of a diverged one, the last point within the bound.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> well = lambda x: (x**2 - 1) ** 2 / 4
        >>> limit = flows.classify_limit(well, jnp.array(0.5), flows.GradientDescent(1.2))
        >>> print(limit)
        periodic with period 2, Lyapunov exponent -0.193

    References:
        The exponent by one tangent vector: G. Benettin, L. Galgani, A. Giorgilli, J.-M. Strelcyn,
        Meccanica 15 (1980), 9-30.
    """

    kind_codes: Int[Array, "*batch"]
    periods: Int[Array, "*batch"]
    lyapunov: Float[Array, "*batch"]
    lyapunov_error: Float[Array, "*batch"]
    reason_codes: Int[Array, "*batch"]
    last_steps: Int[Array, "*batch"]
    params: Params

    @property
    def kind(self) -> str:
        """The kind in a word; of a single orbit, outside JAX transformations."""
        self._require_single()
        return KINDS[int(self.kind_codes)]

    @property
    def kinds(self) -> np.ndarray:
        """The kinds in words, an array of strings of the shape of the batch."""
        _require_numbers(self.kind_codes)
        return np.array(KINDS)[np.asarray(self.kind_codes)]

    @property
    def period(self) -> int:
        """The least period of a single orbit: 1 if it converged, 0 if there is none."""
        self._require_single()
        return int(self.periods)

    @property
    def reason(self) -> str:
        """Why a single orbit is undecided; empty if it is not."""
        self._require_single()
        return REASONS[int(self.reason_codes)]

    def _require_single(self) -> None:
        _require_numbers(self.kind_codes)
        if self.kind_codes.ndim:
            raise InvalidOptionError(
                f"this is a batch of orbits of shape {self.kind_codes.shape}, as vmap returns. Use "
                "kinds and periods, or take one: jax.tree.map(lambda x: x[0], limit)."
            )

    def __repr__(self) -> str:
        return short_repr(self)

    def __str__(self) -> str:
        self._require_single()
        code, exponent = int(self.kind_codes), f"Lyapunov exponent {float(self.lyapunov):.3g}"
        if np.isnan(self.lyapunov):  # only the Hessian is not finite: the iterates are
            exponent = "no Lyapunov exponent"
        if code == PERIODIC:
            return f"periodic with period {self.period}, {exponent}"
        if code == CHAOTIC:
            return f"chaotic, {exponent} +- {float(self.lyapunov_error):.1g}"
        if code == DIVERGED:
            return f"diverged after step {int(self.last_steps)}"
        if code == UNDECIDED:
            return f"undecided, {exponent}: {self.reason}"
        return f"converged, {exponent}"


def classify_limit(
    loss: Loss,
    start: Params,
    optimizer: AbstractOptimizer,
    *,
    args: Data = None,
    transient: int = 10_000,
    steps: int = 10_000,
    max_period: int = 64,
    tolerance: float | None = None,
    bound: float | None = None,
) -> Limit:
    r"""Say whether iterates converge, settle on a cycle, stay chaotic or diverge.

    .. math:: \theta_{n+1} = \Phi(\theta_n), \qquad
        \lVert \theta_{N+p} - \theta_N \rVert \approx 0, \qquad
        \Lambda = \tfrac1n \log \lVert D\Phi^n v \rVert

    After `transient` steps, the largest Lyapunov exponent is measured over `steps` further ones
    with one tangent vector. Then the orbit is *converged* or *periodic* if it comes back within
    `max_period` steps, at such a rate that it is within the tolerance of the cycle; *chaotic* if
    the exponent is positive by four standard errors, though it may once come close to where it was;
    *diverged* if it left the bound or the finite numbers at any time; and *undecided* otherwise,
    with the reason: among others where rounding alone may have closed the orbit. A cycle that is
    narrower than the tolerance counts as a point, and iterates that rounding holds in place as
    converged.

    Costs a gradient a step, and a Hessian-vector product beside it while the exponent is measured.
    Memory does not grow with the number of steps. Works under ``jit`` and ``vmap``; cannot be
    differentiated. The period is that of the whole state, momentum included.

    Arguments:
        loss: As in `flows.iterate`.
        start: Where to start, any pytree.
        optimizer: Any optimizer of this library whose step does not depend on the time.
        args: Data for the loss.
        transient: Steps before anything is measured. Another number compiles nothing anew.
        steps: Steps over which the exponent is measured, a multiple of 16 (rounded up).
        max_period: The longest period that is looked for.
        tolerance: How close counts as the same, in units of the parameters. By default the square
            root of the rounding unit: 1.5e-8 in float64, 3.5e-4 in float32. Far from the origin,
            where 32 times that unit times the norm of the parameters is more, that counts instead.
        bound: The norm of the parameters beyond which the orbit counts as diverged. By default
            1e8 times the norm of the start, or 1e8 if that is less than 1.

    Returns:
        A `Limit`: ``kind``, ``period``, ``lyapunov``, or under ``vmap`` their codes and arrays.

    Raises:
        InvalidLossError: If the loss cannot be called, or does not return one real number.
        InvalidParametersError: If a leaf of `start` cannot be moved.
        InvalidOptimizerError: If the optimizer is none.
        InvalidStepsError: If `transient` or `steps` is not a non-negative integer.
        InvalidOptionError: If another option is out of range.

    Example:
        The logistic map at its end has the exponent log 2.

        >>> import jax.numpy as jnp
        >>> import flows
        >>> limit = flows.classify_limit(
        ...     lambda x: x**2 / 2 + x**3 / 3, jnp.array(0.1), flows.GradientDescent(2.99999)
        ... )
        >>> limit.kind, round(float(limit.lyapunov), 1)
        ('chaotic', 0.7)

    References:
        G. Benettin, L. Galgani, A. Giorgilli, J.-M. Strelcyn, Meccanica 15 (1980), 9-30. Cycles of
        gradient descent: K. Nar, S. Sastry (2018), arXiv:1805.08890.
    """
    check_optimizer(optimizer)
    problem, moving = make_problem(loss, start, optimizer, args)
    optimizer.check(problem.objective, moving)
    require_derivative(problem.objective, moving, "the exponent of the limit")
    dtype = real_dtype(moving)
    return _classify(
        problem,
        moving,
        np.asarray(step_count(transient)),
        block_length(steps),
        tolerance_of(tolerance, dtype),
        bound_of(bound, moving, dtype),
        integer(max_period, 1, "max_period", "max_period=64"),
    )


def block_length(steps: Any) -> np.ndarray:
    """So many steps for each block that all together are at least those asked for."""
    return np.asarray(-(-step_count(steps) // BLOCKS))


@eqx.filter_jit
def _classify(problem, params, transient, block, tolerance, bound, max_period) -> Limit:
    seen = follow(problem, params, transient, block, bound, max_period=max_period)
    return as_limit(problem, seen, block, tolerance, max_period)


def as_limit(
    problem: Problem, seen: Followed, block: Array, tolerance: Any, max_period: int
) -> Limit:
    """The decision, with where the orbit stood."""
    decision = decide(seen, block, tolerance, max_period)
    return Limit(
        kind_codes=decision.kind,
        periods=decision.period,
        lyapunov=decision.lyapunov,
        lyapunov_error=decision.lyapunov_error,
        reason_codes=decision.reason,
        last_steps=seen.walker.step,
        params=problem.whole(problem.optimizer.params(seen.walker.state)),
    )


def _require_numbers(codes: Any) -> None:
    if is_traced(codes):
        raise InvalidOptionError(
            "words and tables need numbers, but these are traced. Take them outside jit and vmap, "
            "or use kind_codes and reason_codes."
        )
