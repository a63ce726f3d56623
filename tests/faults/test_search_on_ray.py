"""The search stage on Ray gives one result for any workers and batches, dying workers and killed drivers."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import ray
from rich.console import Console

from zenfront.pipeline.cli.terminal.console import ConsoleView
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.progress import Backend
from zenfront.pipeline.record.files.ledger import read_ledger
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.stages.search.stage import search
from zenfront.pipeline.stages.select import select

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("ZENFRONT_KILLS", "1"))
Once = Callable[[Path, int, Callable[[], None]], None]
KilledDriver = Callable[..., None]
OnThisRay = Callable[[Experiment], Experiment]


def experiment_of(workers: int = 1, batch: int | str = 4, **search: Any) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "tiny",
            "space": "anynet3",
            "task": {"channels": 1, "height": 8, "width": 8, "classes": 10},
            "objectives": [
                {"score": "zen", "direction": "maximise"},
                {"score": "ntk", "direction": "minimise"},
                {"score": "flops", "direction": "minimise"},
            ],
            "constraints": [{"score": "params", "at_most": 3e5}],
            "search": {"population": 8, "evaluations": 24, "batch": 4, "repeats": 1}
            | {"candidates_per_trial": batch}
            | search,
            "resources": {"device": "cpu", "search": {"workers": workers}},
            "select": {"k": 3},
        }
    )


def run(experiment: Experiment, folder: RunFolder, backend: Backend = "ray") -> str:
    """Search and select; return the output of the view."""
    said = StringIO()
    with ConsoleView(Console(file=said, width=200)) as view:
        search(experiment, folder, view, backend=backend)
    select(experiment, folder)
    return said.getvalue()


def result(folder: RunFolder) -> tuple[Any, list[str]]:
    """Return the selection and every score by architecture, without times and order."""
    rows = sorted(json.dumps([r["id"], r["values"], r["failure"]]) for r in read_ledger(folder.scores)[0])
    return json.loads(folder.front.read_text()), rows


def generations(folder: RunFolder) -> list[dict[str, Any]]:
    timing = {"seconds", "rate", "time"}
    return [{k: v for k, v in row.items() if k not in timing} for row in read_ledger(folder.generations)[0]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, ray_session: None) -> Callable[[int], RunFolder]:
    """Uninterrupted searches without Ray, by lookahead."""
    done: dict[int, RunFolder] = {}

    def get(lookahead: int = 1) -> RunFolder:
        if lookahead not in done:
            done[lookahead] = RunFolder(tmp_path_factory.mktemp(f"lookahead-{lookahead}"))
            run(experiment_of(lookahead=lookahead), done[lookahead], backend="serial")
        return done[lookahead]

    return get


def test_the_result_depends_neither_on_workers_nor_on_batches(
    whole: Callable[[int], RunFolder], tmp_path: Path
) -> None:
    """With lookahead and larger batches: tests/unit/face/test_serial_search.py."""
    folder, before = RunFolder(tmp_path), len(ray._private.state.actors())
    run(experiment_of(2, 1), folder)
    assert len(ray._private.state.actors()) == before + 2  # no worker was ended and started anew
    assert result(folder) == result(whole(1))
    assert generations(folder) == generations(whole(1))
    assert folder.front.read_bytes() == whole(1).front.read_bytes()


def test_lookahead_breeds_from_older_parents(whole: Callable[[int], RunFolder]) -> None:
    assert result(whole(2))[1] != result(whole(1))[1]


def test_a_finished_search_says_so_and_does_nothing(whole: Callable[[int], RunFolder]) -> None:
    before = whole(1).scores.read_bytes()
    assert "finished already, 24 architectures" in run(experiment_of(), whole(1))
    assert whole(1).scores.read_bytes() == before


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.soak)])
def test_killed_workers_lose_nothing(
    whole: Callable[[int], RunFolder], tmp_path: Path, once: Once, workers: int
) -> None:
    """All workers are killed when the first batch of a generation has returned and others have not."""
    folder = RunFolder(tmp_path)
    once(folder.scores, 9, kill_the_workers)
    run(experiment_of(workers, 3), folder)
    assert result(folder) == result(whole(1))


def kill_the_workers() -> None:
    workers = list(scoring_workers())
    assert workers
    for worker in workers:
        os.kill(worker, signal.SIGKILL)


def scoring_workers() -> Iterator[int]:
    """Return the scoring workers of this process's Ray; processes may vanish during the search for them."""
    for entry in Path("/proc").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            if entry.name.isdigit() and (entry / "cmdline").read_bytes().startswith(b"ray::ScoringWorker"):
                raylet = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if int(Path(f"/proc/{raylet}/stat").read_text().rpartition(")")[2].split()[1]) == os.getpid():
                    yield int(entry.name)


@pytest.mark.timeout(1200 + 60 * KILLS)
def test_a_search_whose_driver_was_killed_at_random_moments_ends_the_same(
    whole: Callable[[int], RunFolder], tmp_path: Path, killed_driver: KilledDriver, on_this_ray: OnThisRay
) -> None:
    """Kills range from the start of a driver to the last rows of its search; ZENFRONT_KILLS=20 kills twenty drivers."""
    folder, experiment = RunFolder(tmp_path), experiment_of(1, 3)
    moments = numpy_generator(0, "kills")
    for lines in sorted(moments.integers(0, 22, KILLS)):
        killed_driver(
            "search.stage", on_this_ray(experiment), folder, folder.scores, int(lines), moments.uniform(0, 0.3)
        )
    with folder.scores.open("ab") as file:
        file.write(b'{"id":"torn')
    said = run(experiment, folder)
    assert "going on after" in said
    assert result(folder) == result(whole(1))
    assert generations(folder) == generations(whole(1))
    assert folder.front.read_bytes() == whole(1).front.read_bytes()


def test_a_record_that_cannot_be_written_ends_the_search_in_one_message(
    tmp_path: Path, ray_session: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"scores\.jsonl: No space left on device\. Make room and run"):
        run(experiment_of(1, 2), folder)
    monkeypatch.undo()
    assert read_ledger(folder.scores)[0] == []


def test_an_infeasible_search_says_which_constraint_excludes_what(tmp_path: Path) -> None:
    experiment = experiment_of(2, 8, evaluations=400).model_dump(mode="json")
    experiment["constraints"] = [{"score": "depth", "at_most": 3}]
    with pytest.raises(UserError, match=r"depth <= 3 excludes \d+ of \d+"):
        run(Experiment.model_validate(experiment), RunFolder(tmp_path), backend="serial")
