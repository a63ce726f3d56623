"""Lock of a run folder: one driver at a time, whose lock ends with its process."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.record.files.regular_file import regular_only, same_file, state

LOCK = "lock"
"""Name of the file in a run folder."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which is made, for one driver.

    Raises:
        UserError: Another driver holds it; it cannot be written; the folder was removed in the block.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / LOCK, "a+", encoding="utf-8", opener=regular_only)  # noqa: SIM115
    except OSError as error:
        raise UserError(
            f"cannot write the run folder {folder}: {error.strerror}. Choose another with --runs."
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise UserError(
                f"another driver is using {folder} ({lock.read().strip()}). "
                "Wait until it ends, or start this one under another name (--set name=...)."
            ) from error
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        lock.flush()
        yield
        check_lock(folder, os.fstat(lock.fileno()))


def holder(folder: Path) -> str | None:
    """Return the driver that holds the lock of a folder, such as ``process 7 on host``; None if no driver does."""
    try:
        lock = open(folder / LOCK, encoding="utf-8", opener=regular_only)  # noqa: SIM115
    except OSError:
        return None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return lock.read().strip()
    return None


def check_lock(folder: Path, before: os.stat_result | None) -> None:
    """Check that the lock of a folder is still the file that it was, so that no second driver can hold it.

    Args:
        folder: The folder.
        before: State of the lock before; None if there was none.

    Raises:
        UserError: It is another one, or was removed.
    """
    if not same_file(before, state(folder / LOCK)):
        raise UserError(
            f"{folder / LOCK} was removed or replaced while this command was working, so that a second one can write "
            "to the folder. Run the same command again when no other is using the folder: it continues."
        )
