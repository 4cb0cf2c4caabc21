"""Critical points that fill a curve or a surface: described by equations, not enumerated."""

import dataclasses
import itertools as it
from collections.abc import Sequence

import sympy

from .._errors import TooMuchWorkError
from ..roots._closed_form import sign_of, tidy
from ..roots._systems import Point, solve_system


@dataclasses.dataclass(frozen=True)
class CriticalManifold:
    r"""A set of critical points of positive dimension, and the threshold as a function on it.

    .. math:: M = \{x : p_1(x) = \dots = p_k(x) = 0\}, \qquad
        h_c(x) = 2 / \lambda_{\max}(\nabla^2 f(x)), \quad x \in M

    `symbolic.critical_points` makes them. Tangent directions are flat; the eigenvalues listed are
    those across the manifold, at its generic points. Several equations are not
    checked for having real solutions; a single one is.

    Attributes:
        loss: The loss.
        symbols: The variables.
        equations: Expressions that vanish exactly on the manifold.
        dimension: Its (complex) dimension.
        kind: ``"minimum"``, ``"maximum"``, ``"saddle"``, ``"degenerate"`` (flat across it too) or
            ``"undetermined"``.
        eigenvalues: Across the manifold, as expressions that hold on it; empty where there are
            more than two.
        sharpness: The largest of them on the manifold.
        threshold: ``2 / sharpness``, in units of flow time; None where no step size is stable.
        flattest: The points where the sharpness has its least critical value on the manifold;
            empty where they are not found in closed form.

    Example:
        >>> import sympy, symbolic
        >>> x, y = sympy.symbols("x y", real=True)
        >>> mu = sympy.Symbol("mu", positive=True)
        >>> print(symbolic.critical_points((x * y - mu) ** 2 / 2, [x, y])[-1])
        -mu + x*y = 0: minimum, sharpness x**2 + y**2, threshold 2/(x**2 + y**2), at most 1/mu

    References:
        K. Nar, S. Sastry (2018), arXiv:1805.08890.
    """

    loss: sympy.Expr
    symbols: tuple[sympy.Symbol, ...]
    equations: tuple[sympy.Expr, ...]
    dimension: int
    kind: str
    eigenvalues: tuple[sympy.Expr, ...]
    sharpness: sympy.Expr | None
    threshold: sympy.Expr | None
    flattest: tuple[dict[sympy.Symbol, sympy.Expr], ...]

    @property
    def best_threshold(self) -> sympy.Expr | None:
        """The threshold at the flattest points."""
        if not self.flattest or self.sharpness is None:
            return None
        sharpness = tidy(self.sharpness.subs(self.flattest[0]))
        return sympy.oo if sharpness == 0 else tidy(2 / sharpness)

    def __str__(self) -> str:
        text = f"{' = '.join(map(str, self.equations))} = 0: {self.kind}"
        if self.threshold is not None:
            text += f", sharpness {self.sharpness}, threshold {self.threshold}"
        if self.best_threshold is not None:
            text += f", at most {self.best_threshold}"
        return text


def describe(
    loss: sympy.Expr,
    symbols: Sequence[sympy.Symbol],
    equations: Sequence[sympy.Expr],
    max_work: int,
) -> CriticalManifold:
    """Work out the curvature across the set where the equations vanish."""
    parameters = sorted(loss.free_symbols - set(symbols), key=str)
    domain = sympy.QQ.frac_field(*parameters) if parameters else sympy.QQ
    basis = sympy.groebner(equations, *symbols, order="grevlex", domain=domain)
    dimension = _dimension(basis, symbols)
    s = sympy.Dummy("s")
    hessian = sympy.hessian(loss, symbols).applyfunc(
        lambda entry: _on_manifold(entry, basis, symbols)
    )
    coefficients = [_on_manifold(c, basis, symbols) for c in hessian.charpoly(s).all_coeffs()]
    while coefficients[-1] == 0:  # flat directions, the tangent ones among them
        coefficients.pop()
    curved = len(coefficients) - 1
    kind, eigenvalues = _curvature(coefficients)
    if kind == "minimum" and curved + dimension != len(symbols):
        kind = "degenerate"
    sharpness = sympy.Max(*eigenvalues) if eigenvalues else None
    threshold, flattest = None, ()
    if kind == "minimum" and sharpness is not None:
        threshold = tidy(2 / sharpness)
    if threshold is not None and len(eigenvalues) == 1:
        flattest = _flattest(sharpness, symbols, equations, dimension, max_work)
    return CriticalManifold(
        loss,
        tuple(symbols),
        tuple(equations),
        dimension,
        kind,
        eigenvalues,
        sharpness,
        threshold,
        flattest,
    )


def _on_manifold(
    entry: sympy.Expr, basis: sympy.GroebnerBasis, symbols: Sequence[sympy.Symbol]
) -> sympy.Expr:
    numerator, denominator = sympy.fraction(sympy.together(entry))
    if not numerator.is_polynomial(*symbols):
        return entry
    top, bottom = (basis.reduce(sympy.expand(part))[1] for part in (numerator, denominator))
    return sympy.factor(top / bottom) if bottom != 0 else sympy.nan


def _dimension(basis: sympy.GroebnerBasis, symbols: Sequence[sympy.Symbol]) -> int:
    """The size of the largest set of variables in which no leading monomial lies alone."""
    supports = [{i for i, e in enumerate(p.monoms(order="grevlex")[0]) if e} for p in basis.polys]
    for size in range(len(symbols), -1, -1):
        for free in it.combinations(range(len(symbols)), size):
            if not any(support <= set(free) for support in supports):
                return size
    return 0


def _curvature(coefficients: list[sympy.Expr]) -> tuple[str, tuple[sympy.Expr, ...]]:
    """Kind and eigenvalues from the characteristic polynomial without its zeros."""
    if len(coefficients) == 1:
        return "degenerate", ()
    if len(coefficients) == 2:
        (value,) = [sympy.expand(-coefficients[1])]
        kinds = {1: "minimum", -1: "maximum"}
        return kinds.get(_generic_sign(value) or 0, "undetermined"), (value,)
    if len(coefficients) > 3:
        return "undetermined", ()
    _, minus_trace, determinant = coefficients
    root = sympy.sqrt(sympy.factor(minus_trace**2 - 4 * determinant))
    values = tuple(sympy.simplify((-minus_trace + sign * root) / 2) for sign in (-1, 1))
    product, total = _generic_sign(determinant), _generic_sign(-minus_trace)
    if product == -1:
        return "saddle", values
    if product == 1 and total:
        return ("minimum" if total > 0 else "maximum"), values
    return "undetermined", values


def _generic_sign(value: sympy.Expr) -> int | None:
    """The sign off the zeros of an expression: even powers count as positive."""
    sign = sign_of(value)
    if sign is not None:
        return sign
    product = sympy.factor(sympy.prod(sympy.fraction(sympy.together(value))))
    if len(product.free_symbols) == 1 and product.is_polynomial():
        return _sign_of_polynomial(sympy.Poly(product))
    if product.is_nonnegative or sympy.expand(product).is_nonnegative:
        return 1
    if product.is_nonpositive or sympy.expand(product).is_nonpositive:
        return -1
    return None


def _sign_of_polynomial(polynomial: sympy.Poly) -> int | None:
    """In one variable: the sign off the zeros, if it is the same everywhere."""
    if any(multiplicity % 2 for _, multiplicity in polynomial.real_roots(multiple=False)):
        return None
    return 1 if polynomial.LC() > 0 else -1


def _flattest(
    sharpness: sympy.Expr,
    symbols: Sequence[sympy.Symbol],
    equations: Sequence[sympy.Expr],
    dimension: int,
    max_work: int,
) -> tuple[dict[sympy.Symbol, sympy.Expr], ...]:
    """Lagrange's condition: the gradient of the sharpness is normal to the manifold."""
    if not sharpness.is_polynomial(*symbols) or len(equations) != len(symbols) - dimension:
        return ()
    rows = sympy.Matrix([[sympy.diff(e, s) for s in symbols] for e in (*equations, sharpness)])
    minors = [
        rows[:, list(columns)].det() for columns in it.combinations(range(len(symbols)), rows.rows)
    ]
    try:
        points, _ = solve_system([*equations, *minors], symbols, max_work)
    except TooMuchWorkError:
        return ()
    return _least(points, sharpness)


def _least(points: list[Point], sharpness: sympy.Expr) -> tuple[dict, ...]:
    real = [p for p in points if all(v.is_real for v in p.location.values())]
    values = [p.evaluate(sharpness) for p in real]
    if not values:
        return ()
    best = values[0]
    for value in values[1:]:
        sign = sign_of(value - best)
        if sign is None:
            return ()
        best = value if sign < 0 else best
    return tuple(
        dict(p.location) for p, v in zip(real, values, strict=True) if sign_of(v - best) == 0
    )
