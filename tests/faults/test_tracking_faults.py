"""MLflow down, hanging, or cut off anywhere: the work goes on, and a later sync completes what is there."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from pipeline.config import Experiment, Tracking
from pipeline.results import Ledger
from pipeline.run_folder import RunFolder
from pipeline.stages.select import select
from pipeline.tracking import Mirror, default_uri, sync

FakeRun = Callable[..., tuple[Experiment, RunFolder]]
FakeTraining = Callable[[Experiment, RunFolder, dict[str, Any]], None]


def _counts(uri: str) -> dict[str, dict[str, int]]:
    """Points per metric of every run, by architecture; fails if a run is there twice."""
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
def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_server_that_is_down_costs_the_work_nothing_and_is_told_once(
    trained: tuple[Experiment, RunFolder], closed_port: int
) -> None:
    experiment, folder = trained
    down = experiment.model_copy(update={"tracking": Tracking(uri=f"http://127.0.0.1:{closed_port}")})
    told: list[str] = []
    longest = 0.0
    with Mirror(folder, down, told.append, period=0.05) as mirror:
        end = time.monotonic() + 3
        while time.monotonic() < end:
            begin = time.monotonic()
            mirror.poke()
            longest = max(longest, time.monotonic() - begin)
            time.sleep(0.01)
        during = list(told)
    assert len(during) == 1
    assert f"http://127.0.0.1:{closed_port}" in during[0]
    assert len(told) == 2
    assert "zenfront sync fake" in told[1]
    assert longest < 1  # poking takes microseconds; the rest is the machine
    sync(folder)
    counts = _counts(default_uri(folder.path.parent))
    sync(folder)
    assert _counts(default_uri(folder.path.parent)) == counts
    assert counts[""]["hypervolume"] == 1


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Takes connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(100)
        yield int(listening.getsockname()[1])


def test_a_server_that_hangs_is_not_waited_for(
    trained: tuple[Experiment, RunFolder], silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    experiment, folder = trained
    hanging = experiment.model_copy(update={"tracking": Tracking(uri=f"http://127.0.0.1:{silent_port}")})
    told: list[str] = []
    with Mirror(folder, hanging, told.append, patience=0.5):
        begin = time.monotonic()
    assert time.monotonic() - begin < 2
    assert len(told) == 1
    assert "zenfront sync fake" in told[0]
    for thread in threading.enumerate():
        if thread.name == "mlflow-mirror":
            thread.join()  # or it would still be at it in the next test


def test_an_exception_in_the_work_passes_and_is_the_status(trained: tuple[Experiment, RunFolder]) -> None:
    experiment, folder = trained
    told: list[str] = []
    with pytest.raises(ZeroDivisionError), Mirror(folder, experiment, told.append):
        raise ZeroDivisionError
    assert not told
    client = MlflowClient(default_uri(folder.path.parent))
    statuses = [r.info.status for r in client.search_runs(["1"], "tags.`zenfront.architecture` = ''")]
    assert statuses == ["FAILED"]


def test_the_mirror_sends_while_the_work_goes_on(trained: tuple[Experiment, RunFolder]) -> None:
    experiment, folder = trained
    told: list[str] = []
    with Mirror(folder, experiment, told.append, period=60) as mirror:
        with Ledger(folder.generations) as ledger:
            ledger.append([ledger.rows[0] | {"generation": n, "time": 1.8e9 + n} for n in range(1, 40)])
        mirror.poke()
        client = MlflowClient(default_uri(folder.path.parent))
        end = time.monotonic() + 60
        points = 0
        while points < 40 and time.monotonic() < end:
            time.sleep(0.1)
            runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
            for run in runs:
                if not run.data.tags["zenfront.architecture"]:
                    assert run.info.status == "RUNNING"
                    points = len(client.get_metric_history(run.info.run_id, "hypervolume"))
        assert points == 40
    assert not told
    assert client.get_run(run.info.run_id).info.status in ("FINISHED", "FAILED")


class _CutOffError(Exception):
    pass


@contextlib.contextmanager
def _cut_off(patch: pytest.MonkeyPatch, call: int, *, carried_out: bool) -> Iterator[None]:
    """The given writing call fails, before or after MLflow has carried it out."""
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
def test_cut_off_at_any_call_and_sent_again_is_complete_and_has_nothing_twice(
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
def test_killed_in_the_middle_and_sent_again_is_complete(trained: tuple[Experiment, RunFolder]) -> None:
    _, folder = trained
    code = (
        "import sys, pathlib; from pipeline.run_folder import RunFolder; from pipeline.tracking import sync;"
        "print('go', flush=True); sync(RunFolder(pathlib.Path(sys.argv[1])))"
    )
    database = folder.path.parent / "mlflow.db"
    before = database.stat().st_mtime_ns
    with subprocess.Popen([sys.executable, "-c", code, str(folder.path)], stdout=subprocess.PIPE) as process:
        end = time.monotonic() + 60
        while database.stat().st_mtime_ns == before and process.poll() is None and time.monotonic() < end:
            time.sleep(0.001)
        time.sleep(0.1)
        os.kill(process.pid, signal.SIGKILL)
    sync(folder)
    counts = _counts(default_uri(folder.path.parent))
    (folder.path.parent / "other").mkdir()
    sync(RunFolder(folder.path.rename(folder.path.parent / "other" / "fake")))
    assert _counts(default_uri(folder.path.parent / "other")) == counts


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_real_server_that_comes_up_late(
    trained: tuple[Experiment, RunFolder], closed_port: int, tmp_path: Path
) -> None:
    experiment, folder = trained
    uri = f"http://127.0.0.1:{closed_port}"
    served = experiment.model_copy(update={"tracking": Tracking(uri=uri)})
    told: list[str] = []
    with Mirror(folder, served, told.append, period=0.1):
        time.sleep(2)
    assert len(told) == 2
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(closed_port), "--workers", "1"]
    store = ["--backend-store-uri", default_uri(folder.path.parent), "--artifacts-destination", str(tmp_path / "a")]
    alone = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # without five more processes
    with subprocess.Popen([*command, *store], env=alone, start_new_session=True, stderr=subprocess.DEVNULL) as server:
        try:
            _wait_for(closed_port)
            told.clear()
            with Mirror(folder, served, told.append):
                pass
            assert not told
            counts = _counts(uri)
            sync(folder, served)
            assert _counts(uri) == counts
            assert counts[""]["hypervolume"] == 1
            assert len(list((tmp_path / "a").glob("**/scores.parquet"))) == 1
        finally:
            os.killpg(server.pid, signal.SIGTERM)


def _wait_for(port: int) -> None:
    end = time.monotonic() + 90
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.2)
    raise TimeoutError(f"no server on port {port}")
