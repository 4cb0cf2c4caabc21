"""What each primitive becomes.

>>> "sort" in TABLE, "eigh" in TABLE
(True, False)
"""

import jax.numpy as jnp
from jax import lax

from . import _complex_steps as steps
from . import _pieces as pieces
from ._arithmetic import bilinear, convert, divide
from ._custom_derivatives import custom_jvp, custom_vjp
from ._elementary import atan2, cbrt, cosh, sinh
from ._erf import erf, erfc
from ._evaluate import Rule
from ._gamma import digamma, lgamma
from ._kinds import as_it_is, by_parts, by_real_part, formula, rewritten
from ._linear_algebra import cholesky, linear_solve, triangular_solve
from ._lineax import linear_solve_of_lineax
from ._only_real import only_real
from ._scatter import scatter_extremum, scatter_product
from ._sub_programs import call, checkpoint, cond, scan, while_loop
from ._windows import cumulative, pool, pooling_gradient


def _named(names: str, rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


TABLE: dict[str, Rule] = {
    # Analytic, and right in XLA's complex arithmetic.
    **_named("add add_any sub neg square integer_pow pow sqrt rsqrt exp exp2 expm1 log", as_it_is),
    **_named("log1p sin cos tan asin acos atan tanh asinh acosh atanh logistic", as_it_is),
    **_named("reduce_prod cumprod eq ne", as_it_is),
    # Moves numbers around or adds them.
    **_named("broadcast_in_dim reshape squeeze expand_dims transpose rev slice", as_it_is),
    **_named("split stack unstack tile broadcast_to concatenate pad select_n gather", as_it_is),
    **_named("dynamic_slice dynamic_update_slice", as_it_is),
    **_named("reduce_sum cumsum copy copy_p stop_gradient optimization_barrier name", as_it_is),
    **_named("device_put sharding_constraint reshard pvary psum psum_invariant", as_it_is),
    **_named("all_gather all_to_all ppermute debug_callback debug_print", as_it_is),
    # Linear, but written for real numbers.
    **_named("scatter scatter-add scatter-sub reduce_window_sum reduce_precision", by_parts),
    **_named("select_and_scatter_add select_and_gather_add", pooling_gradient),
    # Products.
    **_named("mul dot_general conv_general_dilated", bilinear),
    "div": divide,
    "scatter-mul": scatter_product,
    "convert_element_type": convert,
    # Constant on each piece.
    **_named("floor ceil round argmax argmin lt_to le_to eq_to", by_real_part),
    "sign": formula(pieces.sign),
    "lt": formula(jnp.less),
    "le": formula(jnp.less_equal),
    "gt": formula(jnp.greater),
    "ge": formula(jnp.greater_equal),
    "is_finite": formula(jnp.isfinite),
    # Analytic on each piece.
    "abs": formula(pieces.absolute),
    "max": formula(pieces.extremum(jnp.greater_equal)),
    "min": formula(pieces.extremum(jnp.less_equal)),
    **_named("reduce_max reduce_min", pieces.reduce_extremum),
    **_named("scatter-max scatter-min", scatter_extremum),
    "sort": pieces.sort,
    "top_k": pieces.top_k,
    "clamp": rewritten(pieces.clamp),
    "rem": pieces.remainder,
    "cummax": rewritten(cumulative(lax.max)),
    "cummin": rewritten(cumulative(lax.min)),
    "reduce_window_max": rewritten(pool(jnp.argmax, -jnp.inf)),
    "reduce_window_min": rewritten(pool(jnp.argmin, jnp.inf)),
    # Analytic, but XLA has no complex form or a poor one.
    "erf": formula(erf),
    "erfc": formula(erfc),
    "sinh": formula(sinh),
    "cosh": formula(cosh),
    "cbrt": rewritten(cbrt),
    "atan2": rewritten(atan2),
    "cumlogsumexp": rewritten(cumulative(jnp.logaddexp)),
    "lgamma": formula(lgamma),
    "digamma": formula(digamma),
    # Linear algebra without conjugation.
    "cholesky": rewritten(cholesky),
    "triangular_solve": triangular_solve,
    "lu": as_it_is,
    "custom_linear_solve": linear_solve,
    # Sub-programs.
    **_named("jit pjit closed_call core_call call composite", call),
    **_named("remat2 checkpoint remat", checkpoint),
    "scan": scan,
    "while": while_loop,
    "cond": cond,
    **_named("custom_jvp_call", custom_jvp),
    **_named("custom_vjp_call custom_vjp_call_jaxpr", custom_vjp),
    # Equinox and Lineax.
    "nontraceable": as_it_is,
    "linear_solve": linear_solve_of_lineax,
    # Also what the loops of Equinox are made of. They stop by norms, whose continuation may vanish
    # where the numbers do not: so diffrax and optimistix are right at real points alone.
    "else": only_real,
}

# Of equations in which the loss itself has complex numbers.
COMPLEX_TABLE: dict[str, Rule] = {
    **{
        name: steps.holomorphic
        for name, rule in TABLE.items()
        if rule in (as_it_is, by_parts, bilinear, divide)
    },
    **_named("sinh cosh scatter-mul", steps.holomorphic),
    **_named("sqrt rsqrt pow", steps.by_sheet(steps.ratio)),
    "log": steps.by_sheet(steps.ratio_of_logarithms),
    "log1p": steps.by_sheet(steps.ratio_from_one),
    "fft": steps.fourier,
    "convert_element_type": steps.convert,
    "complex": steps.from_parts,
    "conj": steps.conjugate,
    "real": lambda _, pair: pair.real_part(),
    "imag": lambda _, pair: pair.imaginary_part(),
    "abs": steps.absolute,
    "sign": steps.sign,
    "eq": steps.equal,
    "ne": steps.unequal,
    **_named("jit pjit closed_call core_call call composite", call),
    **_named("remat2 checkpoint remat", checkpoint),
    "scan": scan,
    "while": while_loop,
    "cond": cond,
}
for _name in ("lu", "nontraceable", "reduce_precision"):
    del COMPLEX_TABLE[_name]  # the mirror may be pivoted otherwise; the others take real numbers
