"""What was run, in words that are kept with the result."""

import dataclasses
import functools as ft
import importlib.metadata
import platform
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .._checks import is_traced
from .._custom_types import Params
from .._vectors import real_dtype, size
from ..optimizers import Problem
from ..vector_fields.methods import Diffrax, SolverOptions


def settings_of(problem: Problem, params: Params, **more: str) -> tuple[tuple[str, str], ...]:
    """The optimizer, the parameters, what else is given, and the versions of everything."""
    settings = {
        "optimizer": type(problem.optimizer).__name__,
        "optimizer options": described(problem.optimizer),
        "parameters": str(size(params)),
        "dtype": str(real_dtype(params)),
        **more,
        "platform": jax.default_backend(),
        "python": platform.python_version(),
        **{package: _version(package) for package in ("descentflows", "jax", "diffrax", "equinox")},
    }
    return tuple(settings.items())


def solver_settings(options: SolverOptions) -> dict[str, str]:
    """What solver and step-size controller were used, and their limits."""
    used = Diffrax().configured(options)
    given = used.stepsize_controller
    first = {} if used.dt0 is None else {"dt0": described(used.dt0)}
    return {
        "solver": described(used.solver),
        "stepsize_controller": "default" if given is None else described(given),
        **first,
        "max_steps": str(used.max_steps),
    }


def described(value: Any) -> str:
    """What was given, as it would be written, without what is at its default; numbers as numbers.

    Of arrays the shape, of what a transformation traces only that it does.
    """
    if is_traced(value):
        return "traced"
    if isinstance(value, jax.Array | np.ndarray):
        return f"{float(value):.12g}" if value.ndim == 0 else f"array of shape {value.shape}"
    if isinstance(value, eqx.Module) and dataclasses.is_dataclass(value):
        shown = []
        for field in dataclasses.fields(value):
            given = getattr(value, field.name, None)
            if field.init and not _is_default(field, given):
                shown.append(f"{field.name}={described(given)}")
        return f"{type(value).__name__}({', '.join(shown)})"
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    return repr(value)


def _is_default(field: Any, given: Any) -> bool:
    default = field.default
    if default is dataclasses.MISSING or is_traced(given):
        return False
    if isinstance(given, jax.Array | np.ndarray):
        return given.ndim == 0 and isinstance(default, int | float) and float(given) == default
    return given is default or (isinstance(given, str | int | float) and given == default)


_version = ft.cache(importlib.metadata.version)  # it reads files
