"""Up to which step a solver of the gradient flow is stable."""

import sympy

from .._checks import read_count
from .._errors import InvalidArgumentError
from ..roots._jury import first_boundary


def runge_kutta_limit(order: int) -> sympy.Expr:
    r"""Find the largest ``h lambda`` at which a Runge-Kutta step on the gradient flow is stable.

    .. math:: \left|\sum_{k=0}^{s} \frac{(-h\lambda)^k}{k!}\right| < 1

    Arguments:
        order: ``s``, 1 (Euler's method, which is gradient descent) to 4: explicit, as many stages
            as its order.

    Returns:
        The end of the real interval of stability, a root in a certified interval for orders 3, 4.

    Raises:
        InvalidArgumentError: For other orders; there a method has more stages than its order.

    Example:
        >>> import symbolic
        >>> symbolic.runge_kutta_limit(2), symbolic.runge_kutta_limit(4).n(12)
        (2, 2.78529356341)

    References:
        E. Hairer, G. Wanner (1996), Solving Ordinary Differential Equations II.
    """
    if read_count(order, "order") > 4:
        raise InvalidArgumentError(
            f"order must be 1 to 4, got {order}: beyond that a method has more stages than its "
            "order, and its interval of stability depends on its coefficients."
        )
    q = sympy.Symbol("q", positive=True)
    factor = sum((-q) ** k / sympy.factorial(k) for k in range(order + 1))
    return first_boundary([1 - factor, 1 + factor], q, [])
