"""The scalar chain: a deep linear network of width one, and its residual form."""

import dataclasses
from typing import Any

import sympy

from .._checks import read_count, read_expression, read_step
from .._errors import InvalidArgumentError
from ..roots._closed_form import sign_of


@dataclasses.dataclass(frozen=True)
class ScalarChain:
    r"""The chain ``(w_L ... w_1 - mu)^2 / 2``, or its residual form with ``w_i = 1 + v_i``.

    .. math:: H = v v^T, \quad v_i = \mu / w_i, \qquad h_c = \frac{2}{\mu^2 \sum_i w_i^{-2}},
        \qquad w_i'^2 - w_j'^2 = (w_i^2 - w_j^2) \left(1 - \frac{h^2 e^2 P^2}{w_i^2 w_j^2}\right)

    `symbolic.networks.scalar_chain` makes one.

    Attributes:
        depth: ``L``.
        target: ``mu``.
        symbols: The parameters.
        weights: ``w_i``, as expressions in them.
        loss: The loss.

    Example:
        >>> import sympy, symbolic
        >>> chain = symbolic.networks.scalar_chain(2, 1)
        >>> first, second = chain.symbols
        >>> chain.sharpness.subs({first: 2, second: sympy.Rational(1, 2)}), chain.best_threshold
        (17/4, 1)

    References:
        K. Nar, S. Sastry (2018), arXiv:1805.08890.
    """

    depth: int
    target: sympy.Expr
    symbols: tuple[sympy.Symbol, ...]
    weights: tuple[sympy.Expr, ...]
    loss: sympy.Expr

    @property
    def hessian(self) -> sympy.Matrix:
        """At a minimiser: of rank one, for the residual vanishes there."""
        v = sympy.Matrix([self.target / w for w in self.weights])
        return v * v.T

    @property
    def sharpness(self) -> sympy.Expr:
        """At a minimiser: the one eigenvalue of the Hessian that is not zero."""
        return self.target**2 * sympy.Add(*(w**-2 for w in self.weights))

    @property
    def threshold(self) -> sympy.Expr:
        """At a minimiser, as an expression in the weights; a step size."""
        return 2 / self.sharpness

    @property
    def flattest_weight(self) -> sympy.Expr:
        """``|w_i|`` at the flattest minimisers: all weights are equally large."""
        return abs(self.target) ** sympy.Rational(1, self.depth)

    @property
    def best_threshold(self) -> sympy.Expr:
        """The largest threshold of all minimisers: ``2 / (L |mu|^(2 - 2/L))``."""
        power = 2 - sympy.Rational(2, self.depth)
        return 2 / (self.depth * abs(self.target) ** power)

    @property
    def reduced_loss(self) -> sympy.Expr:
        """In ``w``, with the same steps from a start where all weights are ``w``."""
        w = sympy.Symbol("w", real=True)
        return (w**self.depth - self.target) ** 2 / (2 * self.depth)

    def imbalance_factor(self, i: int, j: int, step: Any) -> sympy.Expr:
        """What one step multiplies ``w_i^2 - w_j^2`` by; layers are counted from 0."""
        if not {i, j} <= set(range(self.depth)):
            raise InvalidArgumentError(
                f"the layers are 0 to {self.depth - 1}, got {i} and {j}. Count from 0."
            )
        product = sympy.prod(self.weights)
        others = product / (self.weights[i] * self.weights[j])
        return 1 - (read_step(step) * (product - self.target) * others) ** 2

    def identity_start(self, step: Any) -> tuple[sympy.Expr, sympy.Expr]:
        r"""Give the proven rate of descent from ``w_i = 1``, for a positive target.

        .. math:: |w_k - \mu^{1/L}| \le \beta^k |1 - \mu^{1/L}|

        Arguments:
            step: ``h``.

        Returns:
            The largest step for which the bound is proved, and ``beta`` at this step.

        Raises:
            InvalidArgumentError: If the target is not known to be above or below 1.
        """
        h, mu, depth = read_step(step), self.target, self.depth
        root, power = mu ** sympy.Rational(1, depth), 2 - sympy.Rational(2, depth)
        side = sign_of(mu - 1)
        if side is None or sign_of(mu) != 1:
            raise InvalidArgumentError(
                f"the bound needs a positive target on a known side of 1, got {mu}. Put a number."
            )
        if side == 0:
            return sympy.Rational(1, depth), sympy.S.Zero
        if side > 0:
            return 1 / (depth * mu**power), 1 - h * (mu - 1) / (root - 1)
        return (1 - root) / (1 - mu), 1 - h * depth * mu**power


def scalar_chain(depth: int, target: Any = None, *, residual: bool = False) -> ScalarChain:
    r"""Describe the scalar chain of one depth.

    .. math:: \tfrac12 (w_L \cdots w_1 - \mu)^2

    Arguments:
        depth: ``L``, 2 or more.
        target: ``mu``, not 0; default: the positive symbol ``mu``.
        residual: Whether the parameters are ``v_i`` with ``w_i = 1 + v_i``; Hessians and
            thresholds are the same functions of ``w``.

    Returns:
        Loss, Hessian at minimisers, thresholds, the law of imbalance.

    Raises:
        InvalidArgumentError: If the target is 0 or not real.

    Example:
        >>> import symbolic
        >>> symbolic.networks.scalar_chain(8, 1).best_threshold
        1/4

    References:
        K. Nar, S. Sastry (2018), arXiv:1805.08890; (2018), arXiv:1803.08203 (residual).
    """
    n = read_count(depth, "depth", 2)
    mu = sympy.Symbol("mu", positive=True) if target is None else read_expression(target, "target")
    if mu.is_real is not True or mu.is_zero:
        raise InvalidArgumentError(
            f"the target must be real and not 0, got {mu}. With target 0 every minimiser is flat: "
            "see symbolic.critical_points for the catapult x**2 * y**2 / 2."
        )
    symbols = sympy.symbols(f"{'v' if residual else 'w'}1:{n + 1}", real=True)
    weights = tuple(1 + s for s in symbols) if residual else symbols
    return ScalarChain(n, mu, symbols, weights, (sympy.prod(weights) - mu) ** 2 / 2)
