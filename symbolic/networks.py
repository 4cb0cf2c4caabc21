"""Networks small enough for exact answers: chains, deep linear networks, factorisations, ReLU.

>>> scalar_chain(3).best_threshold
2/(3*mu**(4/3))
"""

import dataclasses
import itertools as it
from collections.abc import Sequence
from typing import Any

import sympy

from ._checks import exact, read_count, read_expression, read_step
from ._closed_form import sign_of
from ._errors import InvalidArgumentError


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


@dataclasses.dataclass(frozen=True)
class Spectrum:
    r"""The Hessian's eigenvalues at a point that is known in closed form.

    Attributes:
        eigenvalues: Those that are not identically zero, with their repetitions.
        zeros: How many more are zero.
        sharpness: The largest.

    Example:
        >>> import symbolic
        >>> symbolic.networks.deep_linear([2, 1], 2).eigenvalues
        (4, 3, 3, 2)

    References:
        K. Nar, S. Sastry (2018), arXiv:1805.08890.
    """

    eigenvalues: tuple[sympy.Expr, ...]
    zeros: int
    sharpness: sympy.Expr

    @property
    def threshold(self) -> sympy.Expr:
        """The largest stable step."""
        return 2 / self.sharpness


def deep_linear(singular_values: Sequence[Any], depth: int) -> Spectrum:
    r"""Give the Hessian's spectrum of a deep linear network at its balanced minimiser.

    .. math:: \tfrac12 \|R - W_L \cdots W_1\|_F^2, \qquad
        \lambda_{ij} = \sum_{k=0}^{L-1} s_i^{2k/L} s_j^{2(L-1-k)/L}, \qquad
        \lambda_{\max} = L \sigma_1^{2 - 2/L}

    The inputs are whitened, all layers are square. No other minimiser is flatter, so gradient
    descent converges to ``R`` almost surely only if ``h <= 2 / (L sigma_1^(2 - 2/L))``. Descent
    from identity layers (residual layers at zero) attains that for positive semidefinite ``R``. A
    residual form ``W_i = I + V_i`` has the same Hessian.

    Arguments:
        singular_values: Of ``R``, positive, numbers or positive symbols, the largest first.
        depth: ``L``, 2 or more.

    Returns:
        ``n^2`` eigenvalues, the others zero.

    Raises:
        InvalidArgumentError: If a value is not positive.

    Example:
        >>> import symbolic
        >>> symbolic.networks.deep_linear([8, 1], 3).threshold
        1/24

    References:
        K. Nar, S. Sastry (2018), arXiv:1805.08890.
    """
    s, layers = _positive(singular_values), read_count(depth, "depth", 2)
    power = sympy.Rational(2, layers)
    values = tuple(
        sympy.Add(*(a ** (power * k) * b ** (power * (layers - 1 - k)) for k in range(layers)))
        for a in s
        for b in s
    )
    largest = layers * s[0] ** (2 - power)
    return Spectrum(values, (layers - 1) * len(s) ** 2, largest)


def largest_singular_value(depth: int, step: Any) -> sympy.Expr:
    r"""Bound what a deep linear network can learn at one step size.

    .. math:: \sigma_1(\hat R) \le \left(\frac{2}{L h}\right)^{L / (2L - 2)}

    If gradient descent from a random start converges to ``R^``, this holds almost surely.

    Arguments:
        depth: ``L``, 2 or more.
        step: ``h``, in units of flow time.

    Returns:
        The bound on the largest singular value of the end-to-end matrix.

    Example:
        >>> import sympy, symbolic
        >>> symbolic.networks.largest_singular_value(2, sympy.Rational(1, 10))
        10

    References:
        K. Nar, S. Sastry (2018), arXiv:1805.08890.
    """
    layers = read_count(depth, "depth", 2)
    return (2 / (layers * read_step(step))) ** sympy.Rational(layers, 2 * layers - 2)


def matrix_factorisation(
    singular_values: Sequence[Any], rank: int, *, symmetric: bool = False
) -> Spectrum:
    r"""Give the Hessian's spectrum of a factorisation at its balanced best point of one rank.

    .. math:: \tfrac12 \|W_2 W_1 - M\|_F^2 \quad\text{or, symmetric,}\quad
        \tfrac14 \|X X^T - M\|_F^2

    Eigenvalues ``s_i + s_j`` within the rank, and ``s_i - s_j`` (for two factors ``s_i + s_j``
    too) between it and the rest.

    Arguments:
        singular_values: Of the square matrix ``M``, positive, the largest first.
        rank: The width of the bottleneck, at most their number.
        symmetric: Whether one factor is used twice.

    Returns:
        The spectrum; the threshold is ``1 / s_1`` in every case.

    Raises:
        InvalidArgumentError: If the rank is larger than the number of values.

    Example:
        >>> import symbolic
        >>> symbolic.networks.matrix_factorisation([3, 1], 1).eigenvalues
        (6, 4, 2)

    References:
        R. Mulayoff, T. Michaeli, D. Soudry (2021), NeurIPS 34.
    """
    s, r = _positive(singular_values), read_count(rank, "rank")
    if r > len(s):
        raise InvalidArgumentError(f"rank={r} is beyond the {len(s)} singular values. Lower it.")
    crossing = [(a, b) for a in s[:r] for b in s[r:]]
    if symmetric:
        inside = [s[i] + s[j] for i in range(r) for j in range(i, r)]
        values = (*inside, *(a - b for a, b in crossing))
        return Spectrum(values, r * (r - 1) // 2, 2 * s[0])
    inside = [a + b for a in s[:r] for b in s[:r]]
    values = (*inside, *(value for a, b in crossing for value in (a + b, a - b)))
    return Spectrum(values, r**2, 2 * s[0])


def relu_threshold(
    inputs: Sequence[Sequence[Any]], outputs: Sequence[Sequence[Any]], *, mean: bool = False
) -> sympy.Expr:
    r"""Bound the step at which a two-layer ReLU network can end with given outputs.

    .. math:: \tfrac12 \sum_i \|W (V x_i - b)_+ - y_i\|^2, \qquad
        h \le \frac{1}{\max_i \|x_i\| \|\hat f(x_i)\|}

    If gradient descent (``b`` fixed) converges to a network with these outputs, this holds almost
    surely: at zero residual, and for scalar outputs at any minimum. It is a bound, often far from
    tight.

    Arguments:
        inputs: ``x_i``, rows of numbers.
        outputs: ``f^(x_i)``, rows of numbers.
        mean: Whether the loss is the mean over the samples in place of their sum.

    Returns:
        The largest step; infinity where all outputs vanish.

    Raises:
        InvalidArgumentError: If inputs and outputs differ in number.

    Example:
        >>> import symbolic
        >>> symbolic.networks.relu_threshold([[3, 4], [1, 0]], [[2], [5]])
        1/10

    References:
        K. Nar, S. Sastry (2018), arXiv:1805.08890.
    """
    if len(inputs) != len(outputs) or not inputs:
        raise InvalidArgumentError(
            f"{len(inputs)} inputs do not go with {len(outputs)} outputs. Give one row each."
        )
    sizes = [_norm(x) * _norm(y) for x, y in zip(inputs, outputs, strict=True)]
    largest = sympy.Max(*sizes)
    if largest == 0:
        return sympy.oo
    return (len(inputs) if mean else 1) / largest


def _norm(row: Sequence[Any]) -> sympy.Expr:
    return sympy.sqrt(sum((exact(sympy.sympify(c)) ** 2 for c in row), sympy.S.Zero))


def _positive(values: Sequence[Any]) -> list[sympy.Expr]:
    found = [exact(sympy.sympify(value)) for value in values]
    if not found or any(sign_of(value) != 1 for value in found):
        raise InvalidArgumentError(
            f"singular values must be positive, got {list(values)}. Leave out zeros, and declare "
            "symbols positive."
        )
    if any(sign_of(a - b) == -1 for a, b in it.pairwise(found)):
        raise InvalidArgumentError(f"give the largest singular value first, got {list(values)}.")
    return found
