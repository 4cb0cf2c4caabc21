"""Run time of the drivers against hand-written loops that do the same.

The network has 25,561 parameters (30-120-120-60-1, tanh, 256 examples, float64).
"""

import functools as ft

import diffrax as dfx
import jax
import jax.numpy as jnp
import pytest
from network import loss, network
from timing import medians, report

import flows

pytestmark = pytest.mark.benchmark

WIDTHS = (30, 120, 120, 60, 1)
STEPS = 25
RATE = 0.1
FLOWS = (flows.GradientFlow(), flows.ModifiedFlow(order=2))


def norm(tree):
    return jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(tree)))


def descend(params, gradient, rate):
    return jax.tree.map(lambda p, g: p - rate * g, params, gradient)


@ft.partial(jax.jit, static_argnames="steps")
def scan_by_hand(params, args, rate, steps):
    """Gradient descent, recording loss and gradient norm: what `iterate` returns."""

    def step(params, _):
        value, gradient = jax.value_and_grad(loss)(params, args)
        return descend(params, gradient, rate), (value, norm(gradient))

    return jax.lax.scan(step, params, None, length=steps)


def gradient_field(t, y, args):
    data, _ = args
    return jax.tree.map(jnp.negative, jax.grad(loss)(y, data))


def modified_field(t, y, args):
    data, rate = args
    g, product = jax.linearize(lambda p: jax.grad(loss)(p, data), y)
    return jax.tree.map(lambda a, b: -a - rate / 2 * b, g, product(g))


def distances(ys, points):
    return jax.vmap(norm)(jax.tree.map(jnp.subtract, ys, points))


@jax.jit
def trajectory_by_hand(params, args, rate):
    """Descent, then each field in one diffrax solve at the default tolerance, then the errors."""

    def step(params, _):
        value, gradient = jax.value_and_grad(loss)(params, args)
        new = descend(params, gradient, rate)
        return new, (new, value, norm(gradient))

    _, (points, *records) = jax.lax.scan(step, params, None, length=STEPS)
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    errors = []
    for field in (gradient_field, modified_field):
        first = rate * norm(field(0.0, params, (args, rate)))
        solution = dfx.diffeqsolve(
            dfx.ODETerm(field),
            dfx.Dopri8(),
            t0=jnp.zeros(()),
            t1=rate * STEPS,
            dt0=rate,
            y0=params,
            args=(args, rate),
            saveat=dfx.SaveAt(ts=rate * jnp.arange(1.0, STEPS + 1)),
            stepsize_controller=dfx.PIDController(rtol=1e-15, atol=1e-10 * first / size**0.5),
            max_steps=16_384,
        )
        errors.append(distances(solution.ys, points))
    return records, errors


@jax.jit
def per_step_by_hand(params, args, rate):
    """As above, each field restarted from every iterate."""
    size = sum(leaf.size for leaf in jax.tree.leaves(params))

    def step(params, _):
        value, gradient = jax.value_and_grad(loss)(params, args)
        new = descend(params, gradient, rate)
        length = rate * norm(gradient)
        errors = []
        for field in (gradient_field, modified_field):
            solution = dfx.diffeqsolve(
                dfx.ODETerm(field),
                dfx.Dopri8(),
                t0=jnp.zeros(()),
                t1=rate,
                dt0=rate,
                y0=params,
                args=(args, rate),
                stepsize_controller=dfx.PIDController(rtol=1e-15, atol=1e-10 * length / size**0.5),
                max_steps=16_384,
            )
            errors.append(norm(jax.tree.map(lambda a, b: a[0] - b, solution.ys, new)))
        return new, (value, norm(gradient), errors)

    return jax.lax.scan(step, params, None, length=STEPS)


def compare(mode, params, args):
    run = flows.compare(
        loss, params, flows.GradientDescent(RATE), FLOWS, STEPS, args=args, mode=mode,
        save_params=False,
    )  # fmt: skip
    return run.errors


def test_iterate():
    params, args = network(WIDTHS, 256)
    steps = 16 * STEPS
    seconds = medians(
        15,
        scan=lambda: scan_by_hand(params, args, RATE, steps),
        iterate=lambda: (
            flows.iterate(
                loss, params, flows.GradientDescent(RATE), steps, args=args, save_params=False
            ).loss
        ),
    )
    report(f"iterate, {steps} steps", seconds, "scan")


@pytest.mark.parametrize(
    ("mode", "by_hand"), [("trajectory", trajectory_by_hand), ("per_step", per_step_by_hand)]
)
def test_compare(mode, by_hand):
    params, args = network(WIDTHS, 256)
    seconds = medians(
        5,
        by_hand=lambda: by_hand(params, args, RATE),
        compare=lambda: compare(mode, params, args),
    )
    report(f"compare, mode {mode}, {STEPS} steps, two flows", seconds, "by_hand")


def test_compare_with_other_numbers():
    """Another learning rate, other parameters and other data: only the first call compiles."""
    params, args = network(WIDTHS, 256)
    numbers = iter(range(10**6))

    def fresh():
        k = next(numbers)
        shifted = jax.tree.map(lambda x: x + 1e-3 * k, (params, args))
        run = flows.compare(
            loss, shifted[0], flows.GradientDescent(RATE + 1e-4 * k), FLOWS, STEPS, args=shifted[1],
            save_params=False,
        )  # fmt: skip
        return run.errors

    seconds = medians(5, same=lambda: compare("trajectory", params, args), other=fresh)
    report("compare with new numbers", seconds, "same")
