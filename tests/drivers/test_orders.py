"""How fast the model error falls with the learning rate: orders, and the reference's values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import quartic, rosenbrock, tanh_network

import flows

FLOWS = (flows.GradientFlow(), flows.ModifiedFlow(order=2))
NAMES = ("GradientFlow", "ModifiedFlow(2)")
LOCAL_ORDER = {"GradientFlow": 2, "ModifiedFlow(2)": 3}


def cosine(x):
    return jnp.sum(jnp.cos(x))


NETWORK, NETWORK_START = tanh_network()
# loss, start, the smallest learning rate, the time of a run; and how far the run still is from the
# limit of small steps (third digit of a slope: checked against the next halving by hand)
CASES = {
    "quartic": (quartic, jnp.array(1.0), 0.05 / 2**6, 0.1),
    "cosine": (cosine, jnp.array([1.0]), 0.1 / 2**6, 0.2),
    "rosenbrock": (rosenbrock, jnp.array([-0.5, 0.5]), 2e-4 / 2**5, 0.0008),
    "network": (NETWORK, NETWORK_START, 0.05 / 2**4, 0.2),
}


@pytest.fixture(autouse=True)
def _one_program_for_each_loss(windows_of):
    """Windows of one step, whatever the number of steps: it is compiled once."""
    windows_of(1)


def slope(steps, errors):
    return np.polyfit(np.log(steps), np.log(np.asarray(errors)), 1)[0]


@pytest.mark.parametrize("case", CASES)
def test_order_of_one_step(case):
    loss, start, smallest, _ = CASES[case]
    rates = jnp.asarray(smallest * 2.0 ** np.arange(5))

    def one_step(rate):
        run = flows.compare(
            loss, start, flows.GradientDescent(rate), FLOWS, steps=1, mode="per_step"
        )
        return {name: error[1] for name, error in run.errors.items()}

    errors = jax.vmap(one_step)(rates)
    for name, order in LOCAL_ORDER.items():
        assert slope(rates, errors[name]) == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize("case", CASES)
def test_order_over_a_fixed_time(case):
    loss, start, _, time = CASES[case]
    counts = 8 * 2 ** np.arange(5)
    errors = {name: [] for name in NAMES}
    for count in counts:
        run = flows.compare(loss, start, flows.GradientDescent(time / count), FLOWS, int(count))
        for name in NAMES:
            errors[name].append(run.errors[name][-1])
    for name, order in LOCAL_ORDER.items():
        assert slope(time / counts, errors[name]) == pytest.approx(order - 1, abs=0.1)


# The published table of absolute errors: one step, and for Rosenbrock a run to time 0.008.
@pytest.mark.parametrize(
    ("loss", "start", "rate", "steps", "expected"),
    [
        (quartic, jnp.array(1.0), 0.05, 1, (3.4626e-3, 3.8983e-4)),
        (rosenbrock, jnp.array([-0.5, 0.5]), 1e-4, 1, (1.2111e-4, 2.6292e-6)),
        (rosenbrock, jnp.array([-0.5, 0.5]), 1e-4, 80, (3.7237e-4, 1.2038e-5)),
        (cosine, jnp.array([1.0]), 0.05, 1, (5.6063e-4, 3.4321e-6)),
    ],
)
def test_errors_of_the_reference(loss, start, rate, steps, expected):
    run = flows.compare(loss, start, flows.GradientDescent(rate), FLOWS, steps)
    for name, value in zip(NAMES, expected, strict=True):
        assert float(f"{run.errors[name][-1]:.4e}") == pytest.approx(value, rel=1e-12)


# The published slopes log2(err(h) / err(h/2)): of one step, and over a time.
@pytest.mark.parametrize(
    ("loss", "start", "rate", "time", "local", "whole"),
    [
        (quartic, jnp.array(1.0), 0.05, 0.5, (1.94, 2.92), (1.04, 2.02)),
        pytest.param(
            cosine, jnp.array([1.0]), 0.1, 1.0, (1.98, 2.73), (1.11, 2.00), marks=pytest.mark.slow
        ),
        (rosenbrock, jnp.array([-0.5, 0.5]), 2e-4, 0.008, (1.99, 3.00), (0.99, 1.96)),
    ],
)
def test_slopes_of_the_reference(loss, start, rate, time, local, whole):
    first, last = [], []
    for h in (rate, rate / 2):
        run = flows.compare(loss, start, flows.GradientDescent(h), FLOWS, round(time / h))
        first.append([float(run.errors[name][1]) for name in NAMES])
        last.append([float(run.errors[name][-1]) for name in NAMES])
    for pair, expected in ((first, local), (last, whole)):
        assert np.round(np.log2(np.divide(*pair)), 2) == pytest.approx(expected, abs=1e-9)
