"""Files of a run folder are opened only if they are regular: anything else may block, or never end."""

import errno
import os
import stat


def regular_only(path: str, flags: int) -> int:
    """Open a file; the `opener` of `open`. A FIFO, a device or a folder in its place is an error and never blocks.

    Raises:
        OSError: The file cannot be opened, or is no regular file.
    """
    descriptor = os.open(path, flags | os.O_NONBLOCK, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file", path)
    return descriptor


def same_file(before: os.stat_result | None, now: os.stat_result | None) -> bool:
    """Return whether two states are of one file; None is that of a file that does not exist."""
    return before is now if before is None or now is None else os.path.samestat(before, now)


def state(path: str | os.PathLike[str]) -> os.stat_result | None:
    """Return the state of a file; None if it does not exist."""
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
