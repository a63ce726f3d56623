"""Work that never ends: an exception in time, and where that cannot get through, the end of the worker."""

import faulthandler
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


def _last(seconds: float) -> float:
    """When the process ends: native code lets no exception in."""
    return 1.25 * seconds + 1


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Ends a block that takes too long; to be used in the main thread of a worker.

    Raises:
        TimeoutError: The block took longer than so many seconds.
    """

    def late(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"no result after {seconds:g} s")

    handler = signal.signal(signal.SIGALRM, late)
    timer = signal.setitimer(signal.ITIMER_REAL, seconds)
    faulthandler.dump_traceback_later(_last(seconds), exit=True)  # a thread of C: it needs no interpreter
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, *timer)
        faulthandler.cancel_dump_traceback_later()
