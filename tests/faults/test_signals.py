"""On Ctrl-C and SIGTERM (preemption) the process ends soon, the record is intact, and no process remains."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from zenfront import spaces
from zenfront.pipeline.cli.terminal.signals import PATIENCE, SIGNALS, ending_at_signals
from zenfront.pipeline.experiment.config_file import load_experiment
from zenfront.pipeline.record.files.json_file import write_json
from zenfront.pipeline.record.files.ledger import read_ledger
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.stages.select import find_front

HANGING = 120.0
"""Seconds after which a process that should have ended is taken to hang; no test measures how long it took."""
STUCK = """
import sys, time
import zenfront.pipeline.cli.terminal.signals as signals
signals.PATIENCE = float(sys.argv[1])
with signals.ending_at_signals("the last words"):
    while True:
        try:
            print("ready", flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            print("swallowed", flush=True)
"""
CONFIG = """
name: tiny
space: anynet3
task: {channels: 1, height: 8, width: 8, classes: 10}
objectives: [{score: sleeper, direction: maximise}]
search: {population: 8, evaluations: 16, candidates_per_trial: 2}
resources: {device: cpu, search: {workers: 1}}
"""
SLEEPER = """
import os, pathlib, time
from zenfront.pipeline.proxies import Proxy

def sleeper(network, batch, generator):
    pathlib.Path(os.environ["BEGUN"]).touch()
    time.sleep(1000)

PROXY = Proxy("sleeper", sleeper, "1", "maximise", "a test", weights="none")
"""
Start = Callable[..., subprocess.Popen[str]]


def stuck(start: Start, patience: float) -> subprocess.Popen[str]:
    process = start("-c", STUCK, str(patience))
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start Python in a separate session, all processes of which end with the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(*words: str, **environment: str) -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                [sys.executable, *words],
                cwd=tmp_path,
                env=os.environ | environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )
        return started[-1]

    yield begin
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_at_once_whatever_hangs(start: Start, number: signal.Signals) -> None:
    process = stuck(start, 1e6)
    process.send_signal(number)
    assert process.stdout
    assert process.stdout.readline() == "swallowed\n"
    process.send_signal(number)
    assert process.wait(HANGING) == 128 + number
    assert process.stderr
    assert "the last words" in process.stderr.read()


def test_work_that_does_not_end_after_the_first_signal_is_ended(start: Start) -> None:
    process = stuck(start, 0.3)
    process.send_signal(signal.SIGTERM)
    assert process.wait(HANGING) == 143


def test_the_patience_is_shorter_than_that_of_container_runtimes() -> None:
    """Container runtimes wait ten seconds between SIGTERM and SIGKILL."""
    assert 0 < PATIENCE < 10


def test_a_block_that_ends_by_itself_leaves_the_handlers_as_they_were() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with ending_at_signals(""):
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before


def workers_of(session: int) -> list[str]:
    """Return Ray's workers among the processes of a session: those that hold work, processors or a GPU."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            if entry.name.isdigit() and os.getsid(int(entry.name)) == session:
                name = (entry / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
                found.append(name)
    return [name for name in found if "Agent" not in name and "ray::" in name]


def until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until a condition on a process holds."""
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.fixture
def search(start: Start, tmp_path: Path) -> Callable[[], subprocess.Popen[str]]:
    """Start a search all of whose candidates hang."""
    plugin = tmp_path / "plugin" / "sleeper-1.0.dist-info"
    plugin.mkdir(parents=True)
    (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: sleeper\nVersion: 1.0\n")
    (plugin / "entry_points.txt").write_text("[zenfront.proxies]\nsleeper = sleeper:PROXY\n")
    (plugin.parent / "sleeper.py").write_text(SLEEPER)
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    path = os.pathsep.join([str(plugin.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    code = "from zenfront.pipeline.cli.app import main; main()"
    return lambda: start("-c", code, "search", "tiny.yaml", PYTHONPATH=path, BEGUN=str(tmp_path / "begun"))


def ended_soon(process: subprocess.Popen[str], number: signal.Signals) -> str:
    """Send the signal and return the standard error."""
    process.send_signal(number)
    assert process.wait(HANGING) == 128 + number
    while workers_of(process.pid):
        time.sleep(0.02)
    return process.communicate(timeout=HANGING)[1]


@pytest.mark.slow
def test_a_search_ends_soon_while_its_candidates_hang(
    search: Callable[[], subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = search()
    until((tmp_path / "begun").exists, process)
    said = ended_soon(process, signal.SIGTERM)
    assert said.count("interrupted; the record is kept. To continue: zenfront search tiny.yaml") == 1
    assert "Traceback" not in said
    assert read_ledger(tmp_path / "runs" / "tiny" / "scores.jsonl")[0] == []


@pytest.mark.slow
def test_a_search_ends_soon_while_ray_is_starting(search: Callable[[], subprocess.Popen[str]], tmp_path: Path) -> None:
    process = search()
    until((tmp_path / "runs" / "tiny" / "generations.jsonl").exists, process)
    until(lambda: any(b"gcs_server" in line for line in commands_of(process.pid)), process)
    said = ended_soon(process, signal.SIGTERM)
    assert "To continue: zenfront search tiny.yaml" in said


@pytest.mark.slow
def test_training_ends_soon_and_its_epochs_are_there(start: Start, tmp_path: Path) -> None:
    space = spaces.load("anynet3")
    small = {f"{gene}{i}": value for i in (1, 2, 3) for gene, value in (("d", 1), ("w", 8), ("b", 1), ("g", 1))}
    chosen = space.architecture(small)
    folder = RunFolder(tmp_path / "runs" / "tiny")
    settings = "train: {epochs: 10000, data: {limit: 200}}\nobjectives: [{score: flops, direction: minimise}]"
    (tmp_path / "tiny.yaml").write_text(CONFIG.replace("objectives: [{score: sleeper, direction: maximise}]", settings))
    front = find_front(load_experiment(tmp_path / "tiny.yaml"), [Scores(chosen, {"flops": 1.0}, None, 0)])
    write_json(folder.front, front.to_row())
    process = start("-c", "from zenfront.pipeline.cli.app import main; main()", "train", "tiny.yaml")
    until(lambda: folder.epochs.exists() and folder.epochs.read_bytes().count(b"\n") >= 3, process)
    said = ended_soon(process, signal.SIGINT)
    assert said.count("interrupted; the record is kept. To continue: zenfront train tiny.yaml") == 1
    assert "Traceback" not in said
    epochs = [row["epoch"] for row in read_ledger(folder.epochs)[0]]
    assert epochs == list(range(1, len(epochs) + 1))
    assert not folder.trained.exists()


def commands_of(session: int) -> Iterator[bytes]:
    for entry in Path("/proc").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            if entry.name.isdigit() and os.getsid(int(entry.name)) == session:
                yield (entry / "cmdline").read_bytes()
