"""Every test runs in float64, with strict promotion of dtypes and ranks; warnings are errors."""

import gc
import itertools as it

import jax
import jax.random as jr
import matplotlib as mpl
import pytest

mpl.use("Agg")
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def getkey():
    """A function that returns a new random key at every call, the same ones in every run."""
    count = it.count()
    return lambda: jr.fold_in(jr.key(20260), next(count))


@pytest.fixture(autouse=True, scope="module")
def _free_compiled_programs():
    """JAX keeps what it compiles; without this the suite would need many gigabytes."""
    yield
    jax.clear_caches()
    gc.collect()
