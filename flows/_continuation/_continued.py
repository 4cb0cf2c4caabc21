"""From a function of real arrays to a function of complex ones.

>>> import jax.numpy as jnp
>>> complex(continued(lambda x: x @ x)(jnp.array([3.0, 2j])))
(5+0j)
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.tree_util as jtu

from .._custom_types import PyTree
from ._dtypes import real_dtype, to_complex
from ._evaluate import evaluate
from ._pairs import Pair


def continued(function: Callable[..., PyTree[Any]]) -> Callable[..., PyTree[Any]]:
    r"""Continue a function of real arrays analytically to complex ones.

    .. math::
        F(x + i y) = \sum_k \frac{(i y)^k}{k!}\, f^{(k)}(x)

    wherever the series converges within one analytic piece of ``f``. ``F`` is holomorphic: use
    ``jax.grad(F, holomorphic=True)``. Under ``jit`` it costs about four times what ``f`` costs. Not
    continued, because they are not analytic or have no complex form in JAX: ``eigh``, ``svd``,
    ``qr``, ``igamma``, ``igammac``, ``polygamma``, Bessel functions, ``erf_inv``, least squares of
    lineax, implicit solvers of diffrax, callbacks, and linear algebra that is itself complex. At
    real points most of these are right; at others they are refused when one is met.

    Arguments:
        function: ``f``, from pytrees of arrays to a pytree of arrays. Written for real arrays; is
            only ever called with tracers of real arrays.

    Returns:
        ``F``, from pytrees of the same structure. Complex leaves are continued; real leaves,
        integers and random keys are passed as they are. Floating-point results are complex, of the
        precision of ``f``'s results (complex64 for what is computed in 16 bits). Results that are
        themselves complex are continued as the sum of their parts. On real input, given in a
        complex dtype, equal to ``f`` to rounding.

    Raises:
        ContinuationError: When ``F`` is called, if ``f`` uses something that cannot be continued,
            at a concrete complex point or in complex numbers of its own.
        EquinoxRuntimeError: Under ``jit``, with the same message, once there is a complex point.

    Example:
        The variance continues to ``mean((z - mean(z))^2)``, here of ``0`` and ``2i``.

        >>> import jax.numpy as jnp
        >>> bool(jnp.isclose(continued(jnp.var)(jnp.array([0, 2j])), -1))
        True
    """

    def continuation(*args: PyTree[Any]) -> PyTree[Any]:
        leaves, structure = jtu.tree_flatten(args)
        leaves = [leaf if hasattr(leaf, "dtype") else jnp.asarray(leaf) for leaf in leaves]
        shapes = [jax.ShapeDtypeStruct(leaf.shape, real_dtype(leaf.dtype)) for leaf in leaves]
        program, results = jax.make_jaxpr(function, return_shape=True)(
            *jtu.tree_unflatten(structure, shapes)
        )
        outputs = [_number(output) for output in evaluate(program, *leaves)]
        return jtu.tree_unflatten(jtu.tree_structure(results), outputs)

    return continuation


def _number(output: Any) -> Any:
    return output.number if isinstance(output, Pair) else to_complex(output)
