r"""The logarithm of a general matrix, over its distance from the identity.

.. math:: \frac{\log M}{M - I} = 2^k\, \frac{\log(I + Y)}{Y} \prod_{j=1}^{k} (M^{1/2^j} + I)^{-1},
          \qquad Y = M^{1/2^k} - I, \qquad \frac{\log(I + Y)}{Y} = \int_0^1 (I + sY)^{-1}\, ds

Square roots of the Schur form, and not eigenvectors: those of a general matrix may be missing
(momentum at critical damping) or nearly parallel. Nothing is divided by ``M - I``, which is
singular wherever there is a conserved or a flat direction.
"""

import functools as ft

import jax
import jax.numpy as jnp
import jax.scipy.linalg
import numpy as np

from ..._custom_types import Array
from .rounded_alpha import ROUNDING

# After five roots an eigenvalue of 1e-16 is 0.3, and one of 1e16 is 3; the pole of the integrand is
# then so far off that twelve nodes give all digits. Each root costs one bit of rounding.
_ROOTS = 5
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)
_NODES, _WEIGHTS = (1 + _NODES) / 2, _WEIGHTS / 2

# By how much the matrix is turned, so that the cut of the principal square root, which is where
# the turned eigenvalue is negative, lies where the branch has its own. The principal branch's lies
# on the negative axis, where rounding puts eigenvalues on either side: so just below the axis.
_TURNS = {"principal": 1e-6, "continued": np.pi / 2}


@ft.partial(jax.custom_jvp, nondiff_argnums=(0,))
def logarithm_ratio(branch: str, M: Array) -> Array:
    r"""``log(M) (M - I)^{-1}``, complex, not a number where ``M`` is singular.

    Forward derivatives of any order, by the function of a block triangular matrix; none in reverse.

    Arguments:
        branch: ``"principal"``: arguments in ``(-pi, pi]``; ``"continued"``: in
            ``(-pi/2, 3 pi/2]``; ``"real"``: ``log(M^2) / 2``, of the two-step map, real where no
            eigenvalue of a real ``M`` is imaginary.
        M: Any square matrix, shape ``(n, n)``.

    References:
        N. J. Higham, Functions of Matrices (2008), chapters 6 and 11. The derivative: R. Mathias,
        A chain rule for matrix functions and applications (1996).
    """
    if not jnp.iscomplexobj(M):
        M = jax.lax.complex(M, jnp.zeros_like(M))
    if branch == "real":
        identity = jnp.eye(len(M), dtype=M.dtype)
        return _ratio(_TURNS["principal"], M @ M) @ (M + identity) / 2
    return _ratio(_TURNS[branch], M)


@logarithm_ratio.defjvp
def _logarithm_ratio_jvp(branch, primals, tangents):
    (M,), (dM,) = primals, tangents
    n = len(M)
    both = logarithm_ratio(branch, jnp.block([[M, dM], [jnp.zeros_like(M), M]]))
    return both[:n, :n], both[:n, n:]


def _ratio(turn: float, M: Array) -> Array:
    identity = jnp.eye(len(M), dtype=M.dtype)
    back = jnp.asarray(np.exp(0.5j * turn), M.dtype)
    first, eigenvalues = _root(M / back**2)
    sizes = jnp.abs(eigenvalues)
    singular = jnp.min(sizes) <= ROUNDING * float(jnp.finfo(M.dtype).eps) * jnp.max(sizes)

    def another(carry: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
        root, product = carry
        root, _ = _root(root)
        return (root, product @ (root + identity)), None

    start = (back * first, back * first + identity)
    (root, product), _ = jax.lax.scan(another, start, length=_ROOTS - 1)
    mean = jnp.zeros_like(M)
    for s, weight in zip(_NODES.tolist(), _WEIGHTS.tolist(), strict=True):
        mean += weight * jnp.linalg.inv(identity + s * (root - identity))
    ratio = 2**_ROOTS * jnp.linalg.solve(product, mean)
    return jnp.where(singular, jnp.nan, ratio)


@jax.custom_batching.sequential_vmap
def _root(M: Array) -> tuple[Array, Array]:
    """The principal square root of a complex matrix, and the eigenvalues of the matrix."""
    root = jax.scipy.linalg.sqrtm(M)
    return root, jnp.linalg.eigvals(M)
