r"""Analytic continuation of a loss: its value, and every derivative, at complex parameters.

Calling a real loss with complex numbers is not enough: ``jnp.var``, ``jnp.linalg.norm`` and ``abs``
conjugate, ``erf`` has no complex form, and strict promotion of dtypes refuses the mixture. So the
loss is traced on *real* parameters, and the program found is evaluated in complex arithmetic, one
primitive at a time; `_table` holds what each becomes.

Analytic primitives stay what they are. Those that are analytic in pieces (``max``, ``abs``, ``<``,
``sort``) take the piece of the real part, a tie being broken by the imaginary part: this is a total
order of the complex numbers, so that all of them decide alike. Sub-programs are entered, and the
derivative rules that functions carry with them are continued too, so that on real input nothing but
the dtype changes.

Arrows run one way: `_dtypes` < `_pairs` < `_evaluate` < `_continued` < `_kinds` < the rules <
`_table`. Rules evaluate sub-programs, for which the rules are needed again; so the table is handed
over here.

>>> import jax.numpy as jnp
>>> bool(jnp.isclose(continued(jnp.linalg.norm)(jnp.array([3.0, 2j])), 5**0.5))
True
"""

from .._errors import ContinuationError as ContinuationError
from ._continued import continued as continued
from ._evaluate import COMPLEX_RULES as _COMPLEX_RULES
from ._evaluate import RULES as _RULES
from ._only_real import refusals_named as refusals_named
from ._refusal import line_of as line_of
from ._sub_programs import scan_counts as scan_counts
from ._table import COMPLEX_TABLE as _COMPLEX_TABLE
from ._table import TABLE as _TABLE

_RULES.update(_TABLE)
_COMPLEX_RULES.update(_COMPLEX_TABLE)
