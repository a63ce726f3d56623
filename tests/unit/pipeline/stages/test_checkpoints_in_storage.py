"""Workers without a shared disk find the checkpoints of other workers in the storage."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from zenfront import spaces
from zenfront.pipeline.experiment.train_config import Data, Recipe
from zenfront.pipeline.record.copies.storage import Storage
from zenfront.pipeline.stages.train.worker import RecipeTraining, Training, TrainingWorker
from zenfront.pipeline.training.data import load
from zenfront.spaces import Task

DIGITS = Task(1, 8, 8, 10)
GENES = {f"{gene}{i}": value for i in (1, 2, 3) for gene, value in (("d", 1), ("w", 8), ("b", 2), ("g", 4))}


def _machine(root: Path, storage: Path) -> Training:
    images = load(Data(limit=120), DIGITS, seed=0)
    recipe = Recipe(warmup_epochs=1, batch_size=32)
    return Training(
        DIGITS,
        RecipeTraining(images, recipe, "accuracy"),
        4,
        "cpu",
        root / "checkpoints",
        60,
        Storage(storage.as_uri()),
    )


def _steps(training: Training, recorded: int, count: int, test: bool = False) -> list[dict[str, Any]]:
    """Return the reports of a new worker."""
    worker = object.__new__(TrainingWorker)
    architecture = spaces.load("anynet3").architecture(GENES).to_json()
    job = {"name": "net-0", "architecture": architecture, "seed": 0, "recorded": recorded, "test": test}
    worker.setup(job, training, threads=1)
    return [worker.step() for _ in range(count)]


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    """A storage as a driver prepares it."""
    storage = Storage((tmp_path / "storage").as_uri())
    storage.write("driver.json", b"{}")
    return tmp_path / "storage"


def test_a_worker_on_another_machine_continues_from_the_checkpoint(tmp_path: Path, storage: Path) -> None:
    whole = _steps(_machine(tmp_path / "alone", tmp_path / "unused"), 0, 4)
    first = _steps(_machine(tmp_path / "a", storage), 0, 2)
    second = _steps(_machine(tmp_path / "b", storage), 2, 2)
    losses = [[step["rows"][0]["metrics"]["val_loss"] for step in steps] for steps in (whole, first + second)]
    assert losses[0] == losses[1]
    assert sorted(path.name for path in (storage / "checkpoints/net-0").iterdir()) == ["000003.pt", "000004.pt"]
    assert (tmp_path / "b" / "checkpoints/net-0/000004.pt").exists()
    (tested,) = _steps(_machine(tmp_path / "c", storage), 4, 1, test=True)
    shutil.rmtree(storage)
    (again,) = _steps(_machine(tmp_path / "b", storage), 4, 1, test=True)
    assert tested["test"] == again["test"]


def test_a_failing_storage_is_reported_and_training_continues(tmp_path: Path, storage: Path) -> None:
    (storage / "checkpoints").write_text("in the way")
    first, second = _steps(_machine(tmp_path / "a", storage), 0, 2)
    assert second["notes"] == ["the storage cannot be written: some checkpoints are on the workers alone"]
    assert [step["rows"][0]["epoch"] for step in (first, second)] == [1, 2]


def test_a_worker_without_access_to_the_storage_reports_it(tmp_path: Path, storage: Path) -> None:
    (step,) = _steps(_machine(tmp_path / "a", tmp_path / "not mounted"), 0, 1)
    assert step["notes"][0].startswith("the storage cannot be read")
