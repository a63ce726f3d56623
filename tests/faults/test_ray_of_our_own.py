"""A search whose Ray was started for it: what listens, and what happens when a process of Ray dies."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import Queue
from types import SimpleNamespace
from typing import Any

import pytest

from zenfront.pipeline.cluster import head_watch, leftovers
from zenfront.pipeline.record.files.ledger import read_ledger

HANGING = 120.0
LISTENING = "0A"
LOOPBACK = ("0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000")
"""127.0.0.1, ::ffff:127.0.0.1 and ::1 in /proc/net/tcp and /proc/net/tcp6."""
CONFIG = """
name: tiny
space: anynet3
task: {channels: 1, height: 8, width: 8, classes: 10}
objectives: [{score: zen, direction: maximise}]
search: {population: 8, evaluations: 100000, candidates_per_trial: 2}
resources: {device: cpu, search: {workers: 1}}
"""


class Search:
    """A search in a session of processes of its own."""

    def __init__(self, folder: Path) -> None:
        (folder / "tiny.yaml").write_text(CONFIG)
        (folder / "tmp").mkdir()
        self.scores, self.temporary = folder / "runs/tiny/scores.jsonl", folder / "tmp"
        self._errors = folder / "errors.txt"
        command = [sys.executable, "-c", "from zenfront.pipeline.cli.app import main; main()", "search", "tiny.yaml"]
        with self._errors.open("w") as errors:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=os.environ
                | {"TMPDIR": str(self.temporary), "RAY_TMPDIR": "/tmp"},  # Ray's sockets need short paths
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )

    def wait_for_scores(self, lines: int) -> None:
        """Wait until the record has so many lines."""
        while not self.scores.exists() or self.scores.read_bytes().count(b"\n") < lines:
            assert self.process.poll() is None, self.errors
            time.sleep(0.1)

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def processes(self) -> Iterator[Path]:
        """Yield the folders in /proc of the living processes; they may vanish while we look."""
        for entry in Path("/proc").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                if entry.name.isdigit() and os.getsid(int(entry.name)) == self.process.pid:
                    yield entry

    def commands(self) -> dict[int, str]:
        """Return the command lines by process."""
        found = {}
        for entry in self.processes():
            with suppress(FileNotFoundError, ProcessLookupError):
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def listening(self) -> list[str]:
        """Return the addresses in hexadecimal that the processes listen on, as the kernel knows them."""
        sockets = set()
        for entry in self.processes():
            with suppress(FileNotFoundError, ProcessLookupError):
                sockets |= {os.readlink(link) for link in (entry / "fd").iterdir()}
        rows = [
            line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
        ]
        return [row[1].split(":")[0] for row in rows if row[3] == LISTENING and f"socket:[{row[9]}]" in sockets]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Callable[[], Search]]:
    started: list[Search] = []

    def start() -> Search:
        started.append(Search(tmp_path))
        started[-1].wait_for_scores(9)
        return started[-1]

    yield start
    for search in started:
        with suppress(ProcessLookupError):
            os.killpg(search.process.pid, signal.SIGKILL)
        search.process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gcs_server", pytest.param("raylet", marks=pytest.mark.soak)])
def test_a_search_listens_on_loopback_alone_and_says_which_process_of_ray_died(
    running: Callable[[], Search], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = running()
    addresses, commands = search.listening(), search.commands()
    assert len(addresses) >= 5  # the GCS, the raylet, a worker, the driver, the agents
    assert [address for address in addresses if address not in LOOPBACK] == []
    assert [command for command in commands.values() if "dashboard/dashboard.py" in command] == []
    victims = [number for number, command in commands.items() if command.split()[0].endswith(f"/{name}")]
    owners = [file.read_text() for file in search.temporary.glob(f"zenfront-*/{leftovers.OWNER}")]
    sessions = [Path(json.loads(text)["session"]) for text in owners if text]
    assert (len(victims), len(sessions)) == (1, 1)
    os.kill(victims[0], signal.SIGKILL)
    assert search.process.wait(HANGING) == 2
    said = [line for line in search.errors.splitlines() if line]
    assert said == [
        f"zenfront: Ray's process {name} on this machine has died (killed by SIGKILL; the kernel kills it when memory "
        "is full). The record is kept: run the same command to continue."
    ]
    assert len(read_ledger(search.scores)[0]) >= 9
    monkeypatch.setattr("tempfile.tempdir", str(search.temporary))
    assert sessions[0].is_dir()
    leftovers.remove_leftovers()
    assert list(search.temporary.glob("zenfront-*")) == []
    assert not sessions[0].exists()


@pytest.mark.parametrize("name", ["gcs_server", "raylet"])
def test_each_process_of_ray_is_watched(name: str, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    """The watch would end this process."""
    ended: Queue[int] = Queue()
    started = {each: subprocess.Popen(["sleep", "1000"]) for each in ("gcs_server", "raylet")}
    processes = {each: [SimpleNamespace(process=process)] for each, process in started.items()}
    monkeypatch.setattr("ray._private.worker._global_node", SimpleNamespace(all_processes=processes))
    monkeypatch.setattr(os, "_exit", ended.put)
    try:
        with head_watch.ending_with_ray():
            started[name].kill()
            assert ended.get(timeout=HANGING) == 2
    finally:
        for process in started.values():
            process.kill()
            process.wait()
    said = capfd.readouterr().err
    assert f"Ray's process {name} on this machine has died (killed by SIGKILL;" in said
