r"""Analytic continuation of a loss: its value, and every derivative, at complex parameters.

Calling a real loss with complex numbers is not enough: ``jnp.var``, ``jnp.linalg.norm`` and ``abs``
conjugate, ``erf`` has no complex form, and strict promotion of dtypes refuses the mixture. So the
loss is traced on *real* parameters, and the program found is evaluated in complex arithmetic, one
primitive at a time; `_RULES` holds what each becomes.

Analytic primitives stay what they are. Those that are analytic in pieces (``max``, ``abs``, ``<``,
``sort``) take the piece of the real part, a tie being broken by the imaginary part: this is a total
order of the complex numbers, so that all of them decide alike. Sub-programs are entered, and the
derivative rules that functions carry with them are continued too, so that on real input nothing but
the dtype changes.

>>> import jax.numpy as jnp
>>> bool(jnp.isclose(continued(jnp.linalg.norm)(jnp.array([3.0, 2j])), 5**0.5))
True
"""

import functools as ft
import itertools as it
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.extend as jex
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np
from jax import lax

from ._complex_erf import erf, erfc
from ._custom_types import PyTree
from ._errors import FlowsError


class ContinuationError(FlowsError, NotImplementedError):
    """The loss uses a primitive that is not continued; the message names it and the line."""


def continued(function: Callable[..., PyTree[Any]]) -> Callable[..., PyTree[Any]]:
    r"""Continue a function of real arrays analytically to complex ones.

    .. math::
        F(x + i y) = \sum_k \frac{(i y)^k}{k!}\, f^{(k)}(x)

    wherever the series converges within one analytic piece of ``f``. ``F`` is holomorphic: use
    ``jax.grad(F, holomorphic=True)``. Under ``jit`` it costs about four times what ``f`` costs. Not
    continued, because they are not analytic or have no complex form in JAX: ``eigh``, ``svd``,
    ``qr``, ``lgamma`` and its relatives, ``erf_inv``, callbacks, and losses that themselves go
    through complex numbers (``fft``).

    Arguments:
        function: ``f``, from pytrees of arrays to a pytree of arrays. Written for real arrays; is
            only ever called with tracers of real arrays.

    Returns:
        ``F``, from pytrees of the same structure. Complex leaves are continued; real leaves,
        integers and random keys are passed as they are. Floating-point results are complex, of the
        precision of ``f``'s results (complex64 for what is computed in 16 bits). On real input,
        given in a complex dtype, equal to ``f`` to rounding.

    Raises:
        ContinuationError: When ``F`` is called, if ``f`` uses something that cannot be continued.

    Example:
        The variance continues to ``mean((z - mean(z))^2)``, here of ``0`` and ``2i``.

        >>> import jax.numpy as jnp
        >>> bool(jnp.isclose(continued(jnp.var)(jnp.array([0, 2j])), -1))
        True
    """

    def continuation(*args: PyTree[Any]) -> PyTree[Any]:
        leaves, structure = jtu.tree_flatten(args)
        leaves = [leaf if hasattr(leaf, "dtype") else jnp.asarray(leaf) for leaf in leaves]
        shapes = [jax.ShapeDtypeStruct(leaf.shape, _real_dtype(leaf.dtype)) for leaf in leaves]
        program, results = jax.make_jaxpr(function, return_shape=True)(
            *jtu.tree_unflatten(structure, shapes)
        )
        outputs = [_complex(output) for output in _run(program, *leaves)]
        return jtu.tree_unflatten(jtu.tree_structure(results), outputs)

    return continuation


# --- Evaluation of a program --------------------------------------------------------------------


def _run(program: Any, *operands: Any) -> list[Any]:
    """Evaluate a closed jaxpr at operands of which some are complex where it expects real ones."""
    jaxpr = program.jaxpr
    values = dict(zip(jaxpr.constvars, program.consts, strict=True))
    values |= dict(zip(jaxpr.invars, operands, strict=True))

    def read(atom: Any) -> Any:
        if isinstance(atom, jex.core.Literal):
            return np.asarray(atom.val, atom.aval.dtype)  # pyright: ignore[reportAttributeAccessIssue]
        return values[atom]

    for equation in jaxpr.eqns:
        inputs = [read(atom) for atom in equation.invars]
        moved = any(
            _is_complex(value) and not _is_complex(atom.aval)
            for atom, value in zip(equation.invars, inputs, strict=True)
        )
        outputs = _rule(equation)(equation, *inputs) if moved else _bind(equation, *inputs)
        outputs = outputs if equation.primitive.multiple_results else [outputs]
        values |= dict(zip(equation.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _rule(equation: Any) -> Callable[..., Any]:
    name = equation.primitive.name
    if name not in _RULES:
        line = jex.source_info_util.summarize(equation.source_info)  # empty within JAX
        message = (
            f"The primitive `{name}` in the loss{line and f' ({line})'} has no analytic "
            "continuation to complex parameters. Rewrite this part of the loss with other "
            "functions, or choose a flow that stays real, such as `flows.ModifiedFlow`."
        )
        raise ContinuationError(message)
    return _RULES[name]


def _bind(equation: Any, *operands: Any, **changes: Any) -> Any:
    bound = equation.primitive.get_bind_params(equation.params)
    functions, params = bound if isinstance(bound, tuple) else ((), bound)  # a tuple before 0.10
    return equation.primitive.bind(*functions, *operands, **(params | changes))


# --- Dtypes -------------------------------------------------------------------------------------


def _is_complex(value: Any) -> bool:
    return jnp.issubdtype(value.dtype, jnp.complexfloating)


def _is_floating(value: Any) -> bool:
    return jnp.issubdtype(value.dtype, jnp.inexact)


def _real_dtype(dtype: Any) -> Any:
    return jnp.finfo(dtype).dtype if jnp.issubdtype(dtype, jnp.complexfloating) else dtype


def _complex_dtype(dtype: Any) -> Any:
    return jnp.complex128 if dtype in (jnp.float64, jnp.complex128) else jnp.complex64


def _complex(value: Any) -> Any:
    """A floating-point array as a complex one; anything else as it is."""
    if not _is_floating(value) or _is_complex(value):
        return value
    return lax.convert_element_type(value, _complex_dtype(value.dtype))


def _real(value: Any, dtype: Any = None) -> Any:
    """The real part of a complex array; anything else as it is."""
    if not _is_complex(value):
        return value
    return lax.convert_element_type(lax.real(value), dtype or _real_dtype(value.dtype))


def _matched(operands: Sequence[Any]) -> list[Any]:
    """All floating-point operands in the complex dtype of those that are complex."""
    dtype = jnp.result_type(*(value.dtype for value in operands if _is_complex(value)))
    return [
        lax.convert_element_type(value, dtype) if _is_floating(value) else value
        for value in operands
    ]


def _alike(values: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    """The values, complex where the others are."""
    return [
        _complex(value) if _is_complex(other) else value
        for value, other in zip(values, others, strict=True)
    ]


# --- Kinds of rules: each takes an equation and its operands -------------------------------------


def _as_it_is(equation: Any, *operands: Any) -> Any:
    return _bind(equation, *_matched(operands))


def _by_real_part(equation: Any, *operands: Any) -> Any:
    avals = [atom.aval for atom in equation.invars]
    return _bind(
        equation, *(_real(value, aval.dtype) for value, aval in zip(operands, avals, strict=True))
    )


def _by_parts(equation: Any, *operands: Any) -> Any:
    """Linear in all floating-point operands together."""
    operands = tuple(_matched(operands))
    real, imaginary = (
        _bind(equation, *(part(value) if _is_complex(value) else value for value in operands))
        for part in (lax.real, lax.imag)
    )
    return lax.complex(real, imaginary)


def _formula(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of complex arrays."""
    return lambda _, *operands: function(*_matched(operands))


def _rewritten(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same real function in terms of other primitives, which are then continued."""

    def rule(equation: Any, *operands: Any) -> Any:
        return continued(ft.partial(function, **equation.params))(*_matched(operands))

    return rule


# --- Arithmetic: real factors act on both parts, so that inf * (1 + 0i) is not NaN ----------------


def _bilinear(equation: Any, x: Any, y: Any) -> Any:
    changes: dict[str, Any] = {}
    if equation.params.get("preferred_element_type") is not None:
        changes["preferred_element_type"] = _matched([x, y])[0].dtype
    if _is_complex(x) and _is_complex(y):
        return _bind(equation, *_matched([x, y]), **changes)
    if changes:
        changes["preferred_element_type"] = _real_dtype(changes["preferred_element_type"])
    return _per_part(lambda x, y: _bind(equation, x, y, **changes), x, y)


def _per_part(function: Callable[..., Any], x: Any, y: Any) -> Any:
    """A function that is linear in the complex one of its two operands."""
    real = _real_dtype(_matched([x, y])[0].dtype)
    if _is_complex(x):
        y = lax.convert_element_type(y, real)
        return lax.complex(function(lax.real(x), y), function(lax.imag(x), y))
    x = lax.convert_element_type(x, real)
    return lax.complex(function(x, lax.real(y)), function(x, lax.imag(y)))


def _div(equation: Any, x: Any, y: Any) -> Any:
    return _as_it_is(equation, x, y) if _is_complex(y) else _per_part(lax.div, x, y)


def _convert(equation: Any, x: Any) -> Any:
    new = equation.params["new_dtype"]
    if jnp.issubdtype(new, jnp.floating):
        return lax.convert_element_type(x, _complex_dtype(new))
    if jnp.issubdtype(new, jnp.complexfloating):
        message = (
            "The loss turns real numbers into complex ones, where the two imaginary units would be "
            "mixed up. Rewrite it in real arithmetic, or choose a flow that stays real, such as "
            "`flows.ModifiedFlow`."
        )
        raise ContinuationError(message)
    return lax.convert_element_type(lax.real(x), new)


# --- Pieces ---------------------------------------------------------------------------------------


def _sign(z: Any) -> Any:
    sign = lax.sign(lax.real(z))
    return lax.select(sign == 0, lax.sign(lax.imag(z)), sign)


def _abs(z: Any) -> Any:
    return jnp.where(z >= 0, z, -z)  # at 0 the derivative is 1, as in JAX


def _extremum(wins: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """The larger or smaller of two; equals share the derivative, as they do in JAX."""

    def function(x: Any, y: Any) -> Any:
        x, y = jnp.broadcast_arrays(x, y)
        first, second = wins(x, y), wins(y, x)
        total = jnp.where(first, x, 0) + jnp.where(second, y, 0)
        count = first.astype(jnp.int32) + second.astype(jnp.int32)
        return _per_part(lax.div, total, count)  # no winner, NaN

    return function


def _reduce_extremum(equation: Any, z: Any) -> Any:
    """The largest or smallest along some axes; equals share the derivative, as they do in JAX."""
    axes = equation.params["axes"]
    loses = -jnp.inf if equation.primitive.name == "reduce_max" else jnp.inf
    real, imaginary = lax.real(z), lax.imag(z)
    tied = real == jnp.expand_dims(_bind(equation, real), axes)
    imaginary = jnp.where(tied, imaginary, loses)
    wins = tied & (imaginary == jnp.expand_dims(_bind(equation, imaginary), axes))
    return _per_part(lax.div, jnp.sum(jnp.where(wins, z, 0), axes), jnp.sum(wins, axes))


def _rem(equation: Any, x: Any, y: Any) -> Any:
    x, y = _matched([x, y])
    quotient = lax.round((lax.real(x) - _by_real_part(equation, x, y)) / lax.real(y))
    return x - _per_part(lax.mul, lax.stop_gradient(quotient), y)


def _sort(equation: Any, *operands: Any) -> list[Any]:
    """The keys decide, real part first; the numbers themselves are carried along."""
    keys = []
    for key in operands[: equation.params["num_keys"]]:
        keys += [lax.real(key), lax.imag(key)] if _is_complex(key) else [key]
    keys = [lax.stop_gradient(key) for key in keys]
    everything = _bind(equation, *keys, *operands, num_keys=len(keys))
    return list(everything)[len(keys) :]


def _top_k(equation: Any, z: Any) -> list[Any]:
    _, places = _bind(equation, lax.stop_gradient(lax.real(z)))
    return [jnp.take_along_axis(z, places, equation.params.get("axis", -1)), places]


def _pooling_gradient(equation: Any, moving: Any, operand: Any) -> Any:
    """Linear in the first operand; the second one only chooses."""
    bind = ft.partial(_per_part, lambda x, y: _bind(equation, x, y))
    return bind(_complex(moving), lax.stop_gradient(_real(operand)))


# XLA's complex sinh loses the digits of small arguments. cosh is here to be differentiated by it.


@jax.custom_jvp
def _sinh(z: Any) -> Any:
    small = (jnp.expm1(z) - jnp.expm1(-z)) / 2
    return jnp.where(abs(lax.real(z)) < 1, small, lax.sinh(z))


@jax.custom_jvp
def _cosh(z: Any) -> Any:
    return lax.cosh(z)


_sinh.defjvps(lambda tangent, _, z: tangent * _cosh(z))
_cosh.defjvps(lambda tangent, _, z: tangent * _sinh(z))


# --- Real functions in terms of primitives that have a rule ---------------------------------------


def _clamp(low: Any, x: Any, high: Any, **_: Any) -> Any:
    outside = jnp.where(x < low, low, jnp.where(x > high, high, lax.stop_gradient(x)))
    return jnp.where((low < x) & (x < high), x, outside)


def _atan2(y: Any, x: Any, **_: Any) -> Any:
    flat = abs(x) >= abs(y)
    turn = jnp.where(y < 0, -jnp.pi, jnp.pi).astype(x.dtype)
    near = jnp.arctan(y / jnp.where(flat & (x != 0), x, 1)) + jnp.where(x < 0, turn, 0)
    return jnp.where(flat, near, turn / 2 - jnp.arctan(x / jnp.where(flat, 1, y)))


def _cbrt(x: Any, **_: Any) -> Any:
    return jnp.sign(x) * abs(x) ** (1 / 3)


def _cumulative(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, *, axis, reverse: lax.associative_scan(function, x, axis=axis, reverse=reverse)


def _pool(choose: Callable[..., Any], loses: float) -> Callable[..., Any]:
    def function(
        x: Any,
        *,
        window_dimensions: Sequence[int],
        window_strides: Sequence[int],
        padding: Sequence[tuple[int, int]],
        base_dilation: Sequence[int],
        window_dilation: Sequence[int],
    ) -> Any:
        edges = [(*edge, gap - 1) for edge, gap in zip(padding, base_dilation, strict=True)]
        x = lax.pad(x, jnp.asarray(loses, x.dtype), edges)
        reach = [(n - 1) * d for n, d in zip(window_dimensions, window_dilation, strict=True)]
        shifted = [
            lax.slice(
                x,
                [i * d for i, d in zip(offset, window_dilation, strict=True)],
                [
                    n - r + i * d
                    for n, r, i, d in zip(x.shape, reach, offset, window_dilation, strict=True)
                ],
                window_strides,
            )
            for offset in it.product(*map(range, window_dimensions))
        ]
        stacked = jnp.stack(shifted)
        return jnp.take_along_axis(stacked, choose(stacked, axis=0, keepdims=True), axis=0)[0]

    return function


def _cholesky(matrix: Any, **_: Any) -> Any:
    """Column by column; the complex factorisation of XLA conjugates."""
    rows = jnp.arange(matrix.shape[-1])

    def add_column(j: Any, factor: Any) -> Any:
        column = matrix[..., :, j] - jnp.einsum("...ik,...k->...i", factor, factor[..., j, :])
        column = jnp.where(rows < j, 0, column / jnp.sqrt(column[..., j, None]))
        return factor.at[..., :, j].set(column)

    return lax.fori_loop(0, matrix.shape[-1], add_column, jnp.zeros_like(matrix))


# --- Sub-programs ---------------------------------------------------------------------------------


def _call(equation: Any, *operands: Any) -> list[Any]:
    program = equation.params["jaxpr" if "jaxpr" in equation.params else "call_jaxpr"]
    return _run(
        program if hasattr(program, "consts") else jex.core.ClosedJaxpr(program, ()), *operands
    )


def _checkpoint(equation: Any, *operands: Any) -> list[Any]:
    options = {name: equation.params[name] for name in ("policy", "prevent_cse")}
    return jax.checkpoint(ft.partial(_call, equation), **options)(*operands)


def _settled(step: Callable[..., Sequence[Any]], state: Sequence[Any]) -> list[Any]:
    """Make complex whatever `step`, from shapes to shapes, makes complex, until nothing changes."""
    while True:
        wider = _alike(state, step(*state))
        if all(new.dtype == old.dtype for new, old in zip(wider, state, strict=True)):
            return wider
        state = wider


def _scan(equation: Any, *operands: Any) -> list[Any]:
    params = equation.params
    n, k = params["num_consts"], params["num_carry"]
    consts, start, inputs = operands[:n], operands[n : n + k], list(operands[n + k :])

    def step(state: Any, x: Any) -> tuple[list[Any], list[Any]]:
        outputs = _run(params["jaxpr"], *consts, *state, *x)
        return _alike(outputs[:k], state), outputs[k:]

    slices = [jax.ShapeDtypeStruct(x.shape[1:], x.dtype) for x in inputs]
    start = _settled(lambda *state: jax.eval_shape(step, state, slices)[0], start)
    options = {name: params[name] for name in ("length", "reverse", "unroll")}
    state, outputs = lax.scan(step, start, inputs, **options)
    return [*state, *outputs]


def _while(equation: Any, *operands: Any) -> list[Any]:
    params = equation.params
    n, k = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
    test = ft.partial(_run, params["cond_jaxpr"], *operands[:n])
    body = ft.partial(_run, params["body_jaxpr"], *operands[n:k])
    return lax.while_loop(
        lambda state: test(*state)[0],
        lambda state: _alike(body(*state), state),
        _settled(ft.partial(jax.eval_shape, body), operands[k:]),
    )


def _cond(equation: Any, index: Any, *operands: Any) -> list[Any]:
    branches = [ft.partial(_run, branch) for branch in equation.params["branches"]]
    results = [jax.eval_shape(branch, *operands) for branch in branches]
    common = [max(outputs, key=_is_complex) for outputs in zip(*results, strict=True)]
    branches = [lambda *xs, branch=branch: _alike(branch(*xs), common) for branch in branches]
    return lax.switch(index, branches, *operands)


def _linear_solve(equation: Any, *operands: Any) -> list[Any]:
    lengths, programs = equation.params["const_lengths"], equation.params["jaxprs"]
    stops = np.cumsum([0, *lengths])
    parts = [operands[a:b] for a, b in it.pairwise(stops)]
    matvec, vecmat, solve, transpose_solve = (
        program and ft.partial(_run, program, *part)
        for program, part in zip(programs, parts, strict=True)
    )
    del vecmat  # JAX transposes matvec itself
    return lax.custom_linear_solve(
        lambda x: matvec(*x),
        [_complex(value) for value in operands[stops[-1] :]],
        lambda _, b: solve(*b),
        transpose_solve and (lambda _, b: transpose_solve(*b)),
    )


# Functions that bring their own derivative keep it. It is what makes relu's derivative 0 at 0 and
# softplus' finite far away, and a loss may mean something else by it than the derivative.


def _floating_part(equation: Any, operands: Sequence[Any]) -> tuple[list[int], Callable[..., Any]]:
    """The equation as a real function of its floating-point operands, and their positions."""
    moving = [i for i, atom in enumerate(equation.invars) if _is_floating(atom.aval)]

    def function(*values: Any) -> list[Any]:
        replaced = iter(values)
        inputs = [next(replaced) if i in moving else x for i, x in enumerate(operands)]
        return [y for y in _bind(equation, *inputs) if _is_floating(y)]

    return moving, function


def _custom_jvp(equation: Any, *operands: Any) -> list[Any]:
    @jax.custom_jvp
    def function(*xs: Any) -> list[Any]:
        return [_complex(output) for output in _call(equation, *xs)]

    @function.defjvp
    def derivative(xs: Any, tangents: Any) -> tuple[list[Any], list[Any]]:
        def real(xs: Any, tangents: Any) -> list[Any]:
            moving, function = _floating_part(equation, xs)
            return jax.jvp(function, [xs[i] for i in moving], tangents)[1]

        outputs = function(*xs)
        tangents = [t for t, x in zip(tangents, xs, strict=True) if _is_floating(x)]
        moved = iter(continued(real)(xs, tangents))
        zeros = (np.zeros(y.shape, jax.dtypes.float0) for y in outputs)
        return outputs, [
            next(moved) if _is_floating(y) else zero for y, zero in zip(outputs, zeros, strict=True)
        ]

    return function(*operands)


def _custom_vjp(equation: Any, *operands: Any) -> list[Any]:
    def primal(*xs: Any) -> list[Any]:
        return [_complex(output) for output in _call(equation, *xs)]

    def backward(xs: Any, cotangents: Any) -> tuple[Any, ...]:
        def real(xs: Any, cotangents: Any) -> list[Any]:
            moving, function = _floating_part(equation, xs)
            return list(jax.vjp(function, *(xs[i] for i in moving))[1](cotangents))

        moved = iter(continued(real)(xs, [c for c in cotangents if _is_floating(c)]))
        return tuple(
            (_complex if _is_complex(x) else _real)(next(moved)) if _is_floating(x) else None
            for x in xs
        )

    function = jax.custom_vjp(primal)
    function.defvjp(lambda *xs: (primal(*xs), xs), backward)
    return function(*operands)


# --- The table ------------------------------------------------------------------------------------


def _named(names: str, rule: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    return dict.fromkeys(names.split(), rule)


_RULES: dict[str, Callable[..., Any]] = {
    # Analytic, and right in XLA's complex arithmetic.
    **_named("add add_any sub neg square integer_pow pow sqrt rsqrt exp exp2 expm1 log", _as_it_is),
    **_named("log1p sin cos tan asin acos atan tanh asinh acosh atanh logistic", _as_it_is),
    **_named("reduce_prod cumprod eq ne", _as_it_is),
    # Moves numbers around or adds them.
    **_named("broadcast_in_dim reshape squeeze expand_dims transpose rev slice", _as_it_is),
    **_named("split stack unstack tile broadcast_to concatenate pad select_n gather", _as_it_is),
    **_named("dynamic_slice dynamic_update_slice", _as_it_is),
    **_named("reduce_sum cumsum copy copy_p stop_gradient optimization_barrier name", _as_it_is),
    **_named("device_put sharding_constraint reshard pvary psum psum_invariant", _as_it_is),
    **_named("all_gather all_to_all ppermute debug_callback debug_print", _as_it_is),
    # Linear, but written for real numbers.
    **_named("scatter scatter-add scatter-sub reduce_window_sum reduce_precision", _by_parts),
    **_named("select_and_scatter_add select_and_gather_add", _pooling_gradient),
    # Products.
    **_named("mul dot_general conv_general_dilated", _bilinear),
    "div": _div,
    "convert_element_type": _convert,
    # Constant on each piece.
    **_named("floor ceil round argmax argmin lt_to le_to eq_to", _by_real_part),
    "sign": _formula(_sign),
    "lt": _formula(jnp.less),
    "le": _formula(jnp.less_equal),
    "gt": _formula(jnp.greater),
    "ge": _formula(jnp.greater_equal),
    "is_finite": _formula(jnp.isfinite),
    # Analytic on each piece.
    "abs": _formula(_abs),
    "max": _formula(_extremum(jnp.greater_equal)),
    "min": _formula(_extremum(jnp.less_equal)),
    **_named("reduce_max reduce_min", _reduce_extremum),
    "sort": _sort,
    "top_k": _top_k,
    "clamp": _rewritten(_clamp),
    "rem": _rem,
    "cummax": _rewritten(_cumulative(lax.max)),
    "cummin": _rewritten(_cumulative(lax.min)),
    "reduce_window_max": _rewritten(_pool(jnp.argmax, -jnp.inf)),
    "reduce_window_min": _rewritten(_pool(jnp.argmin, jnp.inf)),
    # Analytic, but XLA has no complex form or a poor one.
    "erf": _formula(erf),
    "erfc": _formula(erfc),
    "sinh": _formula(_sinh),
    "cosh": _formula(_cosh),
    "cbrt": _rewritten(_cbrt),
    "atan2": _rewritten(_atan2),
    "cumlogsumexp": _rewritten(_cumulative(jnp.logaddexp)),
    # Linear algebra without conjugation.
    "cholesky": _rewritten(_cholesky),
    **_named("triangular_solve lu", _as_it_is),
    "custom_linear_solve": _linear_solve,
    # Sub-programs.
    **_named("jit pjit closed_call core_call call composite", _call),
    **_named("remat2 checkpoint remat", _checkpoint),
    "scan": _scan,
    "while": _while,
    "cond": _cond,
    **_named("custom_jvp_call", _custom_jvp),
    **_named("custom_vjp_call custom_vjp_call_jaxpr", _custom_vjp),
}
