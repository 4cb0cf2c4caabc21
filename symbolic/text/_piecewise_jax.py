"""Expressions with cases as JAX functions whose derivatives are those of the case that holds."""

import functools as ft
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sympy


def compile_with_cases(
    expression: sympy.Basic, order: Sequence[sympy.Symbol], modules: Sequence[Mapping | str]
) -> Callable[..., Any]:
    """A JAX function of the entries, in this order; `modules` are those of `sympy.lambdify`."""
    cases = _outermost(expression)
    names = {case: sympy.Function(f"cases_{k}")(*order) for k, case in enumerate(cases)}
    made = {
        str(call.func): _function_of_cases(case, order, modules) for case, call in names.items()
    }
    return sympy.lambdify(order, expression.xreplace(names), [made, *modules])


def _outermost(expression: sympy.Basic) -> list[sympy.Piecewise]:
    if isinstance(expression, sympy.Piecewise):
        return [expression]
    found = [case for argument in expression.args for case in _outermost(argument)]
    return list(dict.fromkeys(found))


def _function_of_cases(
    piecewise: sympy.Piecewise, order: Sequence[sympy.Symbol], modules: Sequence[Mapping | str]
) -> Callable[..., Any]:
    """The value of the first case whose condition holds, NaN where none does.

    JAX evaluates every case. By its own rule the derivative of those that do not hold comes times
    zero, which is NaN where it is infinite (a square root at 0); here it is never looked at, to
    any order: the derivative of cases is cases of derivatives.
    """
    import jax
    import jax.numpy as jnp

    values = [compile_with_cases(value, order, modules) for value, _ in piecewise.args]
    conditions = [compile_with_cases(holds, order, modules) for _, holds in piecewise.args]

    @jax.custom_jvp
    def function(*entries: Any) -> Any:
        dtype, shape = jnp.result_type(*entries), jnp.broadcast_shapes(*map(jnp.shape, entries))
        result = jnp.full(shape, jnp.nan, dtype)
        for value, condition in reversed(list(zip(values, conditions, strict=True))):
            result = jnp.where(condition(*entries), jnp.asarray(value(*entries), dtype), result)
        return result

    @ft.cache
    def slope(symbol: sympy.Symbol) -> Callable[..., Any]:
        cases = [(sympy.diff(value, symbol), holds) for value, holds in piecewise.args]
        return _function_of_cases(sympy.Piecewise(*cases, evaluate=False), order, modules)

    def derivative(entries: tuple, tangents: tuple) -> tuple[Any, Any]:
        value = function(*entries)
        total = jnp.zeros_like(value)
        for symbol, tangent in zip(order, tangents, strict=True):
            total += slope(symbol)(*entries) * tangent
        return value, total

    function.defjvp(derivative)
    return function
