"""Decisions by accuracy and cost survive a kill at every point; Ray and torch are absent."""

import heapq
import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from zenfront import spaces
from zenfront.pipeline.experiment.train_config import Train
from zenfront.pipeline.record.files.ledger import Ledger
from zenfront.pipeline.results.stage_rows import Epoch
from zenfront.pipeline.seeds import numpy_generator, seed_for
from zenfront.pipeline.stages.train.jobs import Evaluation, Job
from zenfront.pipeline.stages.train.runs import TrainingRuns

EPOCHS = 9
SPACE = spaces.load("anynet3")
SELECTED = [SPACE.sample(numpy_generator(0, "architecture", str(i))) for i in range(9)]
COSTS = {architecture.id: (float(4**index),) for index, architecture in enumerate(SELECTED)}
ACCURACY = {architecture.id: 0.5 + 0.05 * index for index, architecture in enumerate(SELECTED)}


def settings(scheduler: str, **keys: object) -> Train:
    return Train.model_validate(
        {
            "epochs": EPOCHS,
            "seeds": (0, 1),
            "recipe": {"warmup_epochs": 1},
            "scheduler": {"name": scheduler, "grace_period": 1, "reduction_factor": 3, **keys},
        }
    )


@dataclass
class Workers:
    """Workers that take random times; an epoch is a function of the run and its number."""

    count: int
    accuracy: dict[str, float] = field(default_factory=lambda: ACCURACY)

    def drive(self, runs: TrainingRuns, kill_after: float = float("inf")) -> None:
        now, results, ticket = 0.0, 0, itertools.count()
        busy: list[tuple[float, int, Job, int]] = []
        while True:
            while len(busy) < self.count and (job := runs.take()):
                heapq.heappush(busy, (now + self._seconds(job), next(ticket), job, job.recorded + 1))
            if not busy:
                return
            now, _, job, epoch = heapq.heappop(busy)
            if job.test:
                runs.tested(job.trial.name, Evaluation(accuracy=0.5, loss=1.0, images=100.0))
                runs.release(job.trial.name)
                continue
            if results == kill_after:
                return
            results += 1
            accuracy = self.accuracy[job.trial.architecture.id]
            runs.receive(Epoch(job.trial.name, epoch, {"val_accuracy": accuracy}))
            if runs.is_paused_or_done(job.trial.name):
                runs.release(job.trial.name)
            else:
                heapq.heappush(busy, (now + self._seconds(job), next(ticket), job, epoch + 1))

    def _seconds(self, job: Job) -> float:
        return 1 + seed_for(3, job.trial.name) % 97 / 20 if self.count > 1 else 1.0


@pytest.fixture(autouse=True)
def _fast_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zenfront.pipeline.record.files.ledger.os.fsync", lambda descriptor: None)


def run(
    path: Path,
    train: Train,
    workers: Workers,
    kill_after: float = float("inf"),
    costs: Mapping[str, tuple[float, ...]] = COSTS,
    images: int | None = None,
) -> TrainingRuns:
    with Ledger(path) as ledger:
        runs = TrainingRuns(SELECTED, train, 0, ledger, costs, images)
        workers.drive(runs, kill_after)
        return runs


def finished(runs: TrainingRuns) -> set[int]:
    """Return the indices of the architectures that are trained to the end, the cheapest is 0."""
    return {i for i, a in enumerate(SELECTED) if runs.progress(f"{a.id}-0").state == "finished"}


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_the_cheapest_and_the_most_accurate_are_trained_to_the_end(tmp_path: Path, workers: int) -> None:
    """The costlier, the more accurate: all are on the front. By accuracy, one of nine goes on, and it is the last."""
    runs = run(tmp_path / "epochs", settings("successive_halving"), Workers(workers))
    assert {0, 8} <= finished(runs)
    alone = run(tmp_path / "alone", settings("successive_halving"), Workers(workers), costs={})
    assert finished(alone) == {8}


@pytest.mark.parametrize("workers", [2, 8])
def test_successive_halving_with_costs_does_not_depend_on_the_number_of_workers(tmp_path: Path, workers: int) -> None:
    train = settings("successive_halving")
    expected = run(tmp_path / "alone", train, Workers(1)).outcomes()
    many = run(tmp_path / "many", train, Workers(workers))
    assert many.complete
    assert many.outcomes() == expected
    assert Counter(run.seed for run in expected.trials if run.status == "finished") == {0: 2, 1: 2}


@pytest.mark.parametrize(("scheduler", "workers"), [("successive_halving", 1), ("successive_halving", 3), ("asha", 1)])
def test_a_stage_with_costs_killed_at_any_point_and_resumed_ends_the_same(
    tmp_path: Path, scheduler: str, workers: int
) -> None:
    train = settings(scheduler)
    expected = run(tmp_path / "whole", train, Workers(workers)).outcomes()
    total = len((tmp_path / "whole").read_bytes().splitlines())
    for cut in range(total):
        path = tmp_path / f"cut{cut}"
        run(path, train, Workers(workers), kill_after=cut)
        assert run(path, train, Workers(workers)).outcomes() == expected


def test_a_difference_below_the_noise_makes_no_front_unless_the_key_says_so(tmp_path: Path) -> None:
    """The standard error of 50 % on 100 images is 5 %: 54 % at twice the cost is no gain, 60 % is one."""
    rows = [(1.0, 0.50), (2.0, 0.54), (2.5, 0.60), (3.0, 0.90)] + 5 * [(4.0, 0.30)]
    costs = {a.id: (cost,) for a, (cost, _) in zip(SELECTED, rows, strict=True)}
    accuracy = {a.id: value for a, (_, value) in zip(SELECTED, rows, strict=True)}
    cheap, close, *_ = (f"{architecture.id}-0" for architecture in SELECTED)
    runs = {
        ties: run(
            tmp_path / str(ties),
            settings("successive_halving", ties_within_noise=ties),
            Workers(1, accuracy),
            costs=costs,
            images=100,
        )
        for ties in (True, False)
    }
    assert finished(runs[True]) <= {0, 2, 3}
    assert runs[True].progress(close).reason.startswith("rung 1: rank 2, ")
    assert f"{cheap} dominates it" in runs[True].progress(close).reason
    assert "rank 2" not in runs[False].progress(close).reason


def test_the_number_of_test_images_is_that_of_the_workers(tmp_path: Path) -> None:
    assert run(tmp_path / "epochs", settings("asha"), Workers(1)).test_images == 100.0


def test_balanced_accuracy_decides_where_it_is_asked_for(tmp_path: Path) -> None:
    train = Train.model_validate(
        {
            "epochs": 3,
            "metric": "balanced_accuracy",
            "recipe": {"warmup_epochs": 1},
            "scheduler": {"name": "successive_halving", "grace_period": 1, "reduction_factor": 9},
        }
    )
    with Ledger(tmp_path / "epochs") as ledger:
        runs = TrainingRuns(SELECTED, train, 0, ledger)
        while job := runs.take():
            name, index = job.trial.name, SELECTED.index(job.trial.architecture)
            if job.test:
                runs.tested(name, Evaluation(0.9, 1.0, None, 0.3))
            else:
                metrics = {"val_accuracy": 1 - index / 10, "val_balanced_accuracy": index / 10}
                runs.receive(Epoch(name, job.recorded + 1, metrics))
            runs.release(name)
    assert finished(runs) == {8}
    outcome = next(run for run in runs.outcomes().trials if run.status == "finished")
    assert outcome.val_accuracy == pytest.approx(0.2)
    assert (outcome.val_balanced_accuracy, outcome.test_balanced_accuracy) == (0.8, 0.3)
    assert runs.progress(outcome.trial).value == 0.8
