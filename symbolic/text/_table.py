"""Critical points as a table: for people, for LaTeX, for programs."""

import json
from collections.abc import Sequence
from typing import Any

import sympy

from ..roots._enclosures import decimal
from ..thresholds._critical_point import CriticalPoint, short
from ..thresholds._flips import SUBCRITICAL, SUPERCRITICAL
from ..thresholds._manifolds import CriticalManifold

Found = CriticalPoint | CriticalManifold
_HEADS = ("where", "kind", "sharpness", "threshold", "just past it", "form")


def table(points: Sequence[Found]) -> str:
    r"""Write critical points as a table of plain text.

    .. math:: x_\star, \quad \lambda_{\max}, \quad 2 / \lambda_{\max}, \quad \operatorname{sign} c

    Arguments:
        points: What `symbolic.critical_points` found.

    Returns:
        One line for each, under a line of heads. Where parameters or a family's integer must meet
        a condition, the place is followed by "if". The last column says whether coordinates are
        closed forms or roots in certified intervals. Where points may be missing, a last line
        says so.

    Example:
        >>> import sympy, symbolic
        >>> x = sympy.Symbol("x", real=True)
        >>> print(symbolic.table(symbolic.critical_points(x**4 / 4 - x**2 / 2)[:2]))
        where   kind     sharpness  threshold  just past it               form
        x = -1  minimum  2          1          two-cycle (supercritical)  exact
        x = 0   maximum  -1         none       -                          exact

    References:
        K. Nar, S. Sastry (2018), arXiv:1805.08890.
    """
    if not points:
        return "\n".join(["no critical points", *_incomplete(points)])
    rows = [_HEADS, *(_row(point) for point in points)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(_HEADS))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, *_incomplete(points)])


def _incomplete(points: Sequence[Found]) -> list[str]:
    """A line that says what may be missing, if anything."""
    missing = getattr(points, "incomplete", "")
    return [f"incomplete: {missing}"] if missing else []


def _row(point: Found) -> tuple[str, ...]:
    threshold = "none" if point.threshold is None else short(point.threshold)
    sharpness = "-" if point.sharpness is None else short(point.sharpness)
    if isinstance(point, CriticalManifold):
        best = point.best_threshold
        where = f"{' = '.join(map(str, point.equations))} = 0"
        past = "-" if best is None else f"at best {short(best)}"
        return where, point.kind, sharpness, threshold, past, "manifold"
    where = ", ".join(f"{symbol} = {short(v)}" for symbol, v in point.location.items())
    if point.condition is not sympy.true:
        where += f" if {point.condition}"
    past = "-"
    if point.flip:
        cycle = point.flip.kind in {SUPERCRITICAL, SUBCRITICAL}
        past = f"two-cycle ({point.flip.kind})" if cycle else f"{point.flip.kind} flip"
    return where, point.kind, sharpness, threshold, past, "exact" if point.exact else "isolated"


def latex_table(points: Sequence[Found]) -> str:
    r"""Write critical points as a LaTeX tabular.

    .. math:: x_\star, \quad \lambda_{\max}, \quad 2 / \lambda_{\max}

    Arguments:
        points: What `symbolic.critical_points` found.

    Returns:
        A ``tabular`` with one row for each. Roots that have no closed form are decimal numbers.
        Where points may be missing, a comment after it says so.

    Example:
        >>> import sympy, symbolic
        >>> x = sympy.Symbol("x", real=True)
        >>> print(symbolic.latex_table(symbolic.critical_points((x - 1) ** 2)))
        \begin{tabular}{llll}
        point & kind & $\lambda_{\max}$ & $2/\lambda_{\max}$ \\ \hline
        $x = 1$ & minimum & $2$ & $1$ \\
        \end{tabular}

    References:
        K. Nar, S. Sastry (2018), arXiv:1805.08890.
    """
    lines = [
        r"\begin{tabular}{llll}",
        r"point & kind & $\lambda_{\max}$ & $2/\lambda_{\max}$ \\ \hline",
    ]
    for point in points:
        if isinstance(point, CriticalManifold):
            where = f"{' = '.join(map(sympy.latex, point.equations))} = 0"
        else:
            pairs = point.location.items()
            where = r",\ ".join(f"{sympy.latex(s)} = {_latex(v)}" for s, v in pairs)
            if point.condition is not sympy.true:
                where += rf"\ \text{{if}}\ {sympy.latex(point.condition)}"
        cells = (f"${where}$", point.kind, _cell(point.sharpness), _cell(point.threshold))
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\end{tabular}", *(f"% {line}" for line in _incomplete(points))])


def _cell(value: sympy.Expr | None) -> str:
    return "none" if value is None else f"${_latex(value)}$"


def _latex(value: sympy.Expr) -> str:
    text = short(value)
    return text if value.is_number and text != str(value) else sympy.latex(value)


def json_table(points: Sequence[Found]) -> str:
    r"""Write critical points as JSON.

    .. math:: x_\star, \quad \lambda_{\max}, \quad 2 / \lambda_{\max}

    Arguments:
        points: What `symbolic.critical_points` found.

    Returns:
        A list of objects. A value is given as text that sympy can read, ``"exact"``, and, where it
        is a number, to 17 digits, ``"decimal"``. Where points may be missing, the last object has
        one key, ``"incomplete"``.

    Example:
        >>> import json, sympy, symbolic
        >>> x = sympy.Symbol("x", real=True)
        >>> (point,) = json.loads(symbolic.json_table(symbolic.critical_points((x - 1) ** 2)))
        >>> point["location"]["x"], point["threshold"]["decimal"]
        ({'exact': '1', 'decimal': 1.0}, 1.0)

    References:
        K. Nar, S. Sastry (2018), arXiv:1805.08890.
    """
    missing = getattr(points, "incomplete", "")
    last = [{"incomplete": missing}] if missing else []
    return json.dumps([*(_record(point) for point in points), *last], indent=1)


def _record(point: Found) -> dict[str, Any]:
    record: dict[str, Any] = {
        "kind": point.kind,
        "eigenvalues": [_value(value) for value in point.eigenvalues],
        "sharpness": _value(point.sharpness),
        "threshold": _value(point.threshold),
    }
    if isinstance(point, CriticalManifold):
        flattest = [{s.name: _value(v) for s, v in p.items()} for p in point.flattest]
        return {
            "equations": [str(equation) for equation in point.equations],
            **record,
            "flattest": flattest,
            "best_threshold": _value(point.best_threshold),
        }
    flip = point.flip
    return {
        "location": {s.name: _value(v) for s, v in point.location.items()},
        "closed_form": point.exact,
        "condition": str(point.condition),
        "value": _value(point.value),
        **record,
        "flip": flip and {"kind": flip.kind, "coefficient": _value(flip.coefficient)},
    }


def _value(value: sympy.Expr | None) -> dict[str, Any] | None:
    if value is None:
        return None
    if not value.is_number:
        return {"exact": str(value), "decimal": None}
    number = decimal(value, 20)
    return {"exact": str(value), "decimal": float(number) if number.is_finite else None}
