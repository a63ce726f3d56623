"""Limit the time of a block: by an exception, and by the end of the process where no exception can be raised."""

import faulthandler
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from types import FrameType

from zenfront.pipeline.errors import TimeIsUp

AGAIN = 0.1
"""Seconds after which the limit is looked at again if it falls into an import."""
RENEWED = 1.0
"""Seconds for which short blocks share one limit of the process."""


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


def time_limit(seconds: float, *, end_process: bool = True) -> AbstractContextManager[None]:
    """Return a context that raises an exception in a block that takes too long, in the main thread of a process only.

    Args:
        seconds: The limit in seconds, positive.
        end_process: End the process some time later if native code lets no exception in; for workers.

    Raises:
        TimeoutError: The block took longer than the limit.
    """
    if not end_process:
        return _limited(seconds)
    return _limited(seconds, partial(_end_after, _last(seconds)), faulthandler.cancel_dump_traceback_later)


@contextmanager
def time_limits(seconds: float) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Yield what returns a `time_limit` for each of many short blocks in a worker.

    The thread that ends the process is renewed once a second only. It takes longer to start and to end than a small
    candidate to score where all processors are busy.
    """
    renewed = -math.inf

    def renew() -> None:
        nonlocal renewed
        if time.monotonic() - renewed > RENEWED:
            _end_after(_last(seconds) + RENEWED)
            renewed = time.monotonic()

    try:
        yield lambda: _limited(seconds, renew)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _end_after(seconds: float) -> None:
    faulthandler.dump_traceback_later(seconds, exit=True)  # a native thread: no interpreter


@contextmanager
def _limited(
    seconds: float, begin: Callable[[], None] | None = None, end: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Raise in a block that takes too long; `begin` arranges the end of the process, and `end` calls it off."""

    def late(number: int, frame: FrameType | None) -> None:
        if begin and time.monotonic() - start > _last(seconds):
            os._exit(1)  # the process stood still (SIGSTOP, a frozen container), for which the block is not to blame
        if _importing(frame, block):
            signal.setitimer(signal.ITIMER_REAL, AGAIN)
            return
        raise TimeIsUp(f"no result after {seconds:g} s")

    start, block = time.monotonic(), sys._getframe(2)  # 1 is that of `contextmanager`
    handler = signal.signal(signal.SIGALRM, late)
    timer = signal.setitimer(signal.ITIMER_REAL, seconds)
    if begin:
        begin()
    try:
        yield
    except TimeIsUp as late_work:
        raise TimeoutError(str(late_work)) from late_work
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, *timer)
        end()
