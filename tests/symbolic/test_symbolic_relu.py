"""The bound for two-layer ReLU networks."""

import numpy as np
import sympy
from plain import same

from symbolic import networks


def test_the_relu_bound_at_zero_residual():
    generator = np.random.default_rng(0)
    for _ in range(20):
        inner, outer = generator.normal(size=(5, 2)), generator.normal(size=(2, 5))
        bias, inputs = generator.normal(size=5), generator.normal(size=(3, 2))
        rows, outputs = [], []
        for point in inputs:
            before = inner @ point - bias
            active, hidden = (before > 0).astype(float), np.maximum(before, 0)
            outputs.append(outer @ hidden)
            for k in range(2):
                by_outer = np.zeros((2, 5))
                by_outer[k] = hidden
                by_inner = np.outer(outer[k] * active, point)
                rows.append(np.concatenate([by_outer.ravel(), by_inner.ravel()]))
        jacobian = np.array(rows)
        top = np.linalg.eigvalsh(jacobian.T @ jacobian)[-1]
        bound = networks.relu_threshold(inputs.tolist(), np.array(outputs).tolist())
        assert bound is sympy.oo or 2 / top <= float(bound) * (1 + 1e-12)
        if bound is not sympy.oo:
            mean = networks.relu_threshold(inputs.tolist(), np.array(outputs).tolist(), mean=True)
            assert same(mean, 3 * bound)
    assert networks.relu_threshold([[1]], [[0]]) is sympy.oo
