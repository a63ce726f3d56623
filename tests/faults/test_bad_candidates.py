"""Candidates that crash, hang or exhaust memory are recorded with the reason and do not affect others."""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from zenfront import spaces
from zenfront.pipeline import proxies
from zenfront.pipeline.cluster.time_limit import time_limit
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.proxies import Batch, Proxy
from zenfront.pipeline.record.files.ledger import read_ledger
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.scoring import Scoring, noise_batch
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.stages.search.candidate import CROWDED
from zenfront.pipeline.stages.search.worker import ScoringWorker
from zenfront.spaces import Architecture, Network, Task

SPACE = spaces.load("anynet3")
TASK = Task(1, 8, 8, 10)
LIMIT = 600.0
DRIVER = """
import sys
from pathlib import Path
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.cli.terminal.console import ConsoleView
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.stages.search.stage import search
search(Experiment.model_validate_json(sys.argv[1]), RunFolder(Path(sys.argv[2])), ConsoleView())
"""
PLUGIN = """
import os, pathlib, resource, signal, time
import numpy as np
import torch
from zenfront.pipeline.proxies import Proxy

def bad(network, batch, generator):
    parameters = sum(p.numel() for p in network.parameters())
    match parameters % 13:
        case 1:  # as the kernel kills a process that uses all memory, and Ray does a little earlier
            os.kill(os.getpid(), signal.SIGKILL)
        case 6:
            signal.setitimer(signal.ITIMER_REAL, 0.1)  # moves the alarm forward
            time.sleep(1000)
        case 10:
            before = resource.getrlimit(resource.RLIMIT_AS)
            try:
                resource.setrlimit(resource.RLIMIT_AS, (2**36, before[1]))
                np.zeros(2**40)
            finally:
                resource.setrlimit(resource.RLIMIT_AS, before)
        case 12:
            tried = pathlib.Path(os.environ["TRIED"], str(parameters))
            if not tried.exists():
                tried.touch()
                raise torch.OutOfMemoryError("CUDA out of memory")
        case 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
    return float(parameters)

PROXY = Proxy("bad", bad, "1", "maximise", "a test", weights="none")
"""
DIED = "its worker died each time it was scored alone (out of memory, a crash in native code, or no result after 60 s)"
REASONS = {1: DIED, 3: CROWDED, 6: "bad: TimeoutError: no result after 60 s", 10: "bad: MemoryError: "}


def parameters_of(architecture: Architecture) -> int:
    return sum(p.numel() for p in SPACE.network(architecture, TASK).parameters())


@pytest.mark.slow
def test_each_bad_candidate_is_recorded_with_its_reason_and_the_others_are_scored(tmp_path: Path) -> None:
    package = tmp_path / "plugin" / "bad-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: bad\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[zenfront.proxies]\nbad = bad:PROXY\n")
    (package.parent / "bad.py").write_text(PLUGIN)
    experiment = Experiment.model_validate(
        {
            "name": "bad",
            "space": SPACE.name,
            "task": {"channels": TASK.channels, "height": TASK.height, "width": TASK.width, "classes": TASK.classes},
            "objectives": [{"score": "bad", "direction": "maximise"}],
            "search": {
                "population": 8,
                "repeats": 1,
                "evaluations": 8,
                "seed": 2,
                "candidates_per_trial": 2,
                "time_limit": 60,
            },
            "resources": {"device": "cpu", "search": {"workers": 1}},
        }
    )
    folder = RunFolder(tmp_path / "run")
    path = os.pathsep.join([str(package.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, experiment.model_dump_json(), str(folder.path)],
        env=os.environ | {"PYTHONPATH": path, "TRIED": str(tmp_path)},
        start_new_session=True,
    )
    try:
        assert driver.wait() == 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(driver.pid, signal.SIGKILL)
    found = {row["id"]: row for row in read_ledger(folder.scores)[0]}
    assert len(found) == 8
    fates = set()
    for row in found.values():
        parameters = parameters_of(Architecture.from_dict(row))
        reason = REASONS.get(parameters % 13)
        fates.add(parameters % 13)
        if reason is None:
            assert row["failure"] is None
            assert row["values"] == {"bad": parameters}
        else:
            assert row["failure"].startswith(reason)
    assert fates >= {*REASONS, 12}  # the first eight of this seed have all


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a function (work, settings) -> worker that scores candidates with a proxy that does `work`."""

    def make(work: Callable[[], None], **config: Any) -> Any:
        def score(network: Network, batch: Batch, generator: torch.Generator) -> float:
            if sum(p.numel() for p in network.parameters()) == parameters_of(bad):
                work()
            return 1.0

        load = proxies.load
        proxy = Proxy("work", score, "1", "maximise", "a test", weights="none")
        monkeypatch.setattr(proxies, "load", lambda name, code: proxy if name == "work" else load(name))
        made = ScoringWorker.__new__(ScoringWorker)
        scoring = Scoring(SPACE, TASK, ["work"], noise_batch(TASK, 2, 0), seed=0)
        names = {
            "candidates": [architecture.to_json() for architecture in (good, bad, other)],
            "repeats": 1,
            "alone": False,
        }
        limits = {"seconds": LIMIT, "period": math.inf}
        made.setup(names | {"name": ""} | config, scoring=scoring, threads=1, gpus=0.0, **limits)
        return made

    return make


good, bad, other = (SPACE.sample(numpy_generator(0, "bad candidates", str(i))) for i in range(3))


def out_of_memory() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def test_a_candidate_that_does_not_fit_beside_others_is_scored_again(worker: Callable[..., Any]) -> None:
    result = worker(out_of_memory).step()
    assert [row["id"] for row in result["rows"]] == [good.id, other.id]
    assert result["again"] == [bad.id]
    assert result["done"]


def test_a_candidate_that_does_not_fit_alone_is_recorded(worker: Callable[..., Any]) -> None:
    result = worker(out_of_memory, candidates=[bad.to_json()], alone=True).step()
    assert [(row["id"], row["failure"]) for row in result["rows"]] == [(bad.id, CROWDED)]
    assert result["again"] == []


def test_a_candidate_that_takes_too_long_is_recorded_and_the_next_is_scored(
    worker: Callable[..., Any], out_of_time: Callable[[float], None]
) -> None:
    handler = signal.getsignal(signal.SIGALRM)
    rows = worker(lambda: out_of_time(LIMIT)).step()["rows"]
    assert [row["failure"] for row in rows] == [None, "work: TimeoutError: no result after 600 s", None]
    assert signal.getsignal(signal.SIGALRM) is handler


def test_an_import_is_not_ended_in_its_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_to_import.py").write_text("import time\ntime.sleep(0.3)\nDONE = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TimeoutError):
        import_and_hang()
    assert sys.modules["slow_to_import"].DONE


def import_and_hang() -> None:
    with time_limit(0.05, end_process=False):
        import_module("slow_to_import")
        time.sleep(1000)


def test_a_process_that_no_exception_reaches_is_ended() -> None:
    """Python's signal handlers do not run in native code that holds the interpreter."""
    code = "from zenfront.pipeline.cluster.time_limit import time_limit\nwith time_limit(0.1): sum(range(10**15))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("Timeout (0:00:01.125000)!")


def test_short_blocks_share_what_ends_the_process() -> None:
    code = """from zenfront.pipeline.cluster.time_limit import RENEWED, time_limits
import time
with time_limits(0.1) as limit:
    for _ in range(3):
        with limit(): pass
time.sleep(1.2 * (RENEWED + 1.125))
print("after", flush=True)
with time_limits(0.1) as limit:
    with limit(): sum(range(10**15))"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "after\n")
    assert ended.stderr.startswith("Timeout (0:00:02.125000)!")
