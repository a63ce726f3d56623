"""Driver of the training stage, to which all hooks of Ray Tune lead."""

import time
from collections import Counter
from dataclasses import replace
from typing import Any, Protocol

from ray import tune
from ray.tune.search import Searcher

from zenfront.pipeline.cluster.starts import WorkerStarts
from zenfront.pipeline.cluster.tuner import ForgetfulSearcher, NotPickled, ReleasingScheduler
from zenfront.pipeline.cluster.workers import lost_machines
from zenfront.pipeline.errors import UserError, passing_errors_to
from zenfront.pipeline.progress import TrialProgress, View
from zenfront.pipeline.record.changes import WORKER_FAILED
from zenfront.pipeline.results.stage_rows import Epoch
from zenfront.pipeline.stages.train.jobs import Evaluation
from zenfront.pipeline.stages.train.runs import TrainingRuns

RETRIES = 3
"""Retries after the death of a worker. Tune (2.60) does not retry a trial whose worker dies while it is reset."""

Config = dict[str, Any]


class JobDriver(Protocol):
    """Hands out jobs to Tune and receives their results."""

    starts: WorkerStarts

    def suggest(self) -> Config | str | None:
        """Return the next job, None while there is nothing to do, or FINISHED at the end."""

    def receive(self, config: Config, result: dict[str, Any]) -> bool:
        """Process the result of a step; return whether the job is done."""

    def failed(self, config: Config, with_its_machine: bool = False) -> None:
        """Take note that the worker of a job died or raised."""

    def released(self, config: Config) -> None:
        """Take back a job, which has left its worker."""


class TrainingDriver(NotPickled):
    """Connects runs, record and view. A Tune trial is a job: a run from its checkpoint to its limit, or a test.

    Attributes:
        runs: Training runs and what is recorded of them.
        error: Error that ends the stage, raised after Tune has ended because Tune would swallow it.
        starts: Counts workers that do not start.
    """

    def __init__(self, runs: TrainingRuns, view: View) -> None:
        self.runs = runs
        self.error: Exception | None = None
        self.starts = WorkerStarts(self)
        self._view = view
        self._failures: Counter[tuple[str, int, bool]] = Counter()
        self._reasons: dict[str, str] = {}
        self._shown: dict[str, TrialProgress] = {}
        self._noted: set[str] = set()

    def suggest(self) -> Config | str | None:
        """Return the next job, None while there is nothing to do, or FINISHED at the end."""
        if self.error or self.runs.complete:
            return str(Searcher.FINISHED)
        job = self.runs.take()
        if job is None:
            return None
        self.show()
        if job.test:
            self._view.waiting("the tests of the trained networks")
        trial = job.trial
        run = {"name": trial.name, "architecture": trial.architecture.to_json(), "seed": trial.seed}
        return run | {"recorded": job.recorded, "test": job.test}

    def receive(self, config: Config, result: dict[str, Any]) -> bool:
        """Process the result of a step; return whether the job is done."""
        self.starts.any_started = True
        for note in result.get("notes", ()):
            if note not in self._noted:
                self._noted.add(note)
                self._view.notify(note)
        if "failure" in result:
            self._reasons[config["name"]] = result["failure"]
            return False  # its next step ends the worker, and leads to `failed`
        if "error" in result:
            self.error = UserError(result["error"])
        elif "test" in result:
            self.runs.tested(config["name"], Evaluation(*result["test"]))
        else:
            with passing_errors_to(self._fail):
                self._record(result["rows"])
        self.show()
        return self.error is not None or config["test"] or self.runs.is_paused_or_done(config["name"])

    def failed(self, config: Config, with_its_machine: bool = False) -> None:
        """Hand out the job of a worker that died or raised again, unless it failed too often at the same epoch."""
        name, recorded = config["name"], self.runs.recorded(config["name"])
        reason = self._reasons.pop(name, "its worker died (out of memory, or a crash in native code)")
        self._failures[name, recorded, config["test"]] += not with_its_machine
        if with_its_machine or self._failures[name, recorded, config["test"]] <= RETRIES:
            self._view.notify(f"{name}: {reason}; going on from its checkpoint")
        elif config["test"]:
            self.runs.tested(name, Evaluation(failure=f"{WORKER_FAILED}test: {reason}"))
        else:
            ended = Epoch(name, recorded + 1, {}, WORKER_FAILED + reason, time.time())
            with passing_errors_to(self._fail):
                self.runs.receive(ended)
        self.show()

    def waiting(self, what: str) -> None:
        """Take note of what is waited for until a run changes its state."""
        self._view.waiting(what)

    def notify(self, text: str) -> None:
        """Show a line to the user."""
        self._view.notify(text)

    def released(self, config: Config) -> None:
        """Take back the job, which has left its worker."""
        self.runs.release(config["name"])
        self.show()

    def show(self) -> None:
        """Show the runs whose state has changed."""
        for trial in self.runs.wanted():
            progress = self.runs.progress(trial.name)
            if self._shown.get(trial.name) != progress:
                self._shown[trial.name] = progress
                self._view.trial(progress)

    def _record(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            self.runs.receive(replace(Epoch.from_row(row), time=time.time()))

    def _fail(self, error: Exception) -> None:
        """Keep an error to raise it when Tune has ended; raised now it would be a line in Tune's log."""
        self.error = error


class JobSearcher(NotPickled, ForgetfulSearcher):
    """Tune searcher that suggests the jobs of a driver."""

    def __init__(self, driver: JobDriver) -> None:
        super().__init__()
        self._driver = driver
        self._out: dict[str, Config] = {}

    def suggest(self, trial_id: str) -> Config | str | None:
        """Return the next job, as `TrainingDriver.suggest` does."""
        job = self._driver.suggest()
        if isinstance(job, dict):
            self._out[trial_id] = job
        return job

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Release the job, which has left its worker."""
        self._driver.released(self._out.pop(trial_id))


class JobScheduler(ReleasingScheduler):
    """Tune scheduler that ends a job when the driver decides so. Every epoch is on disk before Tune acts on it."""

    def __init__(self, driver: JobDriver) -> None:
        super().__init__(driver.starts)
        self._driver = driver

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Return STOP if the job is done; Tune calls this after every step."""
        return str(self.STOP if self._driver.receive(trial.config, result) else self.CONTINUE)


class JobCallback(NotPickled, tune.Callback):  # type: ignore[misc]
    """Tune callback that reports dead workers to the driver."""

    def __init__(self, driver: JobDriver) -> None:
        self._driver = driver
        self._lost: dict[str, int] = {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Count the lost machines; Tune calls this when a job has a worker."""
        self._lost[trial.trial_id] = lost_machines()

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Report the failure; Tune calls this after `on_trial_complete` of the searcher."""
        if self._driver.starts.was_one(trial.trial_id):
            return  # the job is released, and is handed out again
        lost_before = self._lost.get(trial.trial_id)
        self._driver.failed(trial.config, lost_before is not None and lost_machines() > lost_before)
