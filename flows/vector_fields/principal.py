"""The principal flow."""

import functools as ft
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu

from .._checks import one_of
from .._custom_types import At, Integer, Params, PyTree, Scalar
from .._vectors import add_scaled, norm, scaled, size, unit_of
from ..curvature import (
    AbstractCurvature,
    CubicImage,
    Dense,
    SpectralImage,
    check_curvature,
    resolve,
    step_map_velocity,
)
from ..curvature.functions.rounded_alpha import rounded_alpha
from ..curvature.hessian import scaled_hessian
from ..curvature.spectral_functions import BRANCHES
from ..optimizers import AbstractOptimizer, GradientDescent, Problem, StepMap
from ..optimizers._references import ROSCA_2023
from ._base import AbstractFlow, unless_descent, unless_one_of
from ._complex_state import ComplexState, join, split

_CORRECTIONS = (None, "third-order", "cubic")

# Nearer to a pole of the cubic term than this, a single triple of directions is ten times as much
# as everything else: finite there, but wrong.
_RESONANT = 0.1


class PrincipalFlow(AbstractFlow):
    r"""The principal flow: it oscillates and diverges when gradient descent does.

    .. math::
        \dot\theta = \sum_i \alpha(h \lambda_i)\, (g \cdot u_i)\, u_i, \qquad
        \alpha(z) = \frac{\log(1 - z)}{z}, \quad \alpha(0) = -1

    with the eigenpairs ``H u_i = lambda_i u_i`` of the Hessian. It keeps all terms of backward
    error analysis that contain no derivative beyond the second, in every power of ``h``. So it is
    exact on quadratics, also where descent oscillates (``1 < h lambda < 2``) or diverges
    (``h lambda > 2``). Elsewhere its order is that of `ModifiedFlow(2)`: one step differs by
    ``(h^3/12) |D^3E[g, g]| + O(h^4)``. It wins by its constants, where ``h lambda`` is large, and
    not on every problem. It follows iterates for some steps past ``h lambda = 2``, not for many:
    compare it per step there.

    Time is flow time: ``t = n h`` after ``n`` steps. Parameters are real while every
    ``h lambda < 1`` and complex from then on; the loss is continued analytically for it
    (`flows.Problem`), which no loss below 1 needs at run time. ``|Im theta|`` at whole steps is the
    model's own indicator of its error.

    Branches of ``log(1 - z)``: ``"continued"`` is ``log(z - 1) + i pi`` for ``Re z > 1``. Its cut
    is ``1 + i s``, ``s > 0``, where the two sheets are joined within a narrow wedge, so that a path
    that is pushed on to the cut from both sides can slide along it; it has a large ``|Im theta|``
    by then. ``"principal"`` is the published one, which lies on its own cut for every real
    ``z > 1``: the path chatters there, so integrate it with constant steps. ``"real"`` is
    ``log|1 - z|``: a real flow that needs no continuation and models every second iterate; it is
    exact on quadratics at even steps and has no sign at odd ones.

    ``correction="cubic"`` is the second principal flow: it adds every term with exactly one third
    derivative ``T = D^3E``, in all powers of ``h``,

    .. math::
        -\frac{h^2}{2} \sum_{jk} T_{ijk}\, (g \cdot u_j)(g \cdot u_k)\,
        \frac{G_i(\mu_j \mu_k) - G_i(\mu_j) - G_i(\mu_k) + G_i(1)}{h^2 \lambda_j \lambda_k},
        \qquad G_i(x) = \frac{\log x - \log \mu_i}{x - \mu_i}

    with ``mu = 1 - h lambda``. One step then differs by ``O(h^5)``, and quadratics are still exact.
    It has poles: where ``mu_j mu_k = mu_i`` but the logarithms differ by ``2 pi i``, which is where
    an oscillation (``h lambda_j = h lambda_k = 2``) drives a flat direction. Close to a pole the
    field is large and wrong; ``resonance_distance`` says how close, and below 0.1 the flow ends:
    its field is not a number there, and the result code says so.
    ``branch="real", correction="cubic"`` has none: it is the flow of every second iterate, real,
    and the one to follow a trajectory through the edge of stability with.

    For `flows.StepMap`, any other iteration ``y -> Phi(y)`` (momentum as a map of parameters and
    velocity, a game), it is

    .. math::
        \dot y = \frac{1}{h} \log(D\Phi(y))\, (D\Phi(y) - I)^{-1}\, (\Phi(y) - y)

    which is the same field for gradient descent, and exact where ``Phi`` is affine. Such maps turn:
    a pair of multipliers beyond a quarter of a turn leaves the real axis on the continued branch
    and not on the principal one, so prefer ``branch="principal"`` for them. Dense, without
    corrections, by square roots of the whole matrix (on a CPU), and not for reverse mode.

    One evaluation costs a gradient and a function of the Hessian, see `flows.Dense` and
    `flows.Krylov`; at complex points about four times as much. The cubic term costs some hundred
    Hessian-vector products more (`Krylov`) or ``n^2`` third derivatives (`Dense`), and is not for
    reverse mode.

    Diagnostics at every step: ``imaginary_part``, the norm ``|Im theta|`` in units of the
    parameters; ``largest_h_lambda``, the largest ``Re h lambda``; ``singularity_distance``, the
    smallest ``|1 - h lambda|``; ``curvature_error``, the estimated relative error of the field.
    With `Krylov` the eigenvalues are those that the gradient has components along. With the cubic
    term (not on the real branch) also ``resonance_distance``, how far the nearest pole is in units
    of what stands over it: at 1 it contributes as much as everything else, and below the field is
    not to be believed. Infinite where there is none.

    Attributes:
        branch: ``"continued"``, ``"principal"`` or ``"real"``.
        correction: None; ``"third-order"`` to add ``-(h^2/12) D^3E[g, g]``: one step then
            differs by ``O(h^4)``, and quadratics are still exact; or ``"cubic"``, above.
        curvature: ``flows.Dense()``, ``flows.Krylov(...)``, or ``"auto"``: the first for up to 64
            parameters. ``Trajectory.settings["curvature"]`` says which.

    Raises:
        InvalidOptionError: If an attribute is none of the above.
        IncompatibleFlowError: From the drivers, if the optimizer is neither `GradientDescent` nor
            a `StepMap`, or is the latter and there is a correction or a Krylov space.
        ContinuationError: From the drivers, if the loss cannot be continued; ``branch="real"`` does
            without.

    Example:
        On ``E(x) = x^2 / 2`` with ``h = 3/2`` descent is ``(-1/2)^n``; the flow is there at whole
        steps.

        >>> import jax.numpy as jnp
        >>> import flows
        >>> run = flows.solve(
        ...     lambda x: x**2 / 2, jnp.array(1.0), flows.GradientDescent(1.5),
        ...     flows.PrincipalFlow(), steps=3,
        ... )
        >>> print(f"{run.final_params.real:.4f}")
        -0.1250

    References:
        M. Rosca, Y. Wu, C. Qin, B. Dherin, On a continuous time model of gradient descent dynamics
        and instability in deep learning (2023), arXiv:2302.01952. The continued and the real branch
        and the cubic term are this library's.
    """

    references: ClassVar[tuple[str, ...]] = (ROSCA_2023,)
    variants: ClassVar[dict[str, dict[str, Any]]] = {
        "principal": {},
        "principal-third-order": {"correction": "third-order"},
        "principal-cubic": {"correction": "cubic"},
        "principal-two-step": {"branch": "real", "correction": "cubic"},
        "principal-published": {"branch": "principal"},
        "principal-real": {"branch": "real"},
    }
    looks: ClassVar[dict[str, tuple[str, Any]]] = {
        "PrincipalFlow": ("#009E73", (0, (4, 1.2, 1, 1.2))),
        "PrincipalFlow(principal)": ("#8DB600", (0, (1, 1.5))),
        "PrincipalFlow(real)": ("#3B7A57", (0, (3, 3))),
        "PrincipalFlow(third-order)": ("#999933", (0, (5, 2, 1, 2))),
        "PrincipalFlow(cubic)": ("#B8860B", "-"),
        "PrincipalFlow(real, cubic)": ("#8C1C13", "-"),
    }
    one_unit: ClassVar[bool] = True
    branch: str = eqx.field(static=True, default="continued")
    correction: str | None = eqx.field(static=True, default=None)
    curvature: str | AbstractCurvature = "auto"

    def __check_init__(self):
        one_of(self.branch, BRANCHES, "branch")
        one_of(self.correction, _CORRECTIONS, "correction")
        check_curvature(self.curvature)

    @property
    def name(self) -> str:
        """`PrincipalFlow`, with what differs from the default in brackets."""
        branch = None if self.branch == "continued" else self.branch
        options = [option for option in (branch, self.correction) if option]
        return f"PrincipalFlow({', '.join(options)})" if options else "PrincipalFlow"

    @property
    def stride(self) -> int:
        """2 for the real branch, which loses the sign of an oscillation; otherwise 1."""
        return 2 if self.branch == "real" else 1

    def refusal(self, optimizer: AbstractOptimizer) -> str | None:
        """Other optimizers; and for a map that has no Hessian what needs one."""
        if not isinstance(optimizer, StepMap):
            if unless_descent(self, optimizer):
                return unless_one_of(self, optimizer, GradientDescent, StepMap)
            if self.stride == 2 and optimizer.varies:
                return (
                    f"{self.name} stands for two equal steps, and those of "
                    f"{type(optimizer).__name__} vary. Use another branch."
                )
            return None
        if self.correction is not None:
            return (
                f"correction={self.correction!r} is a term of gradient descent's modified "
                "equation, not of a StepMap's. Leave it out, or use flows.GradientDescent."
            )
        if not (self.curvature == "auto" or isinstance(self.curvature, Dense)):
            return (
                f"curvature={self.curvature} is for symmetric Hessians; the derivative of a "
                "StepMap is a general matrix. Leave it out, or use flows.GradientDescent."
            )
        return None

    def start(self, problem: Problem, state: PyTree[Any], at: At) -> PyTree[Any]:
        """The parameters; with zero imaginary parts, unless the branch is real."""
        params = problem.optimizer.params(state)
        if self.branch == "real":
            return params
        return ComplexState(params, jtu.tree_map(jnp.zeros_like, params))

    def velocity(self, problem: Problem, at: At, y: PyTree[Any]) -> PyTree[Any]:
        """The field, in real arithmetic at real points."""
        return self._at(y, ft.partial(self._velocity, problem, at.step))

    def params(self, problem: Problem, at: At, y: PyTree[Any]) -> Params:
        """The point, complex unless the branch is real."""
        return y if self.branch == "real" else join(y)

    def report(
        self, problem: Problem, at: At, y: PyTree[Any], iterate: Params | None = None
    ) -> dict[str, Scalar]:
        """``|Im theta|``, the extremes of the spectrum, and the error of the field."""
        spectrum = self._at(y, ft.partial(self._spectrum, problem, at.step))
        if self.branch == "real":
            return spectrum
        return {"imaginary_part": norm(y.imaginary), **spectrum}

    def choices(self, problem: Problem, params: Params) -> dict[str, str]:
        """The method for ``f(H) g``, where `curvature` is ``"auto"`` too."""
        return {"curvature": str(self._curvature(problem, params))}

    def _at(self, y: PyTree[Any], function: Any) -> PyTree[Any]:
        """`function` of the point: of a real one, in real arithmetic."""
        if self.branch == "real":
            return function(y)
        return jax.lax.cond(y.is_real, lambda y: function(y.real), lambda y: function(join(y)), y)

    def _velocity(self, problem: Problem, step: Integer, params: Params) -> PyTree[Any]:
        image = self._image(problem, step, params)
        velocity = image.value
        if isinstance(image, CubicImage):
            resonant = image.resonance_distance < _RESONANT
            velocity = jtu.tree_map(lambda v: jnp.where(resonant, jnp.nan, v), velocity)
        return velocity if self.branch == "real" else split(velocity)

    def _spectrum(self, problem: Problem, step: Integer, params: Params) -> dict[str, Scalar]:
        image = self._image(problem, step, params)
        spectrum = {
            "largest_h_lambda": jnp.max(image.eigenvalues.real),
            "singularity_distance": jnp.min(jnp.abs(1 - image.eigenvalues)),
            "curvature_error": image.error,
        }
        if isinstance(image, CubicImage) and self.branch != "real":
            spectrum["resonance_distance"] = image.resonance_distance
        return spectrum

    def _image(self, problem: Problem, step: Integer, params: Params) -> SpectralImage:
        """``alpha(h H) h g``, with the correction if there is one.

        Of the step ``h g`` and of derivatives of ``h E``, which are as large as the parameters,
        whatever the units of the loss.
        """
        if isinstance(problem.optimizer, StepMap):
            return step_map_velocity(self.branch, problem.step, params)
        h = problem.description(step).gain(1)
        gradient, matvec = scaled_hessian(problem.objective, h, params)
        step_along = scaled(h, gradient)
        curvature = self._curvature(problem, params)

        def third(v: Params, w: Params) -> Params:
            return scaled(h, problem.third_derivative(params, v, w))

        if self.correction == "cubic":
            # Quadratic in the step, with squares of its parts.
            unit = unit_of(step_along)
            image = curvature.apply_cubic(
                self.branch,
                matvec,
                lambda v, w: scaled(unit, third(v, w)),
                scaled(1 / unit, step_along),
            )
            return eqx.tree_at(lambda image: image.value, image, scaled(unit, image.value))
        image = curvature.apply(rounded_alpha(self.branch), matvec, step_along)
        if self.correction == "third-order":
            velocity = add_scaled(image.value, -1 / 12, third(step_along, step_along))
            image = eqx.tree_at(lambda image: image.value, image, velocity)
        return image

    def _curvature(self, problem: Problem, params: Params) -> AbstractCurvature:
        if isinstance(problem.optimizer, StepMap):
            return Dense()
        return resolve(self.curvature, size(params))
