"""Every test runs in float64, with strict promotion of dtypes and ranks; warnings are errors."""

import gc
import importlib.metadata
import os

# Most of the suite's time is XLA compiling programs that run once: half of it goes with the
# optimiser. tests/benchmarks and the command line's own process run as users' programs do.
FAST_COMPILATION = (
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
    # Simplifies a second time what the first pass has left.
    "--xla_disable_hlo_passes=post_scatter_expansion_simplification",
)
if importlib.metadata.version("jaxlib").startswith("0.10."):  # jaxlib 0.12 does not know it
    FAST_COMPILATION += ("--xla_cpu_use_fusion_emitters=false",)
os.environ.setdefault("XLA_FLAGS", " ".join(FAST_COMPILATION))

# The suite has a process for each core; LAPACK's own threads would only get in each other's way.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import jax  # noqa: E402 (reads XLA_FLAGS)
import matplotlib as mpl  # noqa: E402
import matplotlib.pyplot as plt  # noqa: E402
import pytest  # noqa: E402

mpl.use("Agg")
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_collection_finish():
    """Look less often for cycles: tracing makes so many objects that it was a tenth of the time."""
    gc.collect()
    gc.freeze()  # what was imported stays
    gc.set_threshold(100_000, 20, 20)


@pytest.fixture(autouse=True, scope="module")
def _free_compiled_programs():
    """JAX keeps what it compiles; without this the suite would need many gigabytes."""
    yield
    jax.clear_caches()
    gc.collect()


@pytest.fixture
def windows_of(monkeypatch):
    """A function that sets how many steps the drivers make in a window at most."""

    def longest(steps):
        for name in ("LONGEST", "LONGEST_ALONE"):
            monkeypatch.setattr(f"flows.drivers._windows.{name}", steps)

    return longest


@pytest.fixture
def nothing_left_of_pictures():
    """Close the figures of a test, which must not have changed any setting of matplotlib."""
    before = dict(mpl.rcParams)
    yield
    plt.close("all")
    assert dict(mpl.rcParams) == before
