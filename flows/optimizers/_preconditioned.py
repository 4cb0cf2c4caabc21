"""Descent with a preconditioner: what flows at the edge of stability know of an optimizer."""

import abc
from typing import Any

from .._custom_types import Params, PyTree
from ._base import AbstractOptimizer


class AbstractPreconditionedDescent(AbstractOptimizer):
    r"""Gradient descent in the metric of a preconditioner that follows squared gradients.

    .. math:: \theta_{n+1} = \theta_n - P(\nu_{n+1})^{-1} \nabla E(\theta_n), \qquad
              \nu_{n+1} - \nu_n = r(\nu_{n+1}, \nabla E(\theta_n)^2)

    ``P`` is diagonal. It holds the learning rate: ``P = 1 / h`` is gradient descent.
    """

    @abc.abstractmethod
    def first_moment(self, squares: Params) -> PyTree[Any]:
        """``nu`` after its first update, from the squared gradient of every parameter."""

    @abc.abstractmethod
    def preconditioner(self, moment: PyTree[Any], like: Params) -> Params:
        """The diagonal of ``P``, a tree like the parameters, in loss per squared parameter."""

    @abc.abstractmethod
    def moment_rate(self, moment: PyTree[Any], squares: Params) -> PyTree[Any]:
        """``r``: how much ``nu`` changes in a step, linear in the mean squared gradient.

        With the moment that the step itself uses, ``r(nu, s) = (1 - beta) / beta (s - nu)``.
        """
