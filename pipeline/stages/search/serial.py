"""The serial backend: takes the scores in this process, one architecture after the other, without Ray."""

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace

import torch

from zenfront.pipeline.cluster.time_limit import time_limit
from zenfront.pipeline.device import resolve
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.stages.search.candidate import score_candidate
from zenfront.pipeline.stages.search.driver import SearchDriver
from zenfront.pipeline.stages.search.loop import score_in_turn
from zenfront.spaces import Architecture

SHOW_EVERY = 0.5
"""Seconds between two updates of the view."""


def run(driver: SearchDriver) -> None:
    """Score what is left of a search; every score is recorded before the next architecture is scored.

    The scores equal those of a Ray worker: torch gets the threads that the experiment gives one. A candidate that
    takes too long or too much memory is recorded as failed; one that crashes this process ends the search. The time
    limit needs the main thread, and waits for native code to return.
    """
    settings, scoring = driver.experiment, driver.scoring()
    scoring = replace(scoring, device=resolve(scoring.device))

    def score(architecture: Architecture) -> Scores:
        scores = score_candidate(repeated, architecture, _limit(settings.search.time_limit), alone=True)
        assert scores is not None
        return scores

    shown = time.monotonic()
    with _threads(settings.resources.search.cpus):
        while not driver.loop.done:  # the pilot has a loop of its own
            repeated = scoring.repeated(driver.repeats)
            for _ in score_in_turn(driver.loop, score, driver.receive):
                if time.monotonic() - shown >= SHOW_EVERY:
                    driver.show()
                    shown = time.monotonic()
    driver.show()


def _limit(seconds: float) -> AbstractContextManager[None]:
    in_main_thread = threading.current_thread() is threading.main_thread()
    return time_limit(seconds, end_process=False) if in_main_thread else nullcontext()


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
