"""Timing that compilation, warm-up and a busy machine disturb little."""

import statistics
import time

import jax


def medians(rounds, **contestants):
    """Seconds of each function, the median over rounds in which all run one after the other.

    Each is called twice before the clock starts, so nothing is compiled while it runs, and each
    result is waited for.
    """
    for run in contestants.values():
        jax.block_until_ready(run())
        jax.block_until_ready(run())
    seconds = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            start = time.perf_counter()
            jax.block_until_ready(run())
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def report(title, seconds, baseline):
    """Print a small table of seconds and of ratios to the baseline."""
    print(f"\n{title} (jax {jax.__version__}, {jax.default_backend()})")
    for name, value in seconds.items():
        print(
            f"  {name:<34} {value * 1e3:10.2f} ms   {value / seconds[baseline]:6.3f} x {baseline}"
        )
