"""End this process with one message when a Ray process that it depends on dies."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NoReturn

import ray

PERIOD = 0.5
"""Seconds between two checks."""
VITAL = ("gcs_server", "raylet")
"""Ray's processes without which it does nothing, by its own names."""


@contextmanager
def ending_with_ray() -> Iterator[None]:
    """Watch the Ray that this process has started, for the time of a block.

    Without its processes, Ray's calls hang for up to a minute; then Ray ends this process and prints its log. So the
    process ends here, at once: every record is on disk, and what is left of Ray ends with its driver.
    """
    node = ray._private.worker._global_node
    started = {name: node.all_processes[name][0].process for name in VITAL if node.all_processes.get(name)}
    over = threading.Event()
    watch = threading.Thread(target=_watch, args=(started, over), name="watch of Ray", daemon=True)
    watch.start()
    try:
        yield
    finally:
        over.set()
        watch.join()


def _watch(started: Mapping[str, "subprocess.Popen[bytes]"], over: threading.Event) -> None:
    while not over.wait(PERIOD):
        for name, process in started.items():
            if (code := process.poll()) is not None and not over.is_set():
                _end(name, code)


def _end(name: str, code: int) -> NoReturn:
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    message = (
        f"zenfront: Ray's process {name} on this machine has died ({how}; the kernel kills it when memory is full). "
        "The record is kept: run the same command to continue."
    )
    os.write(2, f"\n{message}\n".encode(errors="replace"))
    os._exit(2)
