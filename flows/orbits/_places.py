"""Naming where orbits ended: at a given point, in a given region, at a point found by many."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .._checks import split_params
from .._custom_types import Params, PyTree
from .._errors import InvalidOptionError
from .._vectors import ravel
from ._newton import ROUNDINGS

# So many points found by themselves get a name of their own, those that most orbits reached.
MOST_NAMED = 8
_ELSEWHERE = "to a point elsewhere"


def read_minima(minima: Any, like: Params) -> dict[str, np.ndarray]:
    """The points by name, each as one vector like the parameters."""
    if minima is None:
        return {}
    if not isinstance(minima, Mapping):
        raise InvalidOptionError(
            f"minima must be a dictionary from names to points, got {type(minima).__name__}. "
            "Write for example minima={'flat': 0.0, 'sharp': 2.5}."
        )
    shape = ravel(like).shape
    points = {}
    for name, point in minima.items():
        flat = np.asarray(ravel(split_params(point)[0]), dtype=np.float64)
        if flat.shape != shape:
            raise InvalidOptionError(
                f"minimum {name!r} has {flat.size} numbers, but the parameters have {shape[0]}. "
                "Pass a point like one of the starts."
            )
        points[f"to {name}"] = flat
    return points


def read_regions(regions: Any) -> dict[str, Callable[[Params], Any]]:
    """The regions by name."""
    if regions is None:
        return {}
    if not isinstance(regions, Mapping) or not all(map(callable, regions.values())):
        raise InvalidOptionError(
            f"regions must be a dictionary from names to functions, got {regions!r}. "
            "Write for example regions={'valley': lambda x: x > 4.4}."
        )
    return dict(regions)


def flat_points(params: PyTree) -> np.ndarray:
    """The points of a batch as rows."""
    rows = [np.asarray(leaf) for leaf in jax.tree.leaves(params) if eqx.is_array(leaf)]
    return np.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in rows], axis=1)


def name_points(points: np.ndarray, known: dict[str, np.ndarray], radius: float) -> np.ndarray:
    """A name for every row: of the known point, or the cluster, that it lies in."""
    names = np.full(len(points), "", dtype=object)
    for name, point in known.items():
        names[(names == "") & _near(points, point, radius)] = name
    clusters = []
    left = names == ""
    while left.any() and len(clusters) < 4 * MOST_NAMED:
        middle = points[np.argmax(left)]
        members = left & _near(points, middle, radius)
        clusters.append(members)
        left &= ~members
    clusters.sort(key=np.sum, reverse=True)
    shown = _all_shown([points[members].mean(axis=0) for members in clusters[:MOST_NAMED]])
    for members, name in zip(clusters[:MOST_NAMED], shown, strict=True):
        names[members] = f"to {name}"
    names[names == ""] = _ELSEWHERE
    return names


def _near(points: np.ndarray, middle: np.ndarray, radius: float) -> np.ndarray:
    reach = max(radius, ROUNDINGS * np.finfo(points.dtype).eps * float(np.linalg.norm(middle)))
    return np.linalg.norm(points - middle, axis=1) <= reach


def _all_shown(points: list[np.ndarray]) -> list[str]:
    """Words for all of them; far from the origin it takes more digits to tell two apart."""
    shown = []
    for digits in (5, 9, 13, 17):
        shown = [_shown(point, i, digits) for i, point in enumerate(points)]
        if len(set(shown)) == len(shown):
            break
    return shown


def _shown(point: np.ndarray, index: int, digits: int) -> str:
    # Rounding leaves a minimum at 0 at 1e-17, and at -1e-17.
    rounded = [f"{x:.{digits}g}" for x in np.where(np.abs(point) < 1e-7, 0.0, point)]
    if point.size == 1:
        return rounded[0]
    if point.size <= 4:
        return f"({', '.join(rounded)})"
    return f"point {index + 1} at ({', '.join(rounded[:3])}, ...)"
