"""Iterates of an optimizer beside the flows that model it."""

from __future__ import annotations

import math
import pathlib
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .._checks import single_run
from .._custom_types import Array, Float, Params
from .._errors import RESULTS
from ._archive import Record, as_jax, write
from ._comparison_table import comparison_table
from ._plain import plain_number
from ._trajectory import Trajectory

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
        return all(part.successful for part in self._parts)

    @property
    def message(self) -> str:
        """How the run ended: a sentence for each part that stopped early."""
        if not self.successful:
            single_run(self.iterates.last_step)
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
        single_run(self.iterates.last_step)
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
        estimate = np.asarray(self.trajectories[name].cost.integration_error)
        if np.all(np.isfinite(estimate)):
            numbers["integration_error"] = estimate
        return {key: plain_number(number) for key, number in numbers.items()}

    def __str__(self) -> str:
        models = {name: (flow.stride, flow.reference) for name, flow in self.trajectories.items()}
        return comparison_table(
            self.summary(),
            steps=self.iterates.steps,
            step_time=float(self.iterates.ts[1]) if self.iterates.steps else math.nan,
            models=models,
            ending=None if self.successful else self.message,
        )

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
        from ..plotting import plot_errors

        return plot_errors(self, ax=ax)

    def save(self, path: str | pathlib.Path) -> pathlib.Path:
        """Write everything to one ``.npz`` file; `flows.load` reads it back.

        Returns:
            The path of the file, with the suffix ``.npz``.
        """
        packed = [part.pack(f"part{place}") for place, part in enumerate(self._parts)]
        arrays = {f"error{place}": np.asarray(e) for place, e in enumerate(self.errors.values())}
        for _, own in packed:
            arrays |= own
        metadata = {
            "parts": [metadata for metadata, _ in packed],
            "mode": self.mode,
            "settings": dict(self.settings),
            "flows": list(self.trajectories),
        }
        return write(path, Record(type(self).__name__, metadata, arrays))

    @classmethod
    def from_record(cls, record: Record, like: Params | None) -> Comparison:
        """What `save` wrote."""
        _, metadata, arrays = record
        iterates, *flows = (
            Trajectory.unpack(part, arrays, f"part{place}", like)
            for place, part in enumerate(metadata["parts"])
        )
        names = metadata["flows"]
        return cls(
            iterates=iterates,
            trajectories=dict(zip(names, flows, strict=True)),
            errors={name: as_jax(arrays[f"error{place}"]) for place, name in enumerate(names)},
            mode=metadata["mode"],
            settings=tuple(metadata["settings"].items()),
        )

    @property
    def _parts(self) -> tuple[Trajectory, ...]:
        return (self.iterates, *self.trajectories.values())


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
        "final_loss": plain_number(trajectory.loss[last]),
    }
