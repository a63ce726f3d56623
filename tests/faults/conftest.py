"""Faults that occur at a known point of the work, independent of the speed of the machine."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext, suppress
from io import StringIO
from itertools import count
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from zenfront.pipeline.cli.terminal.console import ConsoleView
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.places import Cluster
from zenfront.pipeline.record.files.ledger import Ledger
from zenfront.pipeline.record.run_folder import RunFolder

DRIVER = """
import os, signal, sys
from importlib import import_module
from pathlib import Path
from threading import Event, Timer
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.cli.terminal.console import ConsoleView
from zenfront.pipeline.record.files.ledger import Ledger
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.user_code import allow

name, experiment, folder, record, lines, seconds = sys.argv[1:]
record, append = Path(record), Ledger.append
module, _, function = name.partition(":")
stage = getattr(import_module(f"zenfront.pipeline.stages.{module}"), function or module.partition(".")[0])
killer = Timer(float(seconds), os.kill, (os.getpid(), signal.SIGKILL))

def look():
    if (record.read_bytes().count(b"\\n") if record.exists() else 0) >= int(lines):
        killer.start()

def append_until_it_dies(ledger, rows):
    if killer.ident:
        Event().wait()
    append(ledger, rows)
    look()

Ledger.append = append_until_it_dies
look()
asked = Experiment.model_validate_json(experiment)
allow(asked.code)
stage(asked, RunFolder(Path(folder)), ConsoleView())
"""
Once = Callable[[Path, int, Callable[[], None]], None]
KilledDriver = Callable[..., None]
OnThisRay = Callable[[Experiment], Experiment]
TrainHere = Callable[[Experiment, RunFolder], str]


@pytest.fixture
def out_of_time() -> Callable[[float], None]:
    """Return work (limit) that does not end before its time limit, which expires almost at once."""

    def work(limit: float) -> None:
        left, _ = signal.getitimer(signal.ITIMER_REAL)
        assert limit / 2 < left <= limit
        signal.setitimer(signal.ITIMER_REAL, 0.01)  # moves the alarm forward
        time.sleep(1000)

    return work


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> Iterator[Once]:
    """Call a function when a ledger of this process reaches a number of lines, before the next line is written."""
    append = Ledger.append
    threads: list[Thread] = []

    def start(path: Path, lines: int, action: Callable[[], None]) -> None:
        thread = Thread(target=action)
        threads.append(thread)

        def observed(ledger: Ledger, rows: Iterable[Mapping[str, Any]]) -> None:
            if thread.ident:
                thread.join()
            append(ledger, rows)
            if not thread.ident and ledger.path == path and path.read_bytes().count(b"\n") >= lines:
                thread.start()

        monkeypatch.setattr(Ledger, "append", observed)

    yield start
    for thread in threads:
        thread.join()  # raises if the line was never written


@pytest.fixture
def on_this_ray(ray_session: None) -> OnThisRay:
    """Let a driver in another process use the Ray of this one, which saves it the start of its own."""
    import ray

    here = Cluster(address=ray.get_runtime_context().gcs_address)
    return lambda experiment: experiment.model_copy(update={"cluster": here})


@pytest.fixture(scope="session")
def train_here() -> TrainHere:
    """Run the training stage with one worker in this process, without Ray, and return the output of its view."""
    from zenfront.pipeline.cluster import session, tuner, workers
    from zenfront.pipeline.stages.train.stage import train

    def run_jobs(trainable: Any, *, searcher: Any, scheduler: Any, constants: Mapping[str, Any], **_: Any) -> None:
        worker = trainable.__new__(trainable)
        for number in count():
            job = searcher.suggest(str(number))
            if job == searcher.FINISHED:
                return
            if number:
                worker.reset_config(job)
            else:
                worker.setup(job, **constants)
            while scheduler.on_trial_result(None, SimpleNamespace(config=job), worker.step()) != scheduler.STOP:
                pass
            searcher.on_trial_complete(str(number))

    def run(experiment: Experiment, folder: RunFolder) -> str:
        said = StringIO()
        with pytest.MonkeyPatch.context() as patch, ConsoleView(Console(file=said, width=200)) as view:
            patch.setattr(session, "cluster", lambda _: nullcontext())
            patch.setattr(workers, "plan_workers", lambda *_, **__: workers.WorkerPool(1, 1, 0.0))
            patch.setattr(tuner, "run_tune", run_jobs)
            train(experiment, folder, view)
        return said.getvalue()

    return run


@pytest.fixture
def killed_driver() -> KilledDriver:
    """Start a stage in a process that is killed when its record has a given number of lines, or some seconds later.

    During these seconds nothing is recorded, so the work cannot end before the process is killed.
    """

    def run(
        stage: str, experiment: Experiment, folder: RunFolder, record: Path, lines: int, seconds: float = 0
    ) -> None:
        words = [experiment.model_dump_json(), str(folder.path), str(record), str(lines), str(seconds)]
        said = folder.path / "driver.txt"
        with said.open("w") as file:
            command = [sys.executable, "-c", DRIVER, stage, *words]
            driver = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
        try:
            assert driver.wait() == -signal.SIGKILL, f"the driver ended before it was killed: {said.read_text()}"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(driver.pid, signal.SIGKILL)  # ends Ray's agents, which outlive the driver

    return run
