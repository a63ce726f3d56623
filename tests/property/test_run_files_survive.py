"""Files of a run folder with any content, drawn from a seed: each is read, or refused with one `UserError`.

`ZENFRONT_FUZZ_SECONDS=600` draws for ten minutes, from a new seed, instead of the few examples of CI.
"""

import copy
import json
import os
import shutil
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from zenfront.pipeline.cli.terminal.console import ConsoleView
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.plots.interactive import front_figure
from zenfront.pipeline.plots.series import axes, groups
from zenfront.pipeline.record.files.ledger import Ledger
from zenfront.pipeline.record.provenance import read_origin
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.record.training_result import compared_costs, costs_of
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.stages.report.optuna_export import _trials
from zenfront.pipeline.stages.report.run_page import report_page
from zenfront.pipeline.stages.search.driver import SearchDriver
from zenfront.pipeline.stages.select import find_front
from zenfront.pipeline.stages.train.runs import TrainingRuns
from zenfront.pipeline.tracking._entries import children, parent

GOLDEN = Path(__file__).parents[1] / "golden/run"
EXAMPLES = 50
LEDGERS = ("scores.jsonl", "generations.jsonl", "epochs.jsonl")
DOCUMENTS = ("experiment.json", "front.json", "trained.json", "origin.json")
HOSTILE: list[Any] = [
    *(None, True, False, 0, -1, 1, 2, 1e-320, -0.0, 1e308, -1e308, 10**30, 10**400, 0.5, 1.5),
    *(float("nan"), float("inf"), "", "x", "x" * 3000, "\ud800", "\x1b[31m<script>", "../..", "NaN", [], {}),
    *([[]], [None], {"": None}, [1, 2, 3], {"a": {"b": []}}),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run in which everything was done."""
    folder = RunFolder(tmp_path_factory.mktemp("whole") / "golden")
    shutil.copytree(GOLDEN, folder.path)
    read_origin(folder)
    return folder


def places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield (*here, key)
        yield from places(each, (*here, key))


def changed(value: Any, rng: np.random.Generator) -> Any:
    """Return a JSON value with one place changed, removed, repeated, or replaced by what is in another."""
    value = copy.deepcopy(value)
    paths = list(places(value))
    if not paths:
        return draw(HOSTILE, rng)
    path = draw(paths, rng)
    owner, key = at(value, path[:-1]), path[-1]
    kind = rng.integers(6)
    if kind == 0:
        del owner[key]
    elif kind == 1:
        other = draw(paths, rng)
        owner[key] = copy.deepcopy(at(value, other))
    elif kind == 2 and isinstance(owner, list):
        owner.insert(key, copy.deepcopy(owner[key]))
    elif kind == 3 and isinstance(owner, dict):
        owner[draw(["", "x", "id", "schema", key + "s"], rng)] = owner.pop(key)
    elif kind == 4 and isinstance(owner[key], int | float):
        owner[key] = owner[key] * draw([-1, 0, 2, 1e300, 1 + 1e-9], rng)
    else:
        owner[key] = draw(HOSTILE, rng)
    return value


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def draw(values: list[Any], rng: np.random.Generator) -> Any:
    return values[int(rng.integers(len(values)))]


def damage(path: Path, rng: np.random.Generator) -> None:
    """Change a file: what a line says, with a right checksum; which lines there are; or any bytes."""
    data = path.read_bytes()
    if rng.random() < 0.1:
        start, end = sorted(rng.integers(0, len(data) + 1, 2).tolist())
        path.write_bytes(data[:start] + rng.bytes(int(rng.integers(8))) + data[end:])
    elif path.suffix == ".json":
        value = changed(json.loads(data), rng)
        path.write_text(json.dumps(value), encoding="utf-8", errors="surrogatepass")
    else:
        lines = data.splitlines(keepends=True)
        number = int(rng.integers(len(lines)))
        kind = rng.random()
        if kind < 0.1:
            del lines[number]
        elif kind < 0.2:
            lines.insert(int(rng.integers(len(lines))), lines[number])
        else:
            row = json.loads(lines[number])
            del row["check"]
            lines[number] = line(changed(row, rng))
        path.write_bytes(b"".join(lines))


def line(row: Any) -> bytes:
    body = json.dumps(row, separators=(",", ":"))
    return f'{body[:-1]},"check":"{zlib.crc32(body.encode()):08x}"}}\n'.encode()


def use(folder: RunFolder) -> None:
    """Do with the files what the stages do, without networks, Ray and MLflow."""
    view = ConsoleView(Console(quiet=True))
    experiment = folder.experiment()
    origin, record = read_origin(folder), RunRecord.read(folder)
    assert record.front
    find_front(experiment, record.scores(), record.front.box)
    for entry in (parent(record, origin, "FINISHED"), *children(record, origin)):
        str(entry).encode(errors="replace")
    list(_trials(experiment, record.scores(), record.generations))
    shown = groups(record)
    figure = front_figure(axes(experiment.objectives, np.vstack([group.values for group in shown])), shown)
    report_page(record, figure)
    with Ledger(folder.scores) as scores, Ledger(folder.generations) as generations:
        SearchDriver(experiment, scores, generations, view)
    with Ledger(folder.epochs) as epochs:
        selected = [member.architecture for member in record.front.chosen]
        costs = costs_of(record.front.chosen, compared_costs(experiment))
        TrainingRuns(selected, experiment.train, 0, epochs, costs, 100).outcomes()


def test_any_content_is_read_or_refused_in_one_message(whole: RunFolder, tmp_path: Path) -> None:
    use(whole)
    seconds = float(os.environ.get("ZENFRONT_FUZZ_SECONDS", "0"))
    rng = numpy_generator(time.time_ns() if seconds else 0, "damaged run files")
    end, number, refused, placeless = time.monotonic() + seconds, 0, 0, 0
    while number < EXAMPLES if not seconds else time.monotonic() < end:
        number += 1
        name = draw([*LEDGERS, *DOCUMENTS], rng)
        folder = RunFolder(tmp_path / "run")
        shutil.rmtree(folder.path, ignore_errors=True)
        shutil.copytree(whole.path, folder.path)
        damage(folder.path / name, rng)
        kept = (folder.path / name).read_bytes()
        try:
            use(folder)
        except UserError as error:
            refused += 1
            placeless += not (str(folder.path) in str(error) or "train." in str(error))
        except Exception as error:
            raise AssertionError(
                f"example {number}, {name}: {error!r}\n{kept.decode(errors='replace')[:5000]}"
            ) from error
    print(f"{number} files, {refused} refused")  # noqa: T201
    assert refused > number / 3
    assert placeless == 0
