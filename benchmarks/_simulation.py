"""Simulation of many workers on a virtual clock: the real loop, algorithm, statistics and record, without Ray.

The time of a candidate is drawn from recorded times of real scoring. The driver handles one event after the other. An
event takes the time that Tune needs for it (measured with two workers) plus the processor time of our own code, which
really runs. A worker that has reported continues when the driver has handled the report, as under Tune.
"""

import heapq
import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _null import SPACE

from zenfront.pipeline import algorithms
from zenfront.pipeline.algorithms import Problem
from zenfront.pipeline.objectives import Objective
from zenfront.pipeline.record.files.ledger import Ledger
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.stages.search.loop import REPORTS, SearchLoop, trial_seconds, trial_size
from zenfront.pipeline.stages.search.statistics import SearchStatistics
from zenfront.spaces import Architecture

TUNE_TRIAL = 0.014
"""Processor seconds of Tune's controller to end a trial and start the next; from 224 trials on two workers."""
TUNE_REPORT = 0.003
"""Processor seconds of Tune's controller for a report within a trial; from 1,038 reports on two workers."""
OBJECTIVES = (Objective("zen", "maximise"), Objective("ntk", "minimise"), Objective("flops", "minimise"))


class Cluster:
    """Simulated workers and driver on a virtual clock.

    Args:
        recorded: Scoring times in seconds from which the times of the candidates are drawn.
        workers: Number of workers.
        population: Number of candidates in a generation.
        lookahead: Number of generations in flight.
        batch: Number of candidates in a trial, or ``auto``.
        evaluations: Total number of evaluations.
        record: File of the ledger.
    """

    def __init__(
        self,
        recorded: Sequence[float],
        *,
        workers: int,
        population: int,
        lookahead: int,
        batch: int | str,
        evaluations: int,
        record: Path,
    ) -> None:
        self.recorded, self.workers, self.batch = recorded, workers, batch
        self.ledger = Ledger(record)
        self.statistics = SearchStatistics(OBJECTIVES, ())
        self.driver_free = self.driver_busy = self.worked = 0.0
        self.scored = self.trials = 0
        self.idle = list(range(workers))
        self.queues: dict[int, list[Architecture]] = {}
        self.events: list[tuple[float, int, list[Scores]]] = []
        self.loop = SearchLoop(
            algorithms.load("nsga2").make(Problem(SPACE, OBJECTIVES, (), population, 0)),
            population=population,
            evaluations=evaluations,
            lookahead=lookahead,
            known=(),
            told=lambda _, scored: self.statistics.add(scored),
        )

    def run(self) -> dict[str, float]:
        """Run the search and return candidates per second, trials, and the shares of idle workers and busy driver."""
        with self.ledger:
            self._handle(0.0, 0.0, self.loop.start)
            self._hand_out()
            while self.events:
                now, worker, scores = heapq.heappop(self.events)
                over = not self.queues[worker]
                self._handle(now, TUNE_TRIAL if over else TUNE_REPORT, lambda scores=scores: self._receive(scores))
                if over:
                    self.idle.append(worker)
                else:
                    self._step(worker)
                self._hand_out()
        end = self.driver_free
        return {
            "rate": round(self.scored / end, 1),
            "idle": round(1 - self.worked / (self.workers * end), 3),
            "driver": round(self.driver_busy / end, 3),
            "trials": self.trials,
        }

    def _handle(self, now: float, tune: float, work: Any) -> None:
        """Let the driver handle an event that arrives at `now`, after all earlier events."""
        start = time.process_time()
        work()
        taken = tune + time.process_time() - start
        self.driver_free = max(self.driver_free, now) + taken
        self.driver_busy += taken

    def _receive(self, scores: list[Scores]) -> None:
        self.ledger.append(s.to_row() for s in scores)
        self.scored += len(scores)
        self.loop.receive(scores)

    def _hand_out(self) -> None:
        while self.idle and self.loop.waiting:
            rate = self.scored / self.worked if self.scored else None
            size = trial_size(self.loop.waiting, self.workers, rate) if self.batch == "auto" else int(self.batch)
            worker = self.idle.pop()
            self.queues[worker] = self.loop.take(size)
            self.trials += 1
            self._step(worker)

    def _step(self, worker: int) -> None:
        """Let the worker score candidates until its next report."""
        queue, taken, scores = self.queues[worker], 0.0, list[Scores]()
        while queue and taken < trial_seconds(self.workers) / REPORTS:
            architecture = queue.pop()
            number = int(architecture.id, 16)
            seconds = self.recorded[number % len(self.recorded)]
            taken += seconds
            scores.append(Scores(architecture, _values(architecture, number), None, 0, seconds={"all": seconds}))
        self.worked += taken
        heapq.heappush(self.events, (self.driver_free + taken, worker, scores))


def _values(architecture: Architecture, number: int) -> dict[str, float]:
    size = sum(math.log1p(int(value)) for _, value in architecture.genes)
    noise = numpy_generator(0, str(number)).normal(size=2)
    return {"zen": size + noise[0], "ntk": math.exp(0.2 * size + noise[1]), "flops": math.exp(size)}


def simulate(recorded: Sequence[float], **settings: Any) -> dict[str, Any]:
    """Simulate one cluster and return its settings together with the result."""
    with tempfile.TemporaryDirectory() as folder:
        return settings | Cluster(recorded, **settings, record=Path(folder) / "scores.jsonl").run()
