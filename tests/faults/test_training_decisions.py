"""Decisions of the training stage survive a kill at every point; Ray, torch and the clock are simulated."""

import heapq
import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from zenfront import spaces
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.train_config import Train
from zenfront.pipeline.record.changes import WORKER_FAILED
from zenfront.pipeline.record.files.ledger import Ledger, read_ledger
from zenfront.pipeline.results.stage_rows import Epoch
from zenfront.pipeline.seeds import numpy_generator, seed_for
from zenfront.pipeline.stages.train.jobs import Evaluation, Job
from zenfront.pipeline.stages.train.runs import TrainingRuns
from zenfront.spaces import Architecture

EPOCHS = 9
SPACE = spaces.load("anynet3")
SELECTED = [SPACE.sample(numpy_generator(0, "architecture", str(i))) for i in range(7)]
DIVERGES = {f"{SELECTED[2].id}-0": 2, f"{SELECTED[5].id}-0": 1}


def settings(scheduler: str, seeds: tuple[int, ...] = (0, 1)) -> Train:
    return Train.model_validate(
        {
            "epochs": EPOCHS,
            "seeds": seeds,
            "recipe": {"warmup_epochs": 1},
            "scheduler": {"name": scheduler, "grace_period": 1, "reduction_factor": 2},
        }
    )


def train_epoch(trial: str, epoch: int) -> Epoch:
    """Return an epoch as a function of the run and its number, as with bit-exact checkpoints."""
    if DIVERGES.get(trial) == epoch:
        return Epoch(trial, epoch, {}, "training diverged")
    return Epoch(trial, epoch, {"val_accuracy": (seed_for(7, trial, str(epoch)) % 1000) / 1000})


@dataclass
class Machine:
    """Workers and a disk with checkpoints that survives a kill."""

    workers: int
    checkpoints: dict[str, int] = field(default_factory=dict)
    trained: Counter[tuple[str, int]] = field(default_factory=Counter)

    def seconds(self, trial: str) -> float:
        return 1 + seed_for(3, trial) % 97 / 20 if self.workers > 1 else 1.0

    def drive(self, runs: TrainingRuns, kill_after: float = float("inf")) -> None:
        """Drive the stage as the Ray driver does, until it is complete or has received a number of results."""
        now, results, ticket = 0.0, 0, itertools.count()
        busy: list[tuple[float, int, Job, int]] = []
        while True:
            while len(busy) < self.workers and (job := runs.take()):
                first = job.recorded + 1
                heapq.heappush(busy, (now + self._cost(job.trial.name, first), next(ticket), job, first))
            if not busy:
                return
            now, _, job, epoch = heapq.heappop(busy)
            name = job.trial.name
            if job.test:
                runs.tested(name, Evaluation(accuracy=0.5, loss=1.0))
                runs.release(name)
                continue
            result = self._train(name, epoch)
            if results == kill_after:
                return  # this epoch is trained and on disk, but its report never reaches the driver
            results += 1
            runs.receive(result)
            if runs.is_paused_or_done(name):
                runs.release(name)
            else:
                heapq.heappush(busy, (now + self._cost(name, epoch + 1), next(ticket), job, epoch + 1))

    def _cost(self, trial: str, epoch: int) -> float:
        return 0.0 if epoch <= self.checkpoints.get(trial, 0) else self.seconds(trial)

    def _train(self, trial: str, epoch: int) -> Epoch:
        result = train_epoch(trial, epoch)
        if epoch > self.checkpoints.get(trial, 0):
            self.trained[trial, epoch] += 1
            if result.failure is None:
                self.checkpoints[trial] = epoch
        return result


@pytest.fixture(autouse=True)
def _fast_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zenfront.pipeline.record.files.ledger.os.fsync", lambda descriptor: None)


def run(path: Path, train: Train, machine: Machine, kill_after: float = float("inf")) -> TrainingRuns:
    with Ledger(path) as ledger:
        runs = TrainingRuns(SELECTED, train, 0, ledger)
        machine.drive(runs, kill_after)
        return runs


def replayed(path: Path, train: Train) -> TrainingRuns:
    with Ledger(path) as ledger:
        return TrainingRuns(SELECTED, train, 0, ledger)


def decisions(runs: TrainingRuns) -> Mapping[str, tuple[str, str]]:
    progress = [runs.progress(f"{architecture.id}-0") for architecture in SELECTED]
    return {one.trial: (one.state, one.reason) for one in progress}


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_successive_halving_does_not_depend_on_the_number_of_workers(tmp_path: Path, workers: int) -> None:
    train = settings("successive_halving")
    alone = run(tmp_path / "alone", train, Machine(1))
    many = run(tmp_path / "many", train, Machine(workers))
    assert alone.complete
    assert many.complete
    assert many.outcomes() == alone.outcomes()
    states = Counter(run.status for run in many.outcomes().trials)
    assert states == {"finished": 2, "stopped": 4, "diverged": 2}


@pytest.mark.parametrize(
    ("scheduler", "workers"), [("successive_halving", 1), ("successive_halving", 3), ("asha", 1), ("fifo", 2)]
)
def test_a_stage_killed_at_any_point_and_resumed_ends_the_same(tmp_path: Path, scheduler: str, workers: int) -> None:
    train = settings(scheduler)
    whole = run(tmp_path / "whole", train, Machine(workers))
    expected = whole.outcomes()
    total = len((tmp_path / "whole").read_bytes().splitlines())
    assert total > 20
    for cut in range(total):
        path, machine = tmp_path / f"cut{cut}", Machine(workers)
        run(path, train, machine, kill_after=cut)
        resumed = run(path, train, machine)
        assert resumed.outcomes() == expected
        repeated = sum(machine.trained.values()) - len(machine.trained)
        assert repeated <= 1  # only a failure has no checkpoint; every other epoch is trained once


@pytest.mark.parametrize("workers", [2, 4])
def test_asha_with_several_workers_keeps_every_decision_that_it_took(tmp_path: Path, workers: int) -> None:
    train = settings("asha")
    run(tmp_path / "whole", train, Machine(workers))
    total = len((tmp_path / "whole").read_bytes().splitlines())
    stopped_somewhere = 0
    for cut in range(total):
        path, machine = tmp_path / f"cut{cut}", Machine(workers)
        before = decisions(run(path, train, machine, kill_after=cut))
        taken = {name: one for name, one in before.items() if one[0] in ("stopped", "finished", "diverged")}
        assert {name: decisions(replayed(path, train))[name] for name in taken} == taken
        resumed = run(path, train, machine)
        assert resumed.complete
        assert {name: decisions(resumed)[name] for name in taken} == taken
        assert decisions(replayed(path, train)) == decisions(resumed)
        stopped_somewhere += len(taken)
    assert stopped_somewhere > total


def test_an_older_checkpoint_costs_time_but_changes_nothing(tmp_path: Path) -> None:
    """The newest checkpoint may be damaged; repeated epochs are ignored."""
    train = settings("successive_halving")
    expected = run(tmp_path / "whole", train, Machine(1)).outcomes()
    machine = Machine(1)
    run(tmp_path / "cut", train, machine, kill_after=20)
    with Ledger(tmp_path / "cut") as ledger:
        runs = TrainingRuns(SELECTED, train, 0, ledger)
        for trial in runs.wanted():
            for epoch in range(1, runs.recorded(trial.name) + 1):
                runs.receive(train_epoch(trial.name, epoch))
        assert len(read_ledger(ledger.path)[0]) == 20
        machine.drive(runs)
        assert runs.outcomes() == expected


def test_a_gap_in_the_epochs_is_an_error(tmp_path: Path) -> None:
    with Ledger(tmp_path / "epochs") as ledger:
        runs = TrainingRuns(SELECTED, settings("asha"), 0, ledger)
        with pytest.raises(ValueError, match="epoch 1 is next, but got 2"):
            runs.receive(train_epoch(f"{SELECTED[0].id}-0", 2))


def test_a_worker_that_fails_for_good_does_not_hold_the_others_up(tmp_path: Path) -> None:
    train = settings("successive_halving", seeds=(0,))
    with Ledger(tmp_path / "epochs") as ledger:
        runs = TrainingRuns(SELECTED, train, 0, ledger)
        job = runs.take()
        assert job is not None
        name = job.trial.name
        runs.receive(Epoch(name, 1, {}, WORKER_FAILED + "its worker died"))
        runs.release(name)
        Machine(2).drive(runs)
        outcome = next(run for run in runs.outcomes().trials if run.trial == name)
        assert runs.complete
    assert (outcome.status, outcome.epochs, outcome.test_accuracy) == ("failed", 0, None)
    assert outcome.failure == "worker failed: its worker died"
    assert decisions(replayed(tmp_path / "epochs", train))[name][0] == "failed"


def test_the_feed_is_shuffled_by_the_seed_and_not_by_the_rank(tmp_path: Path) -> None:
    def order(selected: list[Architecture], seed: int) -> list[str]:
        with Ledger(tmp_path / "none") as ledger:
            return [trial.name for trial in TrainingRuns(selected, settings("asha"), seed, ledger).wanted()]

    assert order(SELECTED, 0) == order(SELECTED[::-1], 0)
    assert order(SELECTED, 0) != order(SELECTED, 1)
    assert order(SELECTED, 0) != [f"{architecture.id}-0" for architecture in SELECTED]


def test_the_test_data_wait_until_all_training_is_over(tmp_path: Path) -> None:
    jobs: list[Job] = []

    class Watched(TrainingRuns):
        def take(self) -> Job | None:
            job = super().take()
            jobs.extend([job] if job else [])
            return job

    with Ledger(tmp_path / "epochs") as ledger:
        runs = Watched(SELECTED, settings("asha"), 0, ledger)
        Machine(2).drive(runs)
    kinds = [job.test for job in jobs]
    assert kinds == sorted(kinds)
    tested = {job.trial.name for job in jobs if job.test}
    assert tested == {run.trial for run in runs.outcomes().trials if run.status == "finished"}


def test_epochs_of_architectures_that_are_not_selected_are_refused(tmp_path: Path) -> None:
    stranger: dict[str, Any] = train_epoch("0123456789abcdef-0", 1).to_row()
    with Ledger(tmp_path / "epochs") as ledger:
        ledger.append([stranger])
    with pytest.raises(UserError, match=r"0123456789abcdef-0, which front\.json does not select"):
        replayed(tmp_path / "epochs", settings("asha"))
