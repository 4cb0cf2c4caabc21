"""One evaluation of a principal flow with 1.1 million parameters, in a process of its own.

Prints its memory in units of one array of all parameters, complex ones at a complex point: what
the compiled programs set aside, and the peak of the process above its import.
"""

import json
import resource
import sys
import time

import equinox as eqx
import jax
import jax.numpy as jnp
from network import loss, network

import flows
from flows.curvature.hessian import scaled_hessian
from flows.curvature.spectral_functions import alpha
from flows.optimizers import make_problem

WIDTHS = (64, 960, 960, 130, 1)
EXAMPLES = 8  # so few that activations, which are no arrays of parameters, do not count
MATVECS = 24


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def gradient(problem, params):
    return problem.gradient(params)


def product(problem, params):
    return problem.hessian_vector_product(params, params)


def field(problem, params):
    """``alpha(h H) g`` in the arithmetic of the parameters."""
    g, matvec = scaled_hessian(problem, problem.optimizer.learning_rate, params)
    return flows.Krylov(MATVECS, rtol=0.0).apply(alpha, matvec, g).value


def second(problem, params):
    """The second principal flow of the real branch; the sharpness is beyond ``h lambda = 1``."""
    flow = flows.PrincipalFlow("real", "cubic", flows.Krylov())
    return flow.velocity(problem, None, params)


def main(dtype, measured):
    dtype = jnp.dtype(dtype)
    jax.config.update("jax_enable_x64", dtype.name in ("float64", "complex128"))
    params, args = network(WIDTHS, EXAMPLES)
    rate = 0.1
    if measured is second:  # the sharpness is beyond the singularity
        rate = 1.5 / float(flows.sharpness(loss, params, args=args))
    problem, params = make_problem(loss, params, flows.GradientDescent(rate), args)
    if jnp.issubdtype(dtype, jnp.complexfloating):
        params = jax.tree.map(lambda leaf: jax.lax.complex(leaf, 0 * leaf + 1e-3), params)
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    unit = size * dtype.itemsize
    compiled = {
        run.__name__: eqx.filter_jit(run).lower(problem, params).compile()
        for run in (gradient, product, measured)
    }
    before = peak()
    start = time.perf_counter()
    image = jax.block_until_ready(compiled[measured.__name__](problem, params))
    seconds = time.perf_counter() - start
    finite = all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(image))
    temporary = {
        name: program.compiled.memory_analysis().temp_size_in_bytes / unit
        for name, program in compiled.items()
    }
    numbers = {"parameters": size, "temporary": temporary, "peak": (peak() - before) / unit}
    print(json.dumps({**numbers, "seconds": seconds, "finite": finite}))


if __name__ == "__main__":
    main(sys.argv[1], {"field": field, "second": second}[sys.argv[2]])
