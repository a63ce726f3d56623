"""Searches as a user starts them: the console command on a terminal, in a separate process."""

import json
import os
import pty
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _null import install

from zenfront.pipeline.record.files.ledger import read_values
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results.stage_rows import Generation

ROOT = Path(__file__).parents[1]


def null_experiment(name: str, evaluations: int, population: int = 1000, **search: Any) -> dict[str, Any]:
    """Return an experiment with three objectives and a constraint, as in a real one."""
    return {
        "name": name,
        "space": "null",
        "task": {"channels": 3, "height": 32, "width": 32, "classes": 10},
        "objectives": [
            {"score": "null_zen", "direction": "maximise"},
            {"score": "null_ntk", "direction": "minimise"},
            {"score": "null_flops", "direction": "minimise"},
        ],
        "constraints": [{"score": "null_params", "at_most": 30.0}],
        "search": {"population": population, "evaluations": evaluations} | search,
    }


def environment(folder: Path) -> dict[str, str]:
    """Return environment variables with the null package on the path and one thread per process."""
    path = os.pathsep.join(filter(None, [str(ROOT), install(folder / "null"), os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "TERM": "xterm-256color"}


@dataclass
class Search:
    """A search in a separate process, whose terminal output goes to a log file."""

    process: subprocess.Popen[bytes]
    folder: RunFolder
    started: float

    @staticmethod
    def start(experiment: dict[str, Any], runs: Path, workers: int) -> "Search":
        runs.mkdir(parents=True, exist_ok=True)
        config = runs / f"{experiment['name']}.yaml"
        config.write_text(json.dumps(experiment | {"resources": {"device": "cpu", "search": {"workers": workers}}}))
        ours, theirs = pty.openpty()
        command = [str(Path(sys.executable).with_name("zenfront")), "search", str(config), "--runs", str(runs)]
        process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment(runs), cwd=runs, start_new_session=True
        )
        os.close(theirs)
        threading.Thread(target=_drain, args=(ours, runs / f"{experiment['name']}.log"), daemon=True).start()
        return Search(process, RunFolder(runs / experiment["name"]), time.time())

    def wait(self) -> None:
        """Wait for the end of the search; raise `RuntimeError` if it failed."""
        if self.process.wait():
            raise RuntimeError(f"the search ended with {self.process.returncode}: see {self.folder.path}.log")

    def kill(self) -> None:
        """Kill the driver as the out-of-memory killer would; Ray's own processes then end by themselves."""
        self.process.kill()
        self.process.wait()

    def peak_memory(self) -> int:
        """Return the peak resident memory of the driver in bytes, without Ray's own processes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(status.partition("VmHWM:")[2].split()[0])

    def processor_seconds(self) -> float:
        """Return the processor seconds of the driver so far, which do not depend on the load of the machine."""
        user, system = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    @property
    def record_bytes(self) -> int:
        """Size of the record in bytes, which grows with every candidate."""
        return self.folder.scores.stat().st_size if self.folder.scores.exists() else 0

    @property
    def generations(self) -> list[Generation]:
        """Recorded rows of the finished generations."""
        return read_values(self.folder.generations, Generation.from_row)


def _drain(terminal: int, log: Path) -> None:
    with log.open("wb") as file, suppress(OSError):  # reading fails when the process has closed the terminal
        while data := os.read(terminal, 1 << 16):
            file.write(data)


def rate(generations: list[Generation], first: int = 0, last: int = -1) -> float:
    """Return the candidates per second between two generations."""
    early, late = generations[first], generations[last]
    return (late.evaluations - early.evaluations) / (late.time - early.time)
