"""The rod flow: exact cycles, its threshold, and its order below the edge."""

import jax.numpy as jnp
import numpy as np
import pytest

import flows


def quartic(x, S_and_Q):
    S, Q = S_and_Q
    return jnp.sum(S * x**2 / 2 - Q * x**4 / 4)


def compared(x0, S, Q, h, steps):
    return flows.compare(
        quartic,
        jnp.asarray(x0),
        flows.GradientDescent(h),
        [flows.RodFlow()],
        steps,
        args=(S, Q),
    )


def test_it_has_descent_s_own_two_cycle():
    """Its half-width squared is (S - 2/h) / Q: by the rod, by the iterates and by hand."""
    run = compared(0.1, 3.0, 0.5, 0.75, 100)
    rod = run.trajectories["RodFlow"]
    exact = (3 - 2 / 0.75) / 0.5
    np.testing.assert_allclose(rod.diagnostics["amplitude"][-1] ** 2, exact, rtol=1e-8)
    np.testing.assert_allclose(run.iterates.final_params**2, exact, rtol=1e-8)
    np.testing.assert_allclose(rod.diagnostics["measured_amplitude"][-1] ** 2, exact, rtol=1e-8)
    cycle = 3 * exact / 2 - 0.5 * exact**2 / 4
    np.testing.assert_allclose(rod.diagnostics["predicted_loss"][-1], cycle, rtol=1e-8)


def test_the_measured_amplitude_is_a_length():
    """At h lambda = 3/2 the iterates change sides in every step, and the rod does not."""
    rod = compared(1.0, 2.0, 0.0, 0.75, 6).trajectories["RodFlow"]
    assert (rod.diagnostics["measured_amplitude"] > 0).all()


@pytest.mark.parametrize(("S", "grows"), [(1.99, False), (2.01, True)])
def test_the_threshold_of_a_quadratic(S, grows):
    """About 0, Sigma' = (h^2 S^2 / 2 - 2) Sigma."""
    run = compared(1e-3, S, 0.0, 1.0, 40)
    lengths = run.trajectories["RodFlow"].diagnostics["amplitude"]
    assert (lengths[-1] > lengths[20]) == grows
    rate = np.log(lengths[-1] / lengths[20]) / 20
    # Euler's method in four substeps.
    np.testing.assert_allclose(rate, 2 * np.log(1 + (S**2 / 2 - 2) / 4), atol=1e-4)


def test_its_centre_begins_between_two_iterates():
    velocity = flows.vector_field(
        quartic, jnp.array([1.0]), flows.GradientDescent(0.5), flows.RodFlow(), args=(2.0, 0.0)
    )
    # Ends at 1 and 0, so gradients 2 and 0: -(1/2) 2 - (h/8) 4 * 2, in flow time.
    np.testing.assert_allclose(velocity, [-1.5])


def test_errors_teach():
    for substeps in (1, 2.5):
        with pytest.raises(flows.InvalidOptionError, match="substeps must be an integer >= 2"):
            flows.RodFlow(substeps)
    with pytest.raises(flows.IncompatibleFlowError, match="RodFlow models GradientDescent"):
        flows.solve(quartic, jnp.ones(1), flows.RMSProp(0.1), flows.RodFlow(), 1, args=(1.0, 0.0))
