"""Ctrl-C, and SIGTERM as a machine sends it before it is taken away: the work ends at once, and can be resumed."""

import os
import select
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import NoReturn

PATIENCE = 7.0
"""Seconds that the work has to end in good order; what stops a machine often waits ten."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def resumable() -> AbstractContextManager[None]:
    """Ctrl-C and SIGTERM end a command in one line that tells how to go on."""
    again = shlex.join(["zenfront", *sys.argv[1:]])
    return ending_at_signals(f"zenfront: interrupted; the record is kept. To go on: {again}")


@contextmanager
def ending_at_signals(last_words: str) -> Iterator[None]:
    """SIGINT and SIGTERM raise KeyboardInterrupt in the block, which then ends the process; for the main thread.

    The second signal ends the process at once, and so does `PATIENCE` when the first has not: whatever hangs then,
    every record is on disk, and the processes of a local Ray end with this one. The exit code is 128 + the signal.

    Args:
        last_words: Said at the end that a signal brought about.
    """
    received: list[int] = []
    interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        if not interrupted:
            interrupted = True
            raise KeyboardInterrupt

    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    handlers = {number: signal.signal(number, interrupt) for number in SIGNALS}
    wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reader, received, last_words), name="signals", daemon=True).start()
    try:
        yield
    except KeyboardInterrupt:
        sys.stdout.flush()
        _end(last_words, (received or [signal.SIGINT])[0])
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.close(writer)


def _watch(signals: int, received: list[int], last_words: str) -> None:
    """Takes signals in a thread of its own: the main one may hang in native code, or have a handler of Ray's."""
    if first := _next(signals):
        received.append(first)
        select.select([signals], [], [], PATIENCE)
        _end(last_words, first)
    os.close(signals)


def _next(signals: int) -> int:
    """Waits for one of `SIGNALS`; 0 when none can come any more."""
    while number := os.read(signals, 1):
        if number[0] in SIGNALS:
            return number[0]
    return 0


def _end(last_words: str, number: int) -> NoReturn:
    """Not through Python's own end, which was seen to take half a minute with libraries' threads at work."""
    os.write(2, f"\n{last_words}\n".encode(errors="replace"))
    os._exit(128 + number)
