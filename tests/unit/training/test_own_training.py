"""A training function of the user's own: its rows, its checkpoint folder, its weights and its mistakes."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.results.metric import Metric
from zenfront.pipeline.results.stage_rows import Epoch
from zenfront.pipeline.seeds import seed_global_generators
from zenfront.pipeline.training import checkpoint as checkpoints
from zenfront.pipeline.training.function import FunctionFailed, TrainingFunction
from zenfront.pipeline.user_code import allow, read
from zenfront.spaces import Network

# Every row draws from the global generators of Python, NumPy and PyTorch, and from the options.
DRAWS = """
import random
import numpy as np
import torch

def train(network, *, epochs, seed, device, checkpoint, options):
    file, rows = checkpoint / "state.pt", []
    if options["resumes"] and file.exists():
        saved = torch.load(file)
        network.load_state_dict(saved["network"])
        rows = saved["rows"]
    yield from rows
    for epoch in range(len(rows), epochs):
        with torch.no_grad():
            for weight in network.parameters():
                weight += torch.randn_like(weight)
        drawn = random.random() + float(np.random.random()) + options["add"]
        drawn += network.head[1].bias.tanh().sum().item() / 9
        rows.append({"rmse": drawn, "loss": torch.tensor(2.0 ** epoch), "steps": epoch})
        torch.save({"network": network.state_dict(), "rows": rows}, file)
        yield rows[-1]
"""
BEGIN = "def train(network, *, epochs, seed, device, checkpoint, options):\n    "
pytestmark = pytest.mark.global_rng  # which a training seeds, in a worker
RMSE = Metric("rmse", "minimise")
Make = Callable[..., TrainingFunction]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write a function to a file; it is a file of its own for every text."""
    counted = itertools.count()

    def make(text: str, metric: Metric = RMSE, **options: object) -> TrainingFunction:
        file = tmp_path / f"mine{next(counted)}.py"
        file.write_text(text if "def train" in text else f"import math\n{BEGIN}{text}\n", encoding="utf-8")
        code = read("training", "train", str(file), tmp_path)
        allow([code])
        return TrainingFunction(code, metric, options, frozenset({"flops"}))

    return make


def network() -> Network:
    return Network(nn.Conv2d(1, 2, 1), nn.Sequential(nn.Flatten(), nn.Linear(8, 3)))


def run(
    function: TrainingFunction, folder: Path, epochs: int = 3, stop: int | None = None, seed: int = 0
) -> tuple[list[dict[str, float]], dict[str, torch.Tensor], list[str]]:
    """Rows without their time, weights and notes of a run that is closed after some epochs."""
    notes: list[str] = []
    trained = network()
    rows = function.train(
        trained, epochs=epochs, seed=seed, device=torch.device("cpu"), checkpoint=folder, note=notes.append
    )
    taken: list[Epoch] = list(itertools.islice(rows, stop))
    rows.close()
    assert [row.epoch for row in taken] == list(range(1, len(taken) + 1))
    without_time = [{name: value for name, value in row.metrics.items() if name != "seconds"} for row in taken]
    assert all("seconds" in row.metrics for row in taken)
    return without_time, trained.state_dict(), notes


def said(function: TrainingFunction, folder: Path, epochs: int = 2) -> str:
    with pytest.raises(UserError) as caught:
        run(function, folder, epochs)
    return str(caught.value).replace(function.code.file, "FILE")


@pytest.mark.parametrize("resumes", [True, False])
def test_a_run_that_was_closed_gives_the_same_bits(resumes: bool, make: Make, tmp_path: Path) -> None:
    """Also if it draws from global generators, and whether it resumes or begins again."""
    function = make(DRAWS, resumes=resumes, add=10.0)
    rows, weights, _ = run(function, tmp_path / "whole")
    assert [row["loss"] for row in rows] == [1.0, 2.0, 4.0]
    assert all(9 < row["rmse"] < 13 for row in rows)
    for stop in (1, 2):
        again, _, notes = run(function, tmp_path / f"closed{stop}", stop=stop)
        assert (again, notes) == (rows[:stop], [])
        seed_global_generators(99)  # another run trained in this process
        again, others, notes = run(function, tmp_path / f"closed{stop}")
        assert (again, notes) == (rows, [])
        assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert run(function, tmp_path / "other", seed=1)[0] != rows


def test_the_network_is_saved_as_the_function_leaves_it(make: Make, tmp_path: Path) -> None:
    function = make(DRAWS, resumes=True, add=0.0)
    _, weights, _ = run(function, tmp_path / "run")
    saved = checkpoints.load(tmp_path / "run", function._identity(network(), 3, 0))
    assert saved
    assert [row["epoch"] for row in saved["history"]] == [1, 2, 3]
    assert all(torch.equal(weights[name], value) for name, value in saved["network"].items())
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["000002.pt", "000003.pt", "function"]
    assert [path.name for path in (tmp_path / "run" / "function").iterdir()] == ["state.pt"]
    with pytest.raises(UserError, match=r"another run:\n  options\.add"):
        run(make(DRAWS, resumes=True, add=1.0), tmp_path / "run")


def test_a_function_that_resumes_without_its_rows_is_told_so(make: Make, tmp_path: Path) -> None:
    forgets = DRAWS.replace("    yield from rows\n", "")
    function = make(forgets, resumes=True, add=0.0)
    run(function, tmp_path / "run", stop=1)
    text = said(function, tmp_path / "run", 3)
    assert text.startswith("FILE, line 6: epoch 1: rmse is ")
    assert "first yields the rows of the epochs in it, as they were" in text


def test_a_function_that_does_not_repeat_itself_is_noted(make: Make, tmp_path: Path) -> None:
    """What is recorded stays, with its weights: the other rows are those of the second call."""
    function = make("import time\n    for _ in range(epochs):\n        yield {'rmse': time.perf_counter()}")
    before, _, _ = run(function, tmp_path / "run", stop=1)
    rows, _, notes = run(function, tmp_path / "run")
    assert rows[0] == before[0]
    assert len(notes) == 1
    assert "epoch 1: rmse is " in notes[0]
    assert notes[0].endswith("is recorded, which stays: the function does not repeat itself")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yield 0.5", "FILE, line 2: epoch 1: a row must be a mapping of names to numbers, but is a float."),
        ("yield {'mae': 1.0}", "epoch 1: the metric 'rmse' is missing; the row has mae. Yield it, or name another"),
        ("yield {'rmse': '1'}", "epoch 1, key 'rmse': must be a number, but is a str."),
        ("yield {'rmse': True}", "epoch 1, key 'rmse': must be a number, but is a bool."),
        ("yield {'rmse': 1.0, 'all': [1.0]}", "epoch 1, key 'all': must be a number, but is a list."),
        ("yield {'rmse': 1.0, 3: 1.0}", "epoch 1, key 3: a name has letters, digits and _ - . / only"),
        ("yield {'rmse': 1.0, 'flops': 1.0}", "epoch 1, key 'flops': a score of the search has this name."),
        ("yield {'rmse': 1.0}\n    yield {'rmse': 1.0, 'mae': 2.0}", "epoch 2, key 'mae': it is new"),
        ("yield {'rmse': 1.0, 'mae': 2.0}\n    yield {'rmse': 1.0}", "epoch 2, key 'mae': it is missing"),
        ("yield {'rmse': 1.0}", "the function ended after 1 rows, but 2 epochs are asked."),
        ("while True:\n        yield {'rmse': 1.0}", "the function yielded more rows than the 2 epochs asked."),
        ("return {'rmse': 1.0}", "train must be a generator, which yields a row for each epoch, but it returned a"),
    ],
    ids=lambda text: text[:30],
)  # fmt: skip
def test_a_wrong_row_is_one_message(text: str, expected: str, make: Make, tmp_path: Path) -> None:
    found = said(make(text), tmp_path / "run")
    assert found.startswith("FILE, line 2: ")
    assert expected in found
    assert "\n" not in found


def test_an_accuracy_is_a_fraction(make: Make, tmp_path: Path) -> None:
    text = said(make("yield {'accuracy': 93.0}", Metric("accuracy", "maximise")), tmp_path / "run")
    assert "epoch 1, key 'accuracy': an accuracy is a fraction from 0 to 1, but is 93." in text


def test_test_values_may_come_with_the_last_row(make: Make, tmp_path: Path) -> None:
    rows, _, _ = run(make("yield {'rmse': 2.0}\n    yield {'rmse': 1.0, 'test_rmse': 1.5}"), tmp_path / "run", 2)
    assert rows == [{"rmse": 2.0}, {"rmse": 1.0, "test_rmse": 1.5}]


@pytest.mark.parametrize("key", ["rmse", "loss"])
def test_a_number_that_is_not_finite_ends_the_run(key: str, make: Make, tmp_path: Path) -> None:
    row = {"rmse": 1.0, "loss": 1.0}
    text = f"yield {row}\n    yield {row} | {{{key!r}: math.nan}}"
    trained = make(text).train(network(), epochs=3, seed=0, device=torch.device("cpu"), checkpoint=tmp_path / "run")
    first, last = trained
    assert (first.failure, last.epoch, last.failure) == (None, 2, f"training diverged: {key} is nan")


def test_an_exception_has_its_file_and_line(make: Make, tmp_path: Path) -> None:
    function = make("yield {'rmse': 1.0}\n    raise ValueError('no more\\nfiles')")
    with pytest.raises(FunctionFailed) as caught:
        run(function, tmp_path / "run")
    assert str(caught.value) == f"{function.code.file}, line 4: ValueError: no more files"


def test_a_function_that_is_stopped_is_closed(make: Make, tmp_path: Path) -> None:
    mark = tmp_path / "closed"
    body = "try:\n        yield {'rmse': 1.0}\n        yield {'rmse': 1.0}\n    finally:\n"
    run(make(f"{body}        open({str(mark)!r}, 'w').close()"), tmp_path / "run", stop=1)
    assert mark.exists()
    run(make(f"{body}        raise OSError('the log is full')"), tmp_path / "other", stop=1)  # its rows count
