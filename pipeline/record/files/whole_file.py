"""Files that are written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PARTIAL = ".new"
"""Suffix of a file that is still being written."""


@contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Yield a path to write to; when the block ends, what is there is on the disk and takes the place of the file.

    If the block or a later step fails, the file stays as it was.

    Args:
        path: Path of the file. Its folder is made.

    Raises:
        OSError: The file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + PARTIAL)
    aside.unlink(missing_ok=True)
    try:
        yield aside
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        with suppress(OSError):  # the first error is the one to raise
            aside.unlink(missing_ok=True)
        raise
