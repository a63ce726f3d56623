"""The ledger: append-only rows with checksums; incomplete tails are dropped, and damage is reported."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.record.files.ledger import Ledger, read_ledger

ROWS: list[dict[str, Any]] = [
    {"id": "a", "value": 0.1},
    {"id": "b", "text": 'quote " and ünïcode \n newline'},
    {"id": "c", "value": -1e-300},
]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "deep" / "rows.jsonl"
    with Ledger(path) as ledger:
        ledger.append(ROWS)
    return path


def test_rows_come_back_as_they_were_written(written: Path) -> None:
    assert read_ledger(written)[0] == ROWS
    with Ledger(written) as ledger:
        ledger.append([{"id": "d"}])
        assert ledger.rows == ROWS
    assert read_ledger(written)[0] == [*ROWS, {"id": "d"}]


def test_every_line_is_json_on_its_own(written: Path) -> None:
    lines = written.read_text(encoding="utf-8").splitlines()
    assert [{k: v for k, v in json.loads(line).items() if k != "check"} for line in lines] == ROWS


def test_a_tail_torn_at_any_byte_is_dropped_and_kept_aside(written: Path) -> None:
    whole = written.read_bytes()
    ends = [0, *(i + 1 for i, byte in enumerate(whole) if byte == ord("\n"))]
    for size in range(len(whole) + 1):
        written.write_bytes(whole[:size])
        complete = sum(end <= size for end in ends) - 1
        with Ledger(written) as ledger:
            assert ledger.rows == ROWS[:complete]
            ledger.append(ROWS[complete:])
        assert written.read_bytes() == whole
    assert written.with_suffix(".jsonl.torn").exists()


def test_damage_before_the_last_line_is_named_and_nothing_is_skipped(written: Path) -> None:
    data = bytearray(written.read_bytes())
    data[data.index(b"0.1") + 2] ^= 1
    written.write_bytes(bytes(data))
    with pytest.raises(UserError, match=r"rows\.jsonl, line 1: .*checksum"):
        Ledger(written)
    assert written.read_bytes() == bytes(data)


def test_numbers_that_are_not_finite_are_refused(written: Path) -> None:
    with Ledger(written) as ledger, pytest.raises(ValueError, match="JSON"):
        ledger.append([{"value": float("nan")}])
    assert read_ledger(written)[0] == ROWS


def test_a_full_disk_leaves_the_earlier_rows_intact(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = written.read_bytes()
    with Ledger(written) as ledger:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(UserError, match="No space left"):
                ledger.append([{"id": "lost"}])
        assert written.read_bytes() == before
        ledger.append([{"id": "d"}])
    assert read_ledger(written)[0] == [*ROWS, {"id": "d"}]


def test_a_path_that_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        Ledger(tmp_path / "file" / "rows.jsonl")
