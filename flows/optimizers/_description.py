"""What an optimizer is, as flows see it: a filter of gradients, a metric, a decay."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.tree_util as jtu
import numpy as np

from .._checks import is_traced
from .._custom_types import Array, Float, Params, PyTree, Scalar
from .._errors import InvalidOptionError
from .._vectors import real_dtype


class AbstractMetric(eqx.Module):
    """The diagonal ``M`` by which an optimizer divides, and the averages ``nu`` that it follows."""

    @abc.abstractmethod
    def start(self, squares: Params) -> PyTree[Any]:
        """``nu`` after its first update, from the squared gradient of every parameter."""

    @abc.abstractmethod
    def rate(self, nu: PyTree[Any], squares: Params) -> PyTree[Any]:
        """How much ``nu`` changes in a step, linear in the mean squared gradient."""

    @abc.abstractmethod
    def diagonal(self, nu: PyTree[Any], like: Params) -> Params:
        """``M``, a tree like the parameters."""


class IdentityMetric(AbstractMetric):
    r"""``M = 1``: squared gradients do not count.

    .. math:: \theta_{n+1} = \theta_n - \sum_k c_k\, g_{n-k}

    Example:
        >>> import jax.numpy as jnp
        >>> import flows
        >>> flows.IdentityMetric().diagonal(None, jnp.array([3.0, 5.0])).tolist()
        [1.0, 1.0]

    References:
        That of gradient descent: A.-L. Cauchy, Comptes rendus 25 (1847), 536-538.
    """

    def start(self, squares: Params) -> None:
        """None."""
        del squares

    def rate(self, nu: None, squares: Params) -> None:
        """None."""
        del nu, squares

    def diagonal(self, nu: None, like: Params) -> Params:
        """Ones."""
        del nu
        return jtu.tree_map(jnp.ones_like, like)


class SquaresMetric(AbstractMetric):
    r"""``M = sqrt(nu) + eps``, with ``nu`` a moving average of squared gradients.

    .. math:: \nu_{n+1} = \beta \nu_n + (1 - \beta)\, s_n, \qquad \nu_0 = 0

    Attributes:
        decay: ``beta``.
        eps: Beside the root, in units of the gradient.
        one: Whether there is one average for all parameters, of the squared norm of the gradient.

    Example:
        The average after a first gradient of 2, and its root.

        >>> import jax.numpy as jnp
        >>> import flows
        >>> metric = flows.SquaresMetric(decay=jnp.array(0.75), eps=jnp.array(0.0))
        >>> nu = metric.start(jnp.array([4.0]))
        >>> nu.tolist(), metric.diagonal(nu, nu).tolist()
        ([1.0], [1.0])

    References:
        T. Tieleman, G. Hinton, Lecture 6.5: RMSProp, Neural Networks for Machine Learning (2012).
    """

    decay: Scalar
    eps: Scalar
    one: bool = eqx.field(static=True, default=False)

    def averaged(self, squares: Params) -> PyTree[Any]:
        """What ``nu`` is the average of: the squares, or their sum."""
        if not self.one:
            return squares
        first, *rest = [jnp.sum(leaf) for leaf in jtu.tree_leaves(squares)]
        return sum(rest, start=first)

    def start(self, squares: Params) -> PyTree[Any]:
        """``(1 - beta) s``."""
        weight = 1 - self.decay
        return jtu.tree_map(lambda s: weight.astype(s.dtype) * s, self.averaged(squares))

    def next(self, nu: PyTree[Any], squares: Params) -> PyTree[Any]:
        """``beta nu + (1 - beta) s``."""

        def mean(nu: Array, square: Array) -> Array:
            beta = self.decay.astype(square.dtype)
            return beta * nu + (1 - beta) * square

        return jtu.tree_map(mean, nu, self.averaged(squares))

    def rate(self, nu: PyTree[Any], squares: Params) -> PyTree[Any]:
        """``(1 - beta) / beta (s - nu)``, as the step itself uses the average after its update."""
        rate = (1 - self.decay) / self.decay
        averaged = self.averaged(squares)
        return jtu.tree_map(lambda n, s: rate.astype(s.dtype) * (s - n), nu, averaged)

    def diagonal(self, nu: PyTree[Any], like: Params) -> Params:
        """``sqrt(nu) + eps``."""
        dtype = real_dtype(like)
        eps = self.eps.astype(dtype)
        if self.one:
            value = jnp.sqrt(nu) + eps
            return jtu.tree_map(lambda leaf: jnp.full_like(leaf, value), like)
        return jtu.tree_map(lambda n: jnp.sqrt(n) + eps, nu)


class Description(eqx.Module):
    r"""A step of an optimizer, as flows see it: a filter of gradients, a metric, a decay.

    .. math:: \theta_{n+1} = (1 - d)\, \theta_n - M(\nu_{n+1})^{-1} \sum_{k \ge 0} c_k\, g_{n-k},
              \qquad K(z) = \sum_k c_k z^{-k} = \sum_i \frac{a_i}{1 - b_i z^{-1}}

    with learning rate, schedule and corrections inside. Gradients that change slowly meet the gain
    ``K(1)``; those that change sign with every step, at the edge of stability, ``K(-1)``: on a
    quadratic with a constant metric steps are stable while the eigenvalues of ``M^{-1} H`` are
    below ``(2 - d) / K(-1)``, if the poles are from 0 to 1 and the weights positive.

    Attributes:
        weights: ``a_i``, shape ``(k,)``, in units of flow time.
        poles: ``b_i``, shape ``(k,)``: 0 for a gradient that is used once. A NumPy array, where
            flows shall know under any transformation that there is no memory.
        metric: What the filtered gradient is divided by.
        decay: ``d``, the part of the parameters that a step takes away, decoupled from gradients.
        coupled_decay: What is added to the gradient, in units of it per parameter.

    Example:
        Momentum 0.9 makes a step ten times as long, and lifts the edge from 20 to 38.

        >>> import jax.numpy as jnp
        >>> import flows
        >>> heavy_ball = flows.Description(weights=jnp.array([0.1]), poles=jnp.array([0.9]))
        >>> print(f"{heavy_ball.gain(1):.2f} {heavy_ball.edge:.2f} {heavy_ball.mean_age:.2f}")
        1.00 38.00 9.00

    References:
        B. T. Polyak, USSR Computational Mathematics and Mathematical Physics 4 (1964), 1-17, for
        the threshold of the heavy ball; that of a filter follows from its characteristic
        polynomial at ``z = -1``.
    """

    weights: Float[Array, " k"] = eqx.field(converter=jnp.asarray)
    poles: Float[Array | np.ndarray, " k"] = eqx.field(
        converter=lambda poles: poles if isinstance(poles, jax.Array) else np.asarray(poles, float)
    )
    metric: AbstractMetric = IdentityMetric()
    decay: Scalar | float = 0.0
    coupled_decay: Scalar | float = 0.0

    def __check_init__(self):
        shapes = jnp.shape(self.weights), jnp.shape(self.poles)
        if len(shapes[0]) != 1 or shapes[0] != shapes[1]:
            raise InvalidOptionError(
                f"weights and poles must be as many numbers each, got shapes {shapes[0]} and "
                f"{shapes[1]}. Write for example Description(jnp.array([0.1]), jnp.array([0.9])), "
                "or Description.of_descent(0.1)."
            )

    @classmethod
    def of_descent(cls, learning_rate: Scalar | float, metric: AbstractMetric | None = None) -> Any:
        """Of gradient descent, or descent in a metric: no memory of gradients."""
        return cls(
            jnp.asarray(learning_rate)[None],
            np.zeros(1),
            IdentityMetric() if metric is None else metric,
        )

    @property
    def plain(self) -> bool:
        """Whether a step is descent in the metric: no memory of gradients, no decay.

        False where it cannot be known, as a transformation traces the numbers.
        """
        return self.known and not any(map(np.any, self._numbers))

    @property
    def known(self) -> bool:
        """Whether poles and decays are numbers, and not traced by a transformation."""
        return not any(map(is_traced, (self.poles, self.decay, self.coupled_decay)))

    @property
    def _numbers(self) -> list[np.ndarray]:
        return [np.asarray(number) for number in (self.poles, self.decay, self.coupled_decay)]

    def gain(self, z: int) -> Scalar:
        """``K(1)`` for slow gradients, ``K(-1)`` for alternating ones, in units of flow time."""
        poles = jnp.asarray(self.poles, self.weights.dtype)
        return jnp.sum(self.weights / (1 - poles / z))

    @property
    def mean_age(self) -> Scalar:
        """How many steps old the gradients are that a step uses, on average, for slow ones."""
        poles = jnp.asarray(self.poles, self.weights.dtype)
        return jnp.sum(self.weights * poles / (1 - poles) ** 2) / self.gain(1)

    @property
    def edge(self) -> Scalar:
        """``(2 - d) / K(-1)``: up to there the eigenvalues of ``M^{-1} H`` are stable."""
        return (2 - jnp.asarray(self.decay, self.weights.dtype)) / self.gain(-1)

    @property
    def relative_edge(self) -> Scalar:
        """``(2 - d) K(1) / K(-1)``: the same for ``K(1) M^{-1} H``; 2 without a memory."""
        return (2 - jnp.asarray(self.decay, self.weights.dtype)) * (self.gain(1) / self.gain(-1))
