"""The driver of a search: it joins the loop, the record, the statistics and the view, whoever takes the scores."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.progress import SearchProgress, View
from zenfront.pipeline.record.ledger import Ledger
from zenfront.pipeline.record.score_record import holds, joined, latest, row_reader
from zenfront.pipeline.results.stage_rows import Generation, Scores
from zenfront.pipeline.scoring import Scoring
from zenfront.pipeline.stages.search.loop import SearchLoop
from zenfront.pipeline.stages.search.plan import SearchPlan
from zenfront.pipeline.stages.search.statistics import SearchStatistics


class SearchDriver:
    """Records scores, tells them to the algorithm and shows the progress. A backend takes the scores.

    Args:
        experiment: The experiment.
        scores: Ledger of `Scores`; architectures that it holds already are not handed out again. Those that the plan
            knows and the search asks are added to it.
        generations: Ledger with one row per generation.
        view: Shows the progress.
        plan: What is asked; the plan of stage 1 if not given.
        retry_failed: Hand architectures out again that are recorded as failed.
        ends: As for `SearchLoop`.

    Attributes:
        experiment: The experiment.
        loop: Hands out the architectures.
        statistics: Statistics of the generations told so far.
        found: Number of architectures in the ledger when the driver was made.
        lost: Number of architectures that the generations count, but that are not in the ledger.
    """

    def __init__(
        self,
        experiment: Experiment,
        scores: Ledger,
        generations: Ledger,
        view: View,
        plan: SearchPlan | None = None,
        *,
        retry_failed: bool = False,
        ends: Sequence[int] = (),
    ) -> None:
        plan = plan or SearchPlan.of(experiment)
        self.experiment = experiment
        self.statistics = SearchStatistics(plan.objectives, plan.constraints, patient=plan.patient)
        rows = scores.values(row_reader(experiment, partial=plan.keep_partial))
        names = experiment.score_names()
        known = [each for each in joined(rows) if holds(each, names)] if plan.keep_partial else latest(rows)
        failed = [scores for scores in known if retry_failed and scores.failure]
        self.found = len(known)
        self._recorded = {scores.architecture.id for scores in known}
        self._plan = plan
        self._scores, self._generations, self._view = scores, generations, view
        self._start = time.monotonic()
        self._replayed = generations.values(Generation.from_row)
        self.lost = max(0, (self._replayed[-1].evaluations if self._replayed else 0) - self.found)
        self._before = self._replayed[-1].seconds if self._replayed else 0.0
        self._scored, self._busy = 0, 0.0
        self.loop = SearchLoop(
            plan.algorithm,
            population=plan.population,
            evaluations=plan.evaluations,
            lookahead=experiment.search.lookahead,
            known=[*plan.known, *(scores for scores in known if not (retry_failed and scores.failure))],
            again=[scores.architecture for scores in failed],
            told=self._told,
            ends=ends,
        )
        self.loop.start()

    def scoring(self) -> Scoring:
        """Return what a backend needs to take the scores.

        Raises:
            UserError: The images that a proxy needs cannot be read.
        """
        return replace(Scoring.of(self.experiment), keep_partial=self._plan.keep_partial)

    @property
    def rate(self) -> float | None:
        """Architectures per second of one worker while it scores; None before the first scores."""
        return self._scored / max(self._busy, 1e-6) if self._scored else None

    def receive(self, scored: Iterable[Scores]) -> None:
        """Record scores, then let the loop go on."""
        fresh = self._plan.complete(list(scored))
        self._record(fresh)
        self._scored += len(fresh)
        self._busy += sum(sum(scores.seconds.values()) for scores in fresh)
        self.loop.receive(fresh)

    def notify(self, text: str) -> None:
        """Show a line of text that stays."""
        self._view.notify(text)

    def show(self) -> SearchProgress:
        """Show the progress; return it."""
        seconds = time.monotonic() - self._start
        progress = SearchProgress(
            generation=self.loop.generations,
            evaluations=self.found + self._scored,
            total=self._plan.evaluations,
            rate=self._scored / seconds,
            front=len(self.statistics.front),
            hypervolume=self.statistics.hypervolume,
            best=self.statistics.best,
            failures=self.statistics.failures,
            infeasible=self.statistics.infeasible,
            seconds=seconds,
        )
        self._view.search(progress)
        return progress

    def _record(self, scored: Sequence[Scores]) -> None:
        self._scores.append(scores.to_row() for scores in scored)
        self._recorded.update(scores.architecture.id for scores in scored)

    def _told(self, number: int, scored: Sequence[Scores]) -> None:
        self.statistics.add(scored)
        if known := [scores for scores in scored if scores.architecture.id not in self._recorded]:
            self._record(known)
        if number < len(self._replayed):
            return
        seconds = time.monotonic() - self._start
        told = self.statistics.generation(
            number, seconds=self._before + seconds, rate=self._scored / seconds, time=time.time()
        )
        self._generations.append([told.to_row()])
