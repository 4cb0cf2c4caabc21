"""What `flows.track` returns: sharpness, spectrum, stability and drift over the steps of a run."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Complex, Int

from .._custom_types import Array, Float
from ..curvature.spectral_functions import alpha
from ..optimizers import Description
from ..stability import REGIMES
from ..stability._coefficients import regime_codes
from ._archive import Record, as_jax, write
from ._text_table import text_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROWS = 12
_ROUNDING = 16


class RegimeReport(eqx.Module):
    r"""Where a training run stood, at ``m`` of its steps: `flows.track` makes one.

    .. math:: H u_i = \lambda_i u_i, \qquad c_i = \alpha(h \lambda_i) \, (g \cdot u_i), \qquad
        v = \frac{\lVert H g \rVert}{\lVert g \rVert}

    The directions of a row have decreasing eigenvalues. An eigenvector's sign is that of the
    nearest one in the row before (in the first row the gradient's components are positive), so that
    an oscillation shows as a change of sign; where eigenvalues cross, directions change places.
    What is not finite at a step is NaN there.

    Attributes:
        steps: The steps, shape ``(m,)``, counted from 0.
        learning_rates: ``h``, shape ``(m,)``, in flow time.
        loss: ``E``, shape ``(m,)``, in units of loss.
        grad_norm: ``|g|``, shape ``(m,)``, in loss per parameter.
        drift: ``v``, shape ``(m,)``, in loss per parameter squared; see `flows.drift`.
        eigenvalues: ``lambda_i``, shape ``(m, k)``, in loss per parameter squared.
        gradient_components: ``g . u_i``, shape ``(m, k)``, in loss per parameter.
        residuals: ``|H u_i - lambda_i u_i|``: there is an eigenvalue at most so far away.
        converged: Whether all `k` residuals are within the tolerance, shape ``(m,)``.
        matvecs: How many Hessian-vector products it took, shape ``(m,)``.
        parameters: How many parameters there are.

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> def loss(x):
        ...     return x[0] ** 2 + 0.1 * x[1] ** 2
        >>> run = flows.iterate(loss, jnp.array([1e-3, 1.0]), flows.GradientDescent(1.1), 10)
        >>> report = flows.track(loss, run, learning_rate=1.1, k=2)
        >>> report.regimes[0]
        ('unstable complex', 'real stable')
        >>> int(jnp.sum(jnp.diff(jnp.sign(report.gradient_components[:, 0])) != 0))
        10

    References:
        M. Rosca, Y. Wu, C. Qin, B. Dherin (2023), arXiv:2302.01952; J. Cohen, S. Kaur, Y. Li,
        J. Z. Kolter, A. Talwalkar (2021), arXiv:2103.00065.
    """

    steps: Int[Array, " m"]
    learning_rates: Float[Array, " m"]
    loss: Float[Array, " m"]
    grad_norm: Float[Array, " m"]
    drift: Float[Array, " m"]
    eigenvalues: Float[Array, "m k"]
    gradient_components: Float[Array, "m k"]
    residuals: Float[Array, "m k"]
    converged: Bool[Array, " m"]
    matvecs: Int[Array, " m"]
    parameters: int = eqx.field(static=True)

    @property
    def sharpness(self) -> Float[Array, " m"]:
        """The largest eigenvalue at each step."""
        return self.eigenvalues[:, 0]

    @property
    def thresholds(self) -> Float[Array, " m"]:
        """``2 / h``: where gradient descent becomes unstable."""
        return jax.vmap(lambda h: Description.of_descent(h).edge)(self.learning_rates)

    @property
    def alpha(self) -> Complex[Array, "m k"]:
        """``alpha(h lambda_i)`` of the principal flow, on the branch ``"continued"``."""
        return alpha(self._z)

    @property
    def coefficients(self) -> Complex[Array, "m k"]:
        """The stability coefficients ``c_i``, in parameters per flow time."""
        factors = self.alpha
        return factors * self.gradient_components.astype(factors.dtype)

    @property
    def loss_rates(self) -> Complex[Array, "m k"]:
        """``alpha(h lambda_i) (g . u_i)^2``: what each direction adds to ``dE/dt``."""
        coefficients = self.coefficients
        return coefficients * self.gradient_components.astype(coefficients.dtype)

    @property
    def regime_codes(self) -> Int[Array, "m k"]:
        """Where in `flows.stability.REGIMES` each direction stands.

        ``h lambda`` counts as 0, 1 or 2 within the residual, or 16 ``eps`` of the largest.
        """
        z = self._z
        largest = jnp.max(jnp.abs(z), axis=1, keepdims=True)
        rounding = _ROUNDING * float(jnp.finfo(z.dtype).eps) * largest
        tolerance = jnp.maximum(self.learning_rates[:, None] * self.residuals, rounding)
        return regime_codes(z.reshape(-1), tolerance.reshape(-1)).reshape(z.shape)

    @property
    def regimes(self) -> list[tuple[str, ...]]:
        """The regimes in words, a tuple for each step."""
        return [tuple(REGIMES[code] for code in row) for row in self.regime_codes.tolist()]

    @property
    def unstable(self) -> Int[Array, " m"]:
        """How many of the `k` eigenvalues are above ``2 / h``."""
        return jnp.sum(self.eigenvalues > self.thresholds[:, None], axis=1)

    @property
    def finite(self) -> Bool[Array, " m"]:
        """Whether loss, gradient and Hessian were finite."""
        return jnp.isfinite(self.drift)

    @property
    def _z(self) -> Array:
        return self.learning_rates[:, None] * self.eigenvalues

    def __str__(self) -> str:
        shown = np.unique(np.linspace(0, len(self.steps) - 1, _ROWS).round().astype(int))
        z, drift = np.asarray(self._z), np.asarray(self.learning_rates * self.drift)
        rows = [("step", "h", "loss", "|g|", "h * drift", "h * eigenvalues", "above 2")]
        for i in shown:
            rows.append(
                (
                    str(int(self.steps[i])),
                    f"{float(self.learning_rates[i]):.3g}",
                    f"{float(self.loss[i]):.3e}",
                    f"{float(self.grad_norm[i]):.3e}",
                    f"{drift[i]:.3f}",
                    " ".join(f"{value:.3f}" for value in z[i][:4]),
                    str(int(self.unstable[i])),
                )
            )
        lines = text_table(rows, left=())
        k = self.eigenvalues.shape[1]
        title = (
            f"{len(self.steps)} steps of {self.parameters} parameters, {k} directions; "
            f"{int(jnp.sum(self.matvecs))} Hessian-vector products"
        )
        return "\n".join([title, "", *lines, "", *self._notes()])

    def __repr__(self) -> str:
        m, k = self.eigenvalues.shape
        return f"<RegimeReport of {m} steps, {k} directions>"

    def _notes(self) -> list[str]:
        steps, unstable = np.asarray(self.steps), np.asarray(self.unstable)
        finite, converged = np.asarray(self.finite), np.asarray(self.converged)
        notes = ["No eigenvalue is above 2 / h."]
        if unstable.any():
            notes = [
                f"The sharpness is above 2 / h first at step {steps[unstable > 0][0]}, in "
                f"{np.sum(unstable > 0)} of {len(steps)} rows; {unstable.max()} of "
                f"{self.eigenvalues.shape[1]} directions at a time, at most."
            ]
        if not finite.all():
            notes.append(
                f"Loss, gradient or Hessian are not finite at {np.sum(~finite)} steps, first at "
                f"step {steps[~finite][0]}."
            )
        lost = finite & ~converged
        if lost.any():
            notes.append(
                f"Not all eigenpairs converged at {np.sum(lost)} steps, first at step "
                f"{steps[lost][0]}; see residuals. A larger k converges faster."
            )
        return notes

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw eigenvalues and drift against the step, with the line ``2 / h``.

        Arguments:
            ax: Where to draw; a new figure if None.

        Returns:
            The Axes. Nothing is shown or saved.
        """
        from ..plotting import plot_regimes

        return plot_regimes(self, ax=ax)

    def save(self, path: str | pathlib.Path) -> pathlib.Path:
        """Write everything to one ``.npz`` file; `flows.load` reads it back.

        Returns:
            The path of the file, with the suffix ``.npz``.
        """
        arrays = {name: np.asarray(getattr(self, name)) for name in self._stored()}
        return write(path, Record(type(self).__name__, {"parameters": self.parameters}, arrays))

    @classmethod
    def from_record(cls, record: Record, like: Any) -> RegimeReport:
        """What `save` wrote; there are no parameters in it for `like` to give the structure of."""
        del like
        columns = {name: as_jax(record.arrays[name]) for name in cls._stored()}
        return cls(**columns, parameters=record.metadata["parameters"])

    @classmethod
    def _stored(cls) -> list[str]:
        return [field.name for field in dataclasses.fields(cls) if field.name != "parameters"]
