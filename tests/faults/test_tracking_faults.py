"""If MLflow is down, hangs or is cut off at any point, the work continues, and a later sync completes the mirror."""

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from mlflow import MlflowClient

from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.places import Tracking
from zenfront.pipeline.record.copies.background import ENOUGH
from zenfront.pipeline.record.files.ledger import Ledger
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results.front import Front
from zenfront.pipeline.stages.select import select
from zenfront.pipeline.tracking import Mirror, _mirror, default_uri, sync

FakeRun = Callable[..., tuple[Experiment, RunFolder]]
FakeTraining = Callable[[Experiment, RunFolder, Front], None]
PATIENCE = 500  # seconds; no test takes them unless it hangs
KILLED = """
import os, signal, sys
from pathlib import Path
from threading import Event, Timer
from mlflow import MlflowClient
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.tracking import sync

log, killer, calls = MlflowClient.log_batch, Timer(0.002, os.kill, (os.getpid(), signal.SIGKILL)), []

def log_until_it_dies(*args, **kwargs):
    calls.append(args)
    if len(calls) == 5:
        killer.start()
    elif killer.ident:
        Event().wait()
    return log(*args, **kwargs)

MlflowClient.log_batch = log_until_it_dies
sync(RunFolder(Path(sys.argv[1])))
"""


def _counts(uri: str) -> dict[str, dict[str, int]]:
    """Return the points per metric of every run, by architecture; fail if a run exists twice."""
    client = MlflowClient(uri)
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    counts = {
        run.data.tags["zenfront.architecture"]: {
            name: len(client.get_metric_history(run.info.run_id, name)) for name in run.data.metrics
        }
        for run in runs
    }
    assert len(counts) == len(runs)
    return counts


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("store")
    MlflowClient(default_uri(folder)).search_experiments()
    return (folder / "mlflow.db").read_bytes()


@pytest.fixture
def trained(fake_run: FakeRun, fake_training: FakeTraining, empty_store: bytes) -> tuple[Experiment, RunFolder]:
    experiment, folder = fake_run(count=24, select={"k": 4})
    fake_training(experiment, folder, select(experiment, folder))
    (folder.path.parent / "mlflow.db").write_bytes(empty_store)
    return experiment, folder


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port without a listener that no other process gets, except a server that reuses addresses."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


@pytest.fixture
def senders(monkeypatch: pytest.MonkeyPatch) -> Queue[str]:
    """A queue of the threads that have begun to send."""
    names, send = Queue[str](), _mirror._Session.send

    def observed(session: Any, status: Any) -> dict[str, str]:
        names.put(threading.current_thread().name)
        return send(session, status)

    monkeypatch.setattr(_mirror._Session, "send", observed)
    return names


def test_a_server_that_is_down_does_not_stop_the_work_and_is_reported_once(
    trained: tuple[Experiment, RunFolder], closed_port: int, senders: Queue[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    experiment, folder = trained
    down = experiment.model_copy(update={"tracking": Tracking(uri=f"http://127.0.0.1:{closed_port}")})
    told: list[str] = []
    with Mirror(folder, down, told.append, period=0.01, patience=PATIENCE):
        for _ in range(2 * ENOUGH):
            senders.get()
        during = list(told)
    assert len(during) == 1
    assert f"http://127.0.0.1:{closed_port}" in during[0]
    assert len(told) == 2
    assert "zenfront sync fake" in told[1]
    sync(folder)
    counts = _counts(default_uri(folder.path.parent))
    sync(folder)
    assert _counts(default_uri(folder.path.parent)) == counts
    assert counts[""]["hypervolume"] == 1


def test_a_server_that_hangs_is_not_waited_for(
    trained: tuple[Experiment, RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server never answers, so waiting for it would hang the test."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1000")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    experiment, folder = trained
    told: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        hanging = experiment.model_copy(update={"tracking": Tracking(uri=uri)})
        with Mirror(folder, hanging, told.append, patience=0.5) as mirror:
            mirror.poke()
            connection, _ = silent.accept()
            mirror.poke()
    connection.close()
    assert len(told) == 1
    assert "zenfront sync fake" in told[0]
    for thread in threading.enumerate():
        if thread.name == "mlflow-mirror":
            thread.join()  # so that it does not run on into the next test


def test_an_exception_in_the_work_passes_and_is_the_status(trained: tuple[Experiment, RunFolder]) -> None:
    experiment, folder = trained
    told: list[str] = []
    with pytest.raises(ZeroDivisionError), Mirror(folder, experiment, told.append, patience=PATIENCE):
        raise ZeroDivisionError
    assert not told
    client = MlflowClient(default_uri(folder.path.parent))
    statuses = [r.info.status for r in client.search_runs(["1"], "tags.`zenfront.architecture` = ''")]
    assert statuses == ["FAILED"]


def test_the_mirror_sends_during_the_work(trained: tuple[Experiment, RunFolder]) -> None:
    experiment, folder = trained
    told: list[str] = []
    with Mirror(folder, experiment, told.append, period=1000, patience=PATIENCE) as mirror:
        with Ledger(folder.generations) as ledger:
            ledger.append([ledger.rows[0] | {"generation": n, "time": 1.8e9 + n} for n in range(1, 40)])
        mirror.poke()
        client = MlflowClient(default_uri(folder.path.parent))
        points = 0
        while points < 40:
            time.sleep(0.1)
            runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
            for run in runs:
                if not run.data.tags["zenfront.architecture"]:
                    assert run.info.status == "RUNNING"
                    points = len(client.get_metric_history(run.info.run_id, "hypervolume"))
    assert not told
    assert client.get_run(run.info.run_id).info.status in ("FINISHED", "FAILED")


def test_a_store_that_is_locked_is_waited_for_in_the_background(
    trained: tuple[Experiment, RunFolder], senders: Queue[str]
) -> None:
    experiment, folder = trained
    sync(folder)
    assert senders.get() == "MainThread"
    told: list[str] = []
    holder = sqlite3.connect(folder.path.parent / "mlflow.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with Mirror(folder, experiment, told.append, period=0.05, patience=PATIENCE) as mirror:
        with Ledger(folder.generations) as ledger:
            ledger.append([ledger.rows[0] | {"generation": 1, "time": 1.8e9}])
        mirror.poke()
        assert senders.get() == "mlflow-mirror"
        time.sleep(0.3)  # lets the sender reach the lock; the test does not fail if it has not
        holder.rollback()
        holder.close()
    assert told == []
    assert _counts(default_uri(folder.path.parent))[""]["hypervolume"] == 2


class _CutOffError(Exception):
    pass


@contextlib.contextmanager
def _cut_off(patch: pytest.MonkeyPatch, call: int, *, carried_out: bool) -> Iterator[None]:
    """Make the given writing call fail before or after MLflow has executed it."""
    made = 0

    def breaking(original: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal made
            made += 1
            if made == call and not carried_out:
                raise _CutOffError
            result = original(*args, **kwargs)
            if made == call:
                raise _CutOffError
            return result

        return wrapped

    with patch.context() as patched:
        for name in ("create_run", "log_batch", "set_terminated", "log_artifact"):
            patched.setattr(MlflowClient, name, breaking(getattr(MlflowClient, name)))
        yield


@pytest.mark.slow
@pytest.mark.parametrize("carried_out", [False, True])
def test_a_sync_cut_off_at_any_call_is_completed_without_duplicates(
    trained: tuple[Experiment, RunFolder], empty_store: bytes, monkeypatch: pytest.MonkeyPatch, carried_out: bool
) -> None:
    _, folder = trained
    uri = default_uri(folder.path.parent)
    sync(folder)
    whole = _counts(uri)
    for call in (1, 2, 3, 4, 7, 12):
        (folder.path.parent / f"{call}").mkdir()
        copy = RunFolder(folder.path.rename(folder.path.parent / f"{call}" / "fake"))
        (copy.path.parent / "mlflow.db").write_bytes(empty_store)
        with _cut_off(monkeypatch, call, carried_out=carried_out), pytest.raises(Exception, match="CutOff"):
            sync(copy)
        sync(copy)
        assert _counts(default_uri(copy.path.parent)) == whole
        copy.path.rename(folder.path)


@pytest.mark.slow
def test_a_killed_sync_is_completed_by_the_next(trained: tuple[Experiment, RunFolder]) -> None:
    _, folder = trained
    killed = subprocess.run([sys.executable, "-c", KILLED, str(folder.path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    sync(folder)
    counts = _counts(default_uri(folder.path.parent))
    (folder.path.parent / "other").mkdir()
    sync(RunFolder(folder.path.rename(folder.path.parent / "other" / "fake")))
    assert _counts(default_uri(folder.path.parent / "other")) == counts


@pytest.mark.slow
def test_a_real_server_that_comes_up_late(
    trained: tuple[Experiment, RunFolder], closed_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", str(PATIENCE))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    experiment, folder = trained
    uri = f"http://127.0.0.1:{closed_port}"
    served = experiment.model_copy(update={"tracking": Tracking(uri=uri)})
    told: list[str] = []
    with Mirror(folder, served, told.append, period=0.1, patience=PATIENCE):
        while not told:
            time.sleep(0.01)
    assert len(told) == 2
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(closed_port), "--workers", "1"]
    store = ["--backend-store-uri", default_uri(folder.path.parent), "--artifacts-destination", str(tmp_path / "a")]
    alone = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # saves five processes
    with subprocess.Popen([*command, *store], env=alone, start_new_session=True, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_for(closed_port, server)
            told.clear()
            with Mirror(folder, served, told.append, patience=PATIENCE):
                pass
            assert not told
            assert (counts := _counts(uri))[""]["hypervolume"] == 1
            sync(folder, served)
            assert _counts(uri) == counts
            assert len(list((tmp_path / "a").glob("**/scores.parquet"))) == 1
        finally:
            os.killpg(server.pid, signal.SIGTERM)


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    while server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.2)
    raise ChildProcessError(f"the server ended with {server.returncode}")
