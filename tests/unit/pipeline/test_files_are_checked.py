"""Files of a run are compared with its experiment and with one another when they are read."""

import json
import os
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.record.files.ledger import Ledger, read_ledger
from zenfront.pipeline.record.files.lock import locked
from zenfront.pipeline.record.provenance import read_origin
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.stages.select import select

GOLDEN = Path(__file__).parents[2] / "golden/run"
Change = Callable[[Any], object]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    shutil.copytree(GOLDEN, tmp_path / "golden")
    return RunFolder(tmp_path / "golden")


def line(row: dict[str, Any]) -> str:
    body = json.dumps({key: value for key, value in row.items() if key != "check"}, separators=(",", ":"))
    return f'{body[:-1]},"check":"{zlib.crc32(body.encode()):08x}"}}'


def rewrite(path: Path, number: int, change: Change) -> None:
    """Change a row of a ledger; its checksum is right again."""
    rows = [json.loads(text) for text in path.read_text().splitlines()]
    change(rows[number - 1])
    path.write_text("".join(f"{line(row)}\n" for row in rows))


def read(folder: RunFolder) -> None:
    """Read everything that a report and the mirror read."""
    read_origin(folder)
    RunRecord.read(folder).scores()


def test_what_was_written_is_read(folder: RunFolder) -> None:
    read(folder)


@pytest.mark.parametrize(
    ("file", "number", "change", "message"),
    [
        ("scores.jsonl", 3, lambda row: row["genes"].update(w1=-8), "id: must be that of the genes"),
        ("scores.jsonl", 3, lambda row: row["values"].update(flops=float("nan")), "flops: must be a finite number"),
        ("generations.jsonl", 2, lambda row: row.update(generation=7), "generation must be 1, but got 7"),
        ("generations.jsonl", 2, lambda row: row.update(evaluations=1), "evaluations: 8 or more are expected"),
        ("generations.jsonl", 1, lambda row: row.update(best={"beauty": 1.0}), "best: must name objectives"),
        ("generations.jsonl", 1, lambda row: row.update(time=1e300), "time: must be less than or equal to"),
        ("epochs.jsonl", 1, lambda row: row.update(epoch=5), "epoch: at most 1 is expected"),
        ("epochs.jsonl", 1, lambda row: row.update(metrics={"beauty": 1.0}), "metrics: val_accuracy is missing"),
    ],
)
def test_a_row_with_other_content_is_named(
    folder: RunFolder, file: str, number: int, change: Change, message: str
) -> None:
    rewrite(folder.path / file, number, change)
    with pytest.raises(UserError, match=rf"{file}, line {number}: .*{message}"):
        read(folder)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("front.json", lambda front: front.update(space="darts"), "id: must be that of the genes"),
        ("front.json", lambda front: front.update(constraints=[]), "constraints must be params"),
        ("front.json", lambda front: front["front"][0]["values"].pop("zen"), "the value of zen is missing"),
        ("front.json", lambda front: front["front"].append(front["front"][0]), "listed more than once"),
        ("front.json", lambda front: front.update(objectives=front["objectives"][:2]), "objectives must be"),
        ("trained.json", lambda trained: trained["trials"][0].update(seed=9), "seed must be one of"),
        ("trained.json", lambda trained: trained["trials"][0].update(test_accuracy=1.5), "less than or equal to 1"),
        ("trained.json", lambda trained: trained["trials"].append(trained["trials"][0]), "listed more than once"),
        ("origin.json", lambda origin: origin.update(run="' OR 1=1"), "run: "),
        ("origin.json", lambda origin: origin.update(time=-1), "time: must be greater than or equal to 0"),
        ("experiment.json", lambda stored: stored["experiment"].update(train=3), "holds no experiment"),
    ],
)
def test_a_document_with_other_content_is_named(folder: RunFolder, file: str, change: Change, message: str) -> None:
    read_origin(folder)
    value = json.loads((folder.path / file).read_text())
    change(value)
    (folder.path / file).write_text(json.dumps(value))
    with pytest.raises(UserError, match=rf"{file}.*{message}"):
        read(folder)


def test_an_architecture_of_another_space_is_named(folder: RunFolder) -> None:
    def other(row: dict[str, Any]) -> None:
        from zenfront.spaces import Architecture

        row["genes"]["w1"] = 12345
        row["id"] = Architecture(row["space"], tuple(row["genes"].items())).id

    rewrite(folder.scores, 2, other)
    with pytest.raises(UserError, match=r"scores\.jsonl, line 2: genes: gene 'w1': the value must be one of"):
        select(folder.experiment(), folder)


def test_a_row_that_lacks_an_objective_is_no_value_of_zero(folder: RunFolder) -> None:
    number = next(n for n, row in enumerate(read_ledger(folder.scores)[0], start=1) if "zen" in row["values"])
    rewrite(folder.scores, number, lambda row: row["values"].pop("zen"))
    with pytest.raises(UserError, match=rf"scores\.jsonl, line {number}: values: zen is missing"):
        select(folder.experiment(), folder)


def test_an_architecture_with_two_values_is_told_with_both_lines(folder: RunFolder) -> None:
    rows = read_ledger(folder.scores)[0]
    twice = rows[4] | {"values": rows[4]["values"] | {"params": rows[4]["values"]["params"] + 1}}
    with Ledger(folder.scores) as scores:
        scores.append([rows[4]])  # equal values are no contradiction
        select(folder.experiment(), folder)
        scores.append([twice])
    with pytest.raises(UserError, match=rf"line {len(rows) + 2}: .* has other scores than in line 5, where params is"):
        select(folder.experiment(), folder)


def test_a_record_cut_in_half_is_told_by_the_stages_after_it(folder: RunFolder) -> None:
    lines = folder.scores.read_bytes().splitlines(keepends=True)
    folder.scores.write_bytes(b"".join(lines[: len(lines) // 2]))
    with pytest.raises(UserError, match=r"holds 12 architectures, but generations\.jsonl counts 24: a part .* missing"):
        select(folder.experiment(), folder)
    with pytest.raises(UserError, match=r"holds 12 architectures, but front\.json counts 24"):
        read(folder)


@pytest.mark.parametrize(
    "name", ["scores.jsonl", "generations.jsonl", "epochs.jsonl", "front.json", "trained.json", "experiment.json"]
)
@pytest.mark.parametrize("kind", ["fifo", "folder", "device"])
def test_what_is_no_regular_file_is_refused_and_never_waited_for(folder: RunFolder, name: str, kind: str) -> None:
    path = folder.path / name
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(UserError, match=rf"{name} .*it is not a regular file"):
        read(folder)


@pytest.mark.parametrize("kind", ["fifo", "folder"])
def test_a_lock_or_a_ledger_that_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    make = os.mkfifo if kind == "fifo" else os.mkdir
    make(tmp_path / "lock")
    make(tmp_path / "rows.jsonl")
    with pytest.raises(UserError, match="cannot write the run folder"), locked(tmp_path):
        pass
    with pytest.raises(UserError, match="rows"):
        Ledger(tmp_path / "rows.jsonl")
