"""What a search measures on a device: nothing twice, nothing that was not allowed, and less with a model."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import kendalltau
from torch import Tensor, nn

import zenfront as zf
from zenfront.pipeline import user_code
from zenfront.pipeline.checks import check
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.config_file import load_experiment
from zenfront.pipeline.proxies._runtimes import program
from zenfront.pipeline.record.files.ledger import Ledger, read_ledger
from zenfront.pipeline.record.run_folder import RunFolder

EXPERIMENT: dict[str, Any] = {
    "name": "phone",
    "space": "anynet3",
    "task": {"channels": 1, "height": 8, "width": 8, "classes": 10},
    "objectives": [{"score": "latency", "direction": "minimise"}, {"score": "depth", "direction": "maximise"}],
    "search": {"algorithm": "random", "population": 4, "evaluations": 8, "batch": 2},
    "resources": {"device": "cpu"},
    "select": {"k": 2},
}


@pytest.fixture(autouse=True)
def _cheap_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file holds the milliseconds that the device takes: 0.001 for each parameter, and 1 for each layer."""

    def write(network: nn.Module, example: Tensor, path: Path, *, dynamic_batch: bool) -> None:
        layers = sum(1 for _ in network.modules())
        path.write_text(str(1 + layers + sum(each.numel() for each in network.parameters()) / 1000))

    monkeypatch.setattr(program, "_WRITERS", {"onnx": write, "pt2": write})


def _experiment(tmp_path: Path, script: str = "cat {onnx}", search: Any = (), **options: Any) -> Experiment:
    """An experiment whose program notes each call in the file ``calls``."""
    command = f"sh -c 'echo x >> {tmp_path}/calls; {script}'"
    latency = {"runtime": "command", "device": "phone", "command": command, "pause": 0.01, **options}
    changes = {"proxies": {"latency": latency}, "search": EXPERIMENT["search"] | dict(search)}
    return Experiment.model_validate(EXPERIMENT | changes)


def _search(tmp_path: Path, experiment: Experiment, runs: str = "runs") -> RunFolder:
    options: dict[str, Any] = {"backend": "serial", "tracking": False, "progress": False, "allow_code": True}
    return RunFolder(zf.search(experiment, runs=tmp_path / runs, **options).path)


def _calls(tmp_path: Path) -> int:
    return len((tmp_path / "calls").read_text().splitlines())


def _values(folder: RunFolder) -> dict[str, float]:
    return {row["id"]: row["values"]["latency"] for row in read_ledger(folder.scores)[0]}


def test_a_search_that_is_killed_before_it_records_a_value_does_not_measure_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, experiment = Ledger.append, _experiment(tmp_path)

    def killed(ledger: Ledger, rows: Any) -> None:
        if ledger.path.name == "scores.jsonl" and _calls(tmp_path) == 5:
            raise KeyboardInterrupt
        append(ledger, rows)

    monkeypatch.setattr(Ledger, "append", killed)
    with pytest.raises(KeyboardInterrupt):
        _search(tmp_path, experiment)
    monkeypatch.setattr(Ledger, "append", append)
    assert len(read_ledger(RunFolder(tmp_path / "runs/phone").scores)[0]) == 4
    assert len(_values(_search(tmp_path, experiment))) == 8
    assert _calls(tmp_path) == 8


def test_the_patience_with_a_device_can_change_and_its_command_cannot(tmp_path: Path) -> None:
    _search(tmp_path, _experiment(tmp_path))
    _search(tmp_path, _experiment(tmp_path, retries=9, timeout=7.5))
    with pytest.raises(UserError, match=r"proxies.latency.command"):
        _search(tmp_path, _experiment(tmp_path, script="echo 3 {onnx}"))
    assert _calls(tmp_path) == 8


def test_runs_that_share_a_place_measure_an_architecture_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZENFRONT_MEASURED", str(tmp_path / "shared"))
    first = _search(tmp_path, _experiment(tmp_path), "first")
    second = _search(tmp_path, _experiment(tmp_path), "second")
    assert _values(first) == _values(second)
    assert _calls(tmp_path) == 8
    assert [path.name for path in (tmp_path / "shared").glob("*.jsonl")] == ["phone.jsonl"]


def test_a_device_that_fails_is_the_reason_of_the_candidates_failure(tmp_path: Path) -> None:
    script = "test $(wc -l < {calls}) -gt 6 && cat {{onnx}} || {{ echo offline {{onnx}}; exit 1; }}"
    experiment = _experiment(tmp_path, script.format(calls=tmp_path / "calls").replace("{{", "{"), retries=1)
    rows = read_ledger(_search(tmp_path, experiment).scores)[0]
    reasons = [row["failure"] for row in rows if row["failure"]]
    assert len(rows) == 8
    assert len(reasons) == 3
    said = "latency: phone: no duration in 2 attempts; the last one: it ended with exit code 1: offline"
    assert all(reason.startswith(said) for reason in reasons)


def test_a_search_with_a_model_measures_some_and_predicts_all(tmp_path: Path) -> None:
    experiment = _experiment(tmp_path, model=30, search={"evaluations": 60, "population": 20})
    folder = _search(tmp_path, experiment)
    assert _calls(tmp_path) == 30
    measured = {row["id"]: row["values"]["latency"] for row in read_ledger(folder.measured("latency").scores)[0]}
    rows = read_ledger(folder.scores)[0]
    assert len(measured) == 30
    assert len(rows) == 60
    predicted = np.array([row["values"]["latency"] for row in rows])
    truth = np.array([_milliseconds(row) / 1000 for row in rows])
    assert kendalltau(predicted, truth).statistic > 0.8
    within = np.abs(predicted - truth) < 3 * np.array([row["errors"]["latency"] for row in rows])
    assert within.mean() > 0.9
    error = json.loads(folder.measured("latency").model.read_text())
    assert error["measured"] == 30
    assert error["tau"] > 0.8
    assert 0 < error["median"] < error["ninth"] < 0.5

    folder.scores.unlink()
    folder.generations.unlink()
    assert _values(_search(tmp_path, experiment)) == dict(zip((row["id"] for row in rows), predicted, strict=True))
    assert _calls(tmp_path) == 30


def _milliseconds(row: dict[str, Any]) -> float:
    """Return what the device takes for an architecture."""
    space = zf.spaces.load(row["space"])
    network = space.network(space.architecture(row["genes"]), Experiment.model_validate(EXPERIMENT).task)
    return 1 + sum(1 for _ in network.modules()) + sum(each.numel() for each in network.parameters()) / 1000


def test_a_model_without_measurements_ends_the_run_and_the_next_one_measures_them(tmp_path: Path) -> None:
    script = f"test $(wc -l < {tmp_path}/calls) -le 5 -o -e {tmp_path}/online && cat {{onnx}}"
    experiment = _experiment(tmp_path, script, model=12, retries=0)
    said = r"proxies.latency.model: a model needs 10 measured architectures, but only 5 of 12 have a value: latency: "
    with pytest.raises(UserError, match=said):
        _search(tmp_path, experiment)
    (tmp_path / "online").touch()
    assert len(_values(_search(tmp_path, experiment))) == 8
    assert _calls(tmp_path) == 12 + 7


CONFIG = """
name: phone
space: anynet3
task: {channels: 1, height: 8, width: 8, classes: 10}
objectives:
  - {score: latency, direction: minimise}
  - {score: flops, direction: minimise}
proxies:
  latency: {runtime: command, device: phone, command: "sh measure {onnx}"}
"""


def test_a_command_needs_the_permission_of_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_code, "_allowed", set())
    path = tmp_path / "phone.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    with pytest.raises(UserError, match=r"names a command, which runs .*: the command 'sh measure {onnx}'. Read"):
        check(load_experiment(path))
    typed = ["proxies.latency.command=sh {onnx}"]
    check(load_experiment(path, typed))
    with pytest.raises(UserError, match="names a command"):
        check(load_experiment(path))
    check(load_experiment(path, allow_code=True))
    assert str(load_experiment(path).own_code()[0]) == "proxies.latency runs the command 'sh measure {onnx}'"


KILLED = """
import json, sys
import zenfront as zf
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.proxies._runtimes import program

def write(network, example, path, *, dynamic_batch):
    path.write_text("5")

program._WRITERS = {"onnx": write}
experiment = Experiment.model_validate_json(sys.argv[1])
zf.search(experiment, backend="serial", runs=sys.argv[2], tracking=False, progress=False, allow_code=True)
"""


def test_a_search_that_is_killed_while_its_program_runs_measures_that_architecture_again_and_no_other(
    tmp_path: Path,
) -> None:
    """The program kills the search that has called it, in its fifth call."""
    kill = f"test $(wc -l < {tmp_path}/calls) -ne 5 || kill -9 $PPID; cat {{onnx}}"
    experiment = _experiment(tmp_path, kill)
    words = [sys.executable, "-c", KILLED, experiment.model_dump_json(), str(tmp_path / "runs")]
    assert subprocess.run(words, check=False, capture_output=True).returncode == -signal.SIGKILL
    assert len(_values(_search(tmp_path, experiment))) == 8
    assert _calls(tmp_path) == 8 + 1
