"""Long work on the host, block by block, with a progress bar where one is wanted."""

import contextlib
from collections.abc import Callable, Iterator


def blocks(
    total: int, length: int, *, progress: bool, label: str, unit: str
) -> Iterator[tuple[int, int]]:
    """Where each block begins and how many belong to it: equal ones, but for the last.

    The bar moves when the body of the loop is done with a block. What is to be kept between blocks,
    a checkpoint say, is kept there.
    """
    with _progress_bar(total, progress, label, unit) as done:
        for first in range(0, total, length or 1):
            made = min(length, total - first)
            yield first, made
            done(made)


@contextlib.contextmanager
def _progress_bar(
    total: int, progress: bool, label: str, unit: str
) -> Iterator[Callable[[int], object]]:
    """A function that is told how many more are done; it draws a bar if one is wanted."""
    if not progress:
        yield lambda done: None
        return
    from tqdm.auto import tqdm  # only when asked for: it takes time to import

    with tqdm(total=total, desc=label, unit=unit) as bar:
        yield bar.update
