"""Where a run connects, reads and writes is what the user says, never what an experiment or a run folder says."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import pytest

import zenfront as zf
from zenfront.pipeline.cli.terminal.console import ConsoleView
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.config_file import load_experiment
from zenfront.pipeline.experiment.own_places import PLACES, own_places, settings_file
from zenfront.pipeline.record.copies.backup import Backup, storage_of
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.stages.run_stages import RunStages, resume_run, start_run
from zenfront.pipeline.tracking import sync

FakeRun = Callable[..., tuple[Experiment, RunFolder]]
Zenfront = Callable[..., tuple[int, str, str]]
RIGHT = """\
name: right
space: anynet3
task: {channels: 1, height: 8, width: 8, classes: 10}
objectives: [{score: zen, direction: maximise}, {score: flops, direction: minimise}]
search: {population: 8, evaluations: 16}
select: {k: 3}
"""
NAMED = [
    ("cluster.address", "10.0.0.1:6379"),
    ("cluster.address", "ray://evil.example:10001"),
    ("cluster.address", "auto"),
    ("cluster.storage", "s3://bucket/folder"),
    ("cluster.storage", "/etc"),
    ("cluster.storage", "file:///etc"),
    ("tracking.uri", "http://169.254.169.254/"),
    ("tracking.uri", "sqlite:////etc/x"),
    ("tracking.uri", "file:///etc"),
    ("tracking.uri", "databricks"),
]


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give no place by the environment or by settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    for name in PLACES.values():
        monkeypatch.delenv(name, raising=False)


def naming(key: str, value: str) -> str:
    """Write an experiment that names a place, on line 7, to a file."""
    section, name = key.split(".")
    Path("named.yaml").write_text(f"{RIGHT}{section}: {{{name}: '{value}'}}\n", encoding="utf-8")
    return "named.yaml"


def settings(text: str, mode: int = 0o600) -> Path:
    """Write the settings of the user."""
    file = settings_file()
    assert file
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    return file


def place(experiment: Experiment, key: str) -> Any:
    """Return what an experiment has at a key."""
    section, name = key.split(".")
    return getattr(getattr(experiment, section), name)


@pytest.mark.parametrize(("key", "value"), NAMED)
def test_a_place_in_a_file_is_refused_by_every_command(key: str, value: str, zenfront: Zenfront) -> None:
    for command in ("run", "search", "select", "train", "sync", "correlate", "config check"):
        words = [*command.split(), naming(key, value), *(["--train", "10"] if command == "correlate" else [])]
        code, _, err = zenfront(*words)
        assert code == 2, command
        assert err.startswith(f"zenfront: named.yaml, line 7: {key}: an experiment does not decide where to connect")
        assert value in err
        assert "--trust-config" in err
        assert not Path("runs").exists()


@pytest.mark.parametrize(("key", "value"), NAMED)
def test_a_place_in_a_file_counts_if_the_file_is_trusted(key: str, value: str, zenfront: Zenfront) -> None:
    _, _, err = zenfront("config", "check", naming(key, value), "--trust-config", "--no-data")
    assert "does not decide" not in err
    assert place(load_experiment("named.yaml", trust_config=True), key) == value


def test_python_refuses_it_as_well_and_trusts_an_experiment_that_it_made() -> None:
    file = naming("tracking.uri", "http://127.0.0.1:9")
    for function in (zf.search, zf.run):
        with pytest.raises(UserError, match=r"named\.yaml, line 7: tracking\.uri: an experiment does not decide"):
            function(file, progress=False)
    made = load_experiment(file, trust_config=True)
    assert start_run(made, (), Path("runs"))[0].tracking.uri == "http://127.0.0.1:9"


def test_the_message_holds_no_secret(zenfront: Zenfront) -> None:
    code, _, err = zenfront("run", naming("tracking.uri", "http://user:hunter2@mlflow:5000"))
    assert code == 2
    assert "http://mlflow:5000" in err
    assert "hunter2" not in err


@pytest.mark.parametrize("given", ["option", "override", "null", "environment", "settings"])
def test_what_the_user_gave_replaces_what_the_file_names(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file, overrides, option = naming("cluster.address", "10.0.0.1:6379"), [], None
    match given:
        case "option":
            option = "mine:1"
        case "override":
            overrides = ["cluster.address=mine:1"]
        case "null":
            overrides = ["cluster.address=null"]
        case "environment":
            monkeypatch.setenv("RAY_ADDRESS", "mine:1")
        case "settings":
            settings('cluster.address = "mine:1"')
    experiment, _ = start_run(file, overrides, Path("runs"), option)
    assert experiment.cluster.address == (None if given == "null" else "mine:1")


def test_the_order_is_command_line_environment_trusted_file_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*overrides: str, option: str | None = None, **how: Any) -> str | None:
        return start_run("named.yaml", overrides, Path("runs"), option, **how)[0].cluster.address

    naming("cluster.address", "file:1")
    settings('[cluster]\naddress = "settings:1"')
    assert started() == "settings:1"
    assert started(trust_config=True) == "file:1"
    monkeypatch.setenv("RAY_ADDRESS", "environment:1")
    assert started(trust_config=True) == "environment:1"
    assert started(option="option:1") == "option:1"
    assert started("cluster.address=set:1", option="option:1") == "set:1"


def test_places_come_from_the_environment_also_for_a_run_by_name(
    fake_run: FakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_run("fake")
    monkeypatch.setenv("RAY_ADDRESS", "mine:1")
    monkeypatch.setenv("ZENFRONT_STORAGE", "/mnt/runs")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    for experiment in (resume_run("fake", (), Path("runs"))[0], zf.open_run("runs/fake").experiment):
        assert [place(experiment, ".".join(key)) for key in PLACES] == ["mine:1", "/mnt/runs", "http://mlflow:5000"]


@pytest.fixture
def listening() -> Iterator[tuple[str, Callable[[], bool]]]:
    """A server: its host:port, and whether anybody has connected to it."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        server.settimeout(0.1)

        def reached() -> bool:
            try:
                server.accept()[0].close()
            except TimeoutError:
                return False
            return True

        yield f"127.0.0.1:{server.getsockname()[1]}", reached


def test_no_place_of_a_run_folder_from_elsewhere_is_used(
    fake_run: FakeRun, zenfront: Zenfront, listening: tuple[str, Callable[[], bool]], tmp_path: Path
) -> None:
    address, reached = listening
    _, folder = fake_run("fake", count=24)
    stored = json.loads(folder.config.read_text(encoding="utf-8"))
    stored["experiment"]["tracking"]["uri"] = f"http://{address}"
    stored["experiment"]["cluster"] |= {"storage": (tmp_path / "stolen").as_uri(), "address": f"ray://{address}"}
    stored |= {"places": ["cluster.address"]}
    for command in ("sync", "select", "train", "report"):
        folder.config.write_text(json.dumps(stored), encoding="utf-8")
        zenfront(command, "fake")
        assert not reached(), command
        assert not (tmp_path / "stolen").exists(), command


SECRETS = ["pa55w0rd", "s3cr3tk3y"]
URI = f"http://user:{SECRETS[0]}@127.0.0.1:9/?api_key={SECRETS[1]}"


def test_places_are_neither_stored_nor_copied_nor_sent(fake_run: FakeRun, tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    uri = f"sqlite:///{store}?password={SECRETS[0]}"
    copy = f"file://{tmp_path}/hidden-place"
    experiment, folder = fake_run("fake", count=24, tracking={"uri": uri}, cluster={"storage": copy})
    storage = storage_of(experiment, folder)
    assert storage
    with folder.driving(experiment), Backup(folder, experiment, storage):
        pass
    sync(folder, experiment.model_copy(update={"tracking": experiment.tracking.model_copy(update={"uri": None})}))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert tmp_path / "hidden-place/fake/experiment.json" in files
    assert tmp_path / "runs/mlflow.db" in files
    for path in files:
        content = path.read_bytes()
        assert b"hidden-place" not in content, path
        assert SECRETS[0].encode() not in content, path
    assert json.loads(folder.config.read_text(encoding="utf-8"))["places"] == ["cluster.storage", "tracking.uri"]


def test_a_run_of_an_earlier_version_is_sent_without_its_places(fake_run: FakeRun, tmp_path: Path) -> None:
    _, folder = fake_run("fake", count=24)
    stored = json.loads(folder.config.read_text(encoding="utf-8"))
    stored["experiment"]["tracking"]["uri"] = URI
    folder.config.write_text(json.dumps(stored), encoding="utf-8")
    experiment = folder.experiment()
    assert experiment.tracking.uri is None
    sync(folder)
    artifacts = [path.read_bytes() for path in tmp_path.glob("runs/mlartifacts/**/*") if path.is_file()]
    assert artifacts
    assert not any(SECRETS[0].encode() in content for content in artifacts)
    with folder.driving(experiment):
        pass
    assert SECRETS[0] not in folder.config.read_text(encoding="utf-8")


def test_a_run_that_had_other_places_says_so(fake_run: FakeRun) -> None:
    given, folder = fake_run("fake", count=24, tracking={"uri": "http://127.0.0.1:9"})
    said: list[str] = []

    def drive(experiment: Experiment) -> None:
        said.clear()
        stages = RunStages(experiment, folder, lambda: nullcontext(ConsoleView()), said.append, said.append)
        with stages.as_begun().driving():
            pass

    drive(given)
    assert said == []
    drive(folder.experiment())
    assert len(said) == 1
    assert said[0].startswith("fake: this run was driven with tracking.uri before, which a run folder does not keep.")
    drive(folder.experiment())  # the last driver had none
    assert said == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cluster.address = ", "the settings cannot be read"),
        ("a = 1", "a: unknown key"),
        ("[cluster]\naddres = 'auto'", "cluster.addres: unknown key"),
        ("[cluster]\naddress = 1", "cluster.address: unknown key, or no text"),
        ("[cluster]\naddress = 'os://path'", "cluster.address: must be auto, host:port or ray://host:port"),
        ("[tracking]\nuri = 'http://user:p/w@host'", "tracking.uri: must name a host, and a number as its port"),
        ("a = " + "[" * 5000, "the settings cannot be read"),
        ("\xff" * 10, "a"),
    ],
)
def test_wrong_settings_are_one_message(text: str, said: str, zenfront: Zenfront) -> None:
    file = settings(text)
    code, _, err = zenfront("search", "smoke")
    assert code == 2
    assert err.startswith(f"zenfront: {file}")
    assert said in err
    assert "p/w" not in err


def test_settings_with_a_password_are_the_users_alone(zenfront: Zenfront) -> None:
    text = f"[tracking]\nuri = '{URI}'"
    file = settings(text, 0o644)
    code, _, err = zenfront("search", "smoke")
    assert code == 2
    assert f"chmod 600 {file}" in err
    settings(text, 0o600)
    assert [given.value for given in own_places()] == [URI]
