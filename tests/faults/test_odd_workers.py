"""Workers that are stopped for a time, and scores that fork or leak memory, change no result."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

import zenfront as zf
from zenfront.pipeline.record.files.ledger import read_ledger
from zenfront.pipeline.record.run_folder import RunFolder

pytestmark = [pytest.mark.slow, pytest.mark.soak]

STOP = float(os.environ.get("ZENFRONT_STOP", "24"))
"""Seconds for which a worker is stopped; its candidates have a third of that."""
OWN = """
import os, pathlib, time
from zenfront.pipeline.proxies import Proxy
KEPT = []

def own(network, batch, generator):
    '''A score that forks, leaks 4 MB and takes its time.'''
    KEPT.append(bytes(4_000_000))
    if os.fork() == 0:
        time.sleep(0.1)  # and goes on, as a careless author's would
    with pathlib.Path(__file__).with_name("scored.txt").open("a") as file:
        file.write(f"{os.getpid()}\\n")
    time.sleep(0.2)
    return float(sum(p.numel() for p in network.parameters()))

PROXY = Proxy("own", own, "1", "maximise", "a test", weights="none")
"""
YAML = """
name: odd
space: anynet3
task: {{ channels: 1, height: 8, width: 8, classes: 10 }}
objectives:
  - {{ score: ./own.py, direction: maximise }}
  - {{ score: flops, direction: minimise }}
search: {{ population: 8, evaluations: 24, batch: 2, candidates_per_trial: 3, time_limit: {limit} }}
select: {{ k: 3 }}
resources: {{ device: cpu, search: {{ workers: 2 }} }}
"""


def is_worker(process: int) -> bool:
    with suppress(OSError):
        return b"ScoringWorker" in Path(f"/proc/{process}/cmdline").read_bytes()
    return False


@pytest.mark.timeout(900 + 3 * STOP)
def test_a_stopped_worker_is_replaced_and_blames_no_candidate(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    config = tmp_path / "odd.yaml"
    config.write_text(YAML.format(limit=STOP / 3))
    scored = tmp_path / "scored.txt"
    code = "from zenfront.pipeline.cli.app import main; main()"
    command = [sys.executable, "-c", code, "search", str(config), "--allow-code", "--runs", str(tmp_path / "ray")]
    driver = subprocess.Popen(command, start_new_session=True)
    stopped = None
    try:
        while driver.poll() is None:
            time.sleep(0.05)
            if stopped is None and scored.exists() and len(processes := scored.read_text().split()) >= 4:
                worker = next((int(each) for each in reversed(processes) if is_worker(int(each))), None)
                if worker:
                    stopped = worker
                    os.kill(worker, signal.SIGSTOP)
                    time.sleep(STOP)
                    with suppress(ProcessLookupError):
                        os.kill(worker, signal.SIGCONT)
        assert stopped
        assert driver.returncode == 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(driver.pid, signal.SIGKILL)
    found = {row["id"]: (row["values"], row["failure"]) for row in read_ledger(tmp_path / "ray/odd/scores.jsonl")[0]}
    config.write_text(YAML.format(limit=600))
    serial = RunFolder(
        zf.search(
            config, backend="serial", runs=tmp_path / "serial", allow_code=True, tracking=False, progress=False
        ).path
    )
    assert found == {row["id"]: (row["values"], row["failure"]) for row in read_ledger(serial.scores)[0]}
    assert all(failure is None for _, failure in found.values())
