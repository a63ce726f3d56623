"""Ctrl-C and SIGTERM (preemption): the process is gone soon, the record is whole, and nothing stays behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import spaces
from pipeline.results import read_ledger
from pipeline.run_folder import RunFolder, write_json

SOON = 10.0
STUCK = """
import sys, time
import pipeline._cli_signals as signals
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
from pipeline.proxies import Proxy

def sleeper(network, batch, generator):
    scored = pathlib.Path(os.environ["SCORED"])
    if scored.exists():
        time.sleep(1000)
    scored.touch()
    return 1.0

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
    """Starts Python in a session of its own, of which nothing stays when the test is over."""
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
    process = stuck(start, 60)
    process.send_signal(number)
    assert process.stdout
    assert process.stdout.readline() == "swallowed\n"
    begin = time.monotonic()
    process.send_signal(number)
    assert process.wait(10) == 128 + number
    assert time.monotonic() - begin < 5
    assert process.stderr
    assert "the last words" in process.stderr.read()


def test_work_that_does_not_end_after_the_first_signal_is_ended(start: Start) -> None:
    process = stuck(start, 0.3)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 143


def test_a_block_that_ends_by_itself_leaves_the_handlers_as_they_were() -> None:
    from pipeline._cli_signals import SIGNALS, ending_at_signals

    before = [signal.getsignal(number) for number in SIGNALS]
    with ending_at_signals(""):
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before


def workers_of(session: int) -> list[str]:
    """Ray's workers among the processes of a session: of those that hold work, processors or a GPU."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            if entry.name.isdigit() and os.getsid(int(entry.name)) == session:
                name = (entry / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
                found.append(name)
    return [name for name in found if "Agent" not in name and "ray::" in name]


def until(condition: Callable[[], bool], seconds: float = 200.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def search(start: Start, tmp_path: Path) -> Callable[[], subprocess.Popen[str]]:
    """Starts a search all of whose candidates hang but one."""
    plugin = tmp_path / "plugin" / "sleeper-1.0.dist-info"
    plugin.mkdir(parents=True)
    (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: sleeper\nVersion: 1.0\n")
    (plugin / "entry_points.txt").write_text("[zenfront.proxies]\nsleeper = sleeper:PROXY\n")
    (plugin.parent / "sleeper.py").write_text(SLEEPER)
    (tmp_path / "tiny.yaml").write_text(CONFIG)
    path = os.pathsep.join([str(plugin.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    code = "from pipeline.cli import main; main()"
    return lambda: start("-c", code, "search", "tiny.yaml", PYTHONPATH=path, SCORED=str(tmp_path / "scored"))


def ended_soon(process: subprocess.Popen[str], number: signal.Signals) -> str:
    """Sends the signal; what was said on standard error."""
    begin = time.monotonic()
    process.send_signal(number)
    assert process.wait(60) == 128 + number
    assert time.monotonic() - begin < SOON
    until(lambda: not workers_of(process.pid), 10)
    return process.communicate(timeout=60)[1]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_search_ends_soon_while_its_candidates_hang(
    search: Callable[[], subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = search()
    until((tmp_path / "scored").exists)
    said = ended_soon(process, signal.SIGTERM)
    assert said.count("interrupted; the record is kept. To go on: zenfront search tiny.yaml") == 1
    assert "Traceback" not in said
    assert read_ledger(tmp_path / "runs" / "tiny" / "scores.jsonl")[0] == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_search_ends_soon_while_ray_is_starting(search: Callable[[], subprocess.Popen[str]], tmp_path: Path) -> None:
    process = search()
    until((tmp_path / "runs" / "tiny" / "generations.jsonl").exists)
    until(lambda: any(b"gcs_server" in line for line in commands_of(process.pid)))
    said = ended_soon(process, signal.SIGTERM)
    assert "To go on: zenfront search tiny.yaml" in said


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_training_ends_soon_and_its_epochs_are_there(start: Start, tmp_path: Path) -> None:
    space = spaces.load("anynet3")
    small = {f"{gene}{i}": value for i in (1, 2, 3) for gene, value in (("d", 1), ("w", 8), ("b", 1), ("g", 1))}
    chosen = space.architecture(small)
    folder = RunFolder(tmp_path / "runs" / "tiny")
    members = [{"id": chosen.id, "genes": dict(chosen.genes)}]
    write_json(folder.front, {"space": space.name, "front": members, "selected": [chosen.id]})
    settings = "train: {epochs: 10000, data: {limit: 200}}\nobjectives: [{score: flops, direction: minimise}]"
    (tmp_path / "tiny.yaml").write_text(CONFIG.replace("objectives: [{score: sleeper, direction: maximise}]", settings))
    process = start("-c", "from pipeline.cli import main; main()", "train", "tiny.yaml")
    until(lambda: folder.epochs.exists() and folder.epochs.read_bytes().count(b"\n") >= 3)
    said = ended_soon(process, signal.SIGINT)
    assert said.count("interrupted; the record is kept. To go on: zenfront train tiny.yaml") == 1
    assert "Traceback" not in said
    epochs = [row["epoch"] for row in read_ledger(folder.epochs)[0]]
    assert epochs == list(range(1, len(epochs) + 1))
    assert not folder.trained.exists()


def commands_of(session: int) -> Iterator[bytes]:
    for entry in Path("/proc").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            if entry.name.isdigit() and os.getsid(int(entry.name)) == session:
                yield (entry / "cmdline").read_bytes()
