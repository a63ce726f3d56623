"""The files of a run folder: what version 4f8416a wrote is read, and written again to the same bytes."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from zenfront.pipeline.cli.terminal.console import ConsoleView
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.files.json_file import read_document, write_json
from zenfront.pipeline.record.files.ledger import Ledger, read_ledger, read_values
from zenfront.pipeline.record.run_folder import RunFolder, differences
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.results.front import Front
from zenfront.pipeline.results.stage_rows import Epoch, Generation, Scores, Trained
from zenfront.pipeline.stages.search.stage import search
from zenfront.pipeline.stages.select import select
from zenfront.pipeline.stages.train.jobs import Evaluation
from zenfront.pipeline.stages.train.runs import TrainingRuns

FakeRun = Callable[..., tuple[Experiment, RunFolder]]
FakeTraining = Callable[[Experiment, RunFolder, Front], None]
GOLDEN = Path(__file__).parents[2] / "golden/run"
LEDGERS: dict[str, Any] = {"scores": Scores, "generations": Generation, "epochs": Epoch}


@pytest.fixture
def golden(tmp_path: Path) -> RunFolder:
    """A copy of `zenfront run smoke --set search.evaluations=24 --set train.seeds=[0,1] --set search.repeats=2`."""
    shutil.copytree(GOLDEN, tmp_path / "golden")
    return RunFolder(tmp_path / "golden")


@pytest.mark.parametrize("name", LEDGERS)
def test_a_ledger_is_written_again_to_the_same_bytes(golden: RunFolder, name: str, tmp_path: Path) -> None:
    values = read_values(getattr(golden, name), LEDGERS[name].from_row)
    with Ledger(tmp_path / "again.jsonl") as again:
        again.append(value.to_row() for value in values)
    assert again.path.read_bytes() == (GOLDEN / f"{name}.jsonl").read_bytes()


@pytest.mark.parametrize(("name", "kind"), [("front", Front), ("trained", Trained)])
def test_a_document_is_written_again_to_the_same_bytes(golden: RunFolder, name: str, kind: Any, tmp_path: Path) -> None:
    value: Any = read_document(getattr(golden, name), kind.from_row)
    write_json(tmp_path / "again.json", value.to_row())
    assert (tmp_path / "again.json").read_bytes() == (GOLDEN / f"{name}.json").read_bytes()


def test_the_experiment_keeps_its_form_and_its_identity(golden: RunFolder) -> None:
    before = json.loads(golden.config.read_text())
    with golden.driving(golden.experiment()):  # refuses another identity
        after = json.loads(golden.config.read_text())
    assert all(line.split(": ")[1].startswith("null -> ") for line in differences(before, after))  # new keys alone


def test_the_selection_is_the_same(golden: RunFolder) -> None:
    golden.front.unlink()
    front = select(golden.experiment(), golden)
    stored = Front.from_row(json.loads((GOLDEN / "front.json").read_text()))
    assert front.hypervolume == pytest.approx(stored.hypervolume, rel=1e-12)
    assert replace(front, hypervolume=stored.hypervolume) == stored


def _untimed(row: Generation) -> Generation:
    """Return a generation without times and without what the hypervolume is measured by."""
    return replace(row, hypervolume=0.0, box=None, seconds=0, rate=0, time=0)


def test_a_search_is_replayed_to_the_same_generations(golden: RunFolder) -> None:
    golden.generations.unlink()
    search(golden.experiment(), golden, ConsoleView(Console(quiet=True)))
    assert read_ledger(golden.scores) == read_ledger(GOLDEN / "scores.jsonl")
    again = read_values(golden.generations, Generation.from_row)
    stored = read_values(GOLDEN / "generations.jsonl", Generation.from_row)
    assert len(again) == len(stored) == 3
    for new, old in zip(again, stored, strict=True):
        assert _untimed(new) == _untimed(old)
    # The version that began this run measured by its first front, which is one point; now by the first that extends.
    first, second, third = (row.hypervolume for row in again)
    assert first is None
    assert second
    assert third
    assert 0 < second <= third < 10


def test_training_is_replayed_to_the_same_outcomes(golden: RunFolder) -> None:
    stored = Trained.from_row(json.loads((GOLDEN / "trained.json").read_text()))
    front = Front.from_row(json.loads(golden.front.read_text()))
    experiment = golden.experiment()
    with Ledger(golden.epochs) as ledger:
        runs = TrainingRuns([m.architecture for m in front.chosen], experiment.train, experiment.search.seed, ledger)
        for run in stored.trials:
            runs.tested(run.trial, Evaluation(run.test_accuracy, run.test_loss))
        assert runs.complete
        assert runs.outcomes() == stored


def test_a_record_is_read_whole(golden: RunFolder) -> None:
    record = RunRecord.read(golden)
    assert [len(record.runs_of(name)) for name in record.front.selected] == [2, 2, 2] if record.front else False
    assert {(run.seed, len(epochs)) for run, epochs in record.curves().items()} == {(0, 3), (1, 3)}


def damage(row: dict[str, Any], place: str, value: object) -> dict[str, Any]:
    """Return a copy of a row in which the value at a dotted place is another, or gone (for `...`)."""
    copy: Any = json.loads(json.dumps(row))
    *way, last = place.split(".")
    inside = copy
    for key in way:
        inside = inside[int(key) if isinstance(inside, list) else key]
    if value is ...:
        del inside[last]
    else:
        inside[last] = value
    return dict(copy)


WRONG_ROWS: list[tuple[str, str, object, str]] = [
    ("scores", "values.zen", float("nan"), "values.zen: must be a finite number, but got nan"),
    ("scores", "values", None, "values: must be an object"),
    ("scores", "genes.d1", 3, "id: must be that of the genes, "),
    ("scores", "seed", ..., "seed: the key is missing"),
    ("scores", "failure", "both", "scores have values or a failure"),
    ("generations", "hypervolume", "high", "hypervolume: must be a"),
    ("generations", "front", 1.5, "front: must be a valid integer, but got 1.5"),
    ("generations", "evaluations", -1, "evaluations: must be greater than or equal to 0, but got -1"),
    ("generations", "box.ideal", [], "a box has as many ideal as nadir losses"),
    ("generations", "speed", 1, "speed: unknown key"),
    ("epochs", "epoch", True, "epoch: must be a valid integer, but got True"),
    ("epochs", "epoch", 0, "epoch: must be greater than or equal to 1, but got 0"),
    ("epochs", "metrics.val_accuracy", "0.1", "metrics.val_accuracy: must be a valid number, but got '0.1'"),
    ("epochs", "metrics", {}, "an epoch has metrics or a failure, but got"),
    ("epochs", "trial", 7, "trial: must be a valid string, but got 7"),
]


@pytest.mark.parametrize(("name", "place", "value", "rule"), WRONG_ROWS, ids=lambda value: str(value)[:30])
def test_a_row_that_was_not_written_by_us_is_told_with_its_line(
    golden: RunFolder, name: str, place: str, value: object, rule: str
) -> None:
    kind = LEDGERS[name]
    rows = read_ledger(getattr(golden, name))[0]
    rows[1] = damage(rows[1], place, value)
    with pytest.raises(ValueError, match=rule.replace("(", r"\(")):
        kind.from_row(rows[1])
    if isinstance(value, float) and value != value:
        return  # a ledger cannot hold it
    path = getattr(golden, name)
    path.unlink()
    with Ledger(path) as ledger:
        ledger.append(rows)
    with pytest.raises(UserError) as said:
        read_values(path, kind.from_row)
    assert str(said.value).startswith(f"{path}, line 2: ")
    assert rule in str(said.value)


WRONG_DOCUMENTS: list[tuple[str, str, object, str]] = [
    ("front", "schema", 2, "schema: must be 1, but got 2"),
    ("front", "front.0.values.zen", "x", "front.0.values.zen: must be a valid number, but got 'x'"),
    ("front", "front.0.genes.d1", 1, "id: must be that of the genes, "),
    ("front", "front.0.notation", ..., "front.0.notation: the key is missing"),
    ("front", "selected", ["0123"], "selected: '0123' is no member of the front"),
    ("front", "objectives.0.direction", "up", "objectives.0.direction: must be 'maximise' or 'minimise', but got 'up'"),
    ("front", "constraints.0.at_most", None, "constraints.0: a constraint on 'params' needs `at_most` or `at_least`"),
    ("front", "space_size", 1.5, "space_size: must be a valid integer, but got 1.5"),
    ("trained", "trials.0.status", "done", "trials.0.status: must be 'waiting', "),
    ("trained", "trials.0.epochs", "3", "trials.0.epochs: must be a valid integer, but got '3'"),
    ("trained", "trials", {}, "trials: must be a valid list, but got {}"),
]


@pytest.mark.parametrize(("name", "place", "value", "rule"), WRONG_DOCUMENTS, ids=lambda value: str(value)[:30])
def test_a_document_that_was_not_written_by_us_is_told_with_its_place(
    golden: RunFolder, name: str, place: str, value: object, rule: str
) -> None:
    path = getattr(golden, name)
    path.write_text(json.dumps(damage(json.loads(path.read_text()), place, value)))
    with pytest.raises(UserError) as said:
        RunRecord.read(golden)
    assert str(said.value).startswith(f"{path}: ")
    assert rule in str(said.value)
    assert "Restore it, or delete it and run its stage again." in str(said.value)


def test_a_missing_document_is_a_stage_that_has_not_run(golden: RunFolder) -> None:
    golden.front.unlink()
    assert read_document(golden.front, Front.from_row) is None
