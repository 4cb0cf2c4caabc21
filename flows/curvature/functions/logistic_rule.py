"""Gauss quadrature for the weight that makes powers of ``I - hH`` of the cubic term's kernel."""

import functools as ft

import numpy as np


@ft.cache
def logistic_rule(n: int) -> tuple[np.ndarray, np.ndarray]:
    r"""Nodes and weights of Gauss' rule on the real line, by Golub and Welsch.

    .. math:: \int K(t)\, f(t)\, dt \approx \sum_{m=1}^n w_m f(t_m), \qquad
              K(t) = \frac{\pi}{2} \operatorname{sech}^2(\pi t)

    The orthogonal polynomials of this weight (the logistic distribution's, rescaled) satisfy a
    three-term recurrence with a zero diagonal and ``b_m = m^4 / (4 (4 m^2 - 1))``.

    Arguments:
        n: How many nodes, an even number.

    Returns:
        The nodes, the positive ones first and then their mirror images, and the weights: they add
        up to 1.
    """
    m = np.arange(1.0, n)
    beside = np.sqrt(m**4 / (4 * (4 * m**2 - 1)))
    nodes, vectors = np.linalg.eigh(np.diag(beside, 1) + np.diag(beside, -1))
    # The rule is symmetric; the computed nodes are so up to rounding.
    half = np.arange(n // 2, n)
    nodes, weights = nodes[half], vectors[0, half] ** 2
    return np.concatenate([nodes, -nodes]), np.concatenate([weights, weights])
