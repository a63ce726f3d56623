"""No port is open to other machines, no file of a run is executed, and no name points outside its folder."""

import ast
import json
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from ray._private import services

from zenfront.pipeline.cluster import session
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.places import Cluster
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results.front import Front
from zenfront.pipeline.stages.report.stage import report
from zenfront.pipeline.stages.select import select

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*ROOT.glob("spaces/**/*.py"), *ROOT.glob("pipeline/**/*.py")])
FakeRun = Callable[..., tuple[Experiment, RunFolder]]
FakeTraining = Callable[[Experiment, RunFolder, Front], None]
Zenfront = Callable[..., tuple[int, str, str]]
NEVER = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "subprocess.getoutput"),
    *("pickle.load", "pickle.loads", "cloudpickle.load", "cloudpickle.loads", "joblib.load", "marshal.loads"),
    *("yaml.load", "yaml.unsafe_load", "yaml.full_load", "shelve.open", "pandas.read_pickle", "torch.hub.load"),
    *("Tuner.restore", "tune.Tuner.restore"),
}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Yield every call with its dotted name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def dangers(source: str) -> list[str]:
    """Return calls that turn data into code, which must never be applied to a file of a run."""
    found = []
    for name, call in calls(ast.parse(source)):
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        found += [name] * (name in NEVER or (name.endswith((".loads", ".load")) and "pickle" in name))
        found += [name] * (name == "torch.load" and given.get("weights_only") != "True")
        found += [f"{name}: shell"] * (given.get("shell", "False") != "False")
        found += [f"{name}: allow_pickle"] * (given.get("allow_pickle", "False") != "False")
    return found


def test_no_data_are_executed() -> None:
    found = {str(path.relative_to(ROOT)): dangers(path.read_text(encoding="utf-8")) for path in SOURCES}
    allowed = {
        "pipeline/user_code.py": ["exec", "compile"],  # code that the user allowed: tests/unit/own_code
        "pipeline/export/model_source.py": ["exec", "compile"],  # what it wrote itself: tests/unit/export
    }
    assert {path: calls for path, calls in found.items() if calls} == allowed


@pytest.mark.parametrize(
    "line",
    [
        "pickle.load(f)",
        "cloudpickle.loads(b)",
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "yaml.load(f)",
        "eval(text)",
        "subprocess.run(text, shell=True)",
        "np.load(f, allow_pickle=True)",
    ],
)
def test_the_search_for_dangers_finds_them(line: str) -> None:
    assert len(dangers(line)) == 1


def test_mlflow_is_shown_on_this_machine_alone(zenfront: Zenfront, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Sequence[str]] = []

    def execute(program: str, words: Sequence[str]) -> None:
        started.append(words)
        raise SystemExit(0)

    monkeypatch.setattr(os, "execv", execute)
    monkeypatch.setattr("zenfront.pipeline.tracking.experiment_pages", lambda uri: {"zenfront": "experiments/1"})
    code, out, _ = zenfront("ui", "--uri", "sqlite:///other.db")
    assert code == 0
    assert "zenfront: http://127.0.0.1:5000/#/experiments/1" in out
    words = list(started[0])
    assert words[words.index("--host") + 1] == "127.0.0.1"


@pytest.mark.parametrize(("head", "found"), [("127.0.0.1:6379", "127.0.0.1"), ("192.0.2.2:6379", "192.0.2.2")])
def test_a_head_node_on_this_machine_is_reached_at_its_own_address(
    monkeypatch: pytest.MonkeyPatch, head: str, found: str
) -> None:
    """Ray replaces 127.0.0.1 by an address on which the head node of `just dashboard` does not listen."""
    given: list[tuple[dict[str, Any], str]] = []
    own = services.resolve_ip_for_localhost
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr("ray.shutdown", lambda: None)
    monkeypatch.setattr("ray.init", lambda **settings: given.append((settings, own(head.split(":")[0]))))
    monkeypatch.setattr("zenfront.pipeline.cluster.session._require_same_code", lambda own: None)
    monkeypatch.setattr("zenfront.pipeline.cluster.session.read_ray_address", lambda: head)
    monkeypatch.setattr(services, "node_ip_address_from_perspective", lambda address: "192.0.2.9")
    monkeypatch.setattr("ray._private.worker._global_node", None)  # set while another test's Ray runs in this process
    experiment = Experiment.model_validate(
        {
            "name": "x",
            "space": "anynet3",
            "task": {"channels": 1, "height": 8, "width": 8, "classes": 10},
            "objectives": [{"score": "flops", "direction": "minimise"}],
        }
    )
    with session.cluster(experiment.model_copy(update={"cluster": Cluster(address="auto")})):
        assert own("127.0.0.1") == "192.0.2.9"  # only while Ray connects
    [(settings, address)] = given
    assert address == found
    assert settings["address"] == "auto"
    assert settings["include_dashboard"] is None
    assert "dashboard_host" not in settings  # Ray's default is 127.0.0.1


def test_the_dashboard_is_started_on_this_machine_alone() -> None:
    """Measured with `ss` and strace for this command: docs/faults.md."""
    [command] = [line for line in (ROOT / "Justfile").read_text().splitlines() if '/ray" start' in line]
    words = command.strip().removeprefix("@").split()
    assert "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0" in words
    assert "RAY_USAGE_STATS_ENABLED=0" in words
    assert "RAY_USAGE_STATS_REPORT_URL=http://127.0.0.1:9" in words
    assert words[words.index("--dashboard-host") + 1] == "127.0.0.1"


def test_no_file_of_ours_opens_a_server_to_the_world() -> None:
    """The exception is the network of a cluster, where the manifests require a token."""
    files = [*SOURCES, ROOT / "Justfile", *ROOT.glob("tune_configs/*.yaml")]
    assert [path for path in files if "0.0.0.0" in path.read_text(encoding="utf-8")] == []
    for path in ROOT.glob("tune_configs/cluster/*"):
        text = path.read_text(encoding="utf-8")
        if "0.0.0.0" in text:
            assert "RAY_AUTH_MODE" in text or "authOptions" in text, path


class _Bomb:
    """An object that creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_pickles_in_a_run_folder_are_not_touched(
    fake_run: FakeRun, fake_training: FakeTraining, zenfront: Zenfront, tmp_path: Path
) -> None:
    """The test uses all file names that Ray Tune, torch and older versions use."""
    experiment, folder = fake_run("mine")
    fake_training(experiment, folder, select(experiment, folder))
    exploded = tmp_path / "exploded"
    bomb = pickle.dumps(_Bomb(exploded))
    names = ("tuner.pkl", "trainable.pkl", "searcher-state.pkl", "error.pkl", "search_gen_state-1.json")
    for name in (*(f"tune/{name}" for name in names), "front.pkl", "scores.pkl", "checkpoints/x-0/000001.pt"):
        (folder.path / name).parent.mkdir(parents=True, exist_ok=True)
        (folder.path / name).write_bytes(bomb)
    for command in (["run", str(folder.config)], ["report", "mine"], ["sync", "mine"], ["select", "mine"]):
        zenfront(*command)
    report(folder)
    assert not exploded.exists()
    pickle.loads(bomb)
    assert exploded.exists()


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/b", ".", "..", ".hidden", "", "a\nb", "a\x00b", "-x", "x" * 101])
def test_a_name_cannot_point_outside_the_runs_folder(zenfront: Zenfront, tmp_path: Path, name: str) -> None:
    before = sorted(tmp_path.parent.iterdir())
    code, _, err = zenfront("select", "smoke", "--set", f"name={json.dumps(name)}")
    assert code == 2
    assert "name: must " in err
    assert sorted(tmp_path.parent.iterdir()) == before
    assert not list(tmp_path.iterdir())
