"""End a command at Ctrl-C or SIGTERM (which a machine sends before it is preempted), so that it can be resumed."""

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

from zenfront.pipeline.experiment.addresses import shown

PATIENCE = 7.0
"""Seconds that the work has to end in order. A preempted machine often has ten."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def resumable() -> AbstractContextManager[None]:
    """End the command at Ctrl-C or SIGTERM, with one line that says how to continue."""
    again = shown(shlex.join(["zenfront", *sys.argv[1:]]))
    return ending_at_signals(f"zenfront: interrupted; the record is kept. To continue: {again}")


@contextmanager
def ending_at_signals(last_words: str) -> Iterator[None]:
    """Raise KeyboardInterrupt in the block at SIGINT or SIGTERM, then end the process. Works in the main thread only.

    A second signal ends the process at once, and so do `PATIENCE` seconds after the first. That is safe whatever
    hangs: every record is on disk, and the processes of a local Ray end with this one. The exit code is 128 + the
    number of the signal.

    Args:
        last_words: Printed when a signal ends the process.
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
    """Receive signals in another thread: the main one may hang in native code, or run a handler that Ray installed."""
    if first := _next(signals):
        received.append(first)
        select.select([signals], [], [], PATIENCE)
        _end(last_words, first)
    os.close(signals)


def _next(signals: int) -> int:
    """Wait for one of `SIGNALS` and return it; return 0 when the pipe is closed."""
    while number := os.read(signals, 1):
        if number[0] in SIGNALS:
            return number[0]
    return 0


def _end(last_words: str, number: int) -> NoReturn:
    """End the process without Python's shutdown, which took up to half a minute while threads of libraries ran."""
    os.write(2, f"\n{last_words}\n".encode(errors="replace"))
    os._exit(128 + number)
