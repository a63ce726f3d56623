"""A driver whose folder or lock is removed ends with one message, instead of working on for nothing."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

import zenfront as zf
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.files.ledger import Ledger, read_ledger
from zenfront.pipeline.record.files.lock import locked
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.tracking import Mirror

EXPERIMENT = Experiment.model_validate(
    {
        "name": "tiny",
        "space": "anynet3",
        "task": {"channels": 1, "height": 8, "width": 8, "classes": 10},
        "objectives": [{"score": "params", "direction": "maximise"}, {"score": "flops", "direction": "minimise"}],
        "search": {"population": 4, "evaluations": 8, "batch": 2},
        "resources": {"device": "cpu"},
        "select": {"k": 2},
    }
)


def after_lines(monkeypatch: pytest.MonkeyPatch, lines: int, action: Any) -> None:
    """Do something when a ledger of scores has a number of lines."""
    append = Ledger.append

    def observed(ledger: Ledger, rows: Iterable[Mapping[str, Any]]) -> None:
        append(ledger, rows)
        if ledger.path.name == "scores.jsonl" and ledger.path.read_bytes().count(b"\n") == lines:
            action()

    monkeypatch.setattr(Ledger, "append", observed)


def search(runs: Path) -> None:
    zf.search(EXPERIMENT, backend="serial", runs=runs, tracking=False, progress=False)


def test_a_removed_folder_ends_a_search_in_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    after_lines(monkeypatch, 3, lambda: shutil.rmtree(tmp_path / "tiny"))
    with pytest.raises(UserError, match=r"scores\.jsonl was removed or replaced while this command was writing to it"):
        search(tmp_path)
    assert not (tmp_path / "tiny").exists()


def test_a_removed_folder_ends_a_stage_that_has_nothing_more_to_write(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="was removed or replaced"), locked(tmp_path / "run"):
        shutil.rmtree(tmp_path / "run")


def test_a_second_driver_after_the_lock_was_removed_ends_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def second() -> None:
        monkeypatch.undo()
        (tmp_path / "tiny/lock").unlink()
        search(tmp_path)

    after_lines(monkeypatch, 3, second)
    with pytest.raises(UserError, match=r"lock was removed or replaced while this command was working"):
        search(tmp_path)
    rows = read_ledger(tmp_path / "tiny/scores.jsonl")[0]
    assert len(rows) == len({row["id"] for row in rows}) == 8


def test_a_mirror_does_not_call_a_removed_record_complete(tmp_path: Path) -> None:
    said: list[str] = []
    search(tmp_path)
    folder = RunFolder(tmp_path / "tiny")
    with Mirror(folder, EXPERIMENT, said.append):
        shutil.rmtree(folder.path)
    assert said == []
    assert not folder.path.exists()
