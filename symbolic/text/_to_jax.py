"""Expressions as JAX functions."""

from collections.abc import Callable, Sequence
from typing import Any

import sympy

from .._checks import read_expression
from .._errors import InvalidSymbolsError, MissingPackageError, NotSolvedError
from ._piecewise_jax import compile_with_cases


def to_jax(expression: Any, symbols: Any = None) -> Callable[[Any], Any]:
    r"""Turn an expression into a JAX function of one array, ready for ``jax.grad`` and ``jit``.

    .. math:: f(x_1, \dots, x_n) \mapsto \texttt{function(array of shape (n,))}

    JAX is imported here and not before. Exact numbers are rounded once, to the dtype of the
    argument; whole numbers and booleans become floats of JAX's default precision first. Derivatives
    of cases (``Piecewise``) are those of the case that holds. For a batch of points: ``jax.vmap``.

    Arguments:
        expression: A real scalar expression; a single symbol gives a function of a scalar.
        symbols: The order of the entries of the array; one symbol, not in a list, makes the
            function take a scalar. Default: all symbols in the order of their names, or the only
            one.

    Returns:
        A function from an array of shape ``(n,)``, or a scalar, to a scalar of the same dtype, or
        of the default float dtype where that of the argument is not a floating one.

    Raises:
        MissingPackageError: If JAX is not installed.
        InvalidSymbolsError: If a symbol of the expression is not among those given.
        NotSolvedError: If JAX has no counterpart of a function.

    Example:
        >>> import jax, sympy, symbolic
        >>> x, y = sympy.symbols("x y", real=True)
        >>> loss = symbolic.to_jax((x * y - 1) ** 2 / 2)
        >>> float(loss(jax.numpy.array([2.0, 1.0])))
        0.5

    References:
        A. Meurer et al. (2017), SymPy: symbolic computing in Python, PeerJ Computer Science 3.
    """
    try:
        import jax
        import jax.numpy as jnp
        import jax.scipy.special as special
    except ImportError as error:  # pragma: no cover (the test blocks the import)
        raise MissingPackageError(
            "to_jax needs JAX, which is not installed: pip install jax."
        ) from error
    value = read_expression(expression, "expression")
    free = sorted(value.free_symbols, key=lambda s: s.name)
    scalar = isinstance(symbols, sympy.Symbol) or (symbols is None and len(free) == 1)
    order: Sequence = [symbols] if isinstance(symbols, sympy.Symbol) else list(symbols or free)
    missing = [s for s in free if s not in order]
    if missing or not order:
        raise InvalidSymbolsError(
            f"the function must say where {', '.join(map(str, missing)) or 'its argument'} is "
            f"taken from. Give symbols=[{', '.join(map(str, free)) or 'x'}]."
        )
    # The printer's own choices for these do not run under jit.
    replaced = {"erf": special.erf, "loggamma": special.gammaln, "conjugate": jnp.conj}
    # Large integers overflow; numbers are lowered to decimals, exponents stay what they are.
    lowered = value.xreplace({n: n.evalf(20) for n in _large_numbers(value)})
    try:
        compiled = compile_with_cases(lowered, order, [replaced, "jax"])
        probe = jnp.full((len(order),), 0.5)
        jax.eval_shape(lambda a: jnp.asarray(compiled(*a)), probe)
    except (NameError, TypeError, AttributeError) as error:
        raise NotSolvedError(
            f"JAX has no counterpart of something in {value}: {error}. Rewrite it with elementary "
            "functions, for example expression.rewrite(sympy.exp)."
        ) from error

    def function(argument: Any) -> Any:
        array = jnp.asarray(argument)
        if not jnp.issubdtype(array.dtype, jnp.inexact):
            array = array.astype(float)  # the default precision: 64 bits only where JAX has them
        entries = [array] if scalar else [array[i] for i in range(len(order))]
        return jnp.asarray(compiled(*entries), dtype=array.dtype)

    return function


def _large_numbers(value: sympy.Expr) -> set[sympy.Expr]:
    limit = 2**31 - 1
    return {
        n
        for n in value.atoms(sympy.Rational, sympy.CRootOf)
        if isinstance(n, sympy.CRootOf) or max(abs(n.p), n.q) > limit
    }
