"""Runs that two processes train together: a process that dies or hangs, and a killed driver, change nothing."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from zenfront import spaces
from zenfront.pipeline.cli.terminal.console import ConsoleView
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.objectives import Objective
from zenfront.pipeline.record.files.json_file import write_json
from zenfront.pipeline.record.files.ledger import read_ledger
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results.front import Front, Member
from zenfront.pipeline.results.stage_rows import Box
from zenfront.pipeline.stages.train.stage import train

pytestmark = pytest.mark.slow

Once = Callable[[Path, int, Callable[[], None]], None]
KilledDriver = Callable[..., None]
OnThisRay = Callable[[Experiment], Experiment]
TrainHere = Callable[[Experiment, RunFolder], str]
LIMIT = 10
"""Time limit of an epoch in seconds, where one process hangs; an epoch takes some milliseconds."""


def experiment_of(devices: int, limit: int = 600) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "tiny",
            "space": "anynet3",
            "task": {"channels": 1, "height": 8, "width": 8, "classes": 10},
            "objectives": [{"score": "flops", "direction": "minimise"}],
            "train": {
                "epochs": 4,
                "data": {"limit": 600},
                "time_limit": limit,
                "recipe": {
                    "warmup_epochs": 1,
                    "learning_rate": 0.01,
                    "sync_batch_norm": True,
                    "flip": True,
                    "mixup": 0.2,
                },
                "scheduler": {"name": "fifo"},
            },
            "resources": {"device": "cpu", "train": {"workers": 1, "devices": devices}},
        }
    )


def networks() -> list[spaces.Architecture]:
    genes: list[dict[str, Any]] = [
        {f"{gene}{i}": value for i in (1, 2, 3) for gene, value in (("d", 1), ("w", width), ("b", 1), ("g", 1))}
        for width in (8, 16)
    ]
    return [spaces.Architecture("anynet3", tuple(each.items())) for each in genes]


def selection(path: Path) -> RunFolder:
    """A run folder with two tiny networks selected."""
    members = tuple(Member(each, "", {"flops": 4.0**index}, {}) for index, each in enumerate(networks()))
    front = Front(
        space="anynet3",
        objectives=(Objective("flops", "minimise"),),
        constraints=(),
        space_size=2,
        evaluations=2,
        infeasible=0,
        failures={},
        hypervolume=0.0,
        box=Box([0.0], [0.0]),
        members=members,
        selected=tuple(member.id for member in members),
        rule="crowding",
    )
    path.mkdir(exist_ok=True)
    write_json(path / "front.json", front.to_row())
    return RunFolder(path)


def run(experiment: Experiment, folder: RunFolder) -> str:
    """Train and return the output of the view."""
    said = StringIO()
    with ConsoleView(Console(file=said, width=300)) as view:
        train(experiment, folder, view)
    return said.getvalue()


def process_of(word: str) -> int:
    """Return the process whose name has a word and that belongs to this process's Ray."""
    for pid, name in processes():
        if name.startswith("ray::") and word in name and parent(parent(pid)) == os.getpid():
            return pid
    raise AssertionError(f"no {word} is running")


def processes() -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                yield int(entry.name), (entry / "cmdline").read_text(errors="replace")


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def curves(folder: RunFolder) -> list[tuple[str, int, dict[str, float]]]:
    rows = read_ledger(folder.epochs)[0]
    return [(r["trial"], r["epoch"], {k: v for k, v in r["metrics"].items() if k != "seconds"}) for r in rows]


def test_a_killed_driver_and_a_killed_peer_change_nothing(
    tmp_path: Path,
    once: Once,
    ray_session: None,
    killed_driver: KilledDriver,
    on_this_ray: OnThisRay,
    train_here: TrainHere,
) -> None:
    alone, folder = selection(tmp_path / "one device"), selection(tmp_path / "two devices")
    train_here(experiment_of(1), alone)
    killed_driver("train.stage", on_this_ray(experiment_of(2)), folder, folder.epochs, 2)
    once(folder.epochs, 5, lambda: os.kill(process_of("TrainingPeer"), signal.SIGKILL))
    said = run(experiment_of(2), folder)
    assert "device 2 of 2: its process died (out of memory, or a crash in native code); going on from its" in said
    for (trial, epoch, metrics), expected in zip(curves(folder), curves(alone), strict=True):
        assert (trial, epoch) == expected[:2]
        assert metrics == pytest.approx(expected[2], abs=0.04)  # two images of 60
    while any("TrainingPeer" in name for _, name in processes()):
        time.sleep(0.2)  # Ray ends the processes of a worker that has ended; the time limit of the test ends a wait


@pytest.mark.soak
def test_a_hanging_peer_ends_by_the_time_limit(tmp_path: Path, once: Once, ray_session: None) -> None:
    whole, folder = selection(tmp_path / "whole"), selection(tmp_path / "hanging")
    run(experiment_of(2, LIMIT), whole)
    once(folder.epochs, 3, lambda: os.kill(process_of("TrainingPeer"), signal.SIGSTOP))
    assert "going on from its checkpoint" in run(experiment_of(2, LIMIT), folder)
    assert curves(folder) == curves(whole)  # the same bits
    assert folder.trained.read_bytes() == whole.trained.read_bytes()


def test_more_devices_than_there_are_is_said_before_anything_is_computed(ray_session: None, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a training needs 999 devices with 1 CPU each, but the cluster has 1 machine"):
        run(experiment_of(999), selection(tmp_path))
