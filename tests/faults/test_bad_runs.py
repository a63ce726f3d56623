"""Training runs that hang or raise are reported as text, and their worker is not used again."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from zenfront import spaces
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.results.stage_rows import Epoch
from zenfront.pipeline.stages.train.training import RecipeTraining, Training
from zenfront.pipeline.stages.train.worker import TrainingWorker
from zenfront.pipeline.training import data, loop
from zenfront.spaces import Task

SPACE = spaces.load("anynet3")
ANY = SPACE.decode([0] * len(SPACE.levels))
METRICS = {"train_loss": 1.0, "val_loss": 1.0, "val_accuracy": 0.5, "learning_rate": 0.1, "seconds": 0.1}
LIMIT = 600.0
Worker = Callable[[Callable[[], None]], Any]


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worker:
    """Return a worker whose second epoch calls the given function."""

    def make(work: Callable[[], None]) -> Any:
        def train(*_: Any, **__: Any) -> Iterator[Epoch]:
            for epoch in itertools.count(1):
                if epoch == 2:
                    work()
                yield Epoch("", epoch, METRICS)

        monkeypatch.setattr(loop, "train", train)
        task = Task(1, 8, 8, 10)
        images = data.load(Data(limit=100), task, seed=0)
        training = Training(task, RecipeTraining(images, Recipe(), "accuracy"), 4, "cpu", tmp_path, LIMIT)
        made = object.__new__(TrainingWorker)
        job = {"name": "run-0", "architecture": ANY.to_json(), "seed": 0, "recorded": 0, "test": False}
        made.setup(job, training, threads=1)
        return made

    return make


def full() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2 GiB.")


def mistaken() -> None:
    raise UserError("the data are gone")


@pytest.mark.parametrize(
    ("late", "reason"),
    [
        (True, "TimeoutError: no result after 600 s"),
        (False, "OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB."),
    ],
)
def test_a_failure_is_reported_as_text_and_ends_the_worker(
    worker: Worker, out_of_time: Callable[[float], None], late: bool, reason: str
) -> None:
    at_work = worker((lambda: out_of_time(LIMIT)) if late else full)
    assert at_work.step()["rows"][0]["epoch"] == 1
    assert at_work.step() == {"failure": reason}
    with pytest.raises((TimeoutError, torch.OutOfMemoryError)):
        at_work.step()


def test_a_user_error_is_not_a_failure(worker: Worker) -> None:
    at_work = worker(mistaken)
    at_work.step()
    assert at_work.step() == {"error": "the data are gone"}
