"""Modified flows: the gradient flow corrected by backward error analysis, order by order."""

import functools as ft
from typing import Any, ClassVar

import equinox as eqx

from .._checks import one_of
from .._custom_types import At, Params, Scalar
from .._vectors import add, combination, scaled
from ..optimizers import AbstractOptimizer, Problem
from ..optimizers._references import HAIRER_2006
from ._base import unless_descent
from ._point import AbstractPointFlow

_ORDERS = (2, 3, 4, 5)

BARRETT_2021 = """@inproceedings{barrett2021implicit,
  author        = {Barrett, David G. T. and Dherin, Benoit},
  title         = {Implicit Gradient Regularization},
  booktitle     = {International Conference on Learning Representations},
  year          = {2021},
  eprint        = {2009.11162},
  archiveprefix = {arXiv}
}"""


class ModifiedFlow(AbstractPointFlow):
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
        IncompatibleFlowError: From the drivers, if the optimizer is not gradient descent, as
            `GradientDescent` is, or one that describes itself so.

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

    references: ClassVar[tuple[str, ...]] = (
        HAIRER_2006,
        BARRETT_2021,
    )
    variants: ClassVar[dict[str, dict[str, Any]]] = {
        "modified": {},
        "modified-3": {"order": 3},
        "modified-4": {"order": 4},
        "modified-5": {"order": 5},
    }
    looks: ClassVar[dict[str, tuple[str, Any]]] = {
        "ModifiedFlow(2)": ("#E69F00", (0, (6, 1.5))),
        "ModifiedFlow(3)": ("#D55E00", (0, (2, 1))),
        "ModifiedFlow(4)": ("#7F5B3A", (0, (8, 2))),
        "ModifiedFlow(5)": ("#5E3C99", (0, (5, 1, 1, 1, 1, 1))),
    }
    order: int = eqx.field(static=True, default=2)

    def __check_init__(self):
        one_of(self.order, _ORDERS, "order")

    @property
    def name(self) -> str:
        """`ModifiedFlow(2)`, and so on."""
        return f"ModifiedFlow({self.order})"

    def refusal(self, optimizer: AbstractOptimizer) -> str | None:
        """Of whatever is not gradient descent."""
        return unless_descent(self, optimizer)

    def velocity(self, problem: Problem, at: At, y: Params) -> Params:
        """``-h (g + h ... + h^2 ... )`` up to the order."""
        terms = _terms(problem, problem.description(at.step).gain(1), y, self.order)
        return scaled(-1.0, ft.reduce(add, reversed(terms)))


def _terms(problem: Problem, h: Scalar, y: Params, order: int) -> list[Params]:
    """The terms of minus the field, order by order.

    Of the step ``h g`` and of derivatives of ``h E``, which are as large as the parameters: those
    of a small loss would underflow before powers of a large ``h`` were there, and the reverse.
    """
    # The gradient is its own direction, so one linearisation gives g and all products H v.
    gradient, product = problem.linearised(y)
    g = scaled(h, gradient)

    def H(vector: Params) -> Params:
        return scaled(h, product(vector))

    def D(*directions: Params) -> Params:
        return scaled(h, problem.directional_derivative(y, *directions))

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
