"""Up to which ``h lambda`` an optimizer is stable on a quadratic, exactly."""

import dataclasses
from collections.abc import Callable
from typing import Any

import sympy

from .._checks import read_value
from .._errors import InvalidArgumentError
from ..roots._jury import first_boundary, stability_conditions

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
        value = read_value(given.get(key, sympy.Symbol(key, positive=True)), key)
        bounded = key in optimizer.fractions and value.is_number
        if value.is_negative or (bounded and not 0 <= value < 1):
            interval = "in [0, 1)" if key in optimizer.fractions else "positive"
            raise InvalidArgumentError(
                f"{key} must be {interval}, got {given[key]}. Write {key}=0.9."
            )
        values[key] = value
    symbols = [values[k] for k in optimizer.fractions if values[k].is_Symbol]
    return sympy.expand(optimizer.polynomial(**values)), symbols
