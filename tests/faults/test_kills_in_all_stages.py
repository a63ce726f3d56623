"""A whole run whose driver is killed at random moments of every stage ends with the same bytes."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from zenfront.pipeline.record.files.ledger import read_ledger
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.seeds import numpy_generator

pytestmark = [pytest.mark.slow, pytest.mark.soak]

KILLS = int(os.environ.get("ZENFRONT_KILLS", "3"))
RUN = [sys.executable, "-c", "from zenfront.pipeline.cli.app import main; main()", "run", "smoke"]
SETTINGS = (
    *("search.evaluations=24", "search.candidates_per_trial=1", "train.scheduler.name=successive_halving"),
    *("train.recipe.warmup_epochs=1", "train.epochs=6", "select.k=6", "train.seeds=[0,1]"),
    *("resources.device=cpu", "resources.search.workers=2", "resources.train.workers=2"),
)
PATIENCE = 600
"""Seconds that a driver has to record something, or to end, before the test fails."""


def start(runs: Path) -> subprocess.Popen[bytes]:
    overrides = [word for setting in SETTINGS for word in ("--set", setting)]
    with (runs / "output.txt").open("ab") as output:
        command = [*RUN, "--runs", str(runs), *overrides]
        return subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)


def end(driver: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()


def progress(folder: RunFolder) -> int:
    """Return how far a run has come: rows of its ledgers and files of its stages."""
    rows = sum(path.read_bytes().count(b"\n") for path in (folder.scores, folder.epochs) if path.exists())
    return rows + sum(path.exists() for path in (folder.front, folder.trained, folder.report / "index.html"))


def result(folder: RunFolder) -> list[object]:
    """Return what the stages have made, without times and places."""
    rows = sorted((row["id"], str(row["values"]), row["failure"]) for row in read_ledger(folder.scores)[0])
    epochs = {(row["trial"], row["epoch"]): row["metrics"] for row in read_ledger(folder.epochs)[0]}
    losses = {key: (metrics["train_loss"], metrics["val_accuracy"]) for key, metrics in epochs.items()}
    return [rows, losses, folder.front.read_bytes(), folder.trained.read_bytes()]


@pytest.mark.timeout(1800 + 240 * KILLS)
def test_a_run_killed_in_every_stage_ends_with_the_same_bytes(tmp_path: Path) -> None:
    """ZENFRONT_KILLS=20 kills twenty drivers: before they record anything, or after up to four records."""
    moments, done = numpy_generator(0, "kills in all stages"), 0
    (tmp_path / "killed").mkdir()
    (tmp_path / "whole").mkdir()
    killed = RunFolder(tmp_path / "killed/smoke")
    while done < KILLS:
        driver = start(tmp_path / "killed")
        before, wanted = progress(killed), int(moments.integers(0, 5))
        limit = time.monotonic() + PATIENCE
        try:
            while progress(killed) < before + wanted and driver.poll() is None and time.monotonic() < limit:
                time.sleep(0.02)
            time.sleep(moments.uniform(0, 3 if wanted == 0 else 0.3))
            finished = driver.poll() is not None
        finally:
            end(driver)
        if finished:
            break
        done += 1
        print(f"kill {done}: {before} to {progress(killed)} records")  # noqa: T201
    for runs in (tmp_path / "killed", tmp_path / "whole"):
        driver = start(runs)
        try:
            assert driver.wait(PATIENCE) == 0, (runs / "output.txt").read_text()
        finally:
            end(driver)
    whole = RunFolder(tmp_path / "whole/smoke")
    assert result(killed) == result(whole)
    print(f"{done} kills")  # noqa: T201
