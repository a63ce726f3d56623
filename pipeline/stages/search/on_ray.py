"""The Ray backend: workers of a cluster take the scores, a Ray Tune trial for each batch of candidates."""

import time
from collections.abc import Iterable, Sequence
from typing import Any

from ray import tune

from zenfront.pipeline.cluster import session, tuner, workers
from zenfront.pipeline.cluster.memory_advice import MemoryAdvisor
from zenfront.pipeline.cluster.metrics import SearchMetrics
from zenfront.pipeline.cluster.starts import WorkerStarts
from zenfront.pipeline.cluster.watchdog import ClusterWatchdog
from zenfront.pipeline.errors import UserError, passing_errors_to
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.stages.search.driver import SearchDriver
from zenfront.pipeline.stages.search.loop import REPORTS, trial_seconds, trial_size
from zenfront.pipeline.stages.search.worker import ScoringWorker
from zenfront.spaces import Architecture

SHOW_EVERY = 0.5
"""Seconds between two updates of the view."""


def run(driver: SearchDriver) -> None:
    """Score what is left of a search on the cluster of the experiment.

    Raises:
        UserError: The record cannot be written; the cluster does not answer, or has no room for a worker.
        KeyboardInterrupt: The search was interrupted; the record is complete up to here.
    """
    driver.waiting("Ray")
    with session.cluster(driver.experiment):
        driver.waiting("the first scores: workers start")
        resources, settings = driver.experiment.resources, driver.experiment.search
        scoring = driver.scoring()
        pool = workers.plan_workers(resources.search, "search", resources.device, scoring.devices)
        batches = Batches(driver, pool)
        if line := workers.missing_gpus(resources.search, "search"):
            batches.notify(line)
        tuner.run_tune(
            ScoringWorker,
            pool=pool,
            searcher=_BatchSearcher(batches),
            callback=_Refresh(batches),
            stopper=ClusterWatchdog(batches, pool, driver.experiment.cluster.patience, batches.starts),
            scheduler=tuner.ReleasingScheduler(batches.starts),
            constants={
                "scoring": scoring,
                "threads": pool.cpus,
                "gpus": pool.gpus,
                "seconds": settings.time_limit,
                "period": trial_seconds(pool.count) / REPORTS,
            },
        )
        if batches.error:
            raise batches.error
        if not driver.loop.done:
            raise KeyboardInterrupt
        batches.show()


class Batches(tuner.NotPickled):
    """The batches of a search that are out on workers; all hooks of Tune lead here.

    Attributes:
        error: Error that ended the search; to be raised when Tune has ended, since Tune would only log it.
        starts: Counts workers that do not start.
    """

    def __init__(self, driver: SearchDriver, pool: workers.WorkerPool) -> None:
        self.error: Exception | None = None
        self.starts = WorkerStarts(self)
        self._driver, self._pool = driver, pool
        self._advisor = MemoryAdvisor(pool)
        self._metrics = SearchMetrics(driver.experiment.name)
        self._out: dict[str, dict[str, Architecture]] = {}
        self._lost: dict[str, int] = {}
        self._crowded: set[str] = set()
        self._number = 0

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be handed out."""
        return self.error is not None or self._driver.loop.done

    def hand_out(self, trial: str) -> dict[str, Any] | None:
        """Return the configuration of the next trial; None while all candidates are out."""
        batch = self._driver.loop.take(self._size())
        if not batch:
            return None
        self._number += 1
        self._out[trial] = {architecture.id: architecture for architecture in batch}
        self._lost[trial] = workers.lost_machines()
        return {
            "name": f"generation {self._driver.loop.generations}, batch {self._number}",
            "repeats": self._driver.repeats,
            "candidates": [architecture.to_json() for architecture in batch],
            "alone": any(architecture.id in self._crowded for architecture in batch),
        }

    def receive(self, trial: str, rows: Iterable[dict[str, Any]], again: Iterable[str]) -> None:
        """Take ledger rows of a batch; candidates that found the GPU full are scored ``again``, each alone."""
        self.starts.any_started = True
        waiting = self._out[trial]
        fresh = [row for row in rows if waiting.pop(row["id"], None)]
        for crowded in [waiting.pop(name) for name in again if name in waiting]:
            self._crowded.add(crowded.id)
            self._driver.loop.again(crowded)
        if advice := self._advisor.advice(fresh):
            self._driver.notify(advice)
        with passing_errors_to(self._fail):
            self._driver.receive(map(Scores.from_row, fresh))

    def stop(self, error: str) -> None:
        """End the search after an error outside the candidates, for which none of them is blamed."""
        self._fail(
            UserError(
                f"search: a worker failed outside the scores: {error}. No candidate is recorded as failed for it. "
                "When the cause is removed, the same command continues."
            )
        )

    def end(self, trial: str, died: bool) -> None:
        """Take note that a batch has left its worker, or that its worker has died."""
        unscored = list(self._out.pop(trial).values())
        lost_before = self._lost.pop(trial)
        if died and (self.starts.was_one(trial) or workers.lost_machines() > lost_before):
            self._driver.loop.take_back(unscored)
        elif died:
            with passing_errors_to(self._fail):
                self._split(unscored)

    def notify(self, text: str) -> None:
        """Show a line of text that stays."""
        self._driver.notify(f"search: {text}")

    def show(self) -> None:
        """Show the progress, in the view and in the cluster's metrics."""
        if self.starts.any_started:
            self._metrics.show(self._driver.show())

    def _size(self) -> int:
        fixed = self._driver.experiment.search.candidates_per_trial
        return trial_size(self._driver.loop.waiting, self._pool.count, self._driver.rate) if fixed == "auto" else fixed

    def _split(self, architectures: Sequence[Architecture]) -> None:
        if culprit := self._driver.loop.worker_died(architectures):
            settings = self._driver.experiment.search
            reason = (
                "its worker died each time it was scored alone "
                f"(out of memory, a crash in native code, or no result after {settings.time_limit:g} s)"
            )
            self._driver.receive([Scores(culprit, {}, reason, settings.seed)])

    def _fail(self, error: Exception) -> None:
        """Keep an error to raise it when Tune has ended; raised now it would be a line in Tune's log."""
        self.error = error


class _BatchSearcher(tuner.NotPickled, tuner.ForgetfulSearcher):
    """Suggests a batch of candidates as a trial; what it has not reported when its worker dies is split."""

    def __init__(self, batches: Batches) -> None:
        super().__init__()
        self._batches = batches

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the next batch; None while all candidates are out; FINISHED at the end."""
        return str(self.FINISHED) if self._batches.ended else self._batches.hand_out(trial_id)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Take rows of a batch that is not done yet."""
        self._batches.receive(trial_id, result["rows"], result["again"])
        if error := result.get("error"):
            self._batches.stop(error)
        result["rows"].clear()  # Tune keeps the last result of every trial, and writes all of them when it ends

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Take the last rows of a batch, or the death of its worker."""
        if result and not error:
            self.on_trial_result(trial_id, result)
        self._batches.end(trial_id, died=error)


class _Refresh(tuner.NotPickled, tune.Callback):  # type: ignore[misc]
    """Shows the progress about twice a second."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self._next = 0.0

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Show the progress if it is time; called by Tune after every event."""
        if time.monotonic() >= self._next:
            self._batches.show()
            self._next = time.monotonic() + SHOW_EVERY
