"""The modified flow of SGD that goes through its examples in a new random order each epoch."""

from typing import Any, ClassVar

from .._custom_types import At, Params
from .._objective import number_of_examples
from .._vectors import add_scaled, scaled
from ..optimizers import SGD, AbstractOptimizer, Problem
from ._gradient_noise import force, sgd, trace_gradient, unless_plain
from ._point import AbstractPointFlow

SMITH_2021 = """@inproceedings{smith2021origin,
  author        = {Smith, Samuel L. and Dherin, Benoit and Barrett, David G. T. and De, Soham},
  title         = {On the Origin of Implicit Regularization in Stochastic Gradient Descent},
  booktitle     = {International Conference on Learning Representations},
  year          = {2021},
  eprint        = {2101.12176},
  archiveprefix = {arXiv}
}"""


class ReshufflingFlow(AbstractPointFlow):
    r"""The mean iterate of SGD with random reshuffling, epoch by epoch.

    .. math::
        \dot\theta = -\nabla \Bigl( E + \frac h4\, \mathbb E\, |\nabla E_B|^2 \Bigr), \qquad
        \mathbb E\, |\nabla E_B|^2 = |g|^2 + \frac{n - b}{b (n - 1)}\, \mathrm{tr}\, \Sigma_1

    with batches of ``b`` of ``n`` examples and the covariance ``Sigma_1`` of one example's
    gradient. Averaged over all orders, an epoch of ``m = n / b`` steps differs from this flow over
    the time ``m h`` by ``O((m h)^3)``; within an epoch the flow makes no statement. Small batches
    are driven to where the examples' gradients agree. Time is flow time: ``t = n h`` after ``n``
    steps. One evaluation costs the gradient of all examples' squared gradients.

    Raises:
        IncompatibleFlowError: From the drivers, if the optimizer is not `SGD` with
            ``sampling="reshuffling"``, or has noise, momentum or repeated batches.

    Example:
        Two examples of curvature 1 and 3: the flow feels ``2 + (h / 2) (1 + 9) / 2``.

        >>> import jax.numpy as jnp
        >>> import flows
        >>> loss = lambda x, curvatures: jnp.mean(curvatures * x**2) / 2
        >>> optimizer = flows.SGD(0.2, batch_size=1, sampling="reshuffling")
        >>> curvatures = jnp.array([1.0, 3.0])
        >>> float(flows.vector_field(
        ...     loss, jnp.array(1.0), optimizer, flows.ReshufflingFlow(), args=curvatures
        ... ))
        -2.5

    References:
        S. L. Smith, B. Dherin, D. G. T. Barrett, S. De (2021), arXiv:2101.12176.
    """

    references: ClassVar[tuple[str, ...]] = (SMITH_2021,)
    looks: ClassVar[dict[str, tuple[str, Any]]] = {
        "ReshufflingFlow": ("#D55E00", "-"),
    }

    @property
    def name(self) -> str:
        """`ReshufflingFlow`."""
        return "ReshufflingFlow"

    def refusal(self, optimizer: AbstractOptimizer) -> str | None:
        """Unless epochs are shuffled, and nothing else is."""
        refused = unless_plain(self, optimizer)
        if refused:
            return refused
        assert isinstance(optimizer, SGD)
        shuffled = (
            optimizer.noise is None
            and optimizer.batch_size is not None
            and optimizer.sampling == "reshuffling"
        )
        if not shuffled:
            return (
                f"{self.name} models epochs in random order and no other noise. Write for example "
                'flows.SGD(0.1, batch_size=8, sampling="reshuffling"); for independent batches '
                "use flows.StochasticModifiedFlow."
            )
        return None

    def velocity(self, problem: Problem, at: At, y: Params) -> Params:
        """``-h (g + (h/2) (H g + c/2 grad tr Sigma_1))``, weight decay in ``g`` and ``H``."""
        h = sgd(problem).learning_rate
        n = number_of_examples(problem.args)
        b = sgd(problem).batch_size or n
        factor = (n - b) / (b * (n - 1)) if n > 1 else 0.0
        g, product = problem.linearised(y, force(problem))
        correction = add_scaled(product(g), factor, trace_gradient(problem, y))
        return scaled(-h, add_scaled(g, h / 2, correction))
