"""ASHA and successive halving on learning curves of NAS-Bench-101, with a fake clock and killed drivers."""

import heapq
import itertools
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from zenfront import spaces
from zenfront.pipeline.experiment.train_config import Train
from zenfront.pipeline.record.files.ledger import Ledger
from zenfront.pipeline.results.stage_rows import Epoch
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.stages.train.jobs import Evaluation, Job
from zenfront.pipeline.stages.train.runs import TrainingRuns

TABLE = json.loads((Path(__file__).parents[1] / "golden" / "nasbench101_curves.json").read_text(encoding="utf-8"))
RUNGS = TABLE["epochs"]  # 4, 12, 36, 108: those of a grace period of 4 epochs and a reduction factor of 3
SPACE = spaces.load("anynet3")
CURVES = {
    SPACE.sample(numpy_generator(0, "curve", name)): np.interp(np.arange(1, 109), [0, *RUNGS], [10, *accuracies])
    for name, accuracies in TABLE["accuracy"].items()
}
BY_NAME = {f"{architecture.id}-0": curve for architecture, curve in CURVES.items()}


@pytest.fixture(autouse=True)
def _fast_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zenfront.pipeline.record.files.ledger.os.fsync", lambda descriptor: None)


def settings(scheduler: str) -> Train:
    rule = {"name": scheduler, "grace_period": 4, "reduction_factor": 3}
    return Train.model_validate({"epochs": 108, "seeds": [0], "scheduler": rule})


def train(path: Path, scheduler: str, workers: int = 1, kill_after: float = float("inf")) -> TrainingRuns:
    """Train until the end, or until a number of epochs has been recorded; larger networks take longer."""
    with Ledger(path) as ledger:
        runs = TrainingRuns(list(CURVES), settings(scheduler), 0, ledger)
        speed = {name: 1 + rank % 7 / 3 for rank, name in enumerate(sorted(BY_NAME))}
        busy: list[tuple[float, int, Job, int]] = []
        now, ticket, recorded = 0.0, itertools.count(), len(ledger.rows)
        while recorded < kill_after:
            while len(busy) < workers and (job := runs.take()):
                heapq.heappush(busy, (now + speed[job.trial.name], next(ticket), job, job.recorded + 1))
            if not busy:
                break
            now, _, job, epoch = heapq.heappop(busy)
            name = job.trial.name
            if job.test:
                runs.tested(name, Evaluation(accuracy=0.5, loss=1.0))
            else:
                runs.receive(Epoch(name, epoch, {"val_accuracy": float(BY_NAME[name][epoch - 1])}))
                recorded += 1
            if job.test or runs.is_paused_or_done(name):
                runs.release(name)
            else:
                heapq.heappush(busy, (now + speed[name], next(ticket), job, epoch + 1))
        return runs


def decisions(runs: TrainingRuns) -> dict[str, tuple[str, int, str]]:
    found = [runs.progress(name) for name in BY_NAME]
    return {one.trial: (one.state, one.epoch, one.reason) for one in found}


def test_curves_cross() -> None:
    """The table is a meaningful test: the best run after 4 epochs is not the best after 108."""
    after = np.array(list(TABLE["accuracy"].values()))
    assert after.shape == (27, 4)
    assert after[:, 0].argmax() != after[:, 3].argmax()


@pytest.mark.parametrize("workers", [1, 4])
def test_successive_halving_keeps_the_best_third_at_each_rung(tmp_path: Path, workers: int) -> None:
    expected = dict.fromkeys(BY_NAME, 4)
    left = sorted(BY_NAME)
    for rung, following in itertools.pairwise(RUNGS):
        left = sorted(left, key=lambda name: -BY_NAME[name][rung - 1])[: len(left) // 3]
        expected |= dict.fromkeys(left, following)
    found = decisions(train(tmp_path / "epochs", "successive_halving", workers))
    assert {name: epoch for name, (_, epoch, _) in found.items()} == expected
    assert Counter(expected.values()) == {4: 18, 12: 6, 36: 2, 108: 1}


def test_asha_on_one_worker_stops_below_the_upper_third_of_the_earlier(tmp_path: Path) -> None:
    """The expected cutoffs are NumPy's quantiles over the runs in their order of start."""
    runs = train(tmp_path / "epochs", "asha")
    at: dict[int, list[float]] = {rung: [] for rung in RUNGS[:-1]}
    for trial in runs.wanted():
        expected = 108
        for rung, earlier in at.items():
            accuracy = BY_NAME[trial.name][rung - 1]
            stopped = bool(earlier) and accuracy < np.quantile(earlier, 2 / 3)
            earlier.append(accuracy)
            if stopped:
                expected = rung
                break
        assert runs.recorded(trial.name) == expected
    assert runs.complete


@pytest.mark.parametrize("scheduler", ["asha", "successive_halving"])
def test_a_repeatedly_killed_driver_makes_the_same_decisions(tmp_path: Path, scheduler: str) -> None:
    expected = decisions(train(tmp_path / "whole", scheduler))
    total = (tmp_path / "whole").read_bytes().count(b"\n")
    moments = sorted(numpy_generator(0, "kills", scheduler).integers(0, total, 20))
    for moment in moments:
        train(tmp_path / "killed", scheduler, kill_after=moment)
        with (tmp_path / "killed").open("ab") as file:
            file.write(b'{"trial":"torn')
    assert decisions(train(tmp_path / "killed", scheduler)) == expected
    epochs = [json.loads(line) for line in (tmp_path / "killed").read_bytes().splitlines()]
    assert len({(row["trial"], row["epoch"]) for row in epochs}) == len(epochs) == total


def test_asha_on_several_workers_never_revises_a_decision(tmp_path: Path) -> None:
    """The order of arrival depends on the clock and thus on the kill; a decision is a function of the record."""
    path = tmp_path / "epochs"
    taken: dict[str, tuple[str, int, str]] = {}
    for moment in sorted(numpy_generator(0, "kills").integers(1, 300, 20)):
        runs = train(path, "asha", workers=4, kill_after=moment)
        found = {name: one for name, one in decisions(runs).items() if one[0] in ("stopped", "finished")}
        assert {name: found[name] for name in taken} == taken
        taken = found
    assert len(taken) > 5
    end = decisions(train(path, "asha", workers=4))
    assert {name: end[name] for name in taken} == taken
    with Ledger(path) as ledger:
        assert decisions(TrainingRuns(list(CURVES), settings("asha"), 0, ledger)) == end
