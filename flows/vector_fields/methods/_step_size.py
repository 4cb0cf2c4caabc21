"""The default step-size control: errors are measured against how fast the flow moves just there."""

from typing import Any

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu

from ..._custom_types import PyTree, Scalar
from ..._vectors import norm, size, subtract


def root_mean_square(tree: PyTree[Any]) -> Scalar:
    """The norm over the square root of how many numbers there are."""
    return norm(tree) / size(tree) ** 0.5


class SpeedController(dfx.AbstractAdaptiveStepSizeController):
    r"""diffrax's PID controller with a tolerance relative to the length of one optimizer step.

    .. math:: |\text{error}| \le \mathtt{tolerance} \cdot \frac{|y_1 - y_0|}{t_1 - t_0}
              + \mathtt{rounding} \cdot |y|

    with time in optimizer steps. What a comparison measures are differences between steps. A
    tolerance relative to parameters of size one would drown them where steps are short; one
    relative to the first step would be too coarse after a decay, and finer than rounding after a
    growth.

    Where the parts of a state have units of their own, each has its own speed and its own norm, of
    which the largest counts: errors of one are not excused by the speed of another.

    Attributes:
        tolerance: The local error allowed, as a fraction of the step.
        rounding: What one evaluation of the field may be off by without being an error to shrink
            steps for, as a fraction of the state.
        rtol: For an implicit solver's equations, as is the next.
        atol: In units of the parameters.
        by_parts: Whether what hangs on the state's top node are such parts.
    """

    tolerance: float = eqx.field(static=True)
    rounding: float = eqx.field(static=True)
    rtol: Any
    atol: Any
    by_parts: bool = eqx.field(static=True, default=False)

    def norm(self, y: PyTree[Any]) -> Scalar:
        """Of a state: the root mean square of that part where it is largest."""
        sizes = [root_mean_square(part) for part in self._parts(y)[0] if size(part)]
        return jnp.max(jnp.stack(sizes))

    def _parts(self, y: PyTree[Any]) -> tuple[list[PyTree[Any]], Any]:
        """The parts of a state, and the structure that they hang in."""
        return jtu.tree_flatten(y, is_leaf=lambda node: not self.by_parts or node is not y)

    @property
    def _inner(self) -> dfx.PIDController:
        return dfx.PIDController(rtol=0.0, atol=1.0, norm=self.norm)

    def wrap(self, direction: Any) -> "SpeedController":
        """Time always runs forwards here."""
        del direction
        return self

    def init(self, terms, t0, t1, y0, dt0, args, func, error_order):
        """The first step, the PID controller's state, the step proposed, and no error yet."""
        t1, state = self._inner.init(terms, t0, t1, y0, dt0, args, func, error_order)
        return t1, (state, t1 - t0, jnp.zeros_like(t1))

    def adapt_step_size(
        self, t0, t1, y0, y1_candidate, args, y_error, error_order, controller_state
    ):
        """Accept the step if its error is allowed, and add the error up."""
        inner, proposed, total = controller_state

        def ratios(y0: PyTree[Any], y1: PyTree[Any], error: PyTree[Any]) -> PyTree[Any]:
            """The errors of a part over what is allowed there."""
            if size(error) == 0:  # a field that is None, say
                return error
            speed = root_mean_square(subtract(y1, y0)) / (t1 - t0)
            allowed = jax.lax.stop_gradient(self.tolerance * speed)

            def ratio(a, b, error):
                # Where nothing moves, an error of zero must still be allowed.
                least = float(jnp.finfo(error.dtype).tiny)
                size = jnp.maximum(jnp.abs(a), jnp.abs(b))
                ratio = error / (allowed + self.rounding * size + least)
                # A trial step that left the finite numbers is one to repeat with a shorter one.
                return jnp.where(jnp.isfinite(ratio), ratio, jnp.inf)

            return jax.tree.map(ratio, y0, y1, error)

        starts, structure = self._parts(y0)
        ends, errors = self._parts(y1_candidate)[0], self._parts(y_error)[0]
        scaled = structure.unflatten(map(ratios, starts, ends, errors))
        keep, next_t0, next_t1, made_jump, inner, result = self._inner.adapt_step_size(
            t0, t1, y0, y1_candidate, args, scaled, error_order, inner
        )
        # A step that was cut short, to end at a whole step, says nothing against the next one.
        dt = next_t1 - next_t0
        dt = jnp.where(keep & (t1 - t0 < 0.9 * proposed), jnp.maximum(dt, proposed), dt)
        # A field that is not finite makes the step shrink: for so long only.
        stuck = ~keep & (dt < self.tolerance / 100)
        result = dfx.RESULTS.where(stuck, dfx.RESULTS.dt_min_reached, result)
        total = total + jax.lax.stop_gradient(jnp.where(keep, norm(y_error), 0))
        return keep, next_t0, next_t0 + dt, made_jump, (inner, dt, total), result
