"""Limit the time of a block: by an exception, and by the end of the process where no exception can be raised."""

import faulthandler
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from zenfront.pipeline.errors import TimeIsUp

AGAIN = 0.1
"""Seconds after which the limit is looked at again if it falls into an import."""


def _last(seconds: float) -> float:
    """Return the seconds until the process is ended. A block that hangs in native code never sees the exception."""
    return 1.25 * seconds + 1


def _importing(frame: FrameType | None, block: FrameType) -> bool:
    """Return whether an import is at work in a block; ended by an exception, it would leave half a module behind."""
    while frame and frame is not block:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


@contextmanager
def time_limit(seconds: float, *, end_process: bool = True) -> Iterator[None]:
    """Raise an exception in a block that takes too long. Works in the main thread of a process only.

    Args:
        seconds: The limit in seconds, positive.
        end_process: End the process some time later if native code lets no exception in; for workers.

    Raises:
        TimeoutError: The block took longer than the limit.
    """

    def late(number: int, frame: FrameType | None) -> None:
        if end_process and time.monotonic() - start > _last(seconds):
            os._exit(1)  # the process stood still (SIGSTOP, a frozen container), for which the block is not to blame
        if _importing(frame, block):
            signal.setitimer(signal.ITIMER_REAL, AGAIN)
            return
        raise TimeIsUp(f"no result after {seconds:g} s")

    start, block = time.monotonic(), sys._getframe(2)  # 1 is that of `contextmanager`
    handler = signal.signal(signal.SIGALRM, late)
    timer = signal.setitimer(signal.ITIMER_REAL, seconds)
    if end_process:
        faulthandler.dump_traceback_later(_last(seconds), exit=True)  # a native thread: no interpreter
    try:
        yield
    except TimeIsUp as late_work:
        raise TimeoutError(str(late_work)) from late_work
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, *timer)
        if end_process:
            faulthandler.cancel_dump_traceback_later()
