"""Losses whose large-step dynamics is known in closed form, each with its source.

>>> CASES["double_well"].threshold
1
"""

import dataclasses

import sympy
from sympy import Rational, cos, cosh, exp, log, sqrt, tanh

x, y = sympy.symbols("x y", real=True)
_p = sympy.Symbol("x", positive=True)
_h = sympy.Symbol("h", positive=True)


@dataclasses.dataclass(frozen=True)
class Case:
    r"""One loss with a minimum, and what is known about it.

    .. math:: h_c = 2 / f''(x_\star), \qquad \{|x_0| < b(h)\} \to x_\star

    Attributes:
        name: A short name, as the command line takes it.
        loss: ``f``.
        minimum: Coordinates of a minimum, by symbol.
        threshold: The largest stable step there, in units of flow time.
        basin: For an even loss where it is known exactly: ``b`` at the step `STEP`, such that
            descent converges to a minimum (almost surely) or at least stays bounded from
            ``|x_0| < b`` and diverges from ``|x_0| > b``; None elsewhere.
        source: Where it is from.

    Example:
        >>> import symbolic
        >>> symbolic.cases.CASES["subcritical"].basin
        sqrt(2 - h)/sqrt(h)

    References:
        Each case names its own `source`.
    """

    name: str
    loss: sympy.Expr
    minimum: dict[sympy.Symbol, sympy.Expr]
    threshold: sympy.Expr
    source: str
    basin: sympy.Expr | None = None

    @property
    def symbols(self) -> tuple[sympy.Symbol, ...]:
        """The variables, in the order of the minimum's coordinates."""
        return tuple(self.minimum)


STEP = _h
_NAR = "K. Nar, S. Sastry (2018), arXiv:1805.08890"
_CHEN = "L. Chen, J. Bruna (2023), arXiv:2206.04172"
_CHAOS = "X. Chen, K. Balasubramanian, P. Ghosal, B. Agarwalla (2023), arXiv:2310.01687"
_ZHU = "X. Zhu, Z. Wang, X. Wang, M. Zhou, R. Ge (2023), arXiv:2210.03294"
_ROSENBROCK = "H. Rosenbrock (1960), The Computer Journal 3"
_half = Rational(1, 2)


def _at(*values: object) -> dict:
    return dict(zip((x, y), map(sympy.sympify, values), strict=False))


CASES: dict[str, Case] = {
    case.name: case
    for case in (
        Case(
            "nar_sastry",
            (x**2 + 1) * (x - 1) ** 2 * (x - 2) ** 2,
            _at(1),
            _half,
            _NAR,
        ),
        Case("double_well", (x**2 - 1) ** 2 / 4, _at(1), sympy.S.One, _CHAOS, sqrt((2 + _h) / _h)),
        Case("logistic", x**2 / 2 + x**3 / 3, _at(0), sympy.Integer(2), _CHAOS),
        Case("barriers", x**2 / 2 - x**4 / 4, _at(0), sympy.Integer(2), _CHEN),
        Case(
            "subcritical",
            x**2 / 2 + x**4 / 4,
            _at(0),
            sympy.Integer(2),
            _CHEN,
            sqrt((2 - _h) / _h),
        ),
        Case("quartic", x**4 / 4, _at(0), sympy.oo, _NAR, sqrt(2 / _h)),
        Case("cosine", 1 - cos(x), _at(0), sympy.Integer(2), _CHEN),
        Case("log_cosh", log(cosh(x)), _at(0), sympy.Integer(2), _CHEN),
        Case("root", sqrt(1 + x**2), _at(0), sympy.Integer(2), _CHEN),
        Case("cosh", cosh(x), _at(0), sympy.Integer(2), _CHEN),
        Case("exponential", exp(x) - x, _at(0), sympy.Integer(2), _CHEN),
        Case("logistic_loss", log(1 + exp(x)) - x / 2, _at(0), sympy.Integer(8), _CHEN),
        Case("logarithm", _p - log(_p), {_p: sympy.S.One}, sympy.Integer(2), _CHEN),
        Case(
            "tanh_neuron",
            (tanh(x) - _half) ** 2 / 2,
            _at(sympy.atanh(_half)),
            Rational(32, 9),
            _CHEN,
        ),
        Case("product", (x * y - 1) ** 2 / 2, _at(1, 1), sympy.S.One, _CHEN),
        Case("catapult", x**2 * y**2 / 2, _at(0, 1), sympy.Integer(2), _CHEN),
        Case("minimalist", (1 - x**2 * y**2) ** 2 / 4, _at(1, 1), _half, _ZHU),
        Case(
            "rosenbrock",
            (1 - x) ** 2 + 100 * (y - x**2) ** 2,
            _at(1, 1),
            2 / (501 + sqrt(250601)),
            _ROSENBROCK,
        ),
    )
}
