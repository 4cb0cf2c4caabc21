"""Stochastic gradient descent."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from .._checks import integer, is_traced, non_negative, one_of, positive_scalar, random_key
from .._custom_types import Array, Integer, Params, Scalar
from .._errors import InvalidOptionError
from .._objective import Objective, number_of_examples
from .._vectors import add, add_scaled, scaled
from ._description import Description
from ._gaussian_noise import GaussianNoise, standard_normal
from ._minibatches import SAMPLINGS, batch, check_batches
from ._stochastic import AbstractStochasticOptimizer


class SGDState(eqx.Module):
    """Where stochastic gradient descent stands.

    Attributes:
        point: The parameters.
        velocity: The sum of the past gradients, weighted by powers of the momentum.
        key: What all random numbers come from.
        step: How many steps were made.
    """

    point: Params
    velocity: Params
    key: Array
    step: Integer


def _noise(covariance: object) -> GaussianNoise | None:
    if covariance is None or isinstance(covariance, GaussianNoise):
        return covariance
    return GaussianNoise(covariance)


class SGD(AbstractStochasticOptimizer):
    r"""Stochastic gradient descent: minibatches, noise of a given covariance, or both.

    .. math::
        v_{n+1} = \mu v_n + \nabla E_{B_n}(\theta_n) + \xi_n + \lambda \theta_n, \qquad
        \theta_{n+1} = \theta_n - h v_{n+1}

    with the loss ``E_B`` of the batch and ``xi ~ N(0, Sigma)``. The loss must be the mean over the
    examples, the first axis of all arrays in `args`: that is checked. One step takes the flow time
    ``h / (1 - mu)``. What a step draws depends on the key and its number alone.

    Attributes:
        learning_rate: ``h`` > 0, in units of flow time.
        batch_size: How many examples a step sees; None for all.
        sampling: ``"replacement"``: each example of a batch is drawn from all. ``"no
            replacement"``: each batch is, so that no example is in it twice. ``"reshuffling"``: an
            epoch goes through all examples, in a new random order each time. ``"in order"``: the
            same order in every epoch.
        noise: ``Sigma``, in units of the gradient squared: one variance, or a covariance matrix in
            the order of the parameters' leaves; None for no noise.
        momentum: ``mu``, from 0 to below 1.
        weight_decay: ``lambda`` >= 0, coupled: it is a part of the gradient.
        repeats: ``k``: each step makes ``k`` steps of ``h / k`` with the same batch and the same
            ``xi``: the noise of a large step, the stability of a small one.

    Raises:
        InvalidLearningRateError: If `learning_rate` is not one positive finite number.
        InvalidOptionError: If another attribute is out of range, or, from the drivers, does not
            fit the data: a batch larger than it, a covariance of the wrong shape, no key.
        InvalidLossError: From the drivers, if the loss is not the mean over its examples.

    Example:
        Two examples, whose losses pull to 1 and to -1.

        >>> import jax
        >>> import jax.numpy as jnp
        >>> import flows
        >>> loss = lambda x, data: jnp.mean((x - data) ** 2) / 2
        >>> run = flows.iterate(
        ...     loss, jnp.array(0.0), flows.SGD(0.5, batch_size=1), steps=1,
        ...     args=jnp.array([1.0, -1.0]), key=jax.random.key(0),
        ... )
        >>> abs(float(run.final_params))
        0.5

    References:
        H. Robbins, S. Monro, Annals of Mathematical Statistics 22 (1951), 400-407. Repeated
        batches: A. Mohtashami, M. Jaggi, S. Stich (2023), arXiv:2205.15142.
    """

    learning_rate: Scalar = eqx.field(converter=lambda h: positive_scalar(h, "learning_rate"))
    batch_size: int | None = eqx.field(static=True, default=None)
    sampling: str = eqx.field(static=True, default="replacement")
    noise: GaussianNoise | None = eqx.field(converter=_noise, default=None)
    momentum: Scalar = eqx.field(
        converter=lambda m: non_negative(m, "momentum", "momentum=0.9"), default=0.0
    )
    weight_decay: Scalar = eqx.field(
        converter=lambda w: non_negative(w, "weight_decay", "weight_decay=1e-4"), default=0.0
    )
    repeats: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        if self.batch_size is not None:
            integer(self.batch_size, 1, "batch_size", "batch_size=32")
        one_of(self.sampling, SAMPLINGS, "sampling")
        integer(self.repeats, 1, "repeats", "repeats=1")
        if not is_traced(self.momentum) and float(self.momentum) >= 1:
            raise InvalidOptionError(
                f"momentum must be below 1, got {float(self.momentum)}. Write for example "
                "momentum=0.9."
            )

    def describe(self, n: Integer) -> Description:
        """Weight ``h``, pole ``mu``, the weight decay coupled."""
        del n
        return Description(
            self.learning_rate[None], self.momentum[None], coupled_decay=self.weight_decay
        )

    @property
    def independent(self) -> bool:
        """Whether what one step draws says nothing of what another does."""
        return self.batch_size is None or self.sampling in SAMPLINGS[:2]

    def check(self, objective: Objective, params: Params) -> None:
        """Raise a typed error unless batch, noise, data and loss fit together."""
        if self.batch_size is not None:
            check_batches(objective, params, self.sampling, self.batch_size)
        if self.noise is not None:
            self.noise.check(params)

    def init(self, params: Params, key: Array | None = None) -> SGDState:
        """At rest."""
        key = random_key(key, "SGD")
        return SGDState(params, scaled(0.0, params), key, jnp.asarray(0))

    def step(
        self, objective: Objective, state: SGDState, gradient: Params | None = None
    ) -> SGDState:
        """One step, or `repeats` shorter ones."""
        batch_key, noise_key = jr.split(state.key)
        if self.batch_size is not None:
            n = number_of_examples(objective.args)
            indices = batch(self.sampling, n, self.batch_size, batch_key, state.step)
            seen, gradient = objective.on_examples(indices), None
        else:
            seen = objective
        noise = None
        if self.noise is not None:
            draws = standard_normal(jr.fold_in(noise_key, state.step), state.point)
            noise = self.noise.times(draws)

        def once(point: Params, velocity: Params, gradient: Params) -> tuple[Params, Params]:
            force = add_scaled(gradient, self.weight_decay, point)
            force = force if noise is None else add(force, noise)
            velocity = add_scaled(force, self.momentum, velocity)
            return add_scaled(point, -self.learning_rate / self.repeats, velocity), velocity

        first = seen.gradient(state.point) if gradient is None else gradient
        moved = once(state.point, state.velocity, first)
        if self.repeats > 1:
            moved, _ = jax.lax.scan(
                lambda moved, _: (once(*moved, seen.gradient(moved[0])), None),
                moved,
                length=self.repeats - 1,
            )
        return SGDState(*moved, state.key, state.step + 1)

    def params(self, state: SGDState) -> Params:
        """The point."""
        return state.point
