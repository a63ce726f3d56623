"""The driver of a search: it joins the loop, the record, the statistics and the view, whoever takes the scores."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

from zenfront.pipeline.algorithms import FixedList
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.progress import SearchProgress, View
from zenfront.pipeline.record.files.ledger import Ledger
from zenfront.pipeline.record.kept_values import KeptValues
from zenfront.pipeline.record.pilot import REPEATS, noisy_scores, reliabilities, warning
from zenfront.pipeline.record.run_documents import generation_reader
from zenfront.pipeline.record.score_record import holds, joined, latest, row_reader
from zenfront.pipeline.results.stage_rows import Generation, Scores
from zenfront.pipeline.scoring import Repeats, Scoring
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.stages.search.loop import SearchLoop
from zenfront.pipeline.stages.search.pilot import choose_pilot
from zenfront.pipeline.stages.search.plan import SearchPlan
from zenfront.pipeline.stages.search.predicted import PredictedCosts
from zenfront.pipeline.stages.search.statistics import SearchStatistics
from zenfront.pipeline.supernet.shared_weights import SharedWeights
from zenfront.spaces import Architecture
from zenfront.spaces import load as load_space


class SearchDriver:
    """Records scores, tells them to the algorithm and shows the progress. A backend takes the scores.

    With `repeats: auto` a pilot comes first: a few architectures are scored several times, and the number of repeats
    of each score follows from them.

    Args:
        experiment: The experiment.
        scores: Ledger of `Scores`; architectures that it holds already are not handed out again. Those that the plan
            knows and the search asks are added to it.
        generations: Ledger with one row per generation.
        view: Shows the progress.
        plan: Plan of the search; that of stage 1 if not given.
        retry_failed: Hand architectures out again that are recorded as failed.
        ends: As for `SearchLoop`.
        pilot: Ledger of `Scores` of the pilot; without it, `repeats: auto` takes each score once.
        predicted: Models of the costs that are not measured.
        shared: Weights of the supernet, for the scores that are taken with them.
        kept: Folder of the values that are measured on devices.
        pilot_of: Architectures from which the pilot chooses; the first generation of stage 1 if not given.

    Attributes:
        experiment: The experiment.
        loop: Hands out the architectures: those of the pilot, then those of the search.
        repeats: Number of samples of each score of these architectures; None in the pilot.
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
        pilot: Ledger | None = None,
        predicted: PredictedCosts | None = None,
        shared: SharedWeights | None = None,
        kept: Path | None = None,
        pilot_of: Sequence[Architecture] | None = None,
    ) -> None:
        read = Generation.from_row if plan else generation_reader(experiment)
        plan = plan or SearchPlan.of(experiment)
        self.experiment = experiment
        rows = scores.values(row_reader(experiment, partial=plan.keep_partial))
        names = experiment.score_names()
        known = [each for each in joined(rows) if holds(each, names)] if plan.keep_partial else latest(rows)
        self._again = [scores.architecture for scores in known if retry_failed and scores.failure]
        self._known = [scores for scores in known if not (retry_failed and scores.failure)]
        self._ends = ends
        self.found = len(known)
        self._recorded = {scores.architecture.id for scores in known}
        self._plan = plan
        self._scores, self._generations, self._view, self._pilot = scores, generations, view, pilot
        self._predicted, self._shared, self._kept = predicted, shared, kept
        self._start = time.monotonic()
        self._replayed = generations.values(read)
        self.lost = max(0, (self._replayed[-1].evaluations if self._replayed else 0) - self.found)
        box = next((row.box for row in self._replayed if row.box), None)
        self.statistics = SearchStatistics(plan.objectives, plan.constraints, patient=plan.patient, box=box)
        self._before = self._replayed[-1].seconds if self._replayed else 0.0
        self._scored, self._busy = 0, 0.0
        self.repeats: Repeats | None = None
        chosen = self._choose_pilot(pilot_of) if pilot else []
        if pilot and chosen:
            self._begin_pilot(pilot, chosen)
        else:
            self._begin_search({} if experiment.search.repeats == "auto" else experiment.search.repeats)

    def scoring(self) -> Scoring:
        """Return what a backend needs to take the scores of the search.

        Raises:
            UserError: The images that a proxy needs cannot be read.
        """
        scoring = Scoring.of(self.experiment)
        if self._predicted:
            scoring = self._predicted.without(scoring)
        kept = KeptValues.prepare(self._kept) if self._kept and scoring.devices else None
        describe = scoring.describe or self._plan.describe
        return replace(scoring, keep_partial=self._plan.keep_partial, describe=describe, kept=kept, shared=self._shared)

    @property
    def rate(self) -> float | None:
        """Architectures per second of one worker while it scores; None before the first scores."""
        return self._scored / max(self._busy, 1e-6) if self._scored else None

    def receive(self, scored: Iterable[Scores]) -> None:
        """Record scores, then let the loop go on."""
        fresh: Sequence[Scores] = list(scored)
        if self.repeats is None:
            assert self._pilot is not None
            self._pilot.append(scores.to_row() for scores in fresh)
        else:
            fresh = self._plan.complete(self._predicted.complete(fresh) if self._predicted else fresh)
            self._record(fresh)
            self._scored += len(fresh)
            self._busy += sum(sum(scores.seconds.values()) for scores in fresh)
        self.loop.receive(fresh)

    def waiting(self, what: str) -> None:
        """Take note of what is waited for until the next progress."""
        self._view.waiting(what)

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
            front=None if self._plan.keep_partial else len(self.statistics.front),
            hypervolume=self.statistics.hypervolume,
            best=self.statistics.best,
            failures=self.statistics.failures,
            infeasible=self.statistics.infeasible,
            seconds=seconds,
        )
        self._view.search(progress)
        return progress

    def _choose_pilot(self, given: Sequence[Architecture] | None) -> list[Architecture]:
        if given is not None:
            return choose_pilot(self.experiment, given)
        settings = self.experiment.search
        space = load_space(self.experiment.space, self.experiment.code)
        generator = numpy_generator(settings.seed, "pilot")
        drawn = (space.sample(generator) for _ in count())
        first = SearchPlan.of(self.experiment).algorithm.ask(settings.population)
        return choose_pilot(self.experiment, first, drawn)

    def _begin_pilot(self, pilot: Ledger, chosen: Sequence[Architecture]) -> None:
        rows = joined(pilot.values(Scores.from_row))
        known = [row for row in rows if row.failure or holds(row, noisy_scores(self.experiment))]
        if len(known) < len(chosen):
            self.notify(f"search: taking the scores of {len(chosen)} architectures {REPEATS} times, for their noise")
        self.loop = SearchLoop(
            FixedList(chosen),
            population=len(chosen),
            evaluations=len(chosen),
            lookahead=1,
            known=known,
            told=self._plan_repeats,
        )
        self.loop.start()

    def _plan_repeats(self, _: int, scored: Sequence[Scores]) -> None:
        found = reliabilities(scored, noisy_scores(self.experiment))
        self._begin_search({name: each.repeats for name, each in found.items()})
        if (line := warning(found)) and not self.loop.done:
            self.notify(f"search: {line}")

    def _begin_search(self, repeats: Repeats) -> None:
        plan = self._plan
        self.repeats = repeats
        self.loop = SearchLoop(
            plan.algorithm,
            population=plan.population,
            evaluations=plan.evaluations,
            lookahead=self.experiment.search.lookahead,
            known=[*plan.known, *self._known],
            again=self._again,
            told=self._told,
            ends=self._ends,
        )
        self.loop.start()

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
