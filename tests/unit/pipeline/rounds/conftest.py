"""Whole runs with rounds in milliseconds: scores and accuracies are formulas, and Ray is absent."""

import heapq
import itertools
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.progress import SearchProgress, TrialProgress
from zenfront.pipeline.record.files.json_file import read_document
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results.front import Front
from zenfront.pipeline.results.stage_rows import Epoch, Scores, Trained
from zenfront.pipeline.seeds import seed_for
from zenfront.pipeline.stages.rounds.stage import train_in_rounds
from zenfront.pipeline.stages.search import serial
from zenfront.pipeline.stages.search.driver import SearchDriver
from zenfront.pipeline.stages.search.loop import score_in_turn
from zenfront.pipeline.stages.search.stage import search
from zenfront.pipeline.stages.select import select
from zenfront.pipeline.stages.train import stage as train_stage
from zenfront.pipeline.stages.train.driver import TrainingDriver
from zenfront.pipeline.stages.train.jobs import Evaluation, Job
from zenfront.pipeline.stages.train.runs import TrainingRuns
from zenfront.pipeline.training import data
from zenfront.spaces import Architecture


def flops_of(architecture: Architecture) -> float:
    """Return a cost: the sum of products of neighbouring widths of nats_sss."""
    widths = [int(value) for value in architecture.mapping.values()]
    return float(sum(a * b for a, b in itertools.pairwise(widths)))


def accuracy_of(architecture: Architecture) -> float:
    """Return an accuracy: early widths help, late ones do harm, and size helps."""
    widths = [int(value) / 64 for value in architecture.mapping.values()]
    return 0.5 + 0.1 * (widths[0] + widths[1] - widths[3] - widths[4]) + 0.1 * sum(widths) / 5


@dataclass
class View:
    """A view that keeps what it is told."""

    said: list[str] = field(default_factory=list)

    def search(self, progress: SearchProgress) -> None:
        """Ignore the progress."""

    def trial(self, progress: TrialProgress) -> None:
        """Ignore the progress."""

    def waiting(self, what: str) -> None:
        """Take note of nothing."""

    def notify(self, text: str) -> None:
        """Keep a line."""
        self.said.append(text)


@dataclass
class World:
    """The formulas that take the place of scores and trainings.

    Attributes:
        accuracy: Accuracy after the last epoch; None: the run diverges.
        flops: Cost.
        workers: Number of workers, which take random times.
        scored: Architectures that were scored, in their order.
        view: Keeps what the user is told.
    """

    accuracy: Callable[[Architecture], float | None] = accuracy_of
    flops: Callable[[Architecture], float] = flops_of
    workers: int = 1
    scored: list[Architecture] = field(default_factory=list)
    view: View = field(default_factory=View)

    def experiment(self, experiment: Mapping[str, Any] | None = None, **select: Any) -> Experiment:
        """Return an experiment on nats_sss whose objectives are the wrong proxy and the cost."""
        settings: dict[str, Any] = {
            "name": "rounds",
            "space": "nats_sss",
            "task": {"channels": 1, "height": 8, "width": 8, "classes": 10},
            "objectives": [{"score": "zen", "direction": "maximise"}, {"score": "flops", "direction": "minimise"}],
            "search": {"population": 8, "repeats": 1, "evaluations": 32},
            "select": {"k": 12, "rounds": 3} | select,
            "train": {
                "epochs": 9,
                "data": {"limit": 200},
                "recipe": {"warmup_epochs": 1},
                "scheduler": {"name": "successive_halving", "grace_period": 1, "reduction_factor": 3},
                "seeds": [0, 1],
            },
        }
        return Experiment.model_validate(settings | dict(experiment or {}))

    def run(self, experiment: Experiment, path: Path) -> tuple[Front, Trained]:
        """Run the stages as far as they are not done; return front.json and trained.json."""
        folder = RunFolder(path)
        with folder.driving(experiment):
            search(experiment, folder, self.view, "serial")
            select(experiment, folder)
            train_in_rounds(experiment, folder, self.view, "serial")
        front, trained = read_document(folder.front, Front.from_row), read_document(folder.trained, Trained.from_row)
        assert front
        assert trained
        return front, trained

    def score(self, architecture: Architecture) -> Scores:
        """Return the scores: a wrong proxy, which likes what does harm, and the cost."""
        self.scored.append(architecture)
        widths = [int(value) for value in architecture.mapping.values()]
        values = {"flops": self.flops(architecture), "zen": float(widths[3] + widths[4] - widths[0])}
        return Scores(architecture, values, None, 0, graph=tuple(map(float, widths)))

    def search(self, driver: SearchDriver) -> None:
        """Take the place of the serial backend."""
        for _ in score_in_turn(driver.loop, self.score, driver.receive):
            pass

    def train(self, experiment: Experiment, folder: RunFolder, images: Any, driver: TrainingDriver) -> None:
        """Take the place of Ray."""
        self.drive(driver.runs, experiment.train.epochs)

    def drive(self, runs: TrainingRuns, epochs: int) -> None:
        """Train what is left."""
        now, ticket = 0.0, itertools.count()
        busy: list[tuple[float, int, Job, int]] = []
        while True:
            while len(busy) < self.workers and (job := runs.take()):
                heapq.heappush(busy, (now + self._seconds(job), next(ticket), job, job.recorded + 1))
            if not busy:
                return
            now, _, job, epoch = heapq.heappop(busy)
            if job.test:
                runs.tested(job.trial.name, Evaluation(self.accuracy(job.trial.architecture), 1.0, images=100.0))
            else:
                runs.receive(self._epoch(job, epoch, epochs))
            if job.test or runs.is_paused_or_done(job.trial.name):
                runs.release(job.trial.name)
            else:
                heapq.heappush(busy, (now + self._seconds(job), next(ticket), job, epoch + 1))

    def _epoch(self, job: Job, epoch: int, epochs: int) -> Epoch:
        accuracy = self.accuracy(job.trial.architecture)
        if accuracy is None:
            return Epoch(job.trial.name, epoch, {}, "train_loss is not finite")
        return Epoch(job.trial.name, epoch, {"val_accuracy": accuracy * (0.5 + 0.5 * epoch / epochs)})

    def _seconds(self, job: Job) -> float:
        return 1 + seed_for(3, job.trial.name) % 97 / 20 if self.workers > 1 else 1.0


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Formulas in place of workers."""
    made = World()
    images: dict[tuple[Any, ...], data.Images] = {}

    def load(*words: Any) -> data.Images:
        if words not in images:
            images[words] = loaded(*words)
        return images[words]

    loaded = data.load
    monkeypatch.setattr(data, "load", load)
    monkeypatch.setattr(serial, "run", lambda driver: made.search(driver))
    monkeypatch.setattr(train_stage, "_run", made.train)
    monkeypatch.setattr("zenfront.pipeline.cluster.session.cluster", lambda experiment: nullcontext())
    monkeypatch.setattr("zenfront.pipeline.record.files.ledger.os.fsync", lambda descriptor: None)
    return made
