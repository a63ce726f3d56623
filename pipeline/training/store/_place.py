"""Folder of the stored images on this machine, and the room on its disk."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.wording import size

PLACE = "ZENFRONT_CACHE"
"""Environment variable that names the folder; the user's cache if it is not set."""
SPARE = 2**28
"""Bytes that are left free on the disk."""
REMEDY = (
    f"Free some space, name a folder on a larger disk in the environment variable {PLACE}, or use fewer images "
    "(`train.data.limit`) or smaller ones (`train.data.resize`)."
)


def place() -> Path:
    """Return the folder that holds a folder for each set of stored images."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get(PLACE) or Path(cache, "zenfront")) / "images"


def require_room(folder: Path, wanted: int) -> None:
    """Check that a number of bytes can be written to a folder.

    Raises:
        UserError: The disk has less room.
    """
    free = shutil.disk_usage(folder).free
    if wanted + SPARE > free:
        raise UserError(
            f"train.data.store: the images need {size(wanted)} in {folder}, but its disk has {size(free)} free, of "
            f"which {size(SPARE)} are kept. {REMEDY}"
        )


@contextmanager
def written_alone(folder: Path) -> Iterator[None]:
    """Make a folder and hold it for one process that writes; the others wait. The lock ends with its process.

    Raises:
        UserError: The folder cannot be written; the disk is full.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = f"What is written is kept. {REMEDY}" if full else f"Name another folder in {PLACE}."
        raise UserError(f"train.data.store: cannot write to {folder} ({error.strerror or error}). {remedy}") from error
