"""Stage 1: search a space for a Pareto front, without training."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from ray import tune

from zenfront.pipeline import algorithms
from zenfront.pipeline.algorithms import FixedList, Problem
from zenfront.pipeline.cluster import session, tuner, workers
from zenfront.pipeline.cluster.memory_advice import MemoryAdvisor
from zenfront.pipeline.cluster.metrics import SearchMetrics
from zenfront.pipeline.cluster.watchdog import ClusterWatchdog
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.progress import SearchProgress, View
from zenfront.pipeline.record.ledger import Ledger, read_values
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results import Generation, Scores
from zenfront.pipeline.scoring import Scoring
from zenfront.pipeline.stages.search.loop import REPORTS, SearchLoop, trial_seconds, trial_size
from zenfront.pipeline.stages.search.statistics import SearchStatistics
from zenfront.pipeline.stages.search.worker import ScoringWorker
from zenfront.spaces import Architecture
from zenfront.spaces import load as load_space


def search(experiment: Experiment, folder: RunFolder, view: View) -> None:
    """Scores as many architectures as the experiment wants; goes on where an interrupted run ended.

    Raises:
        UserError: Nothing is feasible; the record cannot be written; the cluster does not answer.
        KeyboardInterrupt: Interrupted; the record is complete up to here.
    """
    with Ledger(folder.scores) as scores, Ledger(folder.generations) as generations:
        driver = SearchDriver(experiment, scores, generations, view)
        if driver.loop.done:
            view.notify(f"search: finished already, {driver.account.evaluations} architectures in {folder.scores}")
            return
        if scores.rows:
            view.notify(f"search: going on after {len(scores.rows)} architectures in {folder.scores}")
        with session.cluster(experiment):
            driver.run(folder)
        if driver.loop.exhausted:
            view.notify(f"search: the space is exhausted after {driver.account.evaluations} architectures")


def score_given(experiment: Experiment, folder: RunFolder, view: View, given: Sequence[Architecture]) -> list[Scores]:
    """Scores these architectures instead of searching; goes on where an interrupted run ended.

    Returns:
        Their scores, in their order; a score that is undefined leaves the others as they are.

    Raises:
        UserError: The record cannot be written; the cluster does not answer.
        KeyboardInterrupt: Interrupted; the record is complete up to here.
    """
    with Ledger(folder.scores) as scores, Ledger(folder.generations) as generations:
        driver = SearchDriver(experiment, scores, generations, view, given)
        if not driver.loop.done:
            with session.cluster(experiment):
                driver.run(folder)
    known = {found.architecture.id: found for found in read_values(scores.path, Scores.from_row)}
    return [known[architecture.id] for architecture in given]


class SearchDriver(tuner.NotPickled):
    """Joins the loop, the record, the account and the view."""

    def __init__(
        self,
        experiment: Experiment,
        scores: Ledger,
        generations: Ledger,
        view: View,
        given: Sequence[Architecture] | None = None,
    ) -> None:
        settings = experiment.search
        objectives, constraints = experiment.objectives, experiment.constraints
        self.experiment = experiment
        self.scores = scores
        self.generations = generations
        self.view = view
        self.account = SearchStatistics(objectives if given is None else objectives[:1], constraints)
        self._keep_partial = given is not None
        self._total = settings.evaluations if given is None else len(given)
        self.error: Exception | None = None
        self._start = time.monotonic()
        self._replayed = generations.values(Generation.from_row)
        self._before = self._replayed[-1].seconds if self._replayed else 0.0
        self._found = len(scores.rows)
        self._scored, self._busy = 0, 0.0
        self._crowded: set[str] = set()
        space = load_space(experiment.space, experiment.code)
        problem = Problem(space, objectives, constraints, settings.population, settings.seed)
        self.loop = SearchLoop(
            algorithms.load(settings.algorithm).make(problem) if given is None else FixedList(given),
            population=settings.population,
            evaluations=self._total,
            lookahead=settings.lookahead,
            known=scores.values(Scores.from_row),
            told=self._told,
        )
        self.loop.start()

    def run(self, folder: RunFolder) -> None:
        """Scores what is left on the cluster."""
        resources = self.experiment.resources
        scoring = replace(Scoring.of(self.experiment), keep_partial=self._keep_partial)
        self.pool = workers.plan_workers(resources.search, "search", resources.device)
        self._metrics = SearchMetrics(self.experiment.name)
        tuner.run_tune(
            ScoringWorker,
            pool=self.pool,
            searcher=_BatchSearcher(self, MemoryAdvisor(self.pool)),
            callback=_Refresh(self),
            stopper=ClusterWatchdog(self, self.pool, self.experiment.cluster.patience),
            scheduler=tuner.ReleasingScheduler(),
            constants={
                "scoring": scoring,
                "threads": self.pool.cpus,
                "gpus": self.pool.gpus,
                "seconds": self.experiment.search.time_limit,
                "period": trial_seconds(self.pool.count) / REPORTS,
            },
        )
        if self.error:
            raise self.error
        if not self.loop.done:
            raise KeyboardInterrupt
        self.show()

    def receive(self, rows: Iterable[dict[str, Any]]) -> None:
        """Records rows that came from a worker, then lets the loop go on."""
        fresh = list(rows)
        self.scores.append(fresh)
        self._scored += len(fresh)
        self._busy += sum(sum(row["seconds"].values()) for row in fresh)
        self.loop.receive(map(Scores.from_row, fresh))

    def again(self, architecture: Architecture) -> None:
        """The GPU was full: this one is to be scored alone."""
        self._crowded.add(architecture.id)
        self.loop.again(architecture)

    def alone(self, batch: Sequence[Architecture]) -> bool:
        """Whether a batch holds one whose GPU was full before."""
        return any(architecture.id in self._crowded for architecture in batch)

    def died(self, architectures: list[Architecture], with_its_machine: bool) -> None:
        """A worker died on these."""
        if with_its_machine:
            self.loop.take_back(architectures)
        elif culprit := self.loop.worker_died(architectures):
            limit = self.experiment.search.time_limit
            reason = (
                "its worker died each time it was scored alone "
                f"(out of memory, a crash in native code, or no result after {limit:g} s)"
            )
            self.receive([Scores(culprit, {}, reason, self.experiment.search.seed).to_row()])

    def batch_size(self) -> int:
        """Candidates of the next trial."""
        fixed = self.experiment.search.candidates_per_trial
        if fixed != "auto":
            return fixed
        rate = self._scored / max(self._busy, 1e-6) if self._scored else None
        return trial_size(self.loop.waiting, self.pool.count, rate)

    def notify(self, text: str) -> None:
        """Tells the user."""
        self.view.notify(f"search: {text}")

    def show(self) -> None:
        """Tells the view and the cluster's metrics where the search stands."""
        seconds = time.monotonic() - self._start
        done = self._found + self._scored
        progress = SearchProgress(
            generation=self.loop.generations,
            evaluations=done,
            total=self._total,
            rate=self._scored / seconds,
            front=len(self.account.front),
            hypervolume=self.account.hypervolume,
            best=self.account.best,
            failures=self.account.failures,
            infeasible=self.account.infeasible,
            seconds=seconds,
        )
        self.view.search(progress)
        self._metrics.show(progress)

    def _told(self, number: int, scored: Sequence[Scores]) -> None:
        self.account.add(scored)
        if number < len(self._replayed):
            return
        seconds = time.monotonic() - self._start
        told = self.account.generation(
            number, seconds=self._before + seconds, rate=self._scored / seconds, time=time.time()
        )
        self.generations.append([told.to_row()])


class _BatchSearcher(tuner.ForgetfulSearcher):
    """A Tune trial is a batch of candidates; what it has not reported when its worker dies is split."""

    def __init__(self, driver: SearchDriver, appetite: MemoryAdvisor) -> None:
        super().__init__()
        self._driver = driver
        self._appetite = appetite
        self._out: dict[str, dict[str, Architecture]] = {}
        self._lost: dict[str, int] = {}
        self._number = 0

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next batch; None while all candidates are out; FINISHED at the end."""
        if self._driver.error or self._driver.loop.done:
            return str(self.FINISHED)
        batch = self._driver.loop.take(self._driver.batch_size())
        if not batch:
            return None
        self._number += 1
        self._out[trial_id] = {architecture.id: architecture for architecture in batch}
        self._lost[trial_id] = workers.lost_machines()
        name = f"generation {self._driver.loop.generations}, batch {self._number}"
        candidates = [architecture.to_json() for architecture in batch]
        return {"name": name, "candidates": candidates, "alone": self._driver.alone(batch)}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Rows of a batch that is not done yet."""
        waiting = self._out[trial_id]
        fresh = [row for row in result["rows"] if waiting.pop(row["id"], None)]
        for crowded in [waiting.pop(name) for name in result["again"] if name in waiting]:
            self._driver.again(crowded)
        if advice := self._appetite.advice(fresh):
            self._driver.view.notify(advice)
        self._guarded(lambda: self._driver.receive(fresh))
        result["rows"].clear()  # Tune keeps the last result of every trial, and writes all of them when it ends

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """The last rows of a batch, or the death of its worker."""
        if result and not error:
            self.on_trial_result(trial_id, result)
        unscored = list(self._out.pop(trial_id).values())
        lost_before = self._lost.pop(trial_id)
        if error:
            self._guarded(lambda: self._driver.died(unscored, workers.lost_machines() > lost_before))

    def _guarded(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # raised again when Tune has ended: it would be a line in its log
            self._driver.error = error


class _Refresh(tune.Callback):  # type: ignore[misc]
    """Shows the progress about twice a second."""

    def __init__(self, driver: SearchDriver) -> None:
        self._driver = driver
        self._next = 0.0

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Called by Tune after every event."""
        if time.monotonic() >= self._next:
            self._driver.show()
            self._next = time.monotonic() + 0.5
