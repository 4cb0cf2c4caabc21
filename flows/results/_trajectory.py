"""One sequence of parameters on the common step clock."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np

from .._checks import single_run
from .._custom_types import Array, Float, Integer, Params
from .._errors import RESULTS, code_names
from ..vector_fields.methods import Cost
from ._archive import Record, as_jax, write
from ._described import Ran
from ._short_repr import short_repr
from ._stored_trees import pack_tree, unpack_tree

# Fields as they are stored: arrays; trees; and the numbers of a cost.
_PLAIN = ("ts", "loss", "grad_norm", "last_step")
_COSTS = ("steps", "accepted", "rejected", "products", "integration_error")
_TREES = ("params", "final_params")


@jtu.register_static
class Label(str):
    """A word among the numbers of a result: no leaf of the tree, so `jit` and `vmap` pass it."""


def as_labels(words: Mapping[str, str]) -> dict[str, Label]:
    """Words of a result by name."""
    return {name: Label(word) for name, word in words.items()}


class Trajectory(eqx.Module):
    r"""One sequence of parameters on the common step clock: iterates, or a flow at whole steps.

    Entry ``n`` of every array belongs to step ``n``; ``t_n`` is the flow time until then, the sum
    of what the steps took (``n h`` for gradient descent). Entries after `last_step` were not
    computed and are NaN.

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
        cost: What it took: steps of the solver, products, and an estimate of the integration
            error; see `flows.Cost`.
        ran: What was run, by kind: the ``optimizer``; or the ``flow`` and its ``method``. After
            loading their words, as in `settings`.
        choices: What was left to the flow, and what it chose, in a word: the ``curvature`` of the
            principal flow.
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
    cost: Cost
    ran: Mapping[str, Ran | Label] = eqx.field(default_factory=dict)
    choices: dict[str, Label] = eqx.field(default_factory=dict)
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
    def settings(self) -> dict[str, str]:
        """What was run, in words: with their options the optimizer, or flow and method; choices."""
        words = {kind: str(of) for kind, of in self.ran.items()}
        return words | {name: str(word) for name, word in self.choices.items()}

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
        single_run(self.last_step)
        step = int(self.last_step)
        time = float(self.ts[step])
        return f"Stopped after step {step} of {self.steps} (t = {time:.6g}): {self.sentence}"

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        return short_repr(self)

    def save(self, path: str | pathlib.Path) -> pathlib.Path:
        """Write everything to one ``.npz`` file, as `Comparison.save` does."""
        metadata, arrays = self.pack("part0")
        return write(path, Record(type(self).__name__, {"parts": [metadata]}, arrays))

    @classmethod
    def from_record(cls, record: Record, like: Params | None) -> Trajectory:
        """What `save` wrote."""
        return cls.unpack(record.metadata["parts"][0], record.arrays, "part0", like)

    def pack(self, prefix: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What JSON can hold of it, and its arrays by names that begin with `prefix`."""
        single_run(self.last_step)
        arrays = {f"{prefix}/{name}": np.asarray(getattr(self, name)) for name in _PLAIN}
        [code] = code_names(self.result)
        packed: dict[str, Any] = {
            "stride": self.stride,
            "reference": self.reference,
            "result": code,
            "diagnostics": list(self.diagnostics),
            "ran": {kind: self.settings[kind] for kind in self.ran},
            "choices": {name: str(word) for name, word in self.choices.items()},
        }
        for name, values in self.diagnostics.items():
            arrays[f"{prefix}/diagnostics/{name}"] = np.asarray(values)
        for name in _COSTS:
            arrays[f"{prefix}/cost/{name}"] = np.asarray(getattr(self.cost, name))
        for name in _TREES:
            packed[name], leaves = pack_tree(getattr(self, name))
            arrays |= {f"{prefix}/{name}/{place}": leaf for place, leaf in enumerate(leaves)}
        return packed, arrays

    @classmethod
    def unpack(
        cls,
        packed: dict[str, Any],
        arrays: Mapping[str, np.ndarray],
        prefix: str,
        like: Params | None,
    ) -> Trajectory:
        """The inverse of `pack`; `like`, if not None, gives the parameters' structure."""
        fields: dict[str, Any] = {name: as_jax(arrays[f"{prefix}/{name}"]) for name in _PLAIN}
        fields["diagnostics"] = {
            name: as_jax(arrays[f"{prefix}/diagnostics/{name}"]) for name in packed["diagnostics"]
        }
        costs = {name: as_jax(arrays[f"{prefix}/cost/{name}"]) for name in _COSTS}
        for name in _TREES:
            count = len(packed[name]["paths"])
            leaves = [arrays[f"{prefix}/{name}/{place}"] for place in range(count)]
            fields[name] = unpack_tree(packed[name], leaves, like, stacked=name == "params")
        return cls(
            result=getattr(RESULTS, packed["result"]),
            cost=Cost(**costs),
            ran=as_labels(packed["ran"]),
            choices=as_labels(packed["choices"]),
            stride=packed["stride"],
            reference=packed["reference"],
            **fields,
        )
