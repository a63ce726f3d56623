"""Workers without a shared disk find the checkpoints of other workers in the storage."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from zenfront import spaces
from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.record.copies.storage import Storage
from zenfront.pipeline.results.metric import Metric
from zenfront.pipeline.stages.train.training import RecipeTraining, Training
from zenfront.pipeline.stages.train.worker import TrainingWorker
from zenfront.pipeline.training.data import load
from zenfront.pipeline.training.function import TrainingFunction
from zenfront.pipeline.user_code import allow, read
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


FUNCTION = """
def train(network, *, epochs, seed, device, checkpoint, options):
    file = checkpoint / "logs" / "rows.txt"
    rows = file.read_text().split() if file.exists() else []
    yield from ({"rmse": float(row)} for row in rows)
    for epoch in range(len(rows), epochs):
        file.parent.mkdir(exist_ok=True)
        rows.append(f"{10.0 - epoch + len(options['machine']) / 4}")
        file.write_text(" ".join(rows))
        yield {"rmse": float(rows[-1])}
"""


@pytest.mark.global_rng  # a training seeds it
def test_the_files_of_a_training_function_go_where_its_run_goes(tmp_path: Path, storage: Path) -> None:
    """A machine that has trained the run before, and is behind now, takes the newer files of the storage."""
    (tmp_path / "mine.py").write_text(FUNCTION, encoding="utf-8")
    code = read("training", "train", "./mine.py", tmp_path)
    allow([code])
    method = TrainingFunction(code, Metric("rmse", "minimise"), {"machine": "a"})

    def machine(name: str) -> Training:
        root = tmp_path / name / "checkpoints"
        return Training(DIGITS, method, 4, "cpu", root, 60, Storage(storage.as_uri()), (code,))

    steps = [*_steps(machine("a"), 0, 1), *_steps(machine("b"), 1, 2), *_steps(machine("a"), 3, 1)]
    assert [step["rows"][0]["metrics"]["rmse"] for step in steps] == [10.25, 9.25, 8.25, 7.25]
    assert all(step["notes"] == [] for step in steps)
    own = "checkpoints/net-0/function/logs/rows.txt"
    assert (storage / own).read_text() == (tmp_path / "a" / own).read_text() == "10.25 9.25 8.25 7.25"
    assert (tmp_path / "b" / own).read_text() == "10.25 9.25 8.25"
