"""Invalid values of proxies, unusual places of runs, and files written by other programs."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from mlflow import MlflowClient
from torch import nn

from zenfront import spaces
from zenfront.pipeline import proxies
from zenfront.pipeline.cli.terminal.console import ConsoleView
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.objectives import Constraint, Objective
from zenfront.pipeline.proxies import Batch, Proxy
from zenfront.pipeline.record.files.ledger import Ledger, read_ledger
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.registry import _entry_points
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.scoring import Scoring, noise_batch
from zenfront.pipeline.seeds import numpy_generator, seed_for
from zenfront.pipeline.stages.report.stage import report
from zenfront.pipeline.stages.search.driver import SearchDriver
from zenfront.pipeline.stages.search.statistics import SearchStatistics
from zenfront.pipeline.stages.select import select
from zenfront.pipeline.tracking import default_uri, sync
from zenfront.spaces import Architecture, Network, Task

FakeRun = Callable[..., tuple[Experiment, RunFolder]]
Zenfront = Callable[..., tuple[int, str, str]]
SPACE = spaces.load("anynet3")
TASK = Task(1, 8, 8, 10)
ANY = SPACE.sample(numpy_generator(0, "any"))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (float("nan"), "the value is nan"),
        (float("inf"), "the value is inf"),
        (float("-inf"), "the value is -inf"),
        (None, "the value is None"),
        (1 + 2j, "the value is (1+2j)"),
        ("1.0", "the value is 1.0"),
        (torch.ones(2), "the value is tensor([1., 1.])"),
        (10**400, "OverflowError: int too large to convert to float"),
    ],
)
def test_a_value_that_is_not_a_finite_number_is_a_failure_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, value: Any, reason: str
) -> None:
    proxy = Proxy("odd", lambda network, batch, generator: value, "1", "maximise", "a test", weights="none")
    monkeypatch.setattr(proxies, "load", lambda name, code: proxy)
    scores = Scoring(SPACE, TASK, ["odd"], noise_batch(TASK, 2, 0), seed=0).score(ANY)
    assert scores.failure == f"odd: {reason}"


def test_huge_values_are_compared_and_measured() -> None:
    """SynFlow reaches 1e61 in published tables; squares and products of the largest floats overflow."""
    statistics = SearchStatistics([Objective("a", "maximise"), Objective("b", "maximise")], [])
    architectures = [SPACE.sample(numpy_generator(0, "huge", str(i))) for i in range(4)]
    values = [(1e308, 1e-308), (1e-308, 1e308), (1e200, 1e200), (-1e308, -1e308)]
    statistics.add([Scores(a, {"a": x, "b": y}, None, 0) for a, (x, y) in zip(architectures, values, strict=True)])
    assert len(statistics.front) == 3
    assert statistics.hypervolume is not None
    assert 0 <= statistics.hypervolume <= 1.21  # of the box, enlarged by a tenth on each side


def _enormous(architecture: Architecture, task: Task) -> Network:
    wide = nn.Sequential(nn.Conv2d(task.channels, 200_000, 1), nn.Conv2d(200_000, 200_000, 1))
    return Network(wide, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(200_000, task.out_features)))


def test_too_large_networks_are_excluded_before_any_allocation() -> None:
    """The network has forty billion parameters, 160 GB, and 2.56e12 multiply-adds."""
    space = replace(SPACE, build=_enormous)
    limit = [Constraint("flops", at_most=1e12)]
    scores = Scoring(space, TASK, ["zen", "flops"], noise_batch(TASK, 2, 0), seed=0, constraints=limit).score(ANY)
    assert scores.failure is None
    assert scores.values == {"flops": 64 * (200_000 + 200_000**2) + 200_000 * 10}


def experiment_of(name: str = "tiny") -> Experiment:
    return Experiment.model_validate(
        {
            "name": name,
            "space": "anynet3",
            "task": {"channels": 1, "height": 8, "width": 8, "classes": 10},
            "objectives": [{"score": "zen", "direction": "maximise"}, {"score": "flops", "direction": "minimise"}],
            "search": {"population": 8, "evaluations": 40},
            "select": {"k": 3},
        }
    )


def scored(architecture: Architecture) -> Scores:
    values = {name: seed_for(0, architecture.id, name) % 1000 / 1000 for name in ("zen", "flops")}
    return Scores(architecture, values, None, 0)


def search(folder: RunFolder, batches: int = 100) -> bytes:
    """Search a number of batches of three without Ray; return the content of front.json."""
    experiment = experiment_of()
    with (
        folder.driving(experiment),
        Ledger(folder.scores) as scores,
        Ledger(folder.generations) as generations,
        ConsoleView() as view,
    ):
        driver = SearchDriver(experiment, scores, generations, view)
        while not driver.loop.done and batches:
            driver.receive([scored(architecture) for architecture in driver.loop.take(3)])
            batches -= 1
    select(experiment, folder)
    return folder.front.read_bytes()


@pytest.fixture
def expected(tmp_path: Path) -> bytes:
    return search(RunFolder(tmp_path / "expected"))


def test_a_clock_that_is_set_back_changes_nothing(
    tmp_path: Path, expected: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [2e9]

    def earlier() -> float:
        now[0] -= 86_400
        return now[0]

    folder = RunFolder(tmp_path / "tiny")
    monkeypatch.setattr("time.time", earlier)
    search(folder, 5)
    assert search(folder) == expected
    times = [row["time"] for row in read_ledger(folder.generations)[0]]
    assert times == sorted(times, reverse=True)
    report(folder)
    monkeypatch.undo()
    sync(folder)
    runs = MlflowClient(default_uri(tmp_path)).search_runs(["1"], "tags.`zenfront.architecture` = ''")
    assert runs[0].data.metrics["evaluations"] == 40


def test_a_moved_folder_of_another_host_continues(tmp_path: Path, expected: bytes) -> None:
    search(RunFolder(tmp_path / "there"), 5)
    (tmp_path / "there").rename(tmp_path / "here")
    (tmp_path / "here" / "lock").write_text("process 1 on a-host-that-is-no-more\n")
    assert search(RunFolder(tmp_path / "here")) == expected


def test_two_drivers_on_one_folder(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with folder.driving(experiment_of()):
        held = rf"another driver is using .*run \(process {os.getpid()} on \S+\)"
        with pytest.raises(UserError, match=held), folder.driving(experiment_of()):
            pass
    with folder.driving(experiment_of()):
        pass


def test_a_path_with_special_characters(zenfront: Zenfront, fake_run: FakeRun, tmp_path: Path) -> None:
    fake_run("mine")
    odd = tmp_path / "läufe & 运行 x='y'"
    (tmp_path / "runs").rename(odd)
    for command in ("select", "report", "sync"):
        code, _, err = zenfront(command, "mine", "--runs", str(odd))
        assert (code, err) == (0, ""), command
    assert (odd / "mine" / "report" / "index.html").exists()
    assert (odd / "mlflow.db").exists()
    assert [path.name for path in tmp_path.iterdir()] == [odd.name]


@pytest.mark.parametrize("character", "%#?")
def test_a_path_that_mlflow_cannot_use_is_reported_at_the_start(fake_run: FakeRun, character: str) -> None:
    _, folder = fake_run("mine")
    moved = folder.path.parent.rename(folder.path.parent.with_name(f"runs{character}41"))
    with pytest.raises(UserError, match=rf"MLflow cannot keep its database .* has '\{character}' in it"):
        sync(RunFolder(moved / "mine"))


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("experiment.json", "{", "experiment.json cannot be read"),
        ("experiment.json", "[]", "experiment.json must hold a JSON object"),
        ("experiment.json", '{"schema": 0, "experiment": {}}', "schema 1 is expected, but got 0. The run was made by"),
        ("experiment.json", '{"experiment": {}}', "schema 1 is expected, but got None"),
        ("experiment.json", '{"schema": 1}', "experiment.json holds no experiment"),
        ("experiment.json", '{"schema": 1, "experiment": {"name": "../.."}}', "experiment.json holds no experiment"),
        ("front.json", '{"front": [', "front.json cannot be read"),
        ("trained.json", "\x00", "trained.json cannot be read"),
        ("scores.jsonl", "not a row\n{}\n", "scores.jsonl, line 1: the record is damaged"),
    ],
)
def test_a_file_that_something_else_wrote_is_one_message(
    zenfront: Zenfront, fake_run: FakeRun, file: str, content: str, said: str
) -> None:
    experiment, folder = fake_run("mine")
    select(experiment, folder)
    (folder.path / file).write_text(content)
    command = "select" if file == "scores.jsonl" else "report"
    code, _, err = zenfront(command, "mine")
    assert code == 2
    assert said in err
    assert "Traceback" not in err


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package that provides a search space; the fixture is the file to write it to."""
    package = tmp_path / "site" / "broken-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[zenfront.spaces]\nbroken = broken_space:SPACE\n")
    monkeypatch.syspath_prepend(str(package.parent))
    _entry_points.cache_clear()
    yield package.parent / "broken_space.py"
    _entry_points.cache_clear()
    sys.modules.pop("broken_space", None)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("1 / 0", "cannot be loaded from broken_space:SPACE: ZeroDivisionError: division by zero"),
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("def space(:", "SyntaxError"),
        ("SPACES = 1", "AttributeError: module 'broken_space' has no attribute 'SPACE'"),
    ],
)
def test_a_space_that_cannot_be_loaded_is_one_message(plugin: Path, zenfront: Zenfront, code: str, said: str) -> None:
    plugin.write_text(code)
    status, _, err = zenfront("spaces", "broken")
    assert status == 2
    assert "The search space 'broken' of another package" in err
    assert said in err


def test_resuming_accepts_only_changes_that_keep_the_result(tmp_path: Path) -> None:
    """Other time limits, machines and stores are accepted; another seed is refused with the difference."""
    folder, settings = RunFolder(tmp_path / "tiny"), experiment_of().model_dump(mode="json")
    search(folder, 5)
    for key, value in (("search.time_limit", 5), ("train.time_limit", 5), ("resources.search.workers", 3)):
        *parents, last = key.split(".")
        changed = holder = json.loads(json.dumps(settings))
        for parent in parents:
            holder = holder[parent]
        holder[last] = value
        with folder.driving(Experiment.model_validate(changed)):
            pass
    settings["search"]["seed"] = 1
    other = Experiment.model_validate(settings)
    with pytest.raises(UserError, match=r"search\.seed: 0 -> 1"), folder.driving(other):
        pass


def test_a_full_gpu_is_no_failure_of_the_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker returns it to be scored alone."""

    def full(network: Network, batch: Batch, generator: torch.Generator) -> float:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(
        proxies, "load", lambda name, code: Proxy("full", full, "1", "maximise", "a test", weights="none")
    )
    with pytest.raises(torch.OutOfMemoryError):
        Scoring(SPACE, TASK, ["full"], noise_batch(TASK, 2, 0), seed=0).score(ANY)
