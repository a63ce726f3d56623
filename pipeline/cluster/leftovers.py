"""Temporary folders of this machine, and the removal of those whose process was killed."""

import fcntl
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "zenfront-"
OWNER = "owner.json"
"""File of a folder that its process holds locked. The kernel releases the lock when the process ends, however it ends:
a number of a process could by then belong to another one, or to another container."""


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a temporary folder for the time of a block. If this process is killed, the next start removes it."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        with (folder / ".new").open("w", encoding="utf-8") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX)
            (folder / ".new").rename(folder / OWNER)  # nobody sees the file unlocked
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def record_session(folder: Path, session: Path) -> None:
    """Write the folder of a Ray session that ends with this process into its temporary folder."""
    content = {"pid": os.getpid(), "session": str(session)}
    with (folder / OWNER).open("r+", encoding="utf-8") as owner:  # the same file: a new one would not be locked
        owner.write(json.dumps(content))


def remove_leftovers() -> None:
    """Remove the temporary folders of killed processes of this user, with their Ray sessions."""
    with suppress(OSError):
        for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            with suppress(OSError, ValueError):
                _remove_if_abandoned(folder)


def _remove_if_abandoned(folder: Path) -> None:
    if not _is_own_folder(folder):
        return
    with open(os.open(folder / OWNER, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), encoding="utf-8") as owner:
        try:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # its process lives
        with suppress(KeyError, TypeError, ValueError):  # killed before it had a session
            session = Path(json.load(owner)["session"])
            if session.name.startswith("session_") and _is_own_folder(session):
                shutil.rmtree(session, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def _is_own_folder(path: Path) -> bool:
    status = path.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
