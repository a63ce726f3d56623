"""The training stage on Ray, with tiny networks on digits: dying workers and killed drivers change nothing."""

import math
import os
import signal
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
from zenfront.pipeline.record.files.json_file import read_document, write_json
from zenfront.pipeline.record.files.ledger import Ledger, read_ledger
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results.front import Front, Member
from zenfront.pipeline.results.stage_rows import Box, Trained, TrainedRun
from zenfront.pipeline.stages.train.runs import TrainingRuns
from zenfront.pipeline.stages.train.stage import train, train_given

pytestmark = pytest.mark.slow

EPOCHS = 4
VALIDATION = 60
"""Number of validation images: a tenth of 600."""
Once = Callable[[Path, int, Callable[[], None]], None]
KilledDriver = Callable[..., None]
OnThisRay = Callable[[Experiment], Experiment]
TrainHere = Callable[[Experiment, RunFolder], str]
SEEDS = {"asha": (0,), "successive_halving": (0, 1)}


def experiment_of(scheduler: str, workers: int) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "tiny",
            "space": "anynet3",
            "task": {"channels": 1, "height": 8, "width": 8, "classes": 10},
            "objectives": [{"score": "flops", "direction": "minimise"}],
            "train": {
                "epochs": EPOCHS,
                "seeds": SEEDS[scheduler],
                "data": {"limit": 600},
                "recipe": {"warmup_epochs": 1},
                "scheduler": {"name": scheduler, "grace_period": 1, "reduction_factor": 2},
            },
            "resources": {"device": "cpu", "train": {"workers": workers}},
        }
    )


def genes_of(index: int) -> dict[str, Any]:
    return {
        f"{gene}{i}": value for i in (1, 2, 3) for gene, value in (("d", 1), ("w", 8 + 8 * index), ("b", 1), ("g", 1))
    }


def architecture_of(genes: dict[str, Any]) -> spaces.Architecture:
    return spaces.Architecture("anynet3", tuple(genes.items()))


def selection(path: Path, members: list[dict[str, Any]] | None = None) -> RunFolder:
    """A run folder with five tiny networks selected."""
    space = spaces.load("anynet3")
    members = members or [genes_of(index) for index in range(5)]
    found = [architecture_of(genes) for genes in members]
    front = Front(
        space=space.name,
        objectives=(Objective("flops", "minimise"),),
        constraints=(),
        space_size=space.size,
        evaluations=len(found),
        infeasible=0,
        failures={},
        hypervolume=0.0,
        box=Box([0.0], [0.0]),
        members=tuple(Member(one, "", {"flops": 4.0**index}, {}) for index, one in enumerate(found)),
        selected=tuple(architecture.id for architecture in found),
        rule="crowding",
    )
    write_json(path / "front.json", front.to_row())
    return RunFolder(path)


def run(experiment: Experiment, folder: RunFolder) -> str:
    """Train and return the output of the view."""
    said = StringIO()
    with ConsoleView(Console(file=said, width=200)) as view:
        train(experiment, folder, view)
    return said.getvalue()


def trials(folder: RunFolder) -> list[TrainedRun]:
    found = read_document(folder.trained, Trained.from_row)
    assert found
    return found.trials


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, train_here: TrainHere) -> Callable[[str], RunFolder]:
    """Uninterrupted runs in this process, by scheduler; ``said.txt`` has the output of the view."""
    done: dict[str, RunFolder] = {}

    def get(scheduler: str) -> RunFolder:
        if scheduler not in done:
            done[scheduler] = selection(tmp_path_factory.mktemp(scheduler))
            said = train_here(experiment_of(scheduler, 1), done[scheduler])
            (done[scheduler].path / "said.txt").write_text(said)
        return done[scheduler]

    return get


@pytest.mark.parametrize("scheduler", ["asha", "successive_halving"])
def test_runs_are_stopped_finished_and_tested(whole: Callable[[str], RunFolder], scheduler: str) -> None:
    folder = whole(scheduler)
    assert {run.status for run in trials(folder)} == {"stopped", "finished"}
    for trained in trials(folder):
        finished = trained.status == "finished"
        assert (trained.epochs == EPOCHS) == finished
        assert (trained.test_accuracy is not None) == finished
        assert trained.val_accuracy is not None
        assert 0 <= trained.val_accuracy <= 1
        assert trained.failure is None
    best = max(run.test_accuracy or 0 for run in trials(folder))
    assert best > 0.3  # ten classes
    recorded = [(row["trial"], row["epoch"]) for row in read_ledger(folder.epochs)[0]]
    assert len(set(recorded)) == len(recorded) == sum(run.epochs for run in trials(folder))
    assert "finished already" in run(experiment_of(scheduler, 1), folder)
    trained_file = read_document(folder.trained, Trained.from_row)
    assert trained_file
    front = trained_file.front
    assert front
    cheapest = front.networks[0]
    assert cheapest.costs == {"flops": 1.0}
    assert cheapest.on_front  # whatever its accuracy: it goes on at every rung
    assert cheapest.accuracy
    if len(SEEDS[scheduler]) == 1:  # with more, their spread counts
        test = round(1797 / 5)
        assert cheapest.error == pytest.approx(math.sqrt(cheapest.accuracy * (1 - cheapest.accuracy) / test))


def test_only_the_survivors_have_a_second_seed(whole: Callable[[str], RunFolder]) -> None:
    folder = whole("successive_halving")
    survivors = {run.architecture for run in trials(folder) if run.seed == 0 and run.status == "finished"}
    second = [run for run in trials(folder) if run.seed == 1]
    assert {run.architecture for run in second} == survivors
    assert {run.status for run in second} == {"finished"}
    assert "number 5 of 5, 3 go on" in (folder.path / "said.txt").read_text()


def busy_worker() -> int:
    """Return the process of a training worker of this process's Ray."""
    for pid, name in processes():
        if name.startswith("ray::") and "Train" in name and parent(parent(pid)) == os.getpid():
            return pid
    raise AssertionError("no training worker is running")


def processes() -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                yield int(entry.name), (entry / "cmdline").read_text(errors="replace")


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_killed_worker_is_replaced_and_its_run_continues_from_its_checkpoint(
    whole: Callable[[str], RunFolder], tmp_path: Path, once: Once, ray_session: None
) -> None:
    expected = whole("successive_halving").trained.read_bytes()
    folder = selection(tmp_path)
    once(folder.epochs, 7, lambda: os.kill(busy_worker(), signal.SIGKILL))
    said = run(experiment_of("successive_halving", 1), folder)
    assert "its worker died" in said
    assert folder.trained.read_bytes() == expected


def test_an_interrupted_stage_continues(tmp_path: Path, ray_session: None, once: Once) -> None:
    """The decisions of ASHA, on two workers before the interrupt and on one after it, follow from the record alone."""
    folder, experiment = selection(tmp_path), experiment_of("asha", 2)
    before_the_tests = signal.signal(signal.SIGINT, signal.default_int_handler)  # background processes ignore it
    once(folder.epochs, 3, lambda: os.kill(os.getpid(), signal.SIGINT))
    try:
        with pytest.raises(KeyboardInterrupt):
            run(experiment, folder)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before_the_tests)
    assert not folder.trained.exists()
    before = {name: state for name, state in replayed(experiment, folder).items() if state != "waiting"}
    run(experiment_of("asha", 1), folder)
    after = {run.trial: run.status for run in trials(folder)}
    assert after == replayed(experiment, folder)
    assert {name: after[name] for name in before} == before
    assert "finished" in after.values()
    assert set(after.values()) <= {"stopped", "finished"}  # the order of arrival decides whether any run is stopped


def replayed(experiment: Experiment, folder: RunFolder) -> dict[str, str]:
    """Return the state of every run, computed from the record."""
    front = read_document(folder.front, Front.from_row)
    assert front
    selected = [member.architecture for member in front.chosen]
    with Ledger(folder.epochs) as ledger:
        costs = {member.id: (member.values["flops"],) for member in front.chosen}
        runs = TrainingRuns(selected, experiment.train, experiment.search.seed, ledger, costs, VALIDATION)
        return {trial.name: runs.progress(trial.name).state for trial in runs.wanted()}


def test_a_run_whose_worker_fails_each_time_is_recorded_and_the_others_continue(
    tmp_path: Path, ray_session: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zenfront.pipeline.stages.train.driver.RETRIES", 1)
    broken = {gene: value for gene, value in genes_of(0).items() if gene != "d3"}
    folder, said = RunFolder(tmp_path), StringIO()
    with ConsoleView(Console(file=said, width=200)) as view:
        train_given(experiment_of("asha", 1), folder, view, [architecture_of(broken), architecture_of(genes_of(1))])
    assert said.getvalue().count("KeyError: 'd3'; going on from its checkpoint") == 1
    bad, good = trials(folder)
    assert (bad.status, bad.failure) == ("failed", "worker failed: KeyError: 'd3'")
    assert good.status == "finished"


def test_a_user_error_in_a_worker_ends_the_stage_and_harms_no_run(tmp_path: Path, ray_session: None) -> None:
    folder = selection(tmp_path)
    folder.checkpoints.write_text("a file where the folder of checkpoints belongs")
    with pytest.raises(UserError, match="cannot write the checkpoint"):
        run(experiment_of("asha", 1), folder)
    assert read_ledger(folder.epochs)[0] == []


def newest_checkpoints(folder: RunFolder) -> dict[str, str]:
    return {trial.name: max(path.name for path in trial.glob("*.pt")) for trial in folder.checkpoints.iterdir()}


def test_successive_halving_ends_the_same_after_its_driver_was_killed(
    whole: Callable[[str], RunFolder], tmp_path: Path, killed_driver: KilledDriver, on_this_ray: OnThisRay
) -> None:
    """It had two workers, the next one has one."""
    expected = whole("successive_halving").trained.read_bytes()
    folder, experiment = selection(tmp_path), experiment_of("successive_halving", 2)
    killed_driver("train.stage", on_this_ray(experiment), folder, folder.epochs, 9)
    said = run(experiment_of("successive_halving", 1), folder)
    assert "going on after" in said
    assert folder.trained.read_bytes() == expected


@pytest.mark.soak
def test_asha_with_one_worker_ends_the_same_after_its_driver_was_killed(
    whole: Callable[[str], RunFolder], tmp_path: Path, killed_driver: KilledDriver, on_this_ray: OnThisRay
) -> None:
    reference = whole("asha")
    folder, experiment = selection(tmp_path), experiment_of("asha", 1)
    killed_driver("train.stage", on_this_ray(experiment), folder, folder.epochs, 6)
    before = newest_checkpoints(folder)
    run(experiment, folder)
    assert trials(folder) == trials(reference)
    order = [(row["trial"], row["epoch"], row["metrics"]["val_accuracy"]) for row in read_ledger(folder.epochs)[0]]
    expected = read_ledger(reference.epochs)[0]
    assert order == [(row["trial"], row["epoch"], row["metrics"]["val_accuracy"]) for row in expected]
    assert all(newest_checkpoints(folder)[trial] >= name for trial, name in before.items())
