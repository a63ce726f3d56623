"""A thread that keeps a copy up to date while the work goes on, and never stops the work."""

import threading
import time
from collections.abc import Callable

ENOUGH = 2
"""Failures in a row after which the user is warned: a single one can be a hiccup."""
SHARE = 0.1
"""Largest share of the time that is spent on sending: a large record is sent less often."""


class BackgroundSender:
    """Calls a function again and again in a thread of its own, and once more when it is closed.

    A failure does not stop it. `ENOUGH` failures in a row are reported once.

    Args:
        send: Sends what is missing; an exception that it raises is a failure.
        say: Shows a line to the user.
        name: Name of the thread.
        complaint: Returns what to tell the user about an exception, as one sentence.
        reason: Returns an exception in a few words.
        period: Seconds between two calls; `poke` shortens them.
        delay: Seconds before the first call.

    Attributes:
        trouble: Reason of the last call's failure; empty if it succeeded.
    """

    def __init__(
        self,
        send: Callable[[], object],
        say: Callable[[str], None],
        *,
        name: str,
        complaint: Callable[[Exception], str],
        reason: Callable[[Exception], str],
        period: float,
        delay: float = 0.0,
    ) -> None:
        self._send, self._say = send, say
        self._complaint, self._reason = complaint, reason
        self._period, self._pause = period, delay
        self._wake, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self.trouble = ""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def poke(self) -> None:
        """Ask for the next call now; return at once."""
        self._wake.set()

    def close(self, patience: float) -> bool:
        """Send for the last time; return whether all was sent within `patience` seconds."""
        self._closing.set()
        self._wake.set()
        self._thread.join(patience)
        return not self._thread.is_alive() and not self.trouble

    def _work(self) -> None:
        failures, told = 0, False
        while self._goes_on():
            began = time.monotonic()
            error = self._attempt()
            failures = failures + 1 if error else 0
            if error and failures >= ENOUGH and not told and not self._closing.is_set():
                told = True
                self._say(f"{self._complaint(error)} The work goes on without it.")
            self._pause = max(self._period, (time.monotonic() - began) / SHARE)
        self._attempt()

    def _goes_on(self) -> bool:
        """Wait until the next call is due; return False if it is the last."""
        self._wake.wait(self._pause)
        self._wake.clear()
        return not self._closing.is_set()

    def _attempt(self) -> Exception | None:
        try:
            self._send()
        except Exception as error:  # a copy never stops the work, whatever happens to it
            self.trouble = self._reason(error)
            return error
        self.trouble = ""
        return None
