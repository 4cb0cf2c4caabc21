"""The catalogue of cases: thresholds, basins, and agreement with JAX."""

import numpy as np
import pytest
import sympy

import symbolic

BASINS = {
    "double_well": (lambda v: v**3 - v, (0.3, 0.9, 1.5)),
    "subcritical": (lambda v: v + v**3, (0.3, 1.0, 1.8)),
    "quartic": (lambda v: v**3, (0.1, 1.0, 4.0)),
}


@pytest.mark.parametrize("case", symbolic.cases.CASES.values(), ids=lambda case: case.name)
def test_the_catalogue(case):
    assert case.source
    assert sympy.simplify(symbolic.threshold(case.loss, case.minimum) / case.threshold) in {
        1,
        sympy.nan,  # infinite thresholds
    }
    if case.threshold is sympy.oo:
        assert symbolic.threshold(case.loss, case.minimum) is sympy.oo


@pytest.mark.parametrize("case", symbolic.cases.CASES.values(), ids=lambda case: case.name)
def test_the_catalogue_in_jax(case):
    jax = pytest.importorskip("jax")
    scalar = len(case.symbols) == 1
    function = symbolic.to_jax(case.loss, case.symbols[0] if scalar else case.symbols)
    for point in ([0.3, 0.9], [1.7, -0.4], [0.05, 2.2]):
        with jax.enable_x64(True):
            check_derivatives(jax, case, function, point)


def check_derivatives(jax, case, function, point):
    scalar = len(case.symbols) == 1
    values = dict(zip(case.symbols, point, strict=False))
    argument = jax.numpy.asarray(point[0] if scalar else point)
    gradient = [case.loss.diff(s).subs(values).evalf() for s in case.symbols]
    hessian = sympy.hessian(case.loss, case.symbols).subs(values).evalf().tolist()
    expected = (
        float(case.loss.subs(values)),
        np.array(gradient, float).squeeze(),
        np.array(hessian, float).squeeze(),
    )
    derivatives = (function, jax.grad(function), jax.hessian(function))
    for derivative, value in zip(derivatives, expected, strict=True):
        # One formula computed two ways: 10 sqrt(eps).
        np.testing.assert_allclose(jax.jit(derivative)(argument), value, rtol=1.5e-7, atol=1.5e-7)


def test_exact_basins_by_simulation():
    assert {c.name for c in symbolic.cases.CASES.values() if c.basin is not None} == set(BASINS)
    for name, (slope, steps) in BASINS.items():
        for step in steps:
            edge = float(symbolic.cases.CASES[name].basin.subs(symbolic.cases.STEP, step))
            for start, inside in ((0.99 * edge, True), (1.01 * edge, False)):
                v = start
                for _ in range(4000):
                    v -= step * slope(v)
                    if abs(v) > 1e6:
                        break
                assert (abs(v) <= edge) == inside
