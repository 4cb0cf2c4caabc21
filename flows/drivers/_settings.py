"""What was run, in words that are kept with the result."""

import functools as ft
import importlib.metadata
import platform

import jax

from .._custom_types import Params
from .._vectors import real_dtype, size
from ..optimizers import Problem


def settings_of(problem: Problem, params: Params, **more: str) -> tuple[tuple[str, str], ...]:
    """The optimizer, the parameters, what else is given, and the versions of everything.

    No number that may vary between runs of one shape: those are in `Trajectory.settings`.
    """
    settings = {
        "optimizer": type(problem.optimizer).__name__,
        "parameters": str(size(params)),
        "dtype": str(real_dtype(params)),
        **more,
        "platform": jax.default_backend(),
        "python": platform.python_version(),
        **{package: _version(package) for package in ("descentflows", "jax", "diffrax", "equinox")},
    }
    return tuple(settings.items())


_version = ft.cache(importlib.metadata.version)  # it reads files
