"""Up to which ``h lambda`` an optimizer is stable on a quadratic, exactly."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import sympy

from ._checks import exact, read_count, read_step
from ._errors import InvalidArgumentError
from ._jury import first_boundary, stability_conditions

z, q = sympy.Symbol("z"), sympy.Symbol("q", positive=True)


@dataclasses.dataclass(frozen=True)
class _Optimizer:
    """A characteristic polynomial in z, with q = h lambda, and what its hyperparameters may be."""

    polynomial: Callable[..., sympy.Expr]
    fractions: tuple[str, ...] = ()  # hyperparameters in [0, 1)
    positives: tuple[str, ...] = ()


def _look_ahead(momentum: sympy.Expr, lookahead: sympy.Expr) -> sympy.Expr:
    """``w+ = w + b (w - w-) - h g(w + a (w - w-))``."""
    return z**2 - (1 + momentum - q * (1 + lookahead)) * z + momentum - q * lookahead


def _averaged(b1: sympy.Expr) -> sympy.Expr:
    """``m+ = b m + (1 - b) g``, ``w+ = w - h m+``: heavy ball with the step ``(1 - b) h``."""
    return z**2 - (1 + b1 - (1 - b1) * q) * z + b1


def _averaged_twice(b1: sympy.Expr) -> sympy.Expr:
    """``w+ = w - h (b m+ + (1 - b) g)``."""
    return z**2 - (1 + b1 - q * (1 - b1**2)) * z + b1 - q * b1 * (1 - b1)


OPTIMIZERS: dict[str, _Optimizer] = {
    "gradient_descent": _Optimizer(lambda: z - 1 + q),
    "heavy_ball": _Optimizer(lambda momentum: _look_ahead(momentum, sympy.S.Zero), ("momentum",)),
    "nesterov": _Optimizer(lambda momentum: _look_ahead(momentum, momentum), ("momentum",)),
    "look_ahead": _Optimizer(_look_ahead, ("momentum",), ("lookahead",)),
    "ema_momentum": _Optimizer(_averaged, ("b1",)),
    "adam": _Optimizer(_averaged, ("b1",)),
    "nadam": _Optimizer(_averaged_twice, ("b1",)),
    "optimistic": _Optimizer(lambda: z**2 - (1 - 2 * q) * z - q),
    "extragradient": _Optimizer(lambda: z - 1 + q - q**2),
    "sharpness_aware": _Optimizer(
        lambda radius, learning_rate: z - 1 + q * (1 + radius * q / learning_rate),
        (),
        ("radius", "learning_rate"),
    ),
}


def optimizer_threshold(name: str, **hyperparameters: Any) -> sympy.Expr:
    r"""Find the largest ``h lambda`` at which an optimizer is stable on a quadratic.

    .. math:: q_c = \sup \{q : \text{all roots of } p(z; h\lambda) \text{ lie in } |z| < 1,\
        0 < h\lambda < q\}

    A Schur-Cohn test of the characteristic polynomial, with the hyperparameters left symbolic.
    ``"adam"`` and ``"nadam"`` are meant with a frozen preconditioner ``P``: then ``lambda`` is the
    largest eigenvalue of ``P^-1 H``. An L2 term ``w`` adds ``w`` to ``lambda``.

    Arguments:
        name: ``"gradient_descent"``, ``"heavy_ball"`` (momentum), ``"nesterov"`` (momentum),
            ``"look_ahead"`` (momentum, lookahead: gradient at ``w + a (w - w-)``),
            ``"ema_momentum"`` and ``"adam"`` (b1), ``"nadam"`` (b1), ``"optimistic"``,
            ``"extragradient"``, or ``"sharpness_aware"`` (radius and learning_rate; not
            normalised).
        **hyperparameters: Numbers or positive symbols; momentum and b1 lie between 0 and 1. What is
            left out stays a symbol of its name.

    Returns:
        ``h lambda``, a pure number or an expression in the hyperparameters.

    Raises:
        InvalidArgumentError: If there is no such optimizer or hyperparameter, or a value is out of
            range.

    Example:
        >>> import sympy, symbolic
        >>> symbolic.optimizer_threshold("heavy_ball")
        2*(momentum + 1)
        >>> symbolic.optimizer_threshold("adam", b1=0.9)
        38

    References:
        J. Cohen et al. (2022), arXiv:2207.14484.
    """
    polynomial, fractions = _polynomial(name, hyperparameters)
    conditions = stability_conditions(polynomial, z)
    return sympy.factor(first_boundary(conditions, q, fractions))


def critical_damping(name: str, **hyperparameters: Any) -> tuple[sympy.Expr, ...]:
    r"""Find the values of ``h lambda`` at which the two modes of an optimizer coincide.

    .. math:: \operatorname{disc}_z p(z; h\lambda) = 0

    Between two of them the modes are a complex pair.

    Arguments:
        name: An optimizer with two modes, as in `symbolic.optimizer_threshold`.
        **hyperparameters: As there.

    Returns:
        The values, in sympy's order.

    Raises:
        InvalidArgumentError: If the optimizer has one mode only.

    Example:
        >>> import symbolic
        >>> symbolic.critical_damping("heavy_ball", momentum=0.25)
        (1/4, 9/4)

    References:
        N. Kovachki, A. Stuart (2021), JMLR 22.
    """
    polynomial, _ = _polynomial(name, hyperparameters)
    if sympy.degree(polynomial, z) != 2:
        raise InvalidArgumentError(
            f"{name} has one mode, so nothing is damped. Take an optimizer with momentum, such as "
            "'heavy_ball'."
        )
    # Square roots of the momentum are taken to exist.
    roots = sympy.roots(sympy.Poly(sympy.discriminant(polynomial, z), q))
    return tuple(sorted((sympy.factor(root) for root in roots), key=sympy.default_sort_key))


def _polynomial(name: str, given: dict[str, Any]) -> tuple[sympy.Expr, list[sympy.Symbol]]:
    if name not in OPTIMIZERS:
        raise InvalidArgumentError(
            f"there is no optimizer {name!r}. There are: {', '.join(OPTIMIZERS)}."
        )
    optimizer = OPTIMIZERS[name]
    allowed = (*optimizer.fractions, *optimizer.positives)
    for other in given:
        if other not in allowed:
            raise InvalidArgumentError(
                f"{name} has no hyperparameter {other!r}. It has: {', '.join(allowed) or 'none'}."
            )
    values = {}
    for key in allowed:
        value = exact(sympy.sympify(given.get(key, sympy.Symbol(key, positive=True))))
        bounded = key in optimizer.fractions and value.is_number
        if value.is_negative or (bounded and not 0 <= value < 1):
            interval = "in [0, 1)" if key in optimizer.fractions else "positive"
            raise InvalidArgumentError(
                f"{key} must be {interval}, got {given[key]}. Write {key}=0.9."
            )
        values[key] = value
    symbols = [values[k] for k in optimizer.fractions if values[k].is_Symbol]
    return sympy.expand(optimizer.polynomial(**values)), symbols


def runge_kutta_limit(order: int) -> sympy.Expr:
    r"""Find the largest ``h lambda`` at which a Runge-Kutta step on the gradient flow is stable.

    .. math:: \left|\sum_{k=0}^{s} \frac{(-h\lambda)^k}{k!}\right| < 1

    Arguments:
        order: ``s``, 1 (Euler's method, which is gradient descent) to 4: explicit, as many stages
            as its order.

    Returns:
        The end of the real interval of stability, a root in a certified interval for orders 3, 4.

    Raises:
        InvalidArgumentError: For other orders; there a method has more stages than its order.

    Example:
        >>> import symbolic
        >>> symbolic.runge_kutta_limit(2), symbolic.runge_kutta_limit(4).n(12)
        (2, 2.78529356341)

    References:
        E. Hairer, G. Wanner (1996), Solving Ordinary Differential Equations II.
    """
    if read_count(order, "order") > 4:
        raise InvalidArgumentError(
            f"order must be 1 to 4, got {order}: beyond that a method has more stages than its "
            "order, and its interval of stability depends on its coefficients."
        )
    factor = sum((-q) ** k / sympy.factorial(k) for k in range(order + 1))
    return first_boundary([1 - factor, 1 + factor], q, [])


@dataclasses.dataclass(frozen=True)
class FiniteSumThresholds:
    r"""Steps up to which SGD on a finite sum of parabolas is stable, in three senses.

    Attributes:
        mean: Of the expected iterate.
        mean_square: Of its expected square.
        almost_sure: Of almost every path; None for batches of more than one.

    Example:
        >>> import symbolic
        >>> symbolic.finite_sum_thresholds([1, 3]).mean_square
        4/5

    References:
        R. Mulayoff, T. Michaeli, D. Soudry (2021), NeurIPS 34.
    """

    mean: sympy.Expr
    mean_square: sympy.Expr
    almost_sure: sympy.Expr | None


def finite_sum_thresholds(
    curvatures: Sequence[Any], batch_size: int = 1, repeats: int = 1
) -> FiniteSumThresholds:
    r"""Find up to which step SGD is stable on an average of parabolas ``a_i x^2 / 2``.

    .. math:: (1 - h \bar a)^2 + h^2 s^2 \frac{n - B}{B (n - 1)} < 1

    With `repeats`, the same sample is used ``k`` times with the step ``h / k``: the noise of a
    large step with the drift of a small one.

    .. math:: \frac1n \sum_i (1 - h a_i / k)^{2k} < 1, \qquad \prod_i |1 - h a_i / k| < 1

    Arguments:
        curvatures: ``a_i``, numbers of positive mean.
        batch_size: ``B``, drawn without replacement, at each step anew.
        repeats: ``k``; more than 1 for batches of one only.

    Returns:
        Step sizes in units of flow time; ``h`` is the step of a whole block of repeats.

    Raises:
        InvalidArgumentError: If the batch is larger than the data, or repeated and larger than one.

    Example:
        >>> import symbolic
        >>> found = symbolic.finite_sum_thresholds([1, 3])
        >>> found.mean, found.mean_square, found.almost_sure
        (1, 4/5, 4/3)

    References:
        R. Mulayoff, T. Michaeli, D. Soudry (2021), NeurIPS 34.
    """
    a = [exact(sympy.sympify(value)) for value in curvatures]
    n, batch, k = len(a), read_count(batch_size, "batch_size"), read_count(repeats, "repeats")
    if n == 0 or batch > n or (batch > 1 and k > 1):
        raise InvalidArgumentError(
            f"batch_size={batch} and repeats={k} do not fit {n} curvatures: a batch is at most the "
            "whole sum, and only batches of one are repeated. Write batch_size=1."
        )
    average = read_step(sum(a, sympy.S.Zero) / n, "the mean curvature")
    if batch == 1:
        mean = sum((1 - q * c / k) ** k for c in a) / n
        square = sum((1 - q * c / k) ** (2 * k) for c in a) / n
        path = sympy.prod([1 - q * c / k for c in a])
        almost_sure = _limit([1 - path, 1 + path])
    else:
        variance = sum((c - average) ** 2 for c in a) / n
        mean = 1 - q * average
        noise = variance * sympy.Rational(n - batch, batch * (n - 1))
        square, almost_sure = mean**2 + q**2 * noise, None
    return FiniteSumThresholds(_limit([1 - mean, 1 + mean]), _limit([1 - square]), almost_sure)


def _limit(conditions: list[sympy.Expr]) -> sympy.Expr:
    return first_boundary([sympy.expand(c) for c in conditions], q, [])
