"""Files that are written whole or not at all."""

import os
from pathlib import Path

import pytest

from zenfront.pipeline.record.files.whole_file import write_whole


def test_the_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "table.json"
    with write_whole(path) as aside:
        aside.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError("full"), KeyboardInterrupt()], ids=["error", "interrupt"])
def test_what_was_there_stays_if_the_block_fails(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "table.json"
    path.write_text("old")

    def interrupted(aside: Path) -> None:
        aside.write_text("half")
        raise error

    with pytest.raises(type(error)), write_whole(path) as aside:
        interrupted(aside)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_there_stays_if_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "table.json"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"), write_whole(path) as aside:
        aside.write_text("new")
    assert path.read_text() == "old"


def test_what_a_killed_process_left_beside_it_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "table.json.new").write_text("half of it, and longer")
    with write_whole(tmp_path / "table.json") as aside, aside.open("a") as file:
        file.write("new")
    assert (tmp_path / "table.json").read_text() == "new"
