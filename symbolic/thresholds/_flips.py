"""What happens just past the threshold of an isolated minimum: the flip."""

import dataclasses
import functools as ft
from collections.abc import Callable, Sequence
from typing import Any

import sympy

from .._checks import read_step
from .._errors import InvalidStepError, NotSolvedError
from ..roots._closed_form import sign_of, tidy

SUPERCRITICAL, SUBCRITICAL, DEGENERATE = "supercritical", "subcritical", "degenerate"
UNDETERMINED = "undetermined"
LONGEST = 100  # operations of a number made of radicals that is simplified


@dataclasses.dataclass(frozen=True)
class Flip:
    r"""The birth of a two-cycle where a minimum loses its stability.

    .. math:: c = \frac{h}{6} \left(3\, g^T H^{-1} g - D^4 f[v, v, v, v]\right), \quad
        h = \frac{2}{\lambda}, \quad g = D^3 f[v, v, \cdot], \qquad
        r = \sqrt{\frac{h \lambda - 2}{c}}

    Here ``v`` is the unit eigenvector of the largest eigenvalue ``lambda``. For ``c > 0`` a stable
    two-cycle ``x ± r v`` appears at steps just above ``2 / lambda``; for ``c < 0`` an unstable one
    closes in on the minimum from below, and its basin shrinks to nothing. `symbolic.flip` makes
    one.

    Attributes:
        coefficient: ``c``, in 1 / parameter squared.
        kind: ``"supercritical"``, ``"subcritical"``, ``"degenerate"`` (``c = 0``), or
            ``"undetermined"`` where parameters leave the sign of ``c`` open.
        sharpness: ``lambda``.
        threshold: ``2 / lambda``, in units of flow time.

    Example:
        >>> import sympy, symbolic
        >>> x = sympy.Symbol("x", real=True)
        >>> symbolic.flip((x**2 - 1) ** 2 / 4, 1).kind
        'supercritical'

    References:
        L. Chen, J. Bruna (2023), arXiv:2206.04172.
    """

    coefficient: sympy.Expr
    kind: str
    sharpness: sympy.Expr
    threshold: sympy.Expr

    def half_width(self, step: Any) -> sympy.Expr:
        """``sqrt((h lambda - 2) / c)``: half of the two-cycle's width, to leading order.

        Arguments:
            step: ``h``, on the side of the threshold where the two-cycle is; a number or a symbol.

        Returns:
            A length in parameter space.

        Raises:
            InvalidStepError: If there is no two-cycle at this step.
        """
        h = read_step(step)
        ratio = (h * self.sharpness - 2) / self.coefficient if self.coefficient != 0 else sympy.nan
        if ratio is sympy.nan or sign_of(ratio) == -1:
            side = {SUPERCRITICAL: "above", SUBCRITICAL: "below"}.get(self.kind)
            remedy = f"Take a step {side} {self.threshold}" if side else "Its flip is degenerate"
            raise InvalidStepError(
                f"there is no small two-cycle at step {h}. {remedy}, or use symbolic.cycles."
            )
        return tidy(sympy.sqrt(ratio))


def flip_at(
    loss: sympy.Expr,
    symbols: Sequence[sympy.Symbol],
    evaluate: Callable[[sympy.Expr], sympy.Expr],
    sharpness: sympy.Expr,
) -> Flip:
    """The flip at an isolated minimum whose largest eigenvalue is simple."""
    threshold = tidy(2 / sharpness)
    if len(symbols) == 1:
        (x,) = symbols
        second, third, fourth = (sympy.diff(loss, x, k) for k in (2, 3, 4))
        coefficient = evaluate((3 * third**2 / second - fourth) / (3 * second))
    else:
        tensor = _derivatives(loss, symbols, evaluate)
        size = range(len(symbols))
        hessian = sympy.Matrix(len(symbols), len(symbols), lambda i, j: tensor(i, j))
        v = _eigenvector(hessian, sharpness)
        square = (v.T * v)[0, 0]
        pairs = [(i, j, v[i] * v[j]) for i in size for j in size]
        g = sympy.Matrix([sum(c * tensor(i, j, k) for i, j, c in pairs) for k in size])
        fourth = sum(a * b * tensor(i, j, k, l) for i, j, a in pairs for k, l, b in pairs)
        bracket = 3 * (g.T * hessian.adjugate() * g)[0, 0] / hessian.det() - fourth
        coefficient = _short(threshold / 6 * bracket / square**2)
        if not coefficient.has(sympy.CRootOf) and _is_short(coefficient):
            coefficient = sympy.radsimp(coefficient)
    kinds = {1: SUPERCRITICAL, -1: SUBCRITICAL, 0: DEGENERATE, None: UNDETERMINED}
    return Flip(coefficient, kinds[sign_of(coefficient)], sharpness, threshold)


def _is_short(value: sympy.Expr) -> bool:
    return not value.is_number or sympy.count_ops(value) <= LONGEST


def _short(value: sympy.Expr) -> sympy.Expr:
    """Simple, or as it is where that would take long: sign and digits are found all the same."""
    return tidy(value) if _is_short(value) else value


def _eigenvector(hessian: sympy.Matrix, value: sympy.Expr) -> sympy.Matrix:
    # Every column of the adjugate solves (H - lambda) v = 0; one is not zero for a simple lambda.
    columns = (hessian - value * sympy.eye(hessian.rows)).adjugate()
    for index in range(hessian.rows):
        column = columns[:, index].applyfunc(_short)
        if any(sign_of(entry) != 0 for entry in column):
            return column
    raise NotSolvedError(
        f"the largest eigenvalue, {value}, is not simple, so there is no single direction of the "
        "flip. Restrict the loss to one direction."
    )


def _derivatives(
    loss: sympy.Expr,
    symbols: Sequence[sympy.Symbol],
    evaluate: Callable[[sympy.Expr], sympy.Expr],
) -> Callable[..., sympy.Expr]:
    """Partial derivatives at the point; the order of the indices does not matter."""

    @ft.cache
    def value(*indices: int) -> sympy.Expr:
        return evaluate(sympy.diff(loss, *(symbols[i] for i in indices)))

    return lambda *indices: value(*sorted(indices))
