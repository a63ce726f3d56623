"""Lines about a store that is being written: how large it is, how much is done and how long it will take."""

import sys
import time
from pathlib import Path

from zenfront.pipeline.wording import clean, duration, size

EVERY = 10.0
"""Seconds between two lines."""


class Progress:
    """Progress of the writing of images, on standard error.

    Args:
        what: The images, such as ``train images of photos``.
        folder: Folder that they are written to.
        count: Number of images.
        done: Number of images that are there already.
        wanted: Bytes of the images that are missing; an estimate.
    """

    def __init__(self, what: str, folder: Path, count: int, done: int, wanted: int) -> None:
        self._what, self._count, self._first, self._done = what, count, done, done
        self._begun = self._shown = time.monotonic()
        going_on = f", going on after {done:,}" if done else ""
        _say(f"{what}: {count:,} images are written to {folder}{going_on}, about {size(wanted)}, once")

    def add(self, images: int) -> None:
        """Count images that were written."""
        self._done += images
        now = time.monotonic()
        if now - self._shown < EVERY and self._done < self._count:
            return
        rate = (self._done - self._first) / max(now - self._begun, 1e-3)
        left = duration((self._count - self._done) / rate) if rate else "-"
        share = 100 * self._done / self._count
        _say(
            f"{self._what}: {self._done:,} of {self._count:,} images ({share:.0f} %), {rate:,.0f} a second, {left} left"
        )
        self._shown = now


def _say(line: str) -> None:
    print(clean(line), file=sys.stderr, flush=True)  # noqa: T201 - stdout belongs to the results of a command
