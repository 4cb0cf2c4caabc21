"""What a run returns: trajectories, their comparison, and the codes that say how it ended."""

from __future__ import annotations

import math
import pathlib
from typing import TYPE_CHECKING, Any

import diffrax as dfx
import equinox as eqx
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np

from ._custom_types import Array, Float, Integer, Params, PyTree
from ._errors import InvalidOptionError, RunFailedError

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class RESULTS(dfx.RESULTS):  # pyright: ignore[reportGeneralTypeIssues]
    """How a run ended: diffrax's codes, and those of this library.

    ``successful`` is the only good one. ``str(code)`` is its sentence, and codes compare with
    ``==``. `Trajectory.message` adds the step and the time at which it happened.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> optimizer = flows.GradientDescent(3.0)
        >>> run = flows.iterate(
        ...     lambda x: x**4, jnp.array(1.0), optimizer, steps=9, throw=False
        ... )
        >>> bool(run.result == flows.RESULTS.diverged)
        True
        >>> int(run.last_step) < 9
        True

    References:
        P. Kidger, On Neural Differential Equations (2022), arXiv:2202.02435, whose diffrax
        defines the codes of a solver.
    """

    successful = ""
    diverged = "The loss or its gradient is no longer a finite number. Try a smaller learning rate."
    iterates_ended = "The iterates ended here, so there was nothing to compare with."
    flow_ended = (
        "The flow cannot be continued: it blows up here, or its vector field is not finite."
    )
    eigenpairs_not_converged = (
        "The eigenpairs near the edge of stability could not be followed. Try more substeps."
    )
    too_many_critical_directions = (
        "More directions are near the edge of stability than there is room for. Increase `size`."
    )
    complementarity_not_solved = (
        "No oscillation keeps the critical eigenvalues at the edge of stability: "
        "the complementarity problem has no solution, or none was found."
    )
    sharpness_overshoot = (
        "The sharpness is beyond the edge of stability, where this flow is no model. "
        "Start where h times the sharpness is below 2, or try more substeps."
    )
    sharpness_beyond_one = (
        "The learning rate times the sharpness is 1 or more, where this flow is not real. "
        "Try a smaller learning rate, or another flow."
    )
    no_real_diffusion = (
        "No stochastic differential equation has the law of these steps: noise and Hessian do not "
        "commute, and the diffusion would be complex. Try StochasticModifiedFlow(2)."
    )


_CODES = (
    "successful",
    "diverged",
    "iterates_ended",
    "flow_ended",
    "eigenpairs_not_converged",
    "too_many_critical_directions",
    "complementarity_not_solved",
    "sharpness_overshoot",
    "sharpness_beyond_one",
    "no_real_diffusion",
    "max_steps_reached",
    "max_steps_rejected",
    "dt_min_reached",
    "event_occurred",
    "nonlinear_max_steps_reached",
    "nonlinear_divergence",
    "singular",
    "breakdown",
    "stagnation",
    "conlim",
    "nonfinite_input",
    "nonfinite",
    "internal_error",
)


def code_names(results: RESULTS) -> tuple[str, ...]:
    """What the codes are called, in a list: of one run one, of a batch one for each."""
    flat = np.atleast_1d(np.zeros(np.shape(results == RESULTS.successful), dtype=object))
    for code in _CODES:
        flat[np.atleast_1d(np.asarray(results == getattr(RESULTS, code)))] = code
    return tuple(flat.ravel().tolist())


@jtu.register_static
class Label(str):
    """A word among the numbers of a result: no leaf of the tree, so `jit` and `vmap` pass it."""


class Trajectory(eqx.Module):
    r"""One sequence of parameters on the common step clock: iterates, or a flow at whole steps.

    Entry ``n`` of every array belongs to step ``n``, at the flow time ``t_n = n h`` where ``h`` is
    the time that one step takes. Entries after `last_step` were not computed and are NaN.

    Attributes:
        ts: ``t_n``, shape ``(steps + 1,)``, in flow time.
        params: The parameters at every step, a tree with a leading axis of length ``steps + 1``;
            None unless they were kept. In a comparison per step, where the flow arrives from the
            previous iterate.
        final_params: The parameters at `last_step`.
        loss: ``E(theta_n)``, shape ``(steps + 1,)``, in units of loss.
        grad_norm: ``||g(theta_n)||``, shape ``(steps + 1,)``, in loss per parameter.
        diagnostics: More numbers by name, each ``(steps + 1,)``, or ``(steps + 1, k)`` where a flow
            says so. For iterates ``step_length``, the
            length of the step that ended at ``theta_n`` (0 at the start), and what the optimizer
            adds.
        last_step: The last step whose numbers are finite; ``steps`` after a successful run.
        result: How it ended, one of `flows.RESULTS`.
        stats: What it cost, by name. For flows ``num_steps``, ``num_accepted_steps`` and
            ``num_rejected_steps`` of the solver, and, where the step-size controller has
            tolerances, ``integration_error``: an estimate of the solver's own error, in units of
            the parameters: the sum over its accepted steps (with a controller of your own, their
            number times its tolerance). Also what was left to the flow to choose, in a word:
            ``curvature`` of the principal flow.
        stride: 1, or 2 for a flow that models every second step. At the others, everything here is
            one optimizer step from where the flow was before (but for the diagnostics, which are
            the flow's own).
        reference: What the errors of a comparison are distances from: ``"iterates"``, or
            ``"midpoint"``, ``(theta_{n-1} + 2 theta_n + theta_{n+1}) / 4``, for a model of their
            average.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> optimizer = flows.GradientDescent(0.5)
        >>> run = flows.iterate(lambda x: x**2 / 2, jnp.array(1.0), optimizer, steps=3)
        >>> [round(float(loss), 4) for loss in run.loss]
        [0.5, 0.125, 0.0312, 0.0078]
        >>> [float(t) for t in run.ts]
        [0.0, 0.5, 1.0, 1.5]

    References:
        The clock is that of backward error analysis: E. Hairer, C. Lubich, G. Wanner, Geometric
        Numerical Integration, 2nd ed. (2006), chapter IX.
    """

    ts: Float[Array, "*batch points"]
    params: Params | None
    final_params: Params
    loss: Float[Array, "*batch points"]
    grad_norm: Float[Array, "*batch points"]
    diagnostics: dict[str, Float[Array, "*batch points"]]
    last_step: Integer
    result: RESULTS
    stats: dict[str, Any]
    stride: int = eqx.field(static=True, default=1)
    reference: str = eqx.field(static=True, default="iterates")

    @property
    def own_steps(self) -> np.ndarray:
        """Which of the steps the flow itself models: every `stride`-th; shape ``(steps + 1,)``."""
        return np.arange(self.steps + 1) % self.stride == 0

    @property
    def steps(self) -> int:
        """How many steps were asked for."""
        return self.ts.shape[-1] - 1

    @property
    def successful(self) -> bool:
        """Whether all steps were made (in a batch: by every member)."""
        return bool(jnp.all(self.result == RESULTS.successful))

    @property
    def sentence(self) -> str:
        """What the result code says, without the step."""
        return "successful" if self.successful else RESULTS[self.result]

    @property
    def message(self) -> str:
        """How the run ended, in a sentence with the step and the time."""
        if self.successful:
            return f"All {self.steps} steps were made."
        require_single(self)
        step = int(self.last_step)
        time = float(self.ts[step])
        return f"Stopped after step {step} of {self.steps} (t = {time:.6g}): {self.sentence}"

    def save(self, path: str | pathlib.Path) -> pathlib.Path:
        """Write everything to one ``.npz`` file, as `Comparison.save` does."""
        from ._storage import save

        return save(self, path)


class Comparison(eqx.Module):
    r"""Iterates of an optimizer beside the flows that model it.

    Attributes:
        iterates: What the optimizer does.
        trajectories: What each flow says, by its name.
        errors: ``||theta_flow(t_n) - theta_n||`` over all parameters, by the flow's name, each
            ``(steps + 1,)``, in units of the parameters. In mode ``"per_step"`` the flow starts
            anew from every iterate, and this is the error of one step.
        mode: ``"trajectory"`` or ``"per_step"``.
        settings: What was run, by name: the optimizer, dtype, number of parameters, solver,
            versions.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> run = flows.compare(
        ...     lambda x: jnp.sum(jnp.cos(x)), jnp.array([2.5]), flows.GradientDescent(0.5),
        ...     [flows.GradientFlow(), flows.ModifiedFlow(order=2)], steps=10,
        ... )
        >>> summary = run.summary()["flows"]
        >>> summary["ModifiedFlow(2)"]["max_error"] < summary["GradientFlow"]["max_error"]
        True

    References:
        M. Rosca, Y. Wu, C. Qin, B. Dherin, On a continuous time model of gradient descent dynamics
        and instability in deep learning (2023), arXiv:2302.01952, for the two ways to compare.
    """

    iterates: Trajectory
    trajectories: dict[str, Trajectory]
    errors: dict[str, Float[Array, "*batch points"]]
    mode: str = eqx.field(static=True)
    settings: tuple[tuple[str, str], ...] = eqx.field(static=True)

    @property
    def relative_errors(self) -> dict[str, Float[Array, "*batch points"]]:
        """The errors over a length: of the one step (per step), of the path so far (trajectory).

        Zero where nothing moved and nothing is wrong, at the start for instance.
        """
        lengths = self.iterates.diagnostics["step_length"]
        if self.mode == "trajectory":
            lengths = jnp.cumsum(lengths, axis=-1)
        return {name: _ratio(error, lengths) for name, error in self.errors.items()}

    @property
    def successful(self) -> bool:
        """Whether the iterates and every flow made all steps."""
        return self.iterates.successful and all(
            trajectory.successful for trajectory in self.trajectories.values()
        )

    @property
    def message(self) -> str:
        """How the run ended: a sentence for each part that stopped early."""
        parts = {"Iterates": self.iterates, **self.trajectories}
        stopped = [
            f"{name}: {part.message}"
            for name, part in parts.items()
            if not part.successful and part.result != RESULTS.iterates_ended
        ]
        return " ".join(stopped) or f"All {self.iterates.steps} steps were made."

    def summary(self) -> dict[str, Any]:
        """The numbers of the table as plain Python: JSON can hold them.

        Returns:
            ``mode``, ``settings``, ``iterates`` and ``flows`` (by name). Of each flow: ``result``,
            ``last_step``, ``final_loss``, ``final_error``, ``max_error``,
            ``median_relative_error`` (over the steps that the flow models itself) and, where known,
            ``integration_error``. What is not finite is None.
        """
        require_single(self.iterates)
        return {
            "mode": self.mode,
            "settings": dict(self.settings),
            "iterates": _summary_of(self.iterates),
            "flows": {
                name: {
                    **_summary_of(trajectory),
                    **self._summary_of_errors(name),
                }
                for name, trajectory in self.trajectories.items()
            },
        }

    def _summary_of_errors(self, name: str) -> dict[str, float | None]:
        errors = np.asarray(self.errors[name])
        own = self.trajectories[name].own_steps
        relative = np.asarray(self.relative_errors[name])[own][1:]
        known = np.flatnonzero(np.isfinite(errors))
        finite = relative[np.isfinite(relative)]
        numbers = {
            "final_error": errors[known[-1]],
            "max_error": errors[known].max(),
            "median_relative_error": np.median(finite) if finite.size else 0.0,
        }
        stats = self.trajectories[name].stats
        if "integration_error" in stats:
            numbers["integration_error"] = np.asarray(stats["integration_error"])
        return {key: _plain(number) for key, number in numbers.items()}

    def __str__(self) -> str:
        from ._table import table

        return table(self)

    def __repr__(self) -> str:
        names = ", ".join(self.trajectories)
        return f"<Comparison of {names} over {self.iterates.steps} steps, mode {self.mode!r}>"

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the error of every flow against the step, on a logarithmic scale.

        Arguments:
            ax: Where to draw; a new figure if None. `flows.plotting` has more pictures.

        Returns:
            The Axes. Nothing is shown or saved.
        """
        from .plotting import plot_errors

        return plot_errors(self, ax=ax)

    def save(self, path: str | pathlib.Path) -> pathlib.Path:
        """Write everything to one ``.npz`` file; `flows.load` reads it back.

        Returns:
            The path of the file, with the suffix ``.npz``.
        """
        from ._storage import save

        return save(self, path)


def require_single(trajectory: Trajectory) -> None:
    """Raise an `InvalidOptionError` for a batch of runs, where a single one is needed."""
    if trajectory.last_step.ndim:
        raise InvalidOptionError(
            f"this is a batch of runs of shape {trajectory.last_step.shape}, as vmap returns. "
            "Take one of them: jax.tree.map(lambda x: x[0], run)."
        )


def check(outcome: Trajectory | Comparison, *, throw: bool, traced: bool) -> Any:
    """Raise what a failed run says, if asked to; under a transformation, when it runs."""
    if not throw:
        return outcome
    if traced:
        return _raise_at_run_time(outcome)
    if not outcome.successful:
        raise RunFailedError(outcome.message, partial=outcome)
    return outcome


def _raise_at_run_time(outcome: PyTree[Any]) -> PyTree[Any]:
    """Tie the error to every array of the outcome, so that using any of them raises it."""
    parts = (
        [outcome.iterates, *outcome.trajectories.values()]
        if isinstance(outcome, Comparison)
        else [outcome]
    )
    for part in parts:
        outcome = part.result.error_if(outcome, part.result != RESULTS.successful)
    return outcome


def _ratio(error: Array, length: Array) -> Array:
    moved = length > 0
    return jnp.where(
        moved, error / jnp.where(moved, length, 1), jnp.where(error == 0, error, jnp.inf)
    )


def _summary_of(trajectory: Trajectory) -> dict[str, Any]:
    last = int(trajectory.last_step)
    return {
        "result": trajectory.sentence,
        "last_step": last,
        "final_loss": _plain(trajectory.loss[last]),
    }


def _plain(number: Any) -> float | None:
    value = float(number)
    return value if math.isfinite(value) else None
