"""A progress bar, or nothing in its place."""

import contextlib
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress_bar(
    total: int, progress: bool, label: str, unit: str
) -> Iterator[Callable[[int], object]]:
    """A function that is told how many more are done; it draws a bar if one is wanted."""
    if not progress:
        yield lambda done: None
        return
    from tqdm.auto import tqdm  # only when asked for: it takes time to import

    with tqdm(total=total, desc=label, unit=unit) as bar:
        yield bar.update
