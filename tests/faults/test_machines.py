"""Machines that leave and join a cluster: the result is the same, and the run ends clearly if none joins."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, GetTimeoutError, RayTaskError

from zenfront.pipeline.cli.terminal.console import ConsoleView
from zenfront.pipeline.cluster import session, watchdog, workers
from zenfront.pipeline.cluster.starts import WorkerStarts
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.files.ledger import read_ledger
from zenfront.pipeline.record.provenance import source_digest
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.registry import _entry_points
from zenfront.pipeline.stages.search.stage import search

EVALUATIONS = 24
DRIVER = """
import sys
from pathlib import Path
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.cli.terminal.console import ConsoleView
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.stages.search.stage import search
try:
    search(Experiment.model_validate_json(sys.argv[1]), RunFolder(Path(sys.argv[2])), ConsoleView())
except UserError as error:
    sys.exit(str(error))
"""
PLANNER = """
import sys
from zenfront.pipeline.cluster import workers
import ray
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.places import Workers
ray.init(sys.argv[1], log_to_driver=False)
try:
    workers.plan_workers(Workers(cpus=2), "search", "cpu")
except UserError as error:
    sys.exit(str(error))
"""
HELD = """
import os, time
from pathlib import Path
from zenfront.pipeline.proxies import Proxy

def held(network, batch, generator):
    with Path(os.environ["CALLS"]).open("ab") as calls:
        calls.write(b".")
        number = calls.tell()
    while number > Path(os.environ["ALLOWED"]).stat().st_size:
        time.sleep(0.02)
    return float(sum(p.numel() for p in network.parameters()))

PROXY = Proxy("held", held, "1", "maximise", "a test", weights="none")
"""


class Rein:
    """Limit the calls of the proxy in all workers: each byte of a file allows one call, and further calls wait."""

    def __init__(self, folder: Path) -> None:
        self.calls, self.allowed = folder / "calls", folder / "allowed"
        self.calls.touch()
        self.allowed.touch()

    def give(self, calls: int) -> None:
        more = self.calls.stat().st_size + calls - self.allowed.stat().st_size
        with self.allowed.open("ab") as allowed:
            allowed.write(b"." * more)

    def take_all(self) -> None:
        self.calls.write_bytes(b"")
        self.allowed.write_bytes(b"")


def until(condition: Callable[[], bool], driver: subprocess.Popen[str]) -> None:
    while not condition():
        assert driver.poll() is None, driver.communicate()
        time.sleep(0.02)


@pytest.fixture(scope="module")
def rein(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rein]:
    """Control the proxy in this process and in every process that is started from now on."""
    folder = tmp_path_factory.mktemp("rein")
    package = folder / "plugin" / "held-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: held\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[zenfront.proxies]\nheld = held:PROXY\n")
    (package.parent / "held.py").write_text(HELD)
    rein = Rein(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CALLS", str(rein.calls))
        patch.setenv("ALLOWED", str(rein.allowed))
        patch.setenv("PYTHONPATH", os.pathsep.join([str(package.parent), *filter(None, [os.getenv("PYTHONPATH")])]))
        patch.syspath_prepend(package.parent)
        _entry_points.cache_clear()
        yield rein
    _entry_points.cache_clear()


@pytest.fixture(scope="module")
def cluster(rein: Rein) -> Iterator[Any]:
    """A cluster whose head node has no processors for workers, and which has two machines of one processor."""
    from ray.cluster_utils import Cluster

    soon = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 500, "health_check_failure_threshold": 3}
    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": soon}  # a lost machine is missed soon
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


def experiment_of(**cluster: Any) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "tiny",
            "space": "anynet3",
            "task": {"channels": 1, "height": 8, "width": 8, "classes": 10},
            "objectives": [{"score": "held", "direction": "maximise"}, {"score": "flops", "direction": "minimise"}],
            "search": {"population": 8, "repeats": 1, "evaluations": EVALUATIONS, "candidates_per_trial": 4},
            "resources": {"device": "cpu", "search": {"workers": 1}},
            "cluster": cluster,
        }
    )


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def begin(experiment: Experiment, folder: RunFolder) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", DRIVER, experiment.model_dump_json(), str(folder.path)]
        started.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
        )
        return started[-1]

    yield begin
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def scored(folder: RunFolder) -> int:
    return folder.scores.read_bytes().count(b"\n") if folder.scores.exists() else 0


def result(folder: RunFolder) -> list[str]:
    return sorted(json.dumps([row["id"], row["values"], row["failure"]]) for row in read_ledger(folder.scores)[0])


@pytest.mark.slow
def test_a_worker_larger_than_any_machine_of_a_real_cluster_is_refused_at_once(cluster: Any) -> None:
    """Together the machines have what a worker needs, and none can ever run it."""
    driver = subprocess.run([sys.executable, "-c", PLANNER, cluster.address], capture_output=True, text=True)
    assert driver.returncode == 1
    assert "a worker needs 2 CPUs on one machine, but the cluster has 2 machines with 1 CPU;" in driver.stderr


@pytest.mark.slow
def test_machines_leave_and_join_and_the_result_is_the_same(
    cluster: Any, rein: Rein, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """All machines leave and none joins within the patience; a later driver continues with others."""
    expected, folder = RunFolder(tmp_path / "expected"), RunFolder(tmp_path / "run")
    rein.give(EVALUATIONS)
    search(experiment_of(), expected, ConsoleView(), "serial")
    rein.take_all()
    rein.give(10)  # the first generation of eight, and a part of a batch of four
    driver = start(experiment_of(address=cluster.address, patience=3), folder)
    until(lambda: scored(folder) >= 8, driver)
    for node in list(cluster.worker_nodes):
        cluster.remove_node(node, allow_graceful=False)
    said, complaint = driver.communicate()
    assert driver.returncode == 1
    assert "the cluster has lost every machine with room for a worker (1 CPU): waiting up to 3 s" in said
    assert "has joined within 3 s (cluster.patience). The record is kept" in complaint
    assert 8 <= scored(folder) <= 10
    rein.give(8)  # the rest of the second generation, at least
    leaving = cluster.add_node(num_cpus=1)
    driver = start(experiment_of(address=cluster.address), folder)
    until(lambda: scored(folder) >= 16, driver)
    cluster.remove_node(leaving, allow_graceful=False)
    cluster.add_node(num_cpus=1)
    rein.give(EVALUATIONS)
    assert driver.wait() == 0, driver.communicate()
    assert result(folder) == result(expected)


class Machines:
    """A cluster of machines with given answers; an answer that is an exception is raised."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers

    def nodes(self) -> list[dict[str, Any]]:
        return [{"NodeID": name * 28, "NodeManagerHostname": f"host-{name}", "Alive": True} for name in self.answers]

    def remote(self, **_: Any) -> Callable[..., Any]:
        return lambda function: self

    def options(self, scheduling_strategy: Any) -> Any:
        return SimpleNamespace(remote=lambda own: self.answers[scheduling_strategy.node_id[:2]])

    def get(self, answer: Any, timeout: float) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("0123", r"host-bb does not run this version of Zenfront \(it has different code\)\. Install the same"),
        (RayTaskError("", "", ModuleNotFoundError("No module named 'pipeline'")), "it has none: No module named"),
        (
            RayTaskError("", "", UserError("slope.py, line 2: ModuleNotFoundError: No module named 'timm'.")),
            r"host-bb cannot run code of the experiment: slope\.py, line 2: ModuleNotFoundError: No module named",
        ),
    ],
)
def test_other_code_on_a_machine_is_refused(monkeypatch: pytest.MonkeyPatch, answer: Any, said: str) -> None:
    machines = Machines({"aa": source_digest(), "bb": answer})
    for name in ("nodes", "remote", "get"):
        monkeypatch.setattr(f"ray.{name}", getattr(machines, name))
    with pytest.raises(UserError, match=said):
        session._require_same_code()


def test_a_leaving_machine_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    machines = Machines({"aa": source_digest(), "bb": ActorDiedError(), "cc": GetTimeoutError()})
    for name in ("nodes", "remote", "get"):
        monkeypatch.setattr(f"ray.{name}", getattr(machines, name))
    session._require_same_code()


def test_one_changed_line_is_other_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "pipeline" / "record" / "provenance.py"
    copy.parent.mkdir(parents=True)
    monkeypatch.setattr("zenfront.pipeline.record.provenance.__file__", str(copy))
    digests = set()
    for text in ("a = 1\n", "a = 2\n", "a = 1\n"):
        copy.write_text(text)
        digests.add(source_digest())
    assert len(digests) == 2


class Driver:
    def __init__(self) -> None:
        self.error: Exception | None = None
        self.notes: list[str] = []

    def notify(self, text: str) -> None:
        self.notes.append(text)


def test_a_machine_that_joins_in_time_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    here, now = {"CPU": 4.0, "GPU": 1.0}, [100.0]
    gone = {"Alive": False, "Resources": {}}
    monkeypatch.setattr("ray.nodes", lambda: [gone, *({"Alive": True, "Resources": here} for _ in range(2))])
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    starts = WorkerStarts(driver := Driver())
    starts.any_started = True
    watch = watchdog.ClusterWatchdog(driver, workers.WorkerPool(8, 2, 0.5), 60, starts)

    def look(seconds: float, cpus: float) -> bool:
        now[0] += seconds
        here["CPU"] = cpus
        return watch.stop_all()

    assert not look(0, 4)
    assert not driver.notes
    assert not look(5, 1)
    assert not look(50, 1)
    assert not look(5, 2)
    assert not look(5, 1)
    assert not look(59, 1)
    assert len(driver.notes) == 2
    assert "a worker (2 CPUs and 0.5 GPUs): waiting up to 60 s for one (cluster.patience)" in driver.notes[0]
    assert look(2, 1)
    assert isinstance(driver.error, UserError)
