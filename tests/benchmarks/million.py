"""A run with a million parameters in a process of its own; prints its peak memory in MiB."""

import json
import resource
import sys
import time

import jax
from network import loss, network

import flows

WIDTHS = (64, 900, 900, 150, 1)


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(driver, steps, x64):
    jax.config.update("jax_enable_x64", x64)
    imported = peak()
    params, args = network(WIDTHS, 8)
    optimizer = flows.GradientDescent(0.02)
    start = time.perf_counter()
    if driver == "iterate":
        run = flows.iterate(loss, params, optimizer, steps, args=args, save_params=False)
    else:
        models = [flows.GradientFlow(), flows.ModifiedFlow(order=2)]
        run = flows.compare(
            loss, params, optimizer, models, steps, args=args, mode=driver, save_params=False
        )
    assert run.successful
    if driver != "iterate":
        for name, flow in run.trajectories.items():
            print(
                name, {key: float(value) for key, value in vars(flow.cost).items()}, file=sys.stderr
            )
    print(
        json.dumps(
            {
                "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
                "imported": imported,
                "peak": peak(),
                "seconds": time.perf_counter() - start,
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "float64")
