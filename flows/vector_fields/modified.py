"""Modified flows: the gradient flow corrected by backward error analysis, order by order."""

from typing import Any, ClassVar

import equinox as eqx
import jax

from .._checks import one_of
from .._custom_types import Params, Scalar, VectorField
from .._problem import Problem
from .._vectors import add_scaled, combination, scaled
from ..optimizers import AbstractOptimizer, GradientDescent
from ._base import AbstractFlow

_ORDERS = (2, 3, 4, 5)


class ModifiedFlow(AbstractFlow):
    r"""The flow that backward error analysis finds for gradient descent, up to some order.

    .. math::
        \dot\theta =& -g - \tfrac h2 H g
        - h^2 \bigl( \tfrac13 H^2 g + \tfrac1{12} D^3[g, g] \bigr) \\
        &- h^3 \bigl( \tfrac14 H^3 g + \tfrac1{12} D^3[g, Hg] + \tfrac1{12} H D^3[g, g] \bigr)
        - h^4 (\ldots)

    with the gradient ``g``, the Hessian ``H`` and ``D^k[...]``, the k-th derivative of ``E``
    contracted with vectors; `order` p keeps the terms up to ``h^(p-1)``. A step of gradient descent
    differs from it by ``O(h^(p+1))``, a run over a fixed time by ``O(h^p)``.

    Order 2 is the modified-loss flow, gradient flow of ``E + (h/4) |g|^2``: this implicit gradient
    regularisation explains why large learning rates prefer flat regions. Beyond order 2 the field
    is in general no gradient. The series is asymptotic: where ``h * lambda`` nears 1 higher orders
    do not help, and none of them oscillates. Time is flow time: ``t = n h`` after ``n`` steps. The
    state is the parameters.

    One evaluation costs one gradient and, for order 2, 3, 4, 5, one, two, four, eight products
    with the Hessian and none, one, two, eight higher derivatives, all by nested forward mode; no
    Hessian is formed. Order 5 compiles slowly.

    Attributes:
        order: The order over a fixed time, 2 to 5.

    Raises:
        InvalidOptionError: If ``order`` is not available.
        IncompatibleFlowError: From the drivers, if the optimizer is not `GradientDescent`.

    Example:
        On ``E(x) = x^2 / 2`` the flow is ``exp(-t (1 + h/2 + h^2/3 + ...))``.

        >>> import jax.numpy as jnp
        >>> import flows
        >>> for order in (2, 3):
        ...     flow = flows.ModifiedFlow(order)
        ...     velocity = flows.vector_field(
        ...         lambda x: x**2 / 2, jnp.array(1.0), flows.GradientDescent(0.5), flow
        ...     )
        ...     print(f"{float(velocity):.4f}")
        -1.2500
        -1.3333

    References:
        Order 2: D. G. T. Barrett, B. Dherin, Implicit Gradient Regularization (2021),
        arXiv:2009.11162. All orders: E. Hairer, C. Lubich, G. Wanner, Geometric Numerical
        Integration, 2nd ed. (2006), section IX.1; T. Miyagawa (2022), arXiv:2210.15898.
    """

    models: ClassVar[tuple[type[AbstractOptimizer], ...]] = (GradientDescent,)
    order: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        one_of(self.order, _ORDERS, "order")

    @property
    def name(self) -> str:
        """`ModifiedFlow(2)`, and so on."""
        return f"ModifiedFlow({self.order})"

    @property
    def stride(self) -> int:
        """Every iterate is modelled."""
        return 1

    def init(self, problem: Problem, params: Params) -> Params:
        """The parameters themselves."""
        del problem
        return params

    def vector_field(self, problem: Problem) -> VectorField:
        """``-(g + h ... + h^2 ... )`` up to the order."""
        h = problem.optimizer.step_time

        def field(t: Any, y: Params, args: Any) -> Params:
            del t, args
            terms = _terms(problem, y, self.order)
            velocity = terms.pop()
            while terms:  # Horner's rule
                velocity = add_scaled(terms.pop(), h, velocity)
            return scaled(-1.0, velocity)

        return field

    def params(self, y: Params) -> Params:
        """The state itself."""
        return y

    def diagnostics(self, problem: Problem, y: Params) -> dict[str, Scalar]:
        """None: the loss and the gradient norm are recorded for every flow."""
        del problem, y
        return {}


def _terms(problem: Problem, y: Params, order: int) -> list[Params]:
    """What multiplies ``-h^0, -h^1, ...`` in the field."""
    # The gradient is its own direction, so one linearisation gives g and all products H v.
    g, H = jax.linearize(problem.gradient, y)

    def D(*directions: Params) -> Params:
        return problem.directional_derivative(y, *directions)

    Hg = H(g)
    terms = [g, combination((1 / 2, Hg))]
    if order == 2:
        return terms
    HHg, Dgg = H(Hg), D(g, g)
    terms.append(combination((1 / 3, HHg), (1 / 12, Dgg)))
    if order == 3:
        return terms
    HHHg, HDgg, DgHg = H(HHg), H(Dgg), D(g, Hg)
    terms.append(combination((1 / 4, HHHg), (1 / 12, DgHg), (1 / 12, HDgg)))
    if order == 4:
        return terms
    fifth = combination(
        (1 / 5, H(HHHg)),
        (3 / 40, H(HDgg)),
        (1 / 10, H(DgHg)),
        (1 / 20, D(g, HHg)),
        (1 / 60, D(Hg, Hg)),
        (1 / 120, D(g, Dgg)),
        (-1 / 120, D(g, g, Hg)),
        (1 / 180, H(D(g, g, g))),
        (-1 / 720, D(g, g, g, g)),
    )
    return [*terms, fifth]
