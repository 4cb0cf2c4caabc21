"""Reading a result back from its file."""

import pathlib

from .._custom_types import Params
from .._errors import StorageError
from ._archive import read
from ._comparison import Comparison
from ._ensemble_comparison import EnsembleComparison
from ._regime_report import RegimeReport
from ._trajectory import Trajectory

_CLASSES = (Comparison, EnsembleComparison, RegimeReport, Trajectory)
_KINDS = {kind.__name__: kind for kind in _CLASSES}


def load(
    path: str | pathlib.Path, *, like: Params | None = None
) -> Comparison | Trajectory | RegimeReport | EnsembleComparison:
    """Read what the method `save` of a run, a comparison or a report wrote.

    Arrays keep their shapes, dtypes and units (times are flow times): what was written in float64
    is refused where JAX has only float32. Parameters come back as the dicts, lists and tuples that
    they were saved as; of any other structure (an Equinox module, say) as a dict from the leaf's
    path to its array, unless `like` gives the structure.

    Arguments:
        path: The ``.npz`` file. Nothing in it is executed.
        like: Parameters of the structure and the shapes that were saved, for example those the run
            started from.

    Returns:
        What was saved: a `flows.Comparison`, `flows.EnsembleComparison`, `flows.Trajectory` or
        `flows.RegimeReport`.

    Raises:
        FileNotFoundError: If there is no such file.
        StorageError: If it was not written by this library, is in float64 where JAX has only
            float32, or `like` has another structure or other shapes.

    Example:
        >>> import pathlib, tempfile
        >>> import jax.numpy as jnp
        >>> import flows
        >>> run = flows.compare(
        ...     lambda x: x**2 / 2, jnp.array(1.0), flows.GradientDescent(0.5),
        ...     flows.GradientFlow(), steps=2,
        ... )
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     again = flows.load(run.save(pathlib.Path(folder) / "run"))
        >>> bool(jnp.all(again.errors["GradientFlow"] == run.errors["GradientFlow"]))
        True

    References:
        The file is a NumPy archive: https://numpy.org/doc/stable/reference/routines.io.html
    """
    record = read(path)
    if str(record.kind) not in _KINDS:
        raise StorageError(
            f"{path} holds a {record.kind}, which this version of descentflows does not know. "
            "Read it with the version that wrote it."
        )
    try:
        return _KINDS[record.kind].from_record(record, like)
    except (KeyError, AttributeError, TypeError) as error:
        raise StorageError(
            f"{path} is damaged, or of a later version of descentflows: it says it holds a "
            f"{record.kind}, and lacks or does not fit {error}."
        ) from error
