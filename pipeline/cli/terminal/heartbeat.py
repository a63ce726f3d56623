"""Say what is waited for if nothing was said for a while, so that a silent terminal or log is never a riddle."""

import threading
import time
from collections.abc import Callable

PERIOD = 10.0
"""Seconds without a line after which what is waited for is said."""


class Heartbeat:
    """Says a text in the background whenever nothing was said for some seconds.

    Args:
        say: Writes a line; must not raise.
        period: Seconds without a line.
    """

    def __init__(self, say: Callable[[str], None], period: float = PERIOD) -> None:
        self._say, self._period = say, period
        self._text: Callable[[], str] | None = None
        self._last = time.monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._last = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """End; nothing is said afterwards."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def said(self) -> None:
        """Take note that a line was written."""
        self._last = time.monotonic()

    def set(self, text: Callable[[], str] | None) -> None:
        """Set what is said from now on; None: nothing."""
        self._text = text

    def wait_for(self, what: str) -> None:
        """Set the text to what is waited for from now on, with the seconds."""
        since = time.monotonic()
        self.set(lambda: f"waiting for {what} ({time.monotonic() - since:.0f} s)")

    def _run(self) -> None:
        while not self._stopped.wait(min(1.0, self._period / 4)):
            text = self._text
            if text and time.monotonic() - self._last >= self._period:
                self.said()
                self._say(text())
