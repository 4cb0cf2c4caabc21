r"""The cubic term of the principal flow, matrix-free: by a quadrature that separates the triples.

With ``M = I - hH`` and ``w(t) = (M^{it - 1/2} - I) H^{-1} g``, analytic in ``H``,

.. math:: \dot\theta = \alpha(hH)\, g - \tfrac12 \int K(t)\, M^{-1/2 - it}\, T[w(t), w(t)]\, dt,
          \qquad K(t) = \frac{\pi}{2} \operatorname{sech}^2(\pi t)

The integral diverges for two directions beyond ``h lambda = 1`` together, whose logarithms add up
to ``2 pi i``. So ``w`` is split there, and those few pairs are summed in closed form.

All ``w(t)`` lie in the Krylov space of the gradient, and nearly in a handful of its directions. So
third derivatives are taken along pairs of these, however many nodes there are.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np

from ..._custom_types import Array, Flag, Integer, Params, Scalar
from ..._vectors import add, norm, scaled
from ..eigen import left_singular
from ..hessian import Matvec
from ._base import Third
from .cubic_kernel import Spectrum, cubic_kernel, pair_kernel, resonance
from .hessian_function import HessianFunction, Image
from .krylov_space import KrylovSpace, ritz
from .logistic_rule import logistic_rule
from .rounded_alpha import rounded_alpha
from .shared_functions import SharedFunctions, Sums

# (e^x - 1) / x by its series, for |x| < 1/2.
_SERIES = 1 / np.cumprod(np.arange(1.0, 16.0))

# Distances from 1, to the left and to the right.
_NEARER = np.outer([-1.0, 1.0], 0.5 ** np.arange(1, 13)).ravel()


class Sum(NamedTuple):
    """Terms added up: their vector, products, error, nearest pole, and longest ``T[v, w]``."""

    total: Params
    matvecs: Integer
    error: Scalar
    distance: Scalar
    longest: Scalar

    def plus(self, value: Params, error: Scalar, matvecs: Integer, distance: Scalar) -> "Sum":
        """With one term more."""
        nearest = jnp.minimum(self.distance, distance)
        total = add(self.total, value)
        return Sum(total, self.matvecs + matvecs, self.error + error, nearest, self.longest)


class CubicTerm(eqx.Module):
    """Adds up all terms with one third derivative.

    Attributes:
        at: The Ritz values of the gradient's Krylov space, on a branch without a cut in reach.
        own: The same on the branch in use, for the pairs beyond 1: the real branch's field is the
            real part of the continued one's at a real point, except that it has no poles.
        components: ``b_j``, of the gradient along the Ritz vectors.
        beyond: Which of them lie beyond 1.
        vectors: The eigenvectors of ``T``.
        space: The Krylov space of the gradient.
        nodes: How many nodes the quadrature has.
        directions: The most directions that third derivatives are taken along.
    """

    at: Spectrum
    own: Spectrum
    components: Array
    beyond: Array
    vectors: Array
    space: KrylovSpace
    nodes: int = eqx.field(static=True)
    directions: int = eqx.field(static=True)

    def __init__(self, branch: str, space: KrylovSpace, nodes: int, directions: int):
        z, self.vectors, first = ritz(space.projected, space.count)
        self.components = space.length.astype(first.dtype) * first
        self.at = Spectrum(rounded_alpha("continued" if branch == "real" else branch), z)
        self.own = Spectrum(rounded_alpha(branch), z)
        noise = 64 * float(jnp.finfo(z.dtype).eps) * space.length
        self.beyond = (z.real > 1) & (jnp.abs(self.components) > noise)
        self.space, self.nodes = space, nodes
        self.directions = min(directions, z.size)

    def sum(
        self, matvec: Matvec, third: Third, num_matvecs: int, rtol: Scalar, size: Scalar
    ) -> Sum:
        """The whole term.

        Arguments:
            matvec: ``A = h H``.
            third: ``h^2 D^3E[v, w]``.
            num_matvecs: The most products for the function of ``A`` of one pair of directions.
            rtol: The relative error to stop at.
            size: ``|alpha(A) b|``, which poles are measured against.
        """
        basis, left_out = self._directions()
        kernel = _PairKernel(self, basis)
        # In the order of what a pair may contribute, and without those that are negligible.
        second, first = map(jnp.asarray, np.tril_indices(self.directions))
        values = self._samples(kernel, first, second)
        bounds = jnp.max(jnp.abs(values), axis=1)
        order = jnp.argsort(-bounds)
        first, second, values, bounds = (x[order] for x in (first, second, values, bounds))
        tail = jnp.sqrt(jnp.cumsum(bounds[::-1] ** 2))[::-1]
        kept = tail > rtol * bounds[0]
        skipped = jnp.max(jnp.where(kept, 0, tail))
        # Next to a pole a function is like no other, and has a space of its own.
        alone = kept & jax.vmap(kernel.has_poles)(first, second)
        values = jnp.where((kept & ~alone)[:, None], values, 0)
        if not jnp.iscomplexobj(self.at.z):
            values = jnp.concatenate([values.real, values.imag], axis=1)
        shared = SharedFunctions(values, self.nodes, rtol / 10 * bounds[0])
        apply = HessianFunction(matvec, num_matvecs, rtol)
        directions = jax.lax.map(self.space.basis.combine, (self.vectors @ basis).T)

        def pair(p: Integer, so_far: tuple[Sum, Sums]) -> tuple[Sum, Sums]:
            a, b = first[p], second[p]
            along = third(*(jtu.tree_map(lambda rows, n=n: rows[n], directions) for n in (a, b)))

            def by_itself(total: Sum, sums: Sums) -> tuple[Sum, Sums]:
                image = apply(along, lambda z: kernel(z, a, b), norm(total.total))
                distance = kernel.distance(image, a, b, size)
                return total.plus(image.value, image.error, image.matvecs, distance), sums

            def together(total: Sum, sums: Sums) -> tuple[Sum, Sums]:
                return total, shared.with_vector(sums, p, along)

            total, sums = jax.lax.cond(alone[p], by_itself, together, *so_far)
            return total._replace(longest=jnp.maximum(total.longest, norm(along))), sums

        def function(r: Integer, total: Sum, sums: Sums) -> Sum:
            weights = jnp.conj(shared.mixing[:, r])

            def phi(z: Array) -> Array:
                every = jax.vmap(lambda a, b: kernel(z, a, b))(first, second)
                return weights.astype(every.dtype) @ every

            image = apply(shared.vector(sums, r), phi, norm(total.total))
            return total.plus(image.value, image.error, image.matvecs, total.distance)

        like = jtu.tree_map(lambda rows: rows[0], self.space.basis.blocks[0])
        none = jnp.zeros_like(self.space.length)
        zero = jtu.tree_map(lambda leaf: jnp.zeros(leaf.shape, self.own.alpha.dtype), like)
        nothing = Sum(zero, jnp.zeros((), int), none, jnp.full_like(none, jnp.inf), none)
        total, sums = jax.lax.fori_loop(0, jnp.sum(kept), pair, (nothing, shared.nothing(like)))
        total = jax.lax.fori_loop(
            0, shared.number, lambda r, total: function(r, total, sums), total
        )
        error = total.error + (skipped + shared.rest) * total.longest
        error += (left_out + self._rule_error()) * norm(total.total)
        return total._replace(total=scaled(-0.5, total.total), error=error / 2)

    def _samples(self, kernel: "_PairKernel", first: Array, second: Array) -> Array:
        """The functions of all pairs over the spectrum, shape ``(pairs, points)``.

        At the Ritz values, between them, a bit beyond, and ever closer to the singularity at 1,
        if that is within. Times ``|mu|^{1/2}``, without which the last ones would be all that
        counts.
        """
        z = self.at.z[jnp.argsort(self.at.z.real)]
        width = z[-1] - z[0]
        ends = jnp.stack([z[0] - width / 20, z[-1] + width / 20])
        near = jnp.asarray(1 + _NEARER, z.dtype)
        within = (z[0].real < near.real) & (near.real < z[-1].real)
        near = jnp.where(within, near, z[0])
        points = jnp.concatenate([z, (z[1:] + z[:-1]) / 2, ends, near])
        values = jax.vmap(lambda a, b: kernel(points, a, b))(first, second)
        return values * jnp.minimum(jnp.abs(1 - points), 1)[None].astype(values.dtype) ** 0.5

    def rule(self) -> tuple[Array, Array]:
        """The exponents ``y = it - 1/2`` at the nodes, and the weights."""
        t, weights = (
            jnp.asarray(x, jnp.finfo(self.at.z.dtype).dtype) for x in logistic_rule(self.nodes)
        )
        return jax.lax.complex(jnp.full_like(t, -0.5), t), weights

    def _directions(self) -> tuple[Array, Scalar]:
        """Directions that ``w(t)`` lies in, as columns, and the share of it that does not.

        First each Ritz vector beyond 1, then the leading singular vectors of the rest.
        """
        y, weights = self.rule()
        rest = jnp.where(self.beyond[None], 0, differences(self.at, y))
        scale = jnp.outer(jnp.sqrt(weights).astype(y.dtype), self.components.astype(y.dtype))
        rest = (rest * scale).T
        if not jnp.iscomplexobj(self.at.z):
            rest = jnp.concatenate([rest.real, rest.imag], axis=1)
        leading, values = left_singular(rest)
        # Those of no singular value are any that are left, also along the vectors beyond.
        leading = jnp.where(self.beyond[:, None], 0, leading)
        number, slots = jnp.sum(self.beyond), jnp.arange(self.directions)
        of_rest = leading[:, jnp.maximum(slots - number, 0)]
        of_beyond = jnp.eye(self.beyond.size, dtype=leading.dtype)[:, self.order]
        basis = jnp.where((slots < number)[None], of_beyond, of_rest)
        dropped = jnp.where(jnp.arange(values.size) + number >= self.directions, values, 0)
        whole = jnp.linalg.norm(values)
        share = jnp.linalg.norm(dropped) / jnp.where(whole > 0, whole, 1)
        return basis, jnp.where(number > self.directions, jnp.inf, share)

    @property
    def order(self) -> Array:
        """The Ritz vectors beyond 1 first, as many as there are directions."""
        return jnp.argsort(~self.beyond)[: self.directions]

    def _rule_error(self) -> Scalar:
        """How far the rule is from the kernel, on the Ritz values, relative to the kernel."""
        at, (y, weights) = self.at, self.rule()
        exact = jax.vmap(lambda a, mu: cubic_kernel(at, a, mu))(at.logarithm, at.multiplier)
        powers, w = powers_of(at, y) * weights.astype(y.dtype)[:, None], differences(at, y)
        found = jnp.einsum("ni,nj,nk->ijk", powers, w, w, precision="highest")
        share = jnp.abs(jnp.outer(self.components, self.components))
        share = jnp.where(jnp.outer(self.beyond, self.beyond), 0, share)[None]
        error, size = (
            jnp.max(jnp.sum(share * jnp.abs(x), axis=(1, 2))) for x in (found - exact, exact)
        )
        return error / jnp.where(size > 0, size, 1)


class _PairKernel:
    """What multiplies the third derivative along two of the directions: a function of ``A``."""

    def __init__(self, term: CubicTerm, basis: Array):
        self.term = term
        self.y, weights = term.rule()
        w = differences(term.at, self.y) * term.components[None].astype(self.y.dtype)
        inwards = jnp.conj(basis).astype(w.dtype)
        within = jnp.where(term.beyond[None], 0, w) @ inwards
        both = jnp.where(term.beyond[None], 2 * w, w) @ inwards
        self.within, self.both = within * weights.astype(w.dtype)[:, None], both
        self.order, self.number = term.order, jnp.sum(term.beyond)

    def __call__(self, z: Array, a: Integer, b: Integer) -> Array:
        """At some eigenvalues, for the directions `a` and `b` and for `b` and `a`."""
        at, own = self.term.at, self.term.own
        one, other = self.within[:, a] * self.both[:, b], self.within[:, b] * self.both[:, a]
        coefficients = jnp.where(a == b, one, one + other)
        value = coefficients @ powers_of(Spectrum(at.function, z), self.y)
        if not jnp.iscomplexobj(own.alpha):
            value = value.real
        j, k, product = self._pair(a, b)
        closed = pair_kernel(Spectrum(own.function, z), j, k) * product.astype(value.dtype)
        return value + jnp.where(self._beyond(a, b), closed, 0)

    def distance(self, image: Image, a: Integer, b: Integer, size: Scalar) -> Scalar:
        """To the poles of this pair, over what stands over them."""
        at = Spectrum(self.term.own.function, image.eigenvalues)
        j, k, product = self._pair(a, b)
        gap = jnp.abs(j.multiplier * k.multiplier - at.multiplier)
        weight = jnp.abs(product * image.components / (j.z * k.z))
        nearest = resonance(j.logarithm + k.logarithm - at.logarithm, gap, weight, size)
        return jnp.where(self._beyond(a, b), nearest, jnp.inf)

    def has_poles(self, a: Integer, b: Integer) -> Flag:
        """Whether the closed form of this pair has poles: no real logarithm differs by a turn."""
        if not jnp.iscomplexobj(self.term.own.alpha):
            return jnp.asarray(False)
        return self._beyond(a, b)

    def _beyond(self, a: Integer, b: Integer) -> Flag:
        return (a < self.number) & (b < self.number)

    def _pair(self, a: Integer, b: Integer) -> tuple[Spectrum, Spectrum, Scalar]:
        """The eigenvalues of two directions beyond 1, and the product of their components."""
        i, j = self.order[a], self.order[b]
        one, other = (jtu.tree_map(lambda x, n=n: x[n], self.term.own) for n in (i, j))
        product = self.term.components[i] * self.term.components[j]
        return one, other, product * jnp.where(a == b, 1, 2)


def powers_of(at: Spectrum, y: Array) -> Array:
    """``mu^{-1/2 - it}``, shape ``(nodes, n)``."""
    return jnp.exp(-(1 + y)[:, None] * at.logarithm.astype(y.dtype)[None])


def differences(at: Spectrum, y: Array) -> Array:
    """``(mu^y - 1) / z``, regular at ``z = 0``, shape ``(nodes, n)``."""
    x = y[:, None] * at.logarithm.astype(y.dtype)[None]
    small = jnp.abs(x) < 0.5
    near, far = jnp.where(small, x, 0), jnp.where(small, 1, x)
    series = jnp.zeros_like(near)
    for coefficient in _SERIES[::-1].tolist():
        series = series * near + coefficient
    mean = jnp.where(small, series, (jnp.exp(far) - 1) / far)
    return at.alpha.astype(y.dtype)[None] * y[:, None] * mean
